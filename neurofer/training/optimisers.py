"""Optimisers and the schedules of their learning rates, by name, as recipes state them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from neurofer.schema import Strict


class Optimiser(Strict):
    """How a network learns.

    Attributes:
        kind: adamw (Loshchilov and Hutter 2019), adam, adamax (Kingma and Ba 2015), or sgd.
        learning_rate: at its highest.
        weight_decay: decoupled in adamw, added to the gradient in the others.
        momentum, nesterov: of sgd.
        betas: of the others.
        warmup_steps: of a linear rise from 0.
        schedule: cosine falls to 0 over all steps, step multiplies by `factor` at every one of the
            `milestones` (steps), plateau after `patience` evaluations that were no better.
        clip: the greatest norm of all gradients together; 0 leaves them.
        average: the decay of the running mean of the weights that is shipped in the end (Polyak
            and Juditsky 1992); 0 ships the last weights.
    """

    kind: Literal["adamw", "adam", "adamax", "sgd"] = "adamw"
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_steps: int = Field(default=100, ge=0)
    schedule: Literal["cosine", "step", "plateau", "constant"] = "cosine"
    milestones: tuple[int, ...] = ()
    factor: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=5, ge=1)
    clip: float = Field(default=0.0, ge=0)
    average: float = Field(default=0.998, ge=0, lt=1)


def make_optimiser(
    parameters: Iterable[nn.Parameter], settings: Optimiser, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Make the optimiser that a recipe states, for the parameters that learn.

    Args:
        parameters: those that are frozen are left out.
        settings: of the recipe.
        fused: one kernel for all parameters; quicker on CUDA.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    shared: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.kind == "sgd":
        momentum = {"momentum": settings.momentum, "nesterov": settings.nesterov}
        return torch.optim.SGD(learning, **shared, **momentum, fused=fused)  # type: ignore[arg-type]
    if settings.kind == "adamax":
        return torch.optim.Adamax(learning, **shared, betas=settings.betas)
    make = torch.optim.AdamW if settings.kind == "adamw" else torch.optim.Adam
    return make(learning, **shared, betas=settings.betas, fused=fused)


def learning_rate(settings: Optimiser, step: int, steps: int, drops: int = 0) -> float:
    """Return the rate of a step, from 0: a linear warm-up times the schedule.

    Args:
        settings: of the recipe.
        step: which one.
        steps: how many there are in all.
        drops: how often a plateau has lowered the rate.
    """
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    schedule = {
        "constant": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * step / steps)),
        "step": settings.factor ** sum(step >= milestone for milestone in settings.milestones),
        "plateau": settings.factor**drops,
    }[settings.schedule]
    return settings.learning_rate * warm * schedule
