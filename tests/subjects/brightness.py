"""A subject small enough to reason about, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurofer.recording import Batch, Site
from neurofer.stimuli import StimulusSet
from neurofer.subjects import Subject


class Brightness(Subject):
    """Mean red, green and blue; decides by the brightest."""

    name = "brightness"
    defaults = {"gain": 1.0, "order": "rgb"}  # noqa: RUF012
    choices = {"order": ("rgb", "bgr")}  # noqa: RUF012

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        self.sites = {
            "colours": Site("colours", "IT"),
            "corner": Site("corner", "V4"),
            "second": Site("second", "IT"),
            "decision": Site("decision", None, ("happy", "sad", "angry")),
        }
        self.default_sites = ("decision",)

    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        pixels = np.stack(batch.images).astype(np.float32)
        colours = pixels.mean(axis=(1, 2)) * np.float32(self.options["gain"])
        if self.options["order"] == "bgr":
            colours = colours[:, ::-1]
        every = {
            "colours": colours,
            "corner": pixels[:, :2, :2].transpose(0, 3, 1, 2),
            "second": colours * 2,
            "decision": colours,
        }
        return {site: every[site] for site in sites}


def colour_images() -> StimulusSet:
    """Three flat images: red, green, blue."""
    images = np.zeros((3, 8, 8, 3), np.uint8)
    for i in range(3):
        images[i, :, :, i] = 200
        images[i, 0, 0] = i
    table = pd.DataFrame(
        {
            "stimulus_id": ["red", "green", "blue"],
            "head": "human",
            "expression": ["happy", "sad", "angry"],
            "source": "simulated",
        }
    )
    return StimulusSet.from_arrays("colours", table, images)
