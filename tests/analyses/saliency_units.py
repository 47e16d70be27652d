"""Simulated saliency: shares that are drawn, so that what lies on each part is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.recording.layout import make_recording, neuroid_coords, presentation_coords
from neurofer.recording.saliency import GROUPS, UNITS
from neurofer.recording.sites import Site

AREAS = np.array([0.02, 0.03, 0.05, 0.05, 0.35, 0.2, 0.1, 0.2])


def saliency_units(
    table: pd.DataFrame,
    stimuli: str,
    *,
    share: Sequence[float] = tuple(AREAS),
    precision: float = 50.0,
    accuracy: float = 0.7,
    seed: int = 0,
) -> xr.DataArray:
    """Return the site "saliency" of images whose mean shares are `share`.

    Args:
        table: of the stimuli.
        stimuli: their identifier.
        share: (parts,) means of Dirichlet-distributed shares.
        precision: of that distribution; greater is less spread.
        accuracy: share of correct answers.
        seed: of what is drawn.
    """
    generator = np.random.default_rng(seed)
    n = len(table)
    values = [
        generator.dirichlet(precision * np.asarray(share), n),
        np.tile(AREAS, (n, 1)),
        generator.uniform(0.2, 0.4, n),
        generator.random(n) < accuracy,
        np.full(n, 49),
    ]
    site = Site("saliency", labels=UNITS)
    coords = {
        **presentation_coords(table, frozenset()),
        **neuroid_coords(site, (len(UNITS),), "simulated"),
    }
    activity = np.column_stack(values).astype(np.float32)
    assert len(AREAS) == len(GROUPS)
    return make_recording(activity, coords, {"subject": "simulated", "stimuli": stimuli})
