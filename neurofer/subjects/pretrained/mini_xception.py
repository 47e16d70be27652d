"""mini-Xception: 64 x 64 gray pixels to the seven expressions of FER2013.

Arriaga, Valdenegro-Toro & Plöger (2017), "Real-time convolutional neural networks for emotion and
gender classification": depthwise separable convolutions beside shortcuts, as in Xception (Chollet
2017), and a last convolution with one map a class, whose mean is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from neurofer.subjects.pretrained.face_net import FaceNet, NamingSubject, pad_as_tensorflow
from neurofer.subjects.registry import register

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In the network's order, which is FER2013's."""

FILTERS = (16, 32, 64, 128)  # of the four blocks, conv3 to conv6
LAYERS = (
    "conv1",
    "conv2",
    *(f"conv{block}{part}" for block in range(3, 7) for part in ("_1", "_2", "")),
    "conv7",
    "logits",
)


class Normalised(nn.Module):
    """A convolution, plain or depthwise separable, without bias, and its batch normalisation."""

    def __init__(
        self, channels: int, filters: int, kernel: int, stride: int = 1, *, separable: bool = False
    ) -> None:
        super().__init__()
        self.depthwise = (
            nn.Conv2d(channels, channels, kernel, padding="same", groups=channels, bias=False)
            if separable
            else nn.Identity()
        )
        self.conv = nn.Conv2d(channels, filters, 1 if separable else kernel, stride, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, height, width), before any ReLU."""
        return self.norm(self.conv(self.depthwise(seen)))


class Block(nn.Module):
    """Two separable convolutions, pooled, beside a convolution of 1 x 1 with a stride of 2."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.first = Normalised(channels, filters, 3, separable=True)
        self.second = Normalised(filters, filters, 3, separable=True)
        self.shortcut = Normalised(channels, filters, 1, 2)

    def steps(self, seen: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the first convolution after ReLU, the second, and the block's output."""
        first = functional.relu(self.first(seen))
        yield first
        second = self.second(first)
        yield second
        padded = pad_as_tensorflow(second, 3, 2, value=-torch.inf)
        yield functional.max_pool2d(padded, 3, 2) + self.shortcut(seen)


class MiniXception(FaceNet):
    """The network, block by block, and its classes."""

    layers = LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Normalised(1, 8, 3)
        self.conv2 = Normalised(8, 8, 3)
        channels = 8
        for block, filters in enumerate(FILTERS, start=3):
            self.add_module(f"conv{block}", Block(channels, filters))
            channels = filters
        self.conv7 = nn.Conv2d(channels, len(CLASSES), 3, padding=1)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Turn to 8-bit gray and to -1 ... 1, as the package does."""
        red, green, blue = images.split(1, dim=1)
        # OpenCV's gray values: whole numbers below 2 ** 24, which float32 holds.
        gray = ((9798 * red + 19235 * green + 3735 * blue + 16384) / 32768).floor()
        return gray / 127.5 - 1

    def steps(self, seen: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield `conv1`, `conv2` after ReLU, the parts of each block, class maps, the logits.

        `conv3_1` is a block's first convolution after ReLU, `conv3_2` its second before it is
        pooled, `conv3` their sum with the shortcut; no ReLU follows either.
        """
        activity = functional.relu(self.conv1(seen))
        yield "conv1", activity
        activity = functional.relu(self.conv2(activity))
        yield "conv2", activity
        for block in range(3, 7):
            parts = self.get_submodule(f"conv{block}").steps(activity)  # type: ignore[operator]
            for name, activity in zip(("_1", "_2", ""), parts, strict=True):
                yield f"conv{block}{name}", activity
        maps = self.conv7(activity)
        yield "conv7", maps
        yield "logits", maps.mean((2, 3))


@register("mini-xception")
class MiniXceptionSubject(NamingSubject):
    """mini-Xception, which names the expressions of FER2013 (see `weight_files.sources`).

    The network has no vector before its classes: `conv6`, (128, 4, 4), is what is pooled and read.
    """

    defaults: ClassVar[Mapping[str, Any]] = {**NamingSubject.defaults, "layer": "conv6"}
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**NamingSubject.choices, "layer": LAYERS}
    classes = CLASSES
    gray = True
    crop_size = 64
    # FER2013 shows faces cut tightly: among 1.3 to 2.5, on the rendered faces of seeds 11 to 15, 21
    # to 25 and 31 to 35, it names the most expressions (85 %) at 1.5; at 2.15 little over half.
    crop_width = 1.5

    @staticmethod
    def _empty_net() -> MiniXception:
        return MiniXception()
