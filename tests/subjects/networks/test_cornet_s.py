from __future__ import annotations

import torch
from torch.nn import functional

from neurofer.subjects.networks.cornet_s import STEPS, CORnetS, RecurrentArea


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_those_of_the_published_network() -> None:
    net = CORnetS()
    assert count(net) == 53_416_616
    assert [count(net.get_submodule(area)) for area in STEPS] == [2_519_808, 10_078_720, 40_258_560]


def test_areas_have_the_published_sizes() -> None:
    net, shapes = CORnetS(10, width=0.125).eval(), {}
    for area in ("V1", *STEPS):
        net.get_submodule(f"{area}.output").register_forward_hook(
            lambda module, given, out, area=area: shapes.setdefault(area, []).append(out.shape[1:])
        )
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 10)
    assert shapes["V1"] == [(8, 56, 56)]
    assert shapes["V2"] == [(16, 28, 28)] * 2
    assert shapes["V4"] == [(32, 14, 14)] * 4
    assert shapes["IT"] == [(64, 7, 7)] * 2


def test_an_area_equals_its_steps_written_out() -> None:
    torch.manual_seed(0)
    area = RecurrentArea(3, 4, 2).eval().double()
    for module in area.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)

    def norm(values: torch.Tensor, name: str) -> torch.Tensor:
        n = area.get_submodule(name)
        shape = (1, -1, 1, 1)
        scaled = (values - n.running_mean.view(shape)) / (n.running_var.view(shape) + 1e-5).sqrt()
        return scaled * n.weight.view(shape) + n.bias.view(shape)

    def one_by_one(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.einsum("oc,nchw->nohw", weight[:, :, 0, 0], values)

    first = one_by_one(x, area.conv_input.weight)
    skip = norm(one_by_one(first[:, :, ::2, ::2], area.skip.weight), "norm_skip")
    for step, stride in ((0, 2), (1, 1)):
        middle = norm(one_by_one(first, area.conv1.weight), f"norm1_{step}").clamp(min=0)
        patches = functional.unfold(middle, 3, padding=1, stride=stride)
        side = int(patches.shape[2] ** 0.5)
        middle = (area.conv2.weight.flatten(1) @ patches).unflatten(2, (side, side))
        middle = norm(middle, f"norm2_{step}").clamp(min=0)
        last = norm(one_by_one(middle, area.conv3.weight), f"norm3_{step}")
        first = skip = (last + skip).clamp(min=0)
    torch.testing.assert_close(area(x), first)


def test_later_steps_have_normalisations_of_their_own() -> None:
    area, seen = RecurrentArea(3, 4, 2).eval(), []
    area.output.register_forward_hook(lambda module, given, out: seen.append(out))
    x = torch.randn(1, 3, 8, 8)
    area(x)
    with torch.no_grad():
        area.get_submodule("norm3_1").bias += 1
    area(x)
    torch.testing.assert_close(seen[0], seen[2])
    assert (seen[3] - seen[1]).max() > 0.5
