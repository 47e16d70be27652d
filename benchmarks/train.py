"""The training loop against a bare loop of forward, backward and step on tensors in place."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

SIZE, BATCH, STEPS, EVERY, ROUNDS = 64, 32, 40, 10, 3
RECIPE: dict[str, Any] = {
    "name": "benchmark",
    "task": "supervised",
    "data": {"stimuli": "bfs", "parameters": {"size": 80}, "size": SIZE},
    "target": {"kind": "category"},
    "network": {"name": "resnet-18", "options": {"width": 0.5}},
    "steps": STEPS,
    "batch_size": BATCH,
    "log_every": EVERY,
    "checkpoint_every": 1000,
}


def benchmarks() -> list[dict[str, Any]]:
    """Measure images a second of both sides in turns; the loop augments, averages and logs."""
    ours, bare = zip(*((_loop(), _bare()) for _ in range(ROUNDS)), strict=True)
    return [
        {
            "id": "train.loop",
            "ours": max(ours),
            "peer": max(bare),
            "ratio": max(ours) / max(bare),
            "goal": 0.9,
            "unit": "images/s",
            "note": f"resnet-18, width 0.5, {SIZE} px, batches of {BATCH}, on the CPU",
        }
    ]


def _loop() -> float:
    """Return the images a second that the log gives, without the first lines' warm-up."""
    from neurofer.training import make_recipe
    from neurofer.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "net.safetensors")
        train(make_recipe(RECIPE), out, device="cpu", quiet=True)
        lines = map(json.loads, out.with_suffix(".log.jsonl").read_text("utf-8").splitlines())
        speeds = [line["images_per_second"] for line in lines if "images_per_second" in line]
    return statistics.median(speeds[1:])


def _bare() -> float:
    """Return the images a second of the same network and optimiser on one batch."""
    from torch.nn import functional

    from neurofer.subjects.networks import make_network

    torch.manual_seed(0)
    net = make_network("resnet-18", 7, width=0.5).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters())
    images = torch.randn(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % 7
    speeds = []
    for _ in range(STEPS // EVERY):
        start = time.perf_counter()
        for _ in range(EVERY):
            optimiser.zero_grad()
            functional.cross_entropy(net(images), labels).backward()
            optimiser.step()
        speeds.append(BATCH * EVERY / (time.perf_counter() - start))
    return statistics.median(speeds[1:])
