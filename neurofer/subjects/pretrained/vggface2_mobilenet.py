"""A MobileNet that tells people apart: 224 pixels to 1,024 numbers.

Howard et al. (2017), "MobileNets"; trained on VGGFace2 (Cao et al. 2018) by Savchenko (2019),
"Efficient facial representations for age, gender and identity recognition in organizing photo
albums using multi-output ConvNet".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from neurofer.subjects.pretrained.face_net import FaceNet, FaceNetSubject, pad_as_tensorflow
from neurofer.subjects.registry import register
from neurofer.subjects.trunk import preprocess

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


class MobileNet(FaceNet):
    """Convolutions, each followed by a ReLU that is capped at 6; `top` is the mean over places."""

    layers = LAYERS

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2)
        channels = 32
        for k, (filters, stride) in enumerate(PAIRS, start=1):
            depthwise = nn.Conv2d(channels, channels, 3, stride, groups=channels)
            self.add_module(f"conv_dw_{k}", depthwise)
            self.add_module(f"conv_pw_{k}", nn.Conv2d(channels, filters, 1))
            channels = filters

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Turn to BGR and subtract the mean colour of ImageNet."""
        return preprocess(images, "caffe")

    def steps(self, seen: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the convolutions after ReLU, then `top`."""
        activity = seen
        for name in LAYERS[:-1]:
            convolution = self.get_submodule(name)
            kernel, stride = convolution.kernel_size[0], convolution.stride[0]  # type: ignore[index]
            activity = convolution(pad_as_tensorflow(activity, kernel, stride)).clamp(0, 6)  # type: ignore[arg-type]
            yield name, activity
        yield "top", activity.mean((2, 3))


@register("vggface2-mobilenet")
class VggFace2MobileNet(FaceNetSubject):
    """A network that was trained to tell people apart (see `weight_files.sources`)."""

    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**FaceNetSubject.choices, "layer": LAYERS}
    crop_width = 1.9

    @staticmethod
    def _empty_net() -> MobileNet:
        return MobileNet()
