"""The training loop against a bare loop of forward, backward and step on tensors in place.

`train.loop` is measured on the CPU, `train.gpu` on a GPU where there is one; that row is also
written to `benchmarks/gpu.json`, beside those of other GPUs, to be committed.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

GPU_TABLE = Path(__file__).parent / "gpu.json"
GOAL = 0.9
EVERY, ROUNDS = 10, 3
H200_GOAL = 3000  # images per second of ResNet-50 at 224 pixels


def benchmarks() -> list[dict[str, Any]]:
    """Measure images per second of both sides in turns; the loop augments, averages and logs."""
    loop = compare("train.loop", "resnet-18", width=0.5, size=64, batch=32, steps=40)
    if not torch.cuda.is_available():
        row = {"id": "train.gpu", "ours": None, "peer": None, "ratio": None, "goal": GOAL}
        return [loop, {**row, "unit": "images/s", "note": "no GPU"}]
    gpu = compare("train.gpu", "resnet-50", size=224, batch=256, steps=100, device="cuda")
    name = torch.cuda.get_device_name()
    if "H200" in name:
        gpu["note"] += f"; to reach on an H200: {H200_GOAL:,} images/s"
    rows = json.loads(GPU_TABLE.read_text("utf-8")) if GPU_TABLE.is_file() else []
    rows = [row for row in rows if row["device"] != name] + [{"device": name, **gpu}]
    GPU_TABLE.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    return [loop, gpu]


def compare(
    name: str,
    network: str,
    *,
    size: int,
    batch: int,
    steps: int,
    width: float = 1.0,
    device: str = "cpu",
    precision: str = "",
) -> dict[str, Any]:
    """Return a row: the loop of `neurofer train`, and a bare one, `ROUNDS` times in turns.

    On a GPU both sides run in bfloat16, with channels last and the fused optimiser; the loop's
    images lie there as bytes and are augmented there. The first tenth of the steps does not count.

    Args:
        name: of the row.
        network: of `neurofer.subjects.networks.architectures`.
        size: of the images, in pixels.
        batch: images per step.
        steps: of each turn; `EVERY` of them are timed together.
        width: of the network.
        device: "cpu" or "cuda".
        precision: "float32" or "bfloat16"; by default the latter on a GPU.
    """
    precision = precision or ("bfloat16" if device == "cuda" else "float32")
    recipe = {
        "name": "benchmark",
        "task": "supervised",
        "data": {"stimuli": "noise", "size": size},
        "target": {"kind": "category"},
        "network": {"name": network, "options": {"width": width}},
        "steps": steps,
        "batch_size": batch,
        "log_every": EVERY,
        "checkpoint_every": 10 * steps,
        "precision": precision,
    }
    stimuli = _noise(4 * batch, size)
    ours, bare = [], []
    for _ in range(ROUNDS):
        ours.append(_loop(recipe, stimuli, device))
        bare.append(_bare(recipe, device))
    ratio = max(ours) / max(bare)
    row = {"id": name, "ours": max(ours), "peer": max(bare), "ratio": ratio, "goal": GOAL}
    place = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    note = f"{network}, width {width:g}, {size} px, batches of {batch}, {precision}, on {place}"
    return {**row, "unit": "images/s", "note": note}


def _noise(count: int, size: int) -> Any:
    """Return images of noise with seven labels: what they show does not change the speed."""
    from neurofer.stimuli import StimulusSet
    from neurofer.stimuli.table import EXPRESSIONS

    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "head": "human",
            "identity": [str(i // 7) for i in range(count)],
            "expression": [EXPRESSIONS[i % 7] for i in range(count)],
            "source": "simulated",
        }
    )
    pixels = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return StimulusSet.from_arrays("noise", table, pixels)


def _loop(recipe: dict[str, Any], stimuli: Any, device: str) -> float:
    """Return the images per second that the log gives, without the first lines' warm-up."""
    from neurofer.training import images, make_recipe
    from neurofer.training.train import train

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(images, "load_stimuli", lambda *_, **__: stimuli),
    ):
        out = Path(folder, "net.safetensors")
        train(make_recipe(recipe), out, device=device, quiet=True)
        lines = map(json.loads, out.with_suffix(".log.jsonl").read_text("utf-8").splitlines())
        speeds = [line["images_per_second"] for line in lines if "images_per_second" in line]
    return statistics.median(speeds[max(1, len(speeds) // 10) :] or speeds)


def _bare(recipe: dict[str, Any], device: str) -> float:
    """Return the images a second of the same network and optimiser on one batch in place."""
    from neurofer.subjects.networks.architectures import make_network

    torch.manual_seed(0)
    on_cuda, size, batch = device == "cuda", recipe["data"]["size"], recipe["batch_size"]
    stated = recipe["network"]
    net = make_network(stated["name"], 7, **stated["options"]).to(device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), fused=on_cuda)
    images = torch.randn(batch, 3, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = (torch.arange(batch) % 7).to(device)
    bfloat16, speeds = recipe["precision"] == "bfloat16", []
    tried = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = on_cuda
    for _ in range(max(1, recipe["steps"] // EVERY)):
        start = time.perf_counter()
        for _ in range(EVERY):
            optimiser.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                outputs = net(images)
            functional.cross_entropy(outputs.float(), labels).backward()
            optimiser.step()
        if on_cuda:
            torch.cuda.synchronize()
        speeds.append(batch * EVERY / (time.perf_counter() - start))
    torch.backends.cudnn.benchmark = tried
    return statistics.median(speeds[max(1, len(speeds) // 10) :] or speeds)
