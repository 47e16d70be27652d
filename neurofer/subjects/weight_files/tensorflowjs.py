"""Weights that TensorFlow.js packages carry, read into the layouts and names of the torch ports.

A model is a JSON file that lists tensors (name, shape, type, quantisation) and a binary file with
their values, one after the other. TensorFlow keeps the kernels of convolutions as (height, width,
in, out), torch as (out, in, height, width).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurofer.errors import NeuroferError

Arrays = dict[str, np.ndarray]


def read_tensors(files: Sequence[Path]) -> Arrays:
    """Return the tensors of a model by name, float32.

    Args:
        files: the JSON file (a manifest, or a graph with one) and its binary file.

    Raises:
        NeuroferError: the files do not belong together or are damaged.
    """
    manifest, binary = files
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        groups = content["weightsManifest"] if isinstance(content, dict) else content
        listed = [entry for group in groups for entry in group["weights"]]
        return _split(listed, binary.read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise NeuroferError(
            f"{manifest.name} and {binary.name} are no TensorFlow.js weights: {error}"
        ) from error


def _split(listed: Sequence[dict[str, Any]], values: bytes) -> Arrays:
    arrays: Arrays = {}
    start = 0
    for entry in listed:
        stored = entry.get("quantization", {})
        kind = np.dtype(stored.get("dtype", entry["dtype"])).newbyteorder("<")
        count = int(np.prod(entry["shape"]))
        array = np.frombuffer(values, kind, count, start).astype(np.float32)
        start += count * kind.itemsize
        if "scale" in stored:
            array = array * np.float32(stored["scale"]) + np.float32(stored["min"])
        arrays[entry["name"]] = array.reshape(entry["shape"])
    if start != len(values):
        raise ValueError(f"{len(values)} bytes where {start} are listed")
    return arrays


def dlib_identity(files: Sequence[Path]) -> Arrays:
    """Return dlib's identity network; the scale after each convolution is folded into it."""
    arrays = read_tensors(files)
    made: Arrays = {}
    for key, kernel in arrays.items():
        if not key.endswith("/conv/filters"):
            continue
        name = key.removesuffix("/conv/filters")
        scale = arrays[f"{name}/scale/weights"]
        shift = arrays[f"{name}/scale/biases"]
        layer = name.replace("/", ".")
        made[f"{layer}.weight"] = _convolution(kernel) * scale[:, None, None, None]
        made[f"{layer}.bias"] = arrays[f"{name}/conv/bias"] * scale + shift
    made["top.weight"] = arrays["fc"].T
    return _contiguous(made)


def expression_net(files: Sequence[Path]) -> Arrays:
    """Return the expression network: depthwise and pointwise kernels, one bias for both."""
    arrays = read_tensors(files)
    made: Arrays = {}
    for key, values in arrays.items():
        layer, part = key.replace("/", ".").rsplit(".", 1)
        if part == "depthwise_filter":
            made[f"{layer}.depthwise.weight"] = _depthwise(values)
        elif part == "pointwise_filter":
            made[f"{layer}.pointwise.weight"] = _convolution(values)
        elif part == "filters":
            made[f"{layer}.weight"] = _convolution(values)
        elif layer == "fc":
            made["logits.weight" if part == "weights" else "logits.bias"] = values.T
        else:
            separable = f"{layer.replace('.', '/')}/pointwise_filter" in arrays
            made[f"{layer}.pointwise.bias" if separable else f"{layer}.bias"] = values
    return _contiguous(made)


def vggface2_mobilenet(files: Sequence[Path]) -> Arrays:
    """Return the trunk of the identity MobileNet, normalisation folded into the convolutions.

    The heads for age and gender that the file carries besides are left out.
    """
    arrays = read_tensors(files)
    made: Arrays = {}
    for key, values in arrays.items():
        layer = key.split("/")[0]
        if key.endswith("/convolution/merged_input"):
            made[f"{layer}.weight"] = _convolution(values)
        elif key.endswith("/depthwise_kernel"):
            scale = arrays[f"{layer}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
            made[f"{layer}.weight"] = _depthwise(values) * scale
        elif key.endswith("_bn/batchnorm_1/sub"):
            made[f"{layer.removesuffix('_bn')}.bias"] = values.reshape(-1)
    return _contiguous(made)


def _convolution(kernel: np.ndarray) -> np.ndarray:
    return kernel.transpose(3, 2, 0, 1)


def _depthwise(kernel: np.ndarray) -> np.ndarray:
    return kernel.transpose(2, 3, 0, 1)


def _contiguous(arrays: Arrays) -> Arrays:
    return {key: np.ascontiguousarray(values, np.float32) for key, values in arrays.items()}
