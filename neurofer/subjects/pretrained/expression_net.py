"""An independent network that names seven expressions: 112 pixels to seven numbers.

The expression network of face-api: four densely connected blocks of depthwise separable
convolutions. It has never seen a rendered head, so that what it reads in one says how readable
the head's expressions are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from neurofer.subjects.pretrained.face_net import (
    FaceNet,
    NamingSubject,
    pad_as_tensorflow,
    subtract_mean,
)
from neurofer.subjects.registry import register

CLASSES = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
"""In the network's order; it calls the last three fearful, disgusted and surprised."""

FILTERS = (32, 64, 128, 256)
LAYERS = (
    *(f"conv{block}_{k}" for block in range(1, 5) for k in range(1, 5)),
    "top",
    "logits",
)


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

    def steps(self, seen: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield what the next convolution sees, four times; the last is the block's output."""
        # The first convolution is rectified by itself, before it is added to the others.
        total = functional.relu(self.conv0(seen))
        yield total
        for k in (1, 2, 3):
            total = total + self.get_submodule(f"conv{k}")(functional.relu(total))
            yield functional.relu(total)


class ExpressionNet(FaceNet):
    """The network, block by block, and its classes."""

    layers = LAYERS

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for block, filters in enumerate(FILTERS):
            self.add_module(f"dense{block}", Dense(channels, filters, first=block == 0))
            channels = filters
        self.logits = nn.Linear(channels, len(CLASSES))

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Subtract the mean colour and divide by 255."""
        return subtract_mean(images, 255.0)

    def steps(self, seen: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the sums inside each block after ReLU, their mean over places, the logits."""
        activity = seen
        for block in range(len(FILTERS)):
            dense = self.get_submodule(f"dense{block}")
            for k, total in enumerate(dense.steps(activity), start=1):  # type: ignore[operator]
                yield f"conv{block + 1}_{k}", total
                activity = total
        top = activity.mean((2, 3))
        yield "top", top
        yield "logits", self.logits(top)


@register("expression-net")
class ExpressionNetSubject(NamingSubject):
    """A network that names expressions by itself (see `neurofer.subjects.weight_files.sources`)."""

    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**NamingSubject.choices, "layer": LAYERS}
    classes = CLASSES
    crop_size = 112
    crop_width = 1.75

    @staticmethod
    def _empty_net() -> ExpressionNet:
        return ExpressionNet()
