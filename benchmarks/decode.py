"""Reading a folder set through `StimulusSet.images` against bare Pillow in as many threads."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _turns import interleaved
from PIL import Image

IMAGES = 200
SIZE = (562, 762)  # KDEF's
ROUNDS = 5
LONG_AGO = 1.6e9  # files of a data set were not written just now


def benchmarks() -> list[dict[str, Any]]:
    """Return `stimuli.decode`: images per second of a stimulus set, and of Pillow alone."""
    from neurofer.stimuli import StimulusSet
    from neurofer.stimuli.images import DECODE_THREADS
    from neurofer.workers import cores

    threads = min(DECODE_THREADS, cores())
    with tempfile.TemporaryDirectory() as folder:
        paths = [_photograph(Path(folder) / f"{i:03d}.jpg", i) for i in range(IMAGES)]
        table = pd.DataFrame({"stimulus_id": [path.stem for path in paths]})
        stimuli = StimulusSet.from_files("decode", table, paths)

        def ours() -> None:
            for _ in stimuli.images():
                pass

        def bare() -> None:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(_decode, paths):
                    pass

        seconds = interleaved(ROUNDS, ours, bare)
    speeds = [IMAGES / s for s in seconds]
    return [
        {
            "id": "stimuli.decode",
            "ours": speeds[0],
            "peer": speeds[1],
            "ratio": speeds[0] / speeds[1],
            "goal": 0.9,
            "unit": f"images/s in {threads} threads",
        }
    ]


def _decode(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _photograph(path: Path, seed: int) -> Path:
    """Write a JPEG that is smooth at large and grainy in detail, as a photograph is."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 18, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC), dtype=np.float64)
    grain = rng.normal(0, 4, smooth.shape)
    pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path
