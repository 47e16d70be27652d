"""Checkpoints: networks, running mean, optimisers and progress in one safetensors file, hashed.

There is no state of a random generator in them: what is random in a step follows from the recipe's
seed and the number of the step (see `neurofer.training.train`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.files import content_hash, write_whole
from neurofer.subjects.weight_files.tensors import load_tensors, save_tensors

_NAMED = 4  # differences between two recipes


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: steps that are done.
        drops: how often a plateau lowered the learning rate.
        best: the best validation score so far, None before the first.
        worse: evaluations since the best score.
        waited: those since the best score or the last drop.
        best_step: steps that were done at the best score.
        seconds: that the steps took, over all parts of a run that was stopped.
    """

    step: int = 0
    drops: int = 0
    best: float | None = None
    worse: int = 0
    waited: int = 0
    best_step: int = 0
    seconds: float = 0.0

    def score(self, value: float, patience: int) -> bool:
        """Take a validation score, higher is better; lower the rate after `patience` bad ones.

        Returns:
            whether it is the best so far.
        """
        if self.best is None or value > self.best:
            self.best, self.best_step, self.worse, self.waited = value, self.step, 0, 0
            return True
        self.worse += 1
        self.waited += 1
        if self.waited >= patience:
            self.drops, self.waited = self.drops + 1, 0
        return False


def previous(path: Path) -> Path:
    """Return where the checkpoint before the last one lies."""
    return path.with_name(path.name.replace(".checkpoint.", ".checkpoint-before."))


def save_checkpoint(
    path: Path,
    progress: Progress,
    about: Mapping[str, Any],
    nets: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Write the state, whole or not at all; the checkpoint before it is kept.

    `about` is the recipe and the data, which a run that goes on must share. At every moment the
    last checkpoint that was written is whole, under its own name or under that of `previous`.

    Args:
        path: of the checkpoint.
        progress: of the run.
        about: the recipe and the data, which a run that goes on must share.
        nets: name -> network.
        optimisers: name -> optimiser.

    Raises:
        NeuroferError: a weight is not finite, or the disk is full.
    """
    tensors = {
        f"{name}/{key}": value
        for name, net in nets.items()
        for key, value in net.state_dict().items()
    }
    # All answers are read at once: one by one, each would wait for the device.
    finite = torch.stack([torch.isfinite(value).all() for value in tensors.values()]).tolist()
    bad = [key for key, good in zip(tensors, finite, strict=True) if not good]
    if bad:
        raise NeuroferError(
            f"{len(bad)} tensors are not finite after step {progress.step}, the first is {bad[0]}; "
            "no checkpoint of them is written: the one before is kept"
        )
    for name, optimiser in optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            for key, value in values.items():
                if value is not None:
                    tensors[f"optimiser/{name}/{index}/{key}"] = torch.as_tensor(value)
    with write_whole(path) as partial:
        stated = {"recipe": content_hash(about), "about": about, **asdict(progress)}
        save_tensors(partial, tensors, stated)
        if path.exists():
            path.replace(previous(path))


def load_checkpoint(
    path: Path,
    about: Mapping[str, Any],
    nets: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> Progress:
    """Put the last checkpoint's state into networks and optimisers; return the progress.

    A checkpoint that is damaged or missing is named in a warning, and the one before it is used.

    Args:
        path: of the checkpoint.
        about: the recipe and the data.
        nets: name -> network; they are changed.
        optimisers: name -> optimiser; they are changed.

    Raises:
        NeuroferError: no checkpoint can be read, or it belongs to another recipe.
    """
    try:
        tensors, stated = load_tensors(path)
    except NeuroferError as error:
        if not previous(path).is_file():
            raise
        warnings.warn(f"{error}; going on from {previous(path)}", stacklevel=2)
        tensors, stated = load_tensors(previous(path))
    theirs = stated.pop("about", {})
    if stated.pop("recipe", None) != content_hash(about):
        differences = _differences(theirs, about) if theirs else []
        raise NeuroferError(
            f"{path} belongs to another recipe, or to another version of this one"
            + "".join(f"; {difference}" for difference in differences[:_NAMED])
            + "; delete it to start anew"
        )
    try:
        for name, net in nets.items():
            net.load_state_dict(_below(tensors, name))
    except RuntimeError as error:
        raise NeuroferError(
            f"{path} is of another version of neurofer ({error}); delete it to start anew"
        ) from error
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Any]] = {}
        for key, tensor in _below(tensors, f"optimiser/{name}").items():
            index, _, value = key.partition("/")
            state.setdefault(int(index), {})[value] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
        _as_its_parameters(optimiser)
    try:
        return Progress(**stated)
    except TypeError as error:
        raise NeuroferError(
            f"{path} is of another version of neurofer ({error}); delete it to start anew"
        ) from error


def _as_its_parameters(optimiser: torch.optim.Optimizer) -> None:
    """Lay the state of every parameter out in memory as the parameter itself.

    It comes from the file contiguous, and the parameters may be channels last: fused kernels refuse
    the two together on CUDA, and on the CPU they pair the wrong numbers.
    """
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}/"
    return {key[len(start) :]: t for key, t in tensors.items() if key.startswith(start)}


def _differences(theirs: Any, ours: Any, place: str = "") -> list[str]:
    """Say where two descriptions differ: "recipe.steps is 12 there and 13 here"."""
    if not (isinstance(theirs, Mapping) and isinstance(ours, Mapping)):
        # A tuple has become a list in the file.
        same = content_hash(theirs) == content_hash(ours)
        return [] if same else [f"{place} is {theirs!r} there and {ours!r} here"]
    found = []
    for key in dict.fromkeys([*theirs, *ours]):
        where = f"{place}.{key}" if place else str(key)
        found += _differences(theirs.get(key), ours.get(key), where)
    return found
