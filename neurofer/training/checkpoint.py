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
from neurofer.subjects.tensors import load_tensors, save_tensors


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: steps that are done.
        drops: how often a plateau lowered the learning rate.
        best: the best validation score so far, None before the first.
        worse: evaluations since the best score; patience: those since the last drop as well.
    """

    step: int = 0
    drops: int = 0
    best: float | None = None
    worse: int = 0
    waited: int = 0

    def score(self, value: float, patience: int) -> None:
        """Take a validation score, higher is better; lower the rate after `patience` bad ones."""
        if self.best is None or value > self.best:
            self.best, self.worse, self.waited = value, 0, 0
            return
        self.worse += 1
        self.waited += 1
        if self.waited >= patience:
            self.drops, self.waited = self.drops + 1, 0


def previous(path: Path) -> Path:
    """Return where the checkpoint before the last one lies."""
    return path.with_name(path.name.replace(".checkpoint.", ".checkpoint-before."))


def save_checkpoint(
    path: Path,
    progress: Progress,
    recipe_hash: str,
    nets: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Write the state, whole or not at all; the checkpoint before it is kept."""
    tensors = {
        f"{name}/{key}": value
        for name, net in nets.items()
        for key, value in net.state_dict().items()
    }
    for name, optimiser in optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            for key, value in values.items():
                if value is not None:
                    tensors[f"optimiser/{name}/{index}/{key}"] = torch.as_tensor(value)
    if path.exists():
        path.replace(previous(path))
    save_tensors(path, tensors, {"recipe": recipe_hash, **asdict(progress)})


def load_checkpoint(
    path: Path,
    recipe_hash: str,
    nets: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> Progress:
    """Put the last checkpoint's state into networks and optimisers; return the progress.

    A checkpoint that is damaged or missing is named in a warning, and the one before it is used.

    Raises:
        NeuroferError: no checkpoint can be read, or it belongs to another recipe.
    """
    try:
        tensors, about = load_tensors(path)
    except NeuroferError as error:
        if not previous(path).is_file():
            raise
        warnings.warn(f"{error}; going on from {previous(path)}", stacklevel=2)
        tensors, about = load_tensors(previous(path))
    if about.pop("recipe", None) != recipe_hash:
        raise NeuroferError(
            f"{path} belongs to another recipe, or to another version of this one; "
            "delete it to start anew"
        )
    for name, net in nets.items():
        net.load_state_dict(_below(tensors, name))
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Any]] = {}
        for key, tensor in _below(tensors, f"optimiser/{name}").items():
            index, _, value = key.partition("/")
            state.setdefault(int(index), {})[value] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    return Progress(**about)


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}/"
    return {key[len(start) :]: t for key, t in tensors.items() if key.startswith(start)}
