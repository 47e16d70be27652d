from __future__ import annotations

import torch

from neurofer.subjects.siamese import SIZE, SiameseNet


def test_parameters_are_those_of_the_published_network() -> None:
    # Koch et al. 2015 with one output: 64 of 10x10, 128 of 7x7, 128 and 256 of 4x4, 9216 to 4096.
    layers = [(1, 64, 100), (64, 128, 49), (128, 128, 16), (128, 256, 16), (9216, 4096, 1)]
    expected = sum(inputs * outputs * area + outputs for inputs, outputs, area in layers) + 4097
    assert sum(p.numel() for p in SiameseNet().parameters()) == expected == 38_951_745


def test_the_comparison_is_symmetric_and_sees_differences_only() -> None:
    torch.manual_seed(0)
    net = SiameseNet(width=0.0625, embedding=8).eval()
    one, two = torch.rand(2, 3, 1, SIZE, SIZE)
    torch.testing.assert_close(net(one, two), net(two, one))
    torch.testing.assert_close(net(one, one), net.compare.bias.expand(3))
    assert (net(one, two) - net.compare.bias).abs().min() > 0
    assert net.embed(one).shape == (3, 8)
    assert (net.embed(one) < 0).any()  # no ReLU after the fully connected layer
