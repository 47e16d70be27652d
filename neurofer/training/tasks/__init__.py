"""Tasks: what a network is trained to do, one file for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from neurofer.training.images import Division


class Task(Protocol):
    """What the loop needs to know of a task; each task's module has a class `Task` of this shape.

    `Task(recipe, world, quiet=...)` reads or makes the data and keeps them on `world.device`.

    Attributes:
        division: the stimuli that are trained on and held out; None where they are not from a set.
    """

    division: Division | None

    def positions(self, step: int) -> np.ndarray:
        """Return which training images the batch of a step holds, in all processes together."""

    def data(self) -> dict[str, Any]:
        """Describe the data: what went into it, how much, and its hash."""

    def net(self) -> nn.Module:
        """Return a new net; its random numbers are torch's, which the loop has seeded."""

    def learners(self, net: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of each optimiser, by its name; most tasks have one."""

    def losses(self, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield an optimiser's name and its loss, turn by turn; it steps before the next turn.

        The loss is that of this process's share of the step's batch; its random numbers follow
        from seed and step. Nothing in it waits for the device.
        """

    def validate(self, net: nn.Module) -> float:
        """Return the score on validation data, higher is better."""

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Return the scores on held-out data."""

    def save(self, net: nn.Module, path: Path, about: dict[str, Any]) -> None:
        """Write the weights, whole or not at all.

        Args:
            net: that was trained.
            path: of the weight file.
            about: what the file says of itself.
        """
