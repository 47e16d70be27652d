"""EfficientNet-Lite0: 224 pixels to the 1,000 classes of ImageNet; it was not made for faces.

Tan & Le (2019), "EfficientNet", whose blocks are those of MnasNet (Tan et al. 2019) and of
MobileNetV2 (Sandler et al. 2018). The Lite variant leaves out squeeze-and-excitation and caps ReLU
at 6 instead of using swish, so that it can be quantised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from neurofer.subjects.pretrained.face_net import FaceNetSubject, Mean, pad_as_tensorflow
from neurofer.subjects.registry import register
from neurofer.subjects.weight_files.foreign import Arrays, read_arrays

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
    """A convolution without bias, padded as TensorFlow does, and its batch normalisation.

    Args:
        channels, filters: that come in and go out.
        kernel, stride, groups: of the convolution.
        capped: whether a ReLU follows that is capped at 6.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        capped: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.capped = kernel, stride, capped
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, 1, groups, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, H / stride, W / stride)."""
        if self.stride > 1:
            seen = pad_as_tensorflow(seen, self.kernel, self.stride)
        activity: torch.Tensor = self.norm(self.conv(seen))
        return activity.clamp(0, 6) if self.capped else activity


class Inverted(nn.Module):
    """Channels widened, a depthwise convolution, channels narrowed; the input added to it."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inside = shape.widened * shape.channels
        self.expand = Normalised(shape.channels, inside) if shape.widened > 1 else None
        self.depthwise = Normalised(inside, inside, shape.kernel, shape.stride, groups=inside)
        self.project = Normalised(inside, shape.filters, capped=False)
        self.adds = shape.stride == 1 and shape.channels == shape.filters

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, H / stride, W / stride); no ReLU follows the last convolution."""
        wide = seen if self.expand is None else self.expand(seen)
        narrow: torch.Tensor = self.project(self.depthwise(wide))
        return narrow + seen if self.adds else narrow


class EfficientNetLite0(nn.Module):
    """Images (n, 3, 224, 224), standardised as torchvision does, to logits (n, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = Normalised(3, STEM, 3, 2)
        for block in BLOCKS:
            self.add_module(block.name, Inverted(block))
        self.conv_head = Normalised(BLOCKS[-1].filters, HEAD)
        self.top = Mean()
        self.logits = nn.Linear(HEAD, CLASSES)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        activity = self.conv_stem(seen)
        for block in BLOCKS:
            activity = self.get_submodule(block.name)(activity)
        logits: torch.Tensor = self.logits(self.top(self.conv_head(activity)))
        return logits


# The parts of a block: the package's names, and ours.
_LITE = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
_LITE_OUTSIDE = {
    "_conv_stem": "conv_stem.conv",
    "_bn0": "conv_stem.norm",
    "_conv_head": "conv_head.conv",
    "_bn1": "conv_head.norm",
    "_fc": "logits",
}


def convert(files: Sequence[Path]) -> Arrays:
    """Return EfficientNet-Lite0 as `pretrained.efficientnet_lite` names its tensors."""
    made: Arrays = {}
    for key, values in read_arrays(files[0])[1].items():
        *outer, layer, part = key.split(".")
        if part == "num_batches_tracked":
            continue
        name = f"{BLOCKS[int(outer[1])].name}.{_LITE[layer]}" if outer else _LITE_OUTSIDE[layer]
        made[f"{name}.{part}"] = values
    return made


@register("efficientnet-lite0")
class EfficientNetLite0Subject(FaceNetSubject):
    """EfficientNet-Lite0, which names the objects of ImageNet (see `weight_files.sources`).

    It sees the whole frame unless told otherwise. The units of `logits` are ImageNet's classes in
    the usual order (281 is the tabby cat); the package does not carry their names.
    """

    defaults: ClassVar[Mapping[str, Any]] = {**FaceNetSubject.defaults, "crop": "frame"}
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**FaceNetSubject.choices, "layer": LAYERS}
    layers = LAYERS
    explained = "conv_head"

    @staticmethod
    def _empty_net() -> EfficientNetLite0:
        return EfficientNetLite0()
