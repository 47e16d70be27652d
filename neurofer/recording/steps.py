"""Recurrent subjects over time: which of their steps answers in which time bin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.recording.layout import make_recording, numbered, time_coords
from neurofer.recording.record import record
from neurofer.recording.sites import Recordable
from neurofer.recording.store import count_missing
from neurofer.stimuli.stimulus_set import StimulusSet

Timing = tuple[int, int, int]
"""When a recurrent area responds first and how long each step lasts, in ms; how many steps."""


def step_bins(timing: Timing) -> list[tuple[int, int]]:
    """Return the time bin of every step, (start, end) in ms.

    >>> step_bins((70, 100, 2))
    [(70, 170), (170, 270)]
    """
    start, length, count = timing
    return [(start + step * length, start + (step + 1) * length) for step in range(count)]


def nearest_steps(timing: Timing, time_bins: Sequence[tuple[int, int]]) -> list[int]:
    """Return the step that answers in each time bin: the one whose start lies nearest.

    As Brain-Score does for CORnet-S; of two that are equally near it is the earlier.

    >>> nearest_steps((70, 100, 2), [(0, 70), (120, 200), (121, 140), (900, 1000)])
    [0, 0, 1, 1]
    """
    starts = np.asarray([start for start, _ in step_bins(timing)])
    return [int(np.abs(starts - start).argmin()) for start, _ in time_bins]


def record_steps(
    subject: Recordable,
    stimuli: StimulusSet,
    sites: Sequence[str],
    timing: Timing,
    time_bins: Sequence[tuple[int, int]] | None = None,
    **options: Any,
) -> xr.DataArray:
    """Record an area whose steps are sites of one shape as one set of neuroids over time.

    Args:
        subject: see `neurofer.recording.record.record`.
        stimuli: what it is shown.
        sites: the area's sites, a step each, in their order.
        timing: of the area.
        time_bins: (start, end) in ms; by default those of the steps. Each is answered by the
            nearest step, see `nearest_steps`.
        options: of `record`.

    Returns:
        The recording, presentation x neuroid x time_bin, from one forward pass; its site is that
        of the steps without their number, "IT.output".

    Raises:
        NeuroferError: there is not one site per step, their shapes differ, or as `record`.
    """
    if len(sites) != timing[2]:
        raise NeuroferError(
            f"{', '.join(sites)} are {len(sites)} sites for the {timing[2]} steps of the timing "
            f"{timing}; name one per step"
        )
    bins = step_bins(timing) if time_bins is None else time_bins
    edges = time_coords(bins)
    answering = [sites[step] for step in nearest_steps(timing, bins)]
    needed = list(dict.fromkeys(answering))
    recording = record(subject, stimuli, sites=needed, **options)
    columns = {site: np.flatnonzero(recording["site"].values == site) for site in needed}
    sizes = {site: len(found) for site, found in columns.items()}
    if len(set(sizes.values())) > 1:
        raise NeuroferError(f"the steps of one area have the same units; here are {sizes}")
    values = recording.values
    activity = np.stack([values[:, columns[site]] for site in answering], axis=2)
    first = recording.isel(neuroid=columns[needed[0]])
    coords: dict[str, Any] = {name: (c.dims, c.values) for name, c in first.coords.items()}
    name, units = re.sub(r"-t\d+$", "", needed[0]), sizes[needed[0]]
    coords["site"] = ("neuroid", np.full(units, name))
    coords["neuroid_id"] = ("neuroid", numbered(f"{name}.", units))
    made = make_recording(activity, {**coords, **edges}, dict(recording.attrs), unique=False)
    made.attrs["missing"] = count_missing(made)
    return made
