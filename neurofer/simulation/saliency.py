"""Simulated saliency: shares of the parts of a face that are drawn, so that their mean is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import joined
from neurofer.recording.layout import make_recording, neuroid_coords, presentation_coords
from neurofer.recording.saliency import GROUPS, SITES, UNITS

AREAS = np.array([0.02, 0.03, 0.05, 0.05, 0.35, 0.2, 0.1, 0.2])
"""The part of every simulated image that each part of `GROUPS` covers."""

_PLACES = 49


def saliency_units(
    table: pd.DataFrame,
    stimuli: str,
    *,
    share: Sequence[float] | np.ndarray = AREAS,
    precision: float = 50.0,
    accuracy: float = 0.7,
    seed: int = 0,
) -> xr.DataArray:
    """Record the site "saliency" of simulated images whose mean shares are `share`.

    An identity's mean shares are drawn round `share`, and an image's round its identity's, both
    from Dirichlet distributions, so that identities differ and the mean over many is `share`.

    Args:
        table: of the stimuli.
        stimuli: their identifier.
        share: (parts,) above 0, of sum 1, in the order of `neurofer.recording.saliency.GROUPS`.
        precision: of both distributions; greater is less spread.
        accuracy: share of correct answers.
        seed: of what is drawn.
    """
    generator, n = np.random.default_rng(seed), len(table)
    names = joined(table["head"].to_numpy(), table["identity"].to_numpy())
    person = np.unique(names, return_inverse=True)[1].ravel()
    people = generator.dirichlet(precision * np.asarray(share), int(person.max()) + 1)
    shares = np.stack([generator.dirichlet(precision * people[k] + 1e-9) for k in person])
    return recorded_shares(
        table, stimuli, shares, generator.uniform(0.2, 0.4, n), generator.random(n) < accuracy
    )


def recorded_shares(
    table: pd.DataFrame,
    stimuli: str,
    shares: np.ndarray,
    spread: np.ndarray,
    correct: np.ndarray,
) -> xr.DataArray:
    """Return a recording of the site "saliency".

    Args:
        table: of n stimuli.
        stimuli: their identifier.
        shares: (n, parts) in the order of `GROUPS`.
        spread: (n,) part of what is seen.
        correct: (n,) 1, 0 or NaN.
    """
    n = len(table)
    units = [shares, np.tile(AREAS, (n, 1)), spread, correct, np.full(n, _PLACES)]
    activity = np.column_stack(units).astype(np.float32)
    assert len(AREAS) == len(GROUPS)
    coords = {
        **presentation_coords(table, frozenset()),
        **neuroid_coords(SITES["saliency"], (len(UNITS),), "simulated"),
    }
    attributes = {"subject": "simulated-saliency", "stimuli": stimuli}
    return make_recording(activity, coords, attributes)
