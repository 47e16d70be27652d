"""Checkpoints: model, running mean, optimiser and step in one safetensors file that is hashed.

There is no state of a random generator in them: what is random in a step follows from the recipe's
seed and the number of the step (see `neurofer.training.train`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.tensors import load_tensors, save_tensors


def save_checkpoint(
    path: Path, step: int, recipe_hash: str, nets: dict[str, nn.Module], optimiser: Any
) -> None:
    """Write the state after `step` steps, whole or not at all."""
    tensors = {
        f"{name}/{key}": value
        for name, net in nets.items()
        for key, value in net.state_dict().items()
    }
    state = optimiser.state_dict()["state"]
    for index, values in state.items():
        for key, value in values.items():
            tensors[f"optimiser/{index}/{key}"] = value
    save_tensors(path, tensors, {"step": step, "recipe": recipe_hash})


def load_checkpoint(
    path: Path, recipe_hash: str, nets: dict[str, nn.Module], optimiser: Any
) -> int:
    """Put a checkpoint's state into nets and optimiser; return the number of steps done.

    Raises:
        NeuroferError: the file is missing, damaged, or belongs to another recipe.
    """
    tensors, about = load_tensors(path)
    if about.get("recipe") != recipe_hash:
        raise NeuroferError(
            f"{path} belongs to another recipe, or to another version of this one; "
            "delete it to start anew"
        )
    for name, net in nets.items():
        prefix = f"{name}/"
        net.load_state_dict(
            {key[len(prefix) :]: t for key, t in tensors.items() if key.startswith(prefix)}
        )
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimiser/"):
            _, index, name = key.split("/")
            state.setdefault(int(index), {})[name] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    return int(about["step"])
