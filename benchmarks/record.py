"""Recording against a bare loop with the same decoding, and an early site against a late one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _turns import interleaved

ROUNDS = 3
IMAGES = 48
BATCH = 16


def benchmarks() -> list[dict[str, Any]]:
    """Return the rows of this file."""
    return [_loop(), _early_exit()]


def _early_exit() -> dict[str, Any]:
    """Return `record.early_exit`: images a second of CORnet-S asked for V1, and for its end."""
    from neurofer.recording import record
    from neurofer.stimuli import load_stimuli
    from neurofer.subjects import load_subject

    subject, stimuli = load_subject("cornet-s"), load_stimuli("bfs").take(range(BATCH))

    def until(site: str) -> Callable[[], object]:
        return lambda: record(subject, stimuli, sites=[site], batch_size=BATCH, progress=False)

    seconds = interleaved(ROUNDS, until("V1.output"), until("decoder.linear"))
    row = _row("record.early_exit", [BATCH / s for s in seconds], 1.8)
    return {**row, "note": "CORnet-S, V1 against the last layer"}


def _loop() -> dict[str, Any]:
    """Return `record.loop`: images a second of `record`, and of the loop one would write."""
    import torch

    from neurofer.recording import record
    from neurofer.stimuli import load_stimuli, read_stimuli
    from neurofer.subjects import load_subject

    # The untrained trunk computes what the trained one computes, and needs no weights fetched.
    subject = load_subject("vgg16-untrained")
    with tempfile.TemporaryDirectory() as folder:
        load_stimuli("bfs").take(range(IMAGES)).save(Path(folder) / "set")
        stimuli = read_stimuli(Path(folder) / "set")
        paths = sorted((Path(folder) / "set" / "images").glob("*.png"))

        def ours() -> None:
            record(subject, stimuli, sites=["conv3_3"], batch_size=BATCH, progress=False)

        def bare() -> None:
            _bare_loop(subject, paths)

        with torch.no_grad():
            seconds = interleaved(ROUNDS, ours, bare)
    return _row("record.loop", [IMAGES / s for s in seconds], 0.95)


def _row(name: str, speeds: list[float], goal: float) -> dict[str, Any]:
    ratio = speeds[0] / speeds[1]
    shared = {"ours": speeds[0], "peer": speeds[1], "ratio": ratio, "goal": goal}
    return {"id": name, **shared, "unit": "images/s"}


def _bare_loop(subject: Any, paths: list[Path]) -> np.ndarray:
    """Decode ahead in threads, run the trunk, keep the layer."""
    from PIL import Image

    from neurofer.recording import Batch

    def decode(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))

    kept: list[np.ndarray] = []
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(decode, paths))
        for start in range(0, len(images), BATCH):
            batch = Batch(images[start : start + BATCH], None)  # type: ignore[arg-type]
            kept.append(subject.respond(batch, ["conv3_3"])["conv3_3"])
    return np.concatenate(kept)
