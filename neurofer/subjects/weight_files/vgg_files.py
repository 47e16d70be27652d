"""Weights of VGG networks from the files of other frameworks.

The tensors are called `conv1_1.weight` (out, in, 3, 3) and `conv1_1.bias` (out,), float32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.subjects.networks.vgg_layers import BLOCKS, layer_names
from neurofer.subjects.weight_files.foreign import Arrays, file_format, read_arrays, read_h5

_NAMED = 4  # arrays in a message

# What a file of a whole VGG holds beside its convolutions, and the encoder here does not need.
_CLASSIFIERS = re.compile(
    r"classifier[._/]|head[._/]|(.*/)?(fc\d|predictions|dense|flatten)|top_level_model|optimizer"
)


def convert(files: Sequence[Path]) -> Arrays:
    """Return the convolutions of VGG16 from a Keras h5 file, whatever else it holds."""
    arrays, _ = _keras(read_h5(files[0], r"block\d"))
    return ordered(arrays, "vgg16", files[0])


def _keras(found: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the convolutions among arrays of a Keras file, and the names of all others.

    Kernels are turned from HWIO to OIHW. Two layouts occur: blocks of layers
    ("block1/layers/conv2d_1/vars/0", Keras 3) and named layers ("block1_conv2/block1_conv2_W_1:0"
    and the like).
    """
    arrays: dict[str, np.ndarray] = {}
    others: list[str] = []
    for key, values in found.items():
        blocks = re.match(r"(?:.*/)?block(\d)/layers/conv2d(?:_(\d+))?/vars/[01]$", key)
        named = re.search(r"block(\d)_conv(\d)(?:_[A-Za-z]\w*)?(?::0)?$|block(\d)_conv(\d)/", key)
        if blocks:
            layer = f"conv{blocks[1]}_{int(blocks[2] or 0) + 1}"
        elif named:
            layer = f"conv{named[1] or named[3]}_{named[2] or named[4]}"
        else:
            others.append(key)
            continue
        name = f"{layer}.{'weight' if values.ndim == 4 else 'bias'}"
        if name in arrays or values.ndim not in (1, 4):
            others.append(key)
        elif values.ndim == 4:
            arrays[name] = np.ascontiguousarray(values.transpose(3, 2, 0, 1))
        else:
            arrays[name] = values
    return arrays, others


def _torchvision(state: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the convolutions of a torchvision VGG state dict, and the names of all other arrays.

    There they are called "features.0.weight" and so on.
    """
    numbers = {
        int(match[1])
        for key, values in state.items()
        if (match := re.fullmatch(r"features\.(\d+)\.weight", key)) and values.ndim == 4
    }
    architectures = {sum(blocks): name for name, blocks in BLOCKS.items()}
    names = layer_names(architectures.get(len(numbers), "vgg19"))
    ours = {
        f"features.{number}.{part}": f"{layer}.{part}"
        for number, layer in zip(sorted(numbers), names, strict=False)
        for part in ("weight", "bias")
    }
    arrays = {ours[key]: values for key, values in state.items() if key in ours}
    return arrays, [key for key in state if key not in ours]


def read_vgg(path: Path) -> tuple[str, str, dict[str, np.ndarray]]:
    """Return architecture, layout ("keras" or "torchvision") and convolutions of a user's file.

    Raises:
        NeuroferError: the file cannot be read, is not a VGG16 or VGG19 with biases, holds layers
            that these do not have (batch normalisation, say), or a value that is not finite.
    """
    keras = file_format(path) == "h5"
    arrays, others = _keras(read_h5(path, "")) if keras else _torchvision(read_arrays(path)[1])
    strange = [name for name in others if not _CLASSIFIERS.match(name)]
    by_count = {sum(blocks): name for name, blocks in BLOCKS.items()}
    count = sum(key.endswith(".weight") for key in arrays)
    held = _held(strange)
    if count not in by_count:
        raise NeuroferError(
            f"{path} holds {count} convolutions; VGG16 has 13 and VGG19 has 16{held}"
        )
    if strange:
        norm = any(re.search(r"norm|running_|moving_|gamma|bn", name) for name in strange)
        norm = norm or any(re.fullmatch(r"features\.\d+\.\w+", name) for name in strange)
        raise NeuroferError(
            f"{path} is not a plain {by_count[count].upper()}{held}"
            + (": batch normalisation cannot be left out; add a file without it" if norm else "")
        )
    layout = "keras" if keras else "torchvision"
    return by_count[count], layout, ordered(arrays, by_count[count], path)


def _held(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; it also holds {', '.join(names[:_NAMED])}{more}"


def ordered(
    arrays: Mapping[str, np.ndarray], architecture: str, path: Path
) -> dict[str, np.ndarray]:
    """Return the arrays in the order of the layers after a check of every name, shape and value.

    Args:
        arrays: layer and part -> array.
        architecture: "vgg16" or "vgg19".
        path: of the file, for messages.
    """
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
            if not np.isfinite(arrays[key]).all():
                raise NeuroferError(f"{path}: {key} holds values that are not finite numbers")
            ordered[key] = arrays[key]
        channels = width
    return ordered
