from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.grad_cam import (
    class_maps,
    grad_cam_plus_plus,
    last_layer,
    place_maps,
)
from neurofer.subjects.networks.architectures import ARCHITECTURES, make_network
from neurofer.subjects.networks.ciao import attach

LAST = {
    "cornet-s": "IT.output-t1",
    "resnet-50": "layer4.2",
    "resnet-18": "layer4.1",
    "resnet-50v2": "post.1",
    "vgg": "encoder.relu5_3",
    "pk": "encoder.relu4",
    "vgg19": "encoder.relu5_4",
    "face-channel": "convolutions.33",
    "siamese": "relu4",
}
SMALL = {"cornet-s": 64, "resnet-50": 64, "resnet-18": 32, "resnet-50v2": 64}


def pooled(channels: int = 3, classes: int = 2) -> nn.Sequential:
    """A convolution, its mean over places, a linear layer: S = w . mean(A) + b."""
    torch.manual_seed(3)
    layers = {
        "conv": nn.Conv2d(1, channels, 3),
        "relu": nn.ReLU(),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "linear": nn.Linear(channels, classes),
    }
    return nn.Sequential(OrderedDict(layers)).double()


def deep() -> nn.Sequential:
    """A head that is linear in pieces, so that a place's gradient differs from another's."""
    torch.manual_seed(1)
    layers = {
        "conv": nn.Conv2d(2, 3, 3),
        "relu": nn.ReLU(),
        "flat": nn.Flatten(),
        "hidden": nn.Linear(3 * 16, 6),
        "again": nn.ReLU(),
        "linear": nn.Linear(6, 4),
    }
    return nn.Sequential(OrderedDict(layers)).double()


def test_the_closed_form_of_global_average_pooling() -> None:
    """There g = w / P at each of P places, so that a weight is w / (2 + w mean(A)) where w > 0."""
    net = pooled()
    x = torch.randn(4, 1, 6, 6, dtype=torch.float64)
    shown = net.conv(x).relu()
    for number in range(2):
        w = net.linear.weight[number].detach()
        weight = w.clamp(min=0) / (2 + w.clamp(min=0) * shown.mean((2, 3)))
        expected = (weight[:, :, None, None] * shown).sum(1)
        torch.testing.assert_close(class_maps(net, x, number), expected.detach())


def by_derivatives(net: nn.Sequential, x: torch.Tensor, number: int) -> tuple[np.ndarray, float]:
    """Eqs. 11, 13 and 19 of one image, from Y = exp(S) differentiated three times, place by place.

    Returns the map and exp(S), which it holds as a factor.
    """
    start = net.relu(net.conv(x)).detach()
    _, channels, height, width = start.shape
    weights = np.zeros(channels)
    for k in range(channels):
        for i in range(height):
            for j in range(width):
                value = start[0, k, i, j].clone().requires_grad_()
                shown = start.clone()
                shown[0, k, i, j] = value
                y = net[2:](shown)[0, number].exp()
                derivatives = []
                term = y
                for _ in range(3):
                    (term,) = torch.autograd.grad(term, value, create_graph=True)
                    derivatives.append(term.item())
                first, second, third = derivatives
                below = 2 * second + start[0, k].sum().item() * third
                alpha = second / below if below else 0.0
                weights[k] += alpha * max(first, 0.0)
    found = np.einsum("k,kij->ij", weights, start[0].numpy())
    return np.maximum(found, 0), y.item()


@pytest.mark.parametrize("make", [pooled, deep])
def test_it_equals_the_higher_derivatives_of_the_exponential(make) -> None:  # type: ignore[no-untyped-def]
    net = make()
    x = torch.randn(2, net.conv.in_channels, 6, 6, dtype=torch.float64)
    total = 0.0
    for number in range(2):
        for image, one in zip(x, class_maps(net, x, number), strict=True):
            expected, factor = by_derivatives(net, image[None], number)
            np.testing.assert_allclose(one.numpy(), expected / factor, rtol=1e-9)
            total += expected.max()
    assert total > 0


