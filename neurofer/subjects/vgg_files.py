"""Weights of VGG networks from the files of other frameworks.

The tensors are called `conv1_1.weight` (out, in, 3, 3) and `conv1_1.bias` (out,), float32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.subjects.foreign import read_arrays
from neurofer.subjects.package_files import read_h5

# Convolutions in each of the five blocks (Simonyan & Zisserman 2015, configurations D and E).
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def layer_names(architecture: str) -> tuple[str, ...]:
    """Return the convolutions of an architecture in order.

    >>> layer_names("vgg16")[:5]
    ('conv1_1', 'conv1_2', 'conv2_1', 'conv2_2', 'conv3_1')
    """
    if architecture not in BLOCKS:
        raise unknown_choice("architecture", architecture, BLOCKS)
    return tuple(
        f"conv{block}_{index}"
        for block, count in enumerate(BLOCKS[architecture], start=1)
        for index in range(1, count + 1)
    )


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """Return the convolutions of a Keras h5 file, kernels turned from HWIO to OIHW.

    Two layouts occur: blocks of layers ("block1/layers/conv2d_1/vars/0", Keras 3) and named layers
    ("block1_conv2/block1_conv2_W_1:0" and the like).
    """
    arrays: dict[str, np.ndarray] = {}
    for key, values in read_h5(path, r"block\d").items():
        blocks = re.match(r"block(\d)/layers/conv2d(?:_(\d+))?/vars/", key)
        named = re.search(r"block(\d)_conv(\d)", key)
        if blocks:
            layer = f"conv{blocks[1]}_{int(blocks[2] or 0) + 1}"
        elif named:
            layer = f"conv{named[1]}_{named[2]}"
        else:
            continue
        if values.ndim == 4:
            arrays[f"{layer}.weight"] = np.ascontiguousarray(values.transpose(3, 2, 0, 1))
        else:
            arrays[f"{layer}.bias"] = values
    return arrays


def read_torchvision(path: Path) -> dict[str, np.ndarray]:
    """Return the convolutions of a torchvision VGG state dict ("features.0.weight" and so on)."""
    _, state = read_arrays(path)
    keys = {}
    for key in state:
        match = re.fullmatch(r"features\.(\d+)\.weight", key)
        if match and state[key].ndim == 4:
            keys[int(match[1])] = key[: -len("weight")]
    architectures = {sum(blocks): name for name, blocks in BLOCKS.items()}
    names = layer_names(architectures.get(len(keys), "vgg19"))
    arrays: dict[str, np.ndarray] = {}
    for (_, prefix), layer in zip(sorted(keys.items()), names, strict=False):
        for part in ("weight", "bias"):
            arrays[f"{layer}.{part}"] = state[prefix + part]
    return arrays


def ordered(
    arrays: Mapping[str, np.ndarray], architecture: str, path: Path
) -> dict[str, np.ndarray]:
    """Return the arrays in the order of the layers after a check of every name and shape."""
    ordered, channels = {}, 3
    for layer in layer_names(architecture):
        width = min(64 * 2 ** (int(layer[4]) - 1), 512)
        for part, shape in (("weight", (width, channels, 3, 3)), ("bias", (width,))):
            key = f"{layer}.{part}"
            found = arrays[key].shape if key in arrays else "nothing"
            if found != shape:
                raise NeuroferError(
                    f"{path} is not a {architecture}: {key} should have the shape {shape}, "
                    f"found {found}"
                )
            ordered[key] = arrays[key]
        channels = width
    return ordered
