"""mini-Xception: 64 x 64 gray pixels to the seven expressions of FER2013.

Arriaga, Valdenegro-Toro & Plöger (2017), "Real-time convolutional neural networks for emotion and
gender classification": depthwise separable convolutions beside shortcuts, as in Xception (Chollet
2017), and a last convolution with one map per class, whose mean is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neurofer.subjects.pretrained.face_net import Mean, NamingSubject, pad_as_tensorflow
from neurofer.subjects.registry import register
from neurofer.subjects.weight_files.foreign import Arrays, read_h5

CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In the network's order, which is FER2013's."""

FILTERS = (16, 32, 64, 128)  # of the four blocks, conv3 to conv6
PARTS = {
    f"conv{block}_{k}": f"conv{block}.{part}"
    for block in range(3, 7)
    for k, part in ((1, "first"), (2, "second"))
}
"""Parts of a block, and the modules of the network that they are.

`conv3_1` is a block's first convolution after ReLU, `conv3_2` its second before it is pooled,
`conv3` their sum with the shortcut; no ReLU follows either.
"""

LAYERS = (
    "conv1",
    "conv2",
    *(f"conv{block}{part}" for block in range(3, 7) for part in ("_1", "_2", "")),
    "conv7",
    "logits",
)


class Normalised(nn.Module):
    """A convolution, plain or depthwise separable, without bias, and its batch normalisation.

    Args:
        channels, filters: that come in and go out.
        kernel, stride: of the convolution.
        separable: whether it is depthwise separable.
        rectified: whether a ReLU follows.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int,
        stride: int = 1,
        *,
        separable: bool = False,
        rectified: bool = False,
    ) -> None:
        super().__init__()
        self.rectified = rectified
        self.depthwise = (
            nn.Conv2d(channels, channels, kernel, padding="same", groups=channels, bias=False)
            if separable
            else nn.Identity()
        )
        self.conv = nn.Conv2d(channels, filters, 1 if separable else kernel, stride, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return (n, filters, height, width)."""
        activity: torch.Tensor = self.norm(self.conv(self.depthwise(seen)))
        return functional.relu(activity) if self.rectified else activity


class Block(nn.Module):
    """Two separable convolutions, pooled, beside a convolution of 1 x 1 with a stride of 2."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.first = Normalised(channels, filters, 3, separable=True, rectified=True)
        self.second = Normalised(filters, filters, 3, separable=True)
        self.shortcut = Normalised(channels, filters, 1, 2)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        padded = pad_as_tensorflow(self.second(self.first(seen)), 3, 2, value=-torch.inf)
        block: torch.Tensor = functional.max_pool2d(padded, 3, 2) + self.shortcut(seen)
        return block


class MiniXception(nn.Module):
    """Faces (n, 1, 64, 64), gray, to the logits of seven expressions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Normalised(1, 8, 3, rectified=True)
        self.conv2 = Normalised(8, 8, 3, rectified=True)
        channels = 8
        for block, filters in enumerate(FILTERS, start=3):
            self.add_module(f"conv{block}", Block(channels, filters))
            channels = filters
        self.conv7 = nn.Conv2d(channels, len(CLASSES), 3, padding=1)
        self.logits = Mean()

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, 7)."""
        activity = seen
        for number in range(1, 8):
            activity = self.get_submodule(f"conv{number}")(activity)
        logits: torch.Tensor = self.logits(activity)
        return logits


# What Keras calls the parts of a batch normalisation, and torch.
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def convert(files: Sequence[Path]) -> Arrays:
    """Return mini-Xception as `pretrained.mini_xception.MiniXception` names its tensors."""
    found: dict[tuple[str, str], np.ndarray] = {}
    for key, values in read_h5(files[0], "^model_weights/").items():
        _, layer, *_, part = key.split("/")
        found[layer, part.removesuffix(":0")] = values
    made: Arrays = {}

    def take(target: str, convolution: str, norm: int) -> None:
        """Copy one convolution, plain or separable, and the normalisation after it."""
        for part, inside, axes in (
            ("kernel", ".conv", (3, 2, 0, 1)),
            ("depthwise_kernel", ".depthwise", (2, 3, 0, 1)),
            ("pointwise_kernel", ".conv", (3, 2, 0, 1)),
        ):
            if (convolution, part) in found:
                made[f"{target}{inside}.weight"] = found[convolution, part].transpose(axes)
        for part, name in _NORM.items():
            made[f"{target}.norm.{name}"] = found[f"batch_normalization_{norm}", part]

    take("conv1", "conv2d_1", 1)
    take("conv2", "conv2d_2", 2)
    for k in range(4):
        # Keras numbered the normalisation of the shortcut first.
        take(f"conv{k + 3}.shortcut", f"conv2d_{k + 3}", 3 * k + 3)
        take(f"conv{k + 3}.first", f"separable_conv2d_{2 * k + 1}", 3 * k + 4)
        take(f"conv{k + 3}.second", f"separable_conv2d_{2 * k + 2}", 3 * k + 5)
    made["conv7.weight"] = found["conv2d_7", "kernel"].transpose(3, 2, 0, 1)
    made["conv7.bias"] = found["conv2d_7", "bias"]
    return made


@register("mini-xception")
class MiniXceptionSubject(NamingSubject):
    """mini-Xception, which names the expressions of FER2013 (see `weight_files.sources`).

    The network has no vector before its classes: `conv6`, (128, 4, 4), is what is pooled and read.
    """

    defaults: ClassVar[Mapping[str, Any]] = {**NamingSubject.defaults, "layer": "conv6"}
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {**NamingSubject.choices, "layer": LAYERS}
    layers = LAYERS
    modules = PARTS
    explained = "conv6_1"
    classes = CLASSES
    gray = True
    crop_size = 64
    # FER2013 shows faces cut tightly: among 1.3 to 2.5, on the rendered faces of seeds 11 to 15, 21
    # to 25 and 31 to 35, it names the most expressions (85 %) at 1.5; at 2.15 little over half.
    crop_width = 1.5

    @classmethod
    def prepare(cls, images: torch.Tensor) -> torch.Tensor:
        """Turn to 8-bit gray and to -1 ... 1, as the package does."""
        red, green, blue = images.split(1, dim=1)
        # OpenCV's gray values: whole numbers below 2 ** 24, which float32 holds.
        gray = ((9798 * red + 19235 * green + 3735 * blue + 16384) / 32768).floor()
        return gray / 127.5 - 1

    @staticmethod
    def _empty_net() -> MiniXception:
        return MiniXception()
