"""The model card beside a weight file: what made it, on what, and how well it does."""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import neurofer
from neurofer.files import sha256_file
from neurofer.training.checkpoint import Progress
from neurofer.training.recipe import Recipe
from neurofer.training.world import World


@dataclass(frozen=True)
class Command:
    """How the user asked for a training, so that the card says how to do it again.

    Attributes:
        recipe: its name, or the file that holds it.
        start: the weights to start from, where they are not the recipe's own.
        fold: which one is held out, where it is not the recipe's own.
        device, threads: as they were asked for.
        settings: `KEY=VALUE`, values that are not the recipe's own.
    """

    recipe: str
    start: str = ""
    fold: int | None = None
    device: str = "auto"
    threads: int | None = None
    settings: tuple[str, ...] = ()

    def line(self, out: str) -> str:
        """Return the command, as a shell takes it.

        >>> Command("my recipe.yaml", start="pk", threads=1).line("x.safetensors")
        "neurofer train 'my recipe.yaml' --out x.safetensors --start pk --threads 1"
        """
        words = ["neurofer", "train", self.recipe, "--out", out]
        words += ["--start", self.start] if self.start else []
        words += ["--fold", str(self.fold)] if self.fold is not None else []
        words += [word for setting in self.settings for word in ("--set", setting)]
        words += ["--device", self.device] if self.device != "auto" else []
        words += ["--threads", str(self.threads)] if self.threads else []
        return shlex.join(words)


def card(
    out: Path,
    recipe: Recipe,
    net: nn.Module,
    held_out: dict[str, float],
    world: World,
    command: Command,
    progress: Progress,
) -> dict[str, Any]:
    """Return the card, to which the loop adds the recipe (with its seed) and the data.

    Args:
        out: the weight file, which is hashed.
        recipe: what was trained.
        net: the network.
        held_out: the scores on held-out data.
        world: the processes and their device.
        command: how it was asked for.
        progress: steps and seconds, over all parts of a run that was stopped.
    """
    return {
        "weights": out.name,
        "sha256": sha256_file(out),
        "command": command.line(out.name),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "held_out": held_out,
        "seconds": round(progress.seconds),
        "device": device_name(world.device),
        "processes": world.size,
        "threads": command.threads or torch.get_num_threads(),
        "versions": {"neurofer": neurofer.__version__, "torch": torch.__version__},
        "steps": progress.step,
        **({"best_step": progress.best_step} if recipe.patience else {}),
    }


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or "cpu" and the model of the processor where it is known."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    known = Path("/proc/cpuinfo")
    lines = known.read_text("utf-8").splitlines() if known.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"cpu, {models[0] if models else platform.processor() or platform.machine()}"
