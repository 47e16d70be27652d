"""Units are described in parts, which bounds the memory and shows progress."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from neurofer.analyses.tuning.describe import Job, Settings, describe
from neurofer.analyses.tuning.estimate import announce
from neurofer.progress import progress_of

# Units that are described together: bounds the memory; with fewer the fits are slower (1000: half).
AT_ONCE = 5000


def some_after_others(units: np.ndarray) -> list[np.ndarray]:
    """Return the units in parts of at most `AT_ONCE`."""
    return [units[i : i + AT_ONCE] for i in range(0, len(units), AT_ONCE)]


def described(jobs: Iterable[tuple[Job, np.ndarray]], total: int, settings: Settings) -> xr.Dataset:
    """Describe the units of each job, and return all in the order of the places beside it.

    Args:
        jobs: units that were shown the same, with their places in the result.
        total: number of units.
        settings: of the comparison of models.
    """
    parts: list[xr.Dataset] = []
    places: list[np.ndarray] = []
    with progress_of("tuning curves", total) as advance:
        for job, units in jobs:
            if not parts:
                announce(job, total, settings)
            for some in pieces(len(units), settings):
                parts.append(describe(job.of(some), settings))
                places.append(units[some])
                advance(len(some))
    at = np.argsort(np.concatenate(places), kind="stable")
    whole = xr.concat(parts, dim="neuroid", join="outer") if len(parts) > 1 else parts[0]
    return whole.isel(neuroid=at)


def pieces(n: int, settings: Settings) -> list[np.ndarray]:
    """Return n units in parts after which progress is shown: of features one takes long."""
    step = 10 if settings.features and settings.n_bootstrap > 1 else AT_ONCE
    return np.array_split(np.arange(n), range(step, n, step))
