"""A small laboratory: simulated stimuli in a folder and a subject that counts what it does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError
from neurofer.recording.saliency import SITES, UNITS
from neurofer.recording.sites import Batch, Site
from neurofer.stimuli import StimulusSet
from neurofer.subjects import Subject, register

HEADS = ("human", "monkey", "cartoon")
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
CALLS = {"made": 0, "shown": 0}


def simulated_stimuli(
    identities: int = 2, strengths: Sequence[float] = (1.0,), seed: int = 0
) -> StimulusSet:
    """Return images whose first pixels hold expression and strength; the rest is noise."""
    generator = np.random.default_rng(seed)
    rows, images = [], []
    for head in HEADS:
        for identity in range(identities):
            for k, expression in enumerate(EXPRESSIONS):
                for strength in (0.0,) if k == 0 else strengths:
                    image = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                    image[0, 0] = (k, round(100 * strength), 0)
                    images.append(image)
                    rows.append(
                        {
                            "stimulus_id": f"{head}-{identity}-{expression}-{strength:g}",
                            "head": head,
                            "identity": f"{head}-{identity}",
                            "expression": expression,
                            "strength": strength,
                            "source": "simulated",
                        }
                    )
    return StimulusSet.from_arrays("toy", pd.DataFrame(rows), images)


@register("counting")
class CountingSubject(Subject):
    """Reads the expression out of a pixel, wrong for a share of the images; counts its calls."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "wrong": 0.0,
        "file": "",
        "breaks_on": "",
        "dies": False,
    }
    further_sites: ClassVar[Mapping[str, Site]] = {"saliency": SITES["saliency"]}

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        CALLS["made"] += 1
        labels = EXPRESSIONS[1:]
        self.sites = {
            "decision": Site("decision", labels=EXPRESSIONS),
            "nre": Site("nre", labels=labels),
        }
        self.default_sites = ("decision",)

    @property
    def weights_hash(self) -> str:
        file = self.options["file"]
        return Path(file).read_text() if file else ""

    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        CALLS["shown"] += len(batch)
        if self.options["dies"]:
            os._exit(9)
        if self.options["breaks_on"] in set(batch.table["head"]):
            raise NeuroferError(f"cannot see {self.options['breaks_on']}")
        units = np.zeros((len(batch), 7), np.float32)
        for row, image in zip(units, batch.images, strict=True):
            k, strength = int(image[0, 0, 0]), image[0, 0, 1] / 100
            wrong = image[5, 5, 0] / 256 < self.options["wrong"]
            row[(k + 1) % 7 if wrong else k] = strength if k else 1
        found = {"decision": units, "nre": units[:, 1:]}
        found["saliency"] = np.full((len(batch), len(UNITS)), 0.125, np.float32)
        found["saliency"][:, 0] += self.options["wrong"] / 10  # of the eyes
        return {site: found[site] for site in sites}


STUDY = """
name: toy
title: A toy study
paper: A. Author (2023), A paper
stimuli:
  toy: {folder: stimuli, differs: simulated noise}
subjects:
  good: {subject: counting, label: Good}
  bad: {subject: counting, label: Bad, options: {wrong: 0.7}}
analyses:
  - {name: transfer, analysis: transfer, stimuli: toy, subjects: [good, bad],
     options: {n_bootstrap: 50}}
claims:
  - {id: good.accuracy, label: Good, analysis: transfer, subject: good, value: accuracy,
     published: 100, source: Table 1, holds: at least 95}
  - {id: "bad.accuracy", label: Bad, analysis: transfer, subject: bad, value: accuracy,
     holds: clearly below good.accuracy}
  - {id: good.human, label: "Good, human", analysis: transfer, subject: good, value: accuracy,
     select: {head: human, strength: 1}}
  - {id: other, label: Another model, published: 52.4, source: Table 1, unit: "%"}
  - {id: mean, label: Mean, of: ["*.accuracy"], statistic: mean}
highlights: [good.accuracy]
tables:
  - {name: all, title: Accuracies, claims: [good.accuracy, bad.accuracy, other, mean]}
  - name: grid
    title: By head
    columns: [all, human]
    rows: [{label: Good, claims: [good.accuracy, good.human]}]
"""
