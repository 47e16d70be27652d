"""EfficientNet-Lite0: 224 pixels to the 1,000 classes of ImageNet; it was not made for faces.

Tan & Le (2019), "EfficientNet", whose blocks are those of MnasNet (Tan et al. 2019) and of
MobileNetV2 (Sandler et al. 2018). The Lite variant leaves out squeeze-and-excitation and caps ReLU
at 6 instead of using swish, so that it can be quantised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from neurofer.subjects.pretrained.face_net import FaceNet, FaceNetSubject, pad_as_tensorflow
from neurofer.subjects.registry import register
from neurofer.subjects.trunk import preprocess

# Table 1 of Tan & Le: blocks, kernel, stride of the first block, times the channels are widened
# inside a block, channels out.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000


class BlockShape(NamedTuple):
    """One row of the network: "conv4_2" is the second block of the fourth stage."""

    name: str
    channels: int
    filters: int
    kernel: int
    stride: int
    widened: int


def _blocks() -> Iterator[BlockShape]:
    channels = STEM
    for stage, (count, kernel, stride, widened, filters) in enumerate(STAGES, start=1):
        for k in range(1, count + 1):
            first = stride if k == 1 else 1
            yield BlockShape(f"conv{stage}_{k}", channels, filters, kernel, first, widened)
            channels = filters


BLOCKS = tuple(_blocks())
LAYERS = ("conv_stem", *(block.name for block in BLOCKS), "conv_head", "top", "logits")


class Normalised(nn.Module):
    """A convolution without bias, padded as TensorFlow does, and its batch normalisation."""

    def __init__(
        self, channels: int, filters: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, 1, groups, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, H / stride, W / stride), before any ReLU."""
        if self.stride > 1:
            seen = pad_as_tensorflow(seen, self.kernel, self.stride)
        return self.norm(self.conv(seen))


class Inverted(nn.Module):
    """Channels widened, a depthwise convolution, channels narrowed; the input added to it."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inside = shape.widened * shape.channels
        self.expand = Normalised(shape.channels, inside) if shape.widened > 1 else None
        self.depthwise = Normalised(inside, inside, shape.kernel, shape.stride, groups=inside)
        self.project = Normalised(inside, shape.filters)
        self.adds = shape.stride == 1 and shape.channels == shape.filters

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, H / stride, W / stride); no ReLU follows the last convolution."""
        wide = seen if self.expand is None else self.expand(seen).clamp(0, 6)
        narrow: torch.Tensor = self.project(self.depthwise(wide).clamp(0, 6))
        return narrow + seen if self.adds else narrow


class EfficientNetLite0(FaceNet):
    """The network, block by block; `top` is the mean over places."""

    layers = LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = Normalised(3, STEM, 3, 2)
        for block in BLOCKS:
            self.add_module(block.name, Inverted(block))
        self.conv_head = Normalised(BLOCKS[-1].filters, HEAD)
        self.logits = nn.Linear(HEAD, CLASSES)

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Standardise as torchvision does, which is what the package says to do."""
        return preprocess(images, "torchvision")

    def steps(self, seen: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the stem after ReLU, each block, the head after ReLU, its mean, the logits."""
        activity = self.conv_stem(seen).clamp(0, 6)
        yield "conv_stem", activity
        for block in BLOCKS:
            activity = self.get_submodule(block.name)(activity)
            yield block.name, activity
        activity = self.conv_head(activity).clamp(0, 6)
        yield "conv_head", activity
        top = activity.mean((2, 3))
        yield "top", top
        yield "logits", self.logits(top)


@register("efficientnet-lite0")
class EfficientNetLite0Subject(FaceNetSubject):
    """EfficientNet-Lite0, which names the objects of ImageNet (see `weight_files.sources`).

    It sees the whole frame unless told otherwise. The units of `logits` are ImageNet's classes in
    the usual order (281 is the tabby cat); the package does not carry their names.
    """

    defaults: ClassVar[Mapping[str, Any]] = {**FaceNetSubject.defaults, "crop": "frame"}
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**FaceNetSubject.choices, "layer": LAYERS}

    @staticmethod
    def _empty_net() -> EfficientNetLite0:
        return EfficientNetLite0()
