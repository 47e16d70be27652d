"""dlib's identity network: 29 convolutions in residual blocks, 150 pixels to 128 numbers.

King (2017), "High quality face recognition with deep metric learning"; a ResNet-34 (He et al. 2016)
with fewer layers and half the filters. Two images are of one person where their 128 numbers are
nearer than 0.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from neurofer.subjects.pretrained.face_net import FaceNet, FaceNetSubject, subtract_mean
from neurofer.subjects.registry import register

# Residual blocks: name, filters in, filters out, stride.
BLOCKS = (
    ("conv32_1", 32, 32, 1),
    ("conv32_2", 32, 32, 1),
    ("conv32_3", 32, 32, 1),
    ("conv64_down", 32, 64, 2),
    ("conv64_1", 64, 64, 1),
    ("conv64_2", 64, 64, 1),
    ("conv64_3", 64, 64, 1),
    ("conv128_down", 64, 128, 2),
    ("conv128_1", 128, 128, 1),
    ("conv128_2", 128, 128, 1),
    ("conv256_down", 128, 256, 2),
    ("conv256_1", 256, 256, 1),
    ("conv256_2", 256, 256, 1),
    ("conv256_down_out", 256, 256, 2),
)
LAYERS = (
    "conv32_down",
    *(f"{name}{part}" for name, *_ in BLOCKS for part in (".conv1", "")),
    "top",
)


class Residual(nn.Module):
    """Two convolutions beside a shortcut, which averages 2 x 2 where the stride is 2."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        # With a stride dlib does not pad, so that a block's maps are one smaller than its shortcut.
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=int(stride == 1))
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1)
        self.stride = stride

    def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the first convolution and the block, both after ReLU."""
        first = functional.relu(self.conv1(seen))
        second = self.conv2(first)
        shortcut = seen if self.stride == 1 else functional.avg_pool2d(seen, 2)
        return first, functional.relu(_sum(second, shortcut))


def _sum(block: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
    """Add maps; zeros stand for the rows and columns of `block` and the channels of `shortcut`."""
    height, width = (s - b for s, b in zip(shortcut.shape[2:], block.shape[2:], strict=True))
    channels = block.shape[1] - shortcut.shape[1]
    if height or width:
        block = functional.pad(block, (0, width, 0, height))
    if channels:
        shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, channels))
    return block + shortcut


class DlibNet(FaceNet):
    """The network; its convolutions carry the scales that dlib learns after each."""

    layers = LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = nn.Conv2d(3, 32, 7, stride=2)
        for name, channels, filters, stride in BLOCKS:
            self.add_module(name, Residual(channels, filters, stride))
        self.top = nn.Linear(256, 128, bias=False)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Subtract the mean colour and divide by 256, as dlib does."""
        return subtract_mean(images, 256.0)

    def steps(self, seen: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the convolutions after ReLU (inside a block "conv32_1.conv1"), then `top`."""
        activity = functional.relu(self.conv32_down(seen))
        yield "conv32_down", activity
        activity = functional.max_pool2d(activity, 3, 2)
        for name, *_ in BLOCKS:
            first, activity = self.get_submodule(name)(activity)
            yield f"{name}.conv1", first
            yield name, activity
        yield "top", self.top(activity.mean((2, 3)))


@register("dlib-identity")
class DlibIdentity(FaceNetSubject):
    """A network that was trained to tell people apart (see `weight_files.sources`)."""

    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**FaceNetSubject.choices, "layer": LAYERS}
    crop_size = 150

    @staticmethod
    def _empty_net() -> DlibNet:
        return DlibNet()
