"""dlib's identity network: 29 convolutions in residual blocks, 150 pixels to 128 numbers.

King (2017), "High quality face recognition with deep metric learning"; a ResNet-34 (He et al. 2016)
with fewer layers and half the filters. Two images are of one person where their 128 numbers are
nearer than 0.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from neurofer.subjects.pretrained.face_net import FaceNetSubject
from neurofer.subjects.registry import register
from neurofer.subjects.weight_files.foreign import Arrays
from neurofer.subjects.weight_files.tensorflowjs import convolution, read_tensors

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


class Rectified(nn.Conv2d):
    """A convolution and its ReLU."""

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, height, width), at least 0."""
        return functional.relu(super().forward(seen))


class Residual(nn.Module):
    """Two convolutions beside a shortcut, which averages 2 x 2 where the stride is 2."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        # With a stride dlib does not pad, so that a block's maps are one smaller than its shortcut.
        self.conv1 = Rectified(channels, filters, 3, stride, padding=int(stride == 1))
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1)
        self.stride = stride

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the block, after ReLU."""
        second = self.conv2(self.conv1(seen))
        shortcut = seen if self.stride == 1 else functional.avg_pool2d(seen, 2)
        return functional.relu(_sum(second, shortcut))


def _sum(block: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
    """Add maps; zeros stand for the rows and columns of `block` and the channels of `shortcut`."""
    height, width = (s - b for s, b in zip(shortcut.shape[2:], block.shape[2:], strict=True))
    channels = block.shape[1] - shortcut.shape[1]
    if height or width:
        block = functional.pad(block, (0, width, 0, height))
    if channels:
        shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, channels))
    return block + shortcut


class DlibNet(nn.Module):
    """Faces to 128 numbers; the convolutions carry the scales that dlib learns after each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = Rectified(3, 32, 7, stride=2)
        for name, channels, filters, stride in BLOCKS:
            self.add_module(name, Residual(channels, filters, stride))
        self.top = nn.Linear(256, 128, bias=False)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the numbers, (n, 128)."""
        activity = functional.max_pool2d(self.conv32_down(seen), 3, 2)
        for name, *_ in BLOCKS:
            activity = self.get_submodule(name)(activity)
        numbers: torch.Tensor = self.top(activity.mean((2, 3)))
        return numbers


def convert(files: Sequence[Path]) -> Arrays:
    """Return dlib's identity network; the scale after each convolution is folded into it."""
    arrays = read_tensors(files)
    made: Arrays = {}
    for key, kernel in arrays.items():
        if not key.endswith("/conv/filters"):
            continue
        name = key.removesuffix("/conv/filters")
        scale = arrays[f"{name}/scale/weights"]
        shift = arrays[f"{name}/scale/biases"]
        layer = name.replace("/", ".")
        made[f"{layer}.weight"] = convolution(kernel) * scale[:, None, None, None]
        made[f"{layer}.bias"] = arrays[f"{name}/conv/bias"] * scale + shift
    made["top.weight"] = arrays["fc"].T
    return made


@register("dlib-identity")
class DlibIdentity(FaceNetSubject):
    """A network that was trained to tell people apart (see `weight_files.sources`)."""

    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**FaceNetSubject.choices, "layer": LAYERS}
    layers = LAYERS
    explained = "conv256_down_out"
    crop_size = 150

    @staticmethod
    def _empty_net() -> DlibNet:
        return DlibNet()