def test_there_is_nothing_where_nothing_speaks_for_the_class() -> None:
    net = pooled()
    with torch.no_grad():
        net.linear.weight[0] = -1.0
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64)
    assert (class_maps(net, x, 0) == 0).all()  # every channel speaks against it
    with torch.no_grad():
        net.linear.weight.fill_(1.0)
        net.conv.bias.zero_()
        net.conv.weight.abs_()
    x[:, :, :, :3] = -5.0  # rectified: the first column of windows sees nothing else
    found = class_maps(net, x.clamp(max=1.0).abs() * torch.sign(x), 0)
    assert (found[:, :, 0] == 0).all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_network_has_maps_of_its_last_convolution(name: str) -> None:
    torch.manual_seed(0)
    stated = ARCHITECTURES[name]
    net = make_network(name, 1 if stated.tower else 5, width=0.0625).get_submodule(stated.tower)
    net = net.eval().requires_grad_(False)
    size = SMALL.get(name, stated.size)
    x = torch.rand(3, 1 if stated.gray else 3, size, size) * 2 - 1
    assert last_layer(net, x) == LAST[name]
    found = class_maps(net, x, 0 if stated.tower else None)
    assert found.shape[0] == 3
    assert found[0].numel() > 1
    assert (found >= 0).all()
    assert torch.isfinite(found).all()
    alone = torch.cat([class_maps(net, one[None], 0 if stated.tower else None) for one in x])
    torch.testing.assert_close(alone, found, rtol=1e-4, atol=1e-7)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_ciao_is_explained_after_its_inhibition() -> None:
    torch.manual_seed(0)
    net = make_network("vgg", 3, width=0.0625, scheme="decision", ciao=True).train()
    x = torch.rand(2, 3, 96, 96) * 2 - 1
    assert last_layer(net, x) == "encoder.conv5_3"
    inhibited = class_maps(net, x, 1)
    assert net.training  # asked without dropout, and left as it was
    torch.testing.assert_close(inhibited, class_maps(net, x, 1))
    with torch.no_grad():
        net.encoder.conv5_3.raw_integration += 1
    assert not torch.allclose(inhibited, class_maps(net, x, 1))
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    attach(encoder)
    assert class_maps(encoder, torch.rand(1, 1, 6, 6)).shape == (1, 4, 4)


def test_a_class_an_image_and_the_largest_by_default() -> None:
    net = deep()
    x = 5 * torch.randn(8, 2, 6, 6, dtype=torch.float64)
    largest = net(x).argmax(1)
    assert len(set(largest.tolist())) > 1
    torch.testing.assert_close(class_maps(net, x), class_maps(net, x, largest))
    each = torch.stack([class_maps(net, x, number) for number in range(4)])
    torch.testing.assert_close(class_maps(net, x, largest), each[largest, torch.arange(8)])


def test_another_layer_can_be_named() -> None:
    torch.manual_seed(0)
    net = make_network("cornet-s", 3, width=0.0625).eval()
    x = torch.rand(1, 3, 64, 64)
    first, last = (class_maps(net, x, 0, f"V4.output-t{step}") for step in (0, 3))
    assert first.shape == last.shape == (1, 4, 4)
    assert not torch.allclose(first, last)


@pytest.mark.parametrize(
    ("layer", "classes", "message"),
    [
        ("linear", None, "layer 'linear' has the shape .*it has no places"),
        ("conv", None, "layer 'conv' is negative somewhere"),
        ("rely", None, "layer='rely'.*did you mean 'relu'"),
        (None, 2, "classes .2.: the network has 2 outputs"),
    ],
)
def test_what_cannot_be_explained_is_said(layer: str, classes: int, message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        class_maps(pooled(), torch.randn(2, 1, 6, 6, dtype=torch.float64), classes, layer)


def test_a_network_without_a_rectified_convolution_is_named() -> None:
    with pytest.raises(NeuroferError, match="Sequential has no convolution that a rectified"):
        class_maps(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(1, 1, 2, 2))


def test_maps_are_placed_where_their_box_lies() -> None:
    maps = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]).repeat(2, 1, 1)
    placed = place_maps(maps, np.array([[0, 0, 4, 8], [2, 2, 4, 6]]), (8, 4))
    assert placed.shape == (2, 8, 4)
    torch.testing.assert_close(placed[0].mean(), torch.tensor(2.5))
    assert placed[0, 0, 0] == 1
    assert placed[0, -1, -1] == 4
    torch.testing.assert_close(placed[1, 2:6, 2:].mean(), torch.tensor(2.5))
    outside = torch.ones(8, 4, dtype=torch.bool)
    outside[2:6, 2:] = False
    assert (placed[1][outside] == 0).all()


def test_the_core_is_zero_without_gradient_and_finite_without_activity() -> None:
    activity, gradient = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    assert (grad_cam_plus_plus(activity, torch.zeros_like(gradient)) == 0).all()
    assert (grad_cam_plus_plus(torch.zeros_like(activity), gradient) == 0).all()
    assert (grad_cam_plus_plus(activity, -gradient.abs()) == 0).all()
