"""Weights of VGG networks from the files of other frameworks.

The tensors are called `conv1_1.weight` (out, in, 3, 3) and `conv1_1.bias` (out,), float32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice

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
    import h5py

    arrays: dict[str, np.ndarray] = {}

    def visit(key: str, item: Any) -> None:
        blocks = re.match(r"block(\d)/layers/conv2d(?:_(\d+))?/vars/", key)
        named = re.search(r"block(\d)_conv(\d)", key)
        if not isinstance(item, h5py.Dataset) or not (blocks or named):
            return
        if blocks:
            layer = f"conv{blocks[1]}_{int(blocks[2] or 0) + 1}"
        else:
            assert named is not None
            layer = f"conv{named[1]}_{named[2]}"
        values = np.asarray(item[()], dtype=np.float32)
        if values.ndim == 4:
            arrays[f"{layer}.weight"] = np.ascontiguousarray(values.transpose(3, 2, 0, 1))
        else:
            arrays[f"{layer}.bias"] = values

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except OSError as error:
        raise NeuroferError(f"{path} is not a readable h5 file: {error}") from error
    return arrays


def read_torchvision(path: Path) -> dict[str, np.ndarray]:
    """Return the convolutions of a torchvision VGG state dict ("features.0.weight" and so on)."""
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise NeuroferError(f"{path} is not a torch file of plain weights: {error}") from error
    keys = {}
    for key in state if isinstance(state, dict) else ():
        match = re.fullmatch(r"features\.(\d+)\.weight", str(key))
        if match and state[key].ndim == 4:
            keys[int(match[1])] = str(key)[: -len("weight")]
    architectures = {sum(blocks): name for name, blocks in BLOCKS.items()}
    names = layer_names(architectures.get(len(keys), "vgg19"))
    arrays: dict[str, np.ndarray] = {}
    for (_, prefix), layer in zip(sorted(keys.items()), names, strict=False):
        for part in ("weight", "bias"):
            arrays[f"{layer}.{part}"] = state[prefix + part].float().numpy()
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
