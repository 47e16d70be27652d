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
from neurofer.subjects.weight_files.foreign import Arrays


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
            f"{manifest.name} and {binary.name} are not TensorFlow.js weights: {error}"
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


def convolution(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (height, width, in, out) as (out, in, height, width)."""
    return kernel.transpose(3, 2, 0, 1)


def depthwise(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (height, width, channels, 1) as (channels, 1, height, width)."""
    return kernel.transpose(2, 3, 0, 1)
