from __future__ import annotations

import torch
from torch.nn import functional

from neurofer.subjects.networks.resnet_v2 import EPSILON, PreactivationBlock, ResNet50V2
from tests.subjects.networks.test_resnet import count


def closed_form(classes: int) -> tuple[int, int]:
    """Return the parameters that learn, and the channels that are normalised."""
    learned, normalised = 3 * 64 * 49 + 64, 0
    inputs = 64
    for width, depth in zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True):
        for number in range(depth):
            normalised += inputs + 2 * width
            learned += inputs * width + 9 * width**2 + width * 4 * width + 4 * width
            if number == 0:
                learned += inputs * 4 * width + 4 * width
            inputs = 4 * width
    normalised += inputs
    return learned + 2 * normalised + inputs * classes + classes, normalised


def test_parameters_are_keras_s() -> None:
    net = ResNet50V2(1000)
    learned, normalised = closed_form(1000)
    assert count(net) == learned == 25_568_360
    # Keras counts the running means and variances too: 25.6 million.
    assert learned + 2 * normalised == 25_613_800
    running = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
    assert running == 2 * normalised


def test_the_stride_lies_at_the_end_of_a_stage() -> None:
    net, seen = ResNet50V2(3, width=0.125).eval(), []
    for name in ("maxpool", "layer1", "layer2", "layer3", "layer4", "post"):
        net.get_submodule(name).register_forward_hook(
            lambda module, given, out: seen.append((out.shape[1], out.shape[2]))
        )
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 3)
    assert seen == [(8, 56), (32, 28), (64, 14), (128, 7), (256, 7), (256, 7)]


def test_a_block_of_zero_residual_passes_even_negative_input_on() -> None:
    block = PreactivationBlock(16, 4, 1, project=False).eval()
    torch.nn.init.zeros_(block.conv3.weight)
    torch.nn.init.zeros_(block.conv3.bias)  # type: ignore[arg-type]
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(block(x), x)  # the post-activated block of 2015 clamps it
    strided = PreactivationBlock(16, 4, 2, project=False).eval()
    strided.conv3 = block.conv3
    torch.testing.assert_close(strided(x), x[:, :, ::2, ::2])


def test_a_block_by_its_equation() -> None:
    torch.manual_seed(0)
    block = PreactivationBlock(6, 3, 1, project=True).double().eval()
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                torch.nn.init.uniform_(values, 0.5, 1.5)  # type: ignore[arg-type]

    def norm(layer: torch.nn.Sequential, x: torch.Tensor) -> torch.Tensor:
        bn = layer[0]
        mean, spread, gain, shift = (
            v[:, None, None]
            for v in (bn.running_mean, (bn.running_var + EPSILON) ** 0.5, bn.weight, bn.bias)
        )
        return ((x - mean) / spread * gain + shift).clamp(min=0)

    x = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    n0 = norm(block.preact, x)
    n1 = norm(block.act1, torch.einsum("oi,nihw->nohw", block.conv1.weight[..., 0, 0], n0))
    windows = functional.unfold(n1, 3, padding=1).view(2, 27, 4, 4)
    n2 = norm(block.act2, torch.einsum("oi,nihw->nohw", block.conv2.weight.flatten(1), windows))
    expected = torch.einsum("oi,nihw->nohw", block.conv3.weight[..., 0, 0], n2)
    expected = expected + block.conv3.bias[:, None, None]
    assert block.project is not None
    shortcut = torch.einsum("oi,nihw->nohw", block.project.weight[..., 0, 0], n0)
    expected = expected + shortcut + block.project.bias[:, None, None]  # type: ignore[index]
    torch.testing.assert_close(block(x), expected)


def test_zeros_at_the_border_take_part_in_the_maximum() -> None:
    net = ResNet50V2(3, width=0.125)
    found = net.maxpool(torch.full((1, 1, 4, 4), -1.0))
    assert found.tolist() == [[[[0, 0], [0, -1]]]]
