from __future__ import annotations

import pytest
import torch

from neurofer.subjects.networks.resnet import Bottleneck, ResNet, resnet18, resnet50


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_those_of_the_published_networks() -> None:
    assert count(resnet50(1000)) == 25_557_032  # He et al. 2016, as torchvision has it
    assert count(resnet50(1000, stride="first")) == 25_557_032
    # ResNet-18 of 1,000 classes has 11,689,512; the small stem has 3 x 3 instead of 7 x 7 kernels.
    assert count(resnet18(1000)) == 11_689_512 - 64 * 3 * (49 - 9)


@pytest.mark.parametrize(
    ("net", "size", "expected"),
    [
        (resnet50(3, width=0.125), 224, [(32, 56), (64, 28), (128, 14), (256, 7)]),
        (resnet50(3, width=0.125, stride="first"), 224, [(32, 56), (64, 28), (128, 14), (256, 7)]),
        (resnet18(3, width=0.125), 128, [(8, 128), (16, 64), (32, 32), (64, 16)]),
    ],
)
def test_stages_have_the_published_sizes(
    net: ResNet, size: int, expected: list[tuple[int, int]]
) -> None:
    seen: list[tuple[int, int]] = []
    for stage in range(1, 5):
        net.get_submodule(f"layer{stage}").register_forward_hook(
            lambda module, given, out: seen.append((out.shape[1], out.shape[2]))
        )
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, 3, size, size)).shape == (1, 3)
    assert seen == expected


def test_keras_stem_leaves_whole_windows_only() -> None:
    net = resnet50(3, width=0.125, stride="first", stem="keras").eval()
    seen: list[int] = []
    for name in ("conv1", "maxpool", "layer1", "layer2", "layer4"):
        net.get_submodule(name).register_forward_hook(
            lambda module, given, out: seen.append(out.shape[2])
        )
    with torch.no_grad():
        net(torch.zeros(1, 3, 224, 224))
    assert seen == [112, 55, 55, 28, 7]


@pytest.mark.parametrize(("where", "middle"), [("first", 4), ("middle", 8)])
def test_the_stride_lies_where_it_should(where: str, middle: int) -> None:
    block, seen = Bottleneck(8, 4, 2, where).eval(), []  # type: ignore[arg-type]
    block.conv1.register_forward_hook(lambda module, given, out: seen.append(out.shape[2]))
    assert block(torch.zeros(1, 8, 8, 8)).shape == (1, 16, 4, 4)
    assert seen == [middle]


def test_a_block_of_zero_residual_passes_its_input_on() -> None:
    block = Bottleneck(16, 4, 1, "middle").eval()
    torch.nn.init.zeros_(block.bn3.weight)
    x = torch.randn(2, 16, 5, 5)
    torch.testing.assert_close(block(x), x.clamp(min=0))
