"""A MobileNet that tells people apart: 224 pixels to 1,024 numbers.

Howard et al. (2017), "MobileNets"; trained on VGGFace2 (Cao et al. 2018) by Savchenko (2019),
"Efficient facial representations for age, gender and identity recognition in organizing photo
albums using multi-output ConvNet".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from neurofer.subjects.pretrained.face_net import FaceNetSubject, Mean, pad_as_tensorflow
from neurofer.subjects.registry import register
from neurofer.subjects.weight_files.foreign import Arrays
from neurofer.subjects.weight_files.tensorflowjs import convolution, depthwise, read_tensors

# Filters and stride of the thirteen depthwise separable convolutions.
PAIRS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *(5 * ((512, 1),)),
    (1024, 2),
    (1024, 1),
)
LAYERS = (
    "conv1",
    *(f"conv_{kind}_{k}" for k in range(1, len(PAIRS) + 1) for kind in ("dw", "pw")),
    "top",
)


class Capped(nn.Conv2d):
    """A convolution, padded as TensorFlow does, and a ReLU that is capped at 6."""

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, H / stride, W / stride), 0 to 6."""
        padded = pad_as_tensorflow(seen, self.kernel_size[0], self.stride[0])
        return super().forward(padded).clamp(0, 6)


class MobileNet(nn.Module):
    """Images (n, 3, 224, 224), BGR minus the mean colour of ImageNet, to `top`, (n, 1024)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Capped(3, 32, 3, stride=2)
        channels = 32
        for k, (filters, stride) in enumerate(PAIRS, start=1):
            depthwise = Capped(channels, channels, 3, stride, groups=channels)
            self.add_module(f"conv_dw_{k}", depthwise)
            self.add_module(f"conv_pw_{k}", Capped(channels, filters, 1))
            channels = filters
        self.top = Mean()

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the last of `LAYERS`, (n, 1024)."""
        activity = seen
        for name in LAYERS:
            activity = self.get_submodule(name)(activity)
        return activity


def convert(files: Sequence[Path]) -> Arrays:
    """Return the trunk of the identity MobileNet, normalisation folded into the convolutions.

    The heads for age and gender that the file carries besides are left out.
    """
    arrays = read_tensors(files)
    made: Arrays = {}
    for key, values in arrays.items():
        layer = key.split("/")[0]
        if key.endswith("/convolution/merged_input"):
            made[f"{layer}.weight"] = convolution(values)
        elif key.endswith("/depthwise_kernel"):
            scale = arrays[f"{layer}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
            made[f"{layer}.weight"] = depthwise(values) * scale
        elif key.endswith("_bn/batchnorm_1/sub"):
            made[f"{layer.removesuffix('_bn')}.bias"] = values.reshape(-1)
    return made


@register("vggface2-mobilenet")
class VggFace2MobileNet(FaceNetSubject):
    """A network that was trained to tell people apart (see `weight_files.sources`)."""

    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**FaceNetSubject.choices, "layer": LAYERS}
    layers = LAYERS
    explained = "conv_pw_13"
    crop_width = 1.9

    @staticmethod
    def _empty_net() -> MobileNet:
        return MobileNet()
