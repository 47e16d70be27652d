"""The model card beside a weight file: what made it, on what, and how well it does."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn

import neurofer
from neurofer.files import sha256_file
from neurofer.training.checkpoint import Progress
from neurofer.training.recipe import Recipe
from neurofer.training.world import World


def card(
    out: Path,
    recipe: Recipe,
    net: nn.Module,
    held_out: dict[str, float],
    world: World,
    threads: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Return the card, to which the loop adds the recipe (with its seed) and the data.

    Args:
        out: the weight file, which is hashed.
        recipe: what was trained.
        net: the network.
        held_out: the scores on held-out data.
        world: the processes and their device.
        threads: as asked for.
        progress: steps and seconds, over all parts of a run that was stopped.
    """
    return {
        "weights": out.name,
        "sha256": sha256_file(out),
        "command": f"neurofer train {recipe.name} --out {out.name}"
        + (f" --threads {threads}" if threads else ""),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "held_out": held_out,
        "seconds": round(progress.seconds),
        "device": device_name(world.device),
        "processes": world.size,
        "threads": threads or torch.get_num_threads(),
        "versions": {"neurofer": neurofer.__version__, "torch": torch.__version__},
        "steps": progress.step,
    }


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or "cpu" and the model of the processor where it is known."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    known = Path("/proc/cpuinfo")
    lines = known.read_text("utf-8").splitlines() if known.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"cpu, {models[0] if models else platform.processor() or platform.machine()}"
