"""Tensors in a file: safetensors that carry their own hash, written whole and read checked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from neurofer.errors import NeuroferError
from neurofer.files import note_read, write_whole

KEY = "neurofer"


def save_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]
) -> str:
    """Write tensors and a JSON-able description as safetensors, whole or not at all.

    Args:
        path: of the file.
        tensors: name -> tensor.
        about: the description.

    Returns:
        the hash of the content, which the file carries and `load_tensors` checks.

    Raises:
        NeuroferError: the disk is full.
    """
    stored = on_host(tensors)
    text = json.dumps(dict(about), sort_keys=True, allow_nan=False)
    digest = tensors_hash(stored, text)
    # One key, because safetensors writes several in random order and the bytes would differ.
    write_file(path, stored, {KEY: json.dumps({"about": text, "sha256": digest})})
    return digest


def write_file(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], header: Mapping[str, str]
) -> None:
    """Write tensors with any header as safetensors, whole or not at all.

    Args:
        path: where the file is to be.
        tensors: on the host, contiguous.
        header: of the file.

    Raises:
        NeuroferError: the disk is full.
    """
    with write_whole(path) as partial:
        try:
            save_file(dict(tensors), str(partial), metadata=dict(header))
        except SafetensorError as error:  # which hides the number of the system's error
            raise NeuroferError(
                f"{path} cannot be written: {error}; make room, or choose another place"
            ) from error


def read_file(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and the header of a safetensors file; nothing is checked.

    Raises:
        NeuroferError: there is no such file, or it is not safetensors.
    """
    note_read(path)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, file.metadata() or {}


def on_host(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors on the host, contiguous: all of one type on one device in a single copy.

    One by one, each of the thousand tensors of a large net would wait for the GPU.
    """
    kinds: dict[tuple[torch.device, torch.dtype], list[str]] = {}
    for name, tensor in tensors.items():
        kinds.setdefault((tensor.device, tensor.dtype), []).append(name)
    found: dict[str, torch.Tensor] = {}
    for (device, _), names in kinds.items():
        given = [tensors[name].detach() for name in names]
        if device != torch.device("cpu"):
            copied = torch.cat([tensor.reshape(-1) for tensor in given]).cpu()
            parts = copied.split([tensor.numel() for tensor in given])
            given = [part.clone().view(old.shape) for part, old in zip(parts, given, strict=True)]
        found.update(zip(names, (tensor.contiguous() for tensor in given), strict=True))
    return {name: found[name] for name in tensors}


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote: the tensors and the description.

    Raises:
        NeuroferError: there is no such file, it is not safetensors of ours, or its content does
            not have the hash that it carries.
    """
    path = Path(path)
    tensors, header = read_file(path)
    text, expected = _stated(path, header)
    found = tensors_hash(tensors, text)
    if found != expected:
        raise NeuroferError(
            f"{path} has the wrong content: expected sha256 {expected}, found {found}; "
            "fetch or train it again"
        )
    return tensors, _mapping(path, text)


def read_about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the description in a file of ours, {} in another; the tensors are not looked at.

    Raises:
        NeuroferError: there is no such file, it is not safetensors, or its description is damaged.
    """
    path = Path(path)
    with _opened(path) as file:
        header = file.metadata() or {}
    return _mapping(path, _stated(path, header)[0]) if KEY in header else {}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise NeuroferError(f"there is no weight file {path}")
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise NeuroferError(
            f"{path} is not a safetensors file, or is truncated: {error}"
        ) from error


def _stated(path: Path, header: Mapping[str, str]) -> tuple[str, str]:
    """Return the description and the hash that a file carries."""
    if KEY not in header:
        raise NeuroferError(f"{path} was not written by neurofer: its header has no hash")
    stated = _mapping(path, header[KEY])
    text, digest = stated.get("about"), stated.get("sha256")
    if not isinstance(text, str) or not isinstance(digest, str):
        raise NeuroferError(f"{path} was not written by neurofer: its header has no hash")
    return text, digest


def _mapping(path: Path, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NeuroferError(f"the description in {path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise NeuroferError(
            f"the description in {path} is a {type(found).__name__}; weight files of ours hold a "
            "mapping of names to values"
        )
    return found


def mismatches(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Return what is wrong with the names and shapes of tensors, in words."""
    wrong = [f"{name} is missing" for name in expected if name not in found]
    wrong += [f"{name} is unknown" for name in found if name not in expected]
    return wrong + [
        f"{name} has shape {found[name]}, not {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]


def shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by its name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def tensors_hash(tensors: Mapping[str, torch.Tensor], about: str = "") -> str:
    """Return the SHA-256 of named tensors (name, type, shape, bytes) and of their description."""
    digest, given = hashlib.sha256(about.encode()), on_host(tensors)
    for name in sorted(tensors):
        tensor = given[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        # A view as bytes, because numpy has no bfloat16; a scalar has no last axis to view.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
