from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from neurofer.recording import Batch, Site
from neurofer.stimuli import StimulusSet


class FakeSubject:
    """Responds with simple functions of the pixels, and counts its forward passes."""

    identifier = "fake-00112233"
    options = {"gain": 2}  # noqa: RUF012
    default_sites = ("means",)
    sites = {  # noqa: RUF012
        "means": Site("means", "IT", ("red", "green", "blue")),
        "map": Site("map", "V4"),
        "points": Site("points"),
        "hidden": Site("hidden"),
    }

    def __init__(self, trained: Sequence[str] = ()) -> None:
        self.training_images = frozenset(trained)
        self.passes: list[tuple[int, tuple[str, ...]]] = []

    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        self.passes.append((len(batch), tuple(sites)))
        pixels = np.stack(batch.images).astype(np.float32)
        hidden = pixels[:, 0, :2, 0].copy()
        hidden[batch.table["expression"].to_numpy() == "happy", 1] = np.nan
        every = {
            "means": pixels.mean(axis=(1, 2)),
            "map": pixels[:, :2, :4].transpose(0, 3, 1, 2),
            "points": pixels[:, :3, 0, :2],
            "hidden": hidden,
        }
        return {site: every[site] for site in sites}


@pytest.fixture
def subject() -> FakeSubject:
    return FakeSubject()


@pytest.fixture
def stimuli() -> StimulusSet:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "stimulus_id": [f"s{i}" for i in range(10)],
            "head": ["human", "monkey"] * 5,
            "expression": ["neutral", "happy", "angry", "fear", "sad"] * 2,
            "source": "simulated",
            "scale_x": np.linspace(0.8, 1.2, 10),
            "seed": range(10),
            "odd": [True, False] * 5,
        }
    )
    images = rng.integers(0, 256, (10, 6, 5, 3), dtype=np.uint8)
    return StimulusSet.from_arrays("noise", table, images)
