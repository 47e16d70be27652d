"""An independent network that names seven expressions: 112 pixels to seven numbers.

The expression network of face-api: four densely connected blocks of depthwise separable
convolutions. It has never seen a rendered head, so that what it reads in one says how readable
the head's expressions are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from neurofer.subjects.pretrained.face_net import (
    Mean,
    NamingSubject,
    pad_as_tensorflow,
)
from neurofer.subjects.registry import register
from neurofer.subjects.weight_files.foreign import Arrays
from neurofer.subjects.weight_files.tensorflowjs import convolution, depthwise, read_tensors

CLASSES = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
"""In the network's order; it calls the last three fearful, disgusted and surprised."""

FILTERS = (32, 64, 128, 256)
SUMS = {
    f"conv{block}_{k}": f"dense{block - 1}.sum{k - 1}" for block in range(1, 5) for k in range(1, 5)
}
"""Sums inside each block after ReLU, and the modules of the network that they are."""

LAYERS = (*SUMS, "top", "logits")


class Separable(nn.Module):
    """A depthwise convolution, 3 x 3, and a pointwise one."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, filters, 1)
        self.stride = stride

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, H / stride, W / stride), before any ReLU."""
        return self.pointwise(self.depthwise(pad_as_tensorflow(seen, 3, self.stride)))


class Plain(nn.Conv2d):
    """The first convolution, 3 x 3 with a stride of 2, which sees colours."""

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, H / 2, W / 2), before any ReLU."""
        return super().forward(pad_as_tensorflow(seen, 3, 2))


class Dense(nn.Module):
    """Four convolutions; each sees the sum of all before it after ReLU."""

    def __init__(self, channels: int, filters: int, *, first: bool) -> None:
        super().__init__()
        self.conv0: nn.Module = (
            Plain(channels, filters, 3, 2) if first else Separable(channels, filters, 2)
        )
        for k in (1, 2, 3):
            self.add_module(f"conv{k}", Separable(filters, filters, 1))
        for k in range(4):  # where what the next convolution sees can be recorded
            self.add_module(f"sum{k}", nn.ReLU())

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the last sum after ReLU."""
        # The first convolution is rectified by itself, before it is added to the others.
        shown = total = self.get_submodule("sum0")(self.conv0(seen))
        for k in (1, 2, 3):
            total = total + self.get_submodule(f"conv{k}")(functional.relu(total))
            shown = self.get_submodule(f"sum{k}")(total)
        return shown


class ExpressionNet(nn.Module):
    """Faces (n, 3, 112, 112) to the logits of seven expressions."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for block, filters in enumerate(FILTERS):
            self.add_module(f"dense{block}", Dense(channels, filters, first=block == 0))
            channels = filters
        self.top = Mean()
        self.logits = nn.Linear(channels, len(CLASSES))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, 7)."""
        activity = seen
        for block in range(len(FILTERS)):
            activity = self.get_submodule(f"dense{block}")(activity)
        logits: torch.Tensor = self.logits(self.top(activity))
        return logits


def convert(files: Sequence[Path]) -> Arrays:
    """Return the expression network: depthwise and pointwise kernels, one bias for both."""
    arrays = read_tensors(files)
    made: Arrays = {}
    for key, values in arrays.items():
        layer, part = key.replace("/", ".").rsplit(".", 1)
        if part == "depthwise_filter":
            made[f"{layer}.depthwise.weight"] = depthwise(values)
        elif part == "pointwise_filter":
            made[f"{layer}.pointwise.weight"] = convolution(values)
        elif part == "filters":
            made[f"{layer}.weight"] = convolution(values)
        elif layer == "fc":
            made["logits.weight" if part == "weights" else "logits.bias"] = values.T
        else:
            separable = f"{layer.replace('.', '/')}/pointwise_filter" in arrays
            made[f"{layer}.pointwise.bias" if separable else f"{layer}.bias"] = values
    return made


@register("expression-net")
class ExpressionNetSubject(NamingSubject):
    """A network that names expressions by itself (see `neurofer.subjects.weight_files.sources`)."""

    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**NamingSubject.choices, "layer": LAYERS}
    layers = LAYERS
    modules = SUMS
    explained = "conv4_4"
    classes = CLASSES
    crop_size = 112
    crop_width = 1.75

    @staticmethod
    def _empty_net() -> ExpressionNet:
        return ExpressionNet()
