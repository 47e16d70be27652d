"""Show stimuli to a subject and write down what its sites do, in one forward pass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any

import numpy as np
import xarray as xr

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import at_least, checked
from neurofer.progress import progress_of
from neurofer.recording.layout import (
    Coords,
    join_coords,
    make_recording,
    neuroid_coords,
    presentation_coords,
    time_coords,
)
from neurofer.recording.sites import Batch, Recordable, all_sites
from neurofer.stimuli.stimulus_set import StimulusSet


@checked
def record(
    subject: Recordable,
    stimuli: StimulusSet,
    *,
    sites: str | Sequence[str] | None = None,
    time_bins: Sequence[tuple[int, int]] | None = None,
    batch_size: Annotated[int, at_least(1)] = 16,
    progress: bool | None = None,
) -> xr.DataArray:
    """Record a subject: one forward pass per image, for all sites at once.

    Args:
        subject: anything with sites and `respond`, see `Recordable`.
        stimuli: what it is shown, in this order; decoded in threads ahead of the subject.
        sites: names of sites, or one; default: `subject.default_sites`.
        time_bins: (start, end) in ms. A static subject responds at once and for ever, so its
            response is repeated in every bin.
        batch_size: images shown at once.
        progress: see `progress_of`.

    Returns:
        The recording, presentation x neuroid [x time_bin], float32; sites in the order given.
        Every stimulus is in it. A response that the subject cannot give (a hidden landmark) is
        NaN there; nothing is dropped. `attrs["missing"]` counts the presentations with a NaN.

    Raises:
        NeuroferError: something else than a subject or a stimulus set is given, a site is unknown
            or named twice, an image cannot be read, or a response does not have one row per image.

    >>> import pandas as pd
    >>> from neurofer.stimuli import StimulusSet
    >>> from neurofer.subjects import load_subject
    >>> table = pd.DataFrame({"stimulus_id": ["dark", "bright"], "expression": "neutral"})
    >>> images = [np.full((32, 32, 3), level, np.uint8) for level in (0, 255)]
    >>> stimuli = StimulusSet.from_arrays("gray", table, images)
    >>> recording = record(load_subject("pixels"), stimuli, sites="pixels")
    >>> recording.mean("neuroid").to_numpy().round(2).tolist()
    [0.0, 1.0]
    """
    _check_kinds(subject, stimuli)
    names = check_sites(subject, sites)
    bins = None if time_bins is None else time_coords(time_bins)
    activity, neuroids, missing = _respond(subject, stimuli, names, batch_size, progress)
    coords: Coords = presentation_coords(stimuli.table, subject.training_images)
    coords.update(neuroids)
    if bins is not None:
        coords.update(bins)
        activity = np.repeat(activity[:, :, np.newaxis], len(bins["time_bin_start"][1]), axis=2)
    attributes = _attributes(subject, stimuli, missing)
    return make_recording(activity, coords, attributes, unique=False)  # site.number is unique


def _check_kinds(subject: object, stimuli: object) -> None:
    """Refuse a bare network, a name, or a folder, and say what makes a subject or a set of it."""
    needed = ("identifier", "sites", "default_sites", "training_images", "respond")
    missing = [name for name in needed if not hasattr(subject, name)]
    if missing:
        given = repr(subject) if isinstance(subject, str) else f"a {type(subject).__name__}"
        raise NeuroferError(
            f"record takes a subject, got {given}, which has no {', '.join(missing)}; load one by "
            "neurofer.load_subject(name), or give a network of your own these attributes, see "
            "neurofer.recording.sites.Recordable"
        )
    if not isinstance(stimuli, StimulusSet):
        given = repr(stimuli) if isinstance(stimuli, str) else f"a {type(stimuli).__name__}"
        raise NeuroferError(
            f"record takes a stimulus set, got {given}; load one by neurofer.load_stimuli(name), "
            "or a folder by neurofer.stimuli.read_stimuli(folder)"
        )


def check_sites(subject: Recordable, sites: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the sites to record, or raise a NeuroferError that names the choices."""
    if isinstance(sites, str):
        sites = [sites]
    names = tuple(subject.default_sites if sites is None else sites)
    known = (*subject.sites, *getattr(subject, "further_sites", ()))
    for name in names:
        if name not in known:
            raise unknown_choice("site", name, known, f"subject {subject.identifier!r}")
    if not names:
        raise NeuroferError("sites is empty; name at least one, or None for the default sites")
    if len(set(names)) != len(names):
        raise NeuroferError(f"sites={list(names)} names a site twice")
    return names


def _respond(
    subject: Recordable,
    stimuli: StimulusSet,
    names: tuple[str, ...],
    batch_size: int,
    progress: bool | None,
) -> tuple[np.ndarray, Coords, int]:
    """Return activity (n, units of all sites), the neuroid coordinates, presentations with NaN."""
    activity: np.ndarray | None = None
    coords: list[Coords] = []
    shapes: dict[str, tuple[int, ...]] = {}
    columns: dict[str, slice] = {}
    missing, done, known = 0, 0, all_sites(subject)
    text = f"recording {subject.identifier}"
    with progress_of(text, len(stimuli), progress) as advance:
        for batch in batches(stimuli, batch_size):
            responses = subject.respond(batch, names)
            for name in names:
                response = _checked(responses, name, len(batch), shapes)
                if name not in columns:
                    start = max((c.stop for c in columns.values()), default=0)
                    units = int(np.prod(response.shape[1:], dtype=np.int64))
                    columns[name] = slice(start, start + units)
                    site = known[name]
                    coords.append(neuroid_coords(site, response.shape[1:], subject.identifier))
            if activity is None:
                total = max(c.stop for c in columns.values())
                activity = np.empty((len(stimuli), total), dtype=np.float32)
            rows = activity[done : done + len(batch)]
            for name in names:
                rows[:, columns[name]] = responses[name].reshape(len(batch), -1)
            missing += int(np.isnan(rows).any(axis=1).sum())
            done += len(batch)
            advance(len(batch))
    assert activity is not None  # a stimulus set is never empty
    return activity, join_coords(coords), missing


def batches(stimuli: StimulusSet, batch_size: int) -> Iterator[Batch]:
    """Yield the stimuli in batches; the images of the next ones are decoded meanwhile."""
    table = stimuli.table
    pixels = iter(stimuli.images())
    for start in range(0, len(stimuli), batch_size):
        images = list(islice(pixels, batch_size))
        rows = slice(start, start + len(images))
        landmarks = None if stimuli.landmarks is None else stimuli.landmarks[rows]
        parts = _Parts(stimuli, range(len(stimuli))[rows])
        yield Batch(images, table.iloc[rows].reset_index(drop=True), landmarks, parts)


class _Parts(Sequence[np.ndarray | None]):
    """The part masks of a batch, read when they are asked for: few sites do."""

    def __init__(self, stimuli: StimulusSet, positions: range) -> None:
        self._stimuli, self._positions = stimuli, positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, k: Any) -> Any:
        return self._stimuli.parts(self._positions[k])


def _checked(
    responses: dict[str, np.ndarray], name: str, n: int, shapes: dict[str, tuple[int, ...]]
) -> np.ndarray:
    if name not in responses:
        raise NeuroferError(f"the subject did not respond at site {name!r}")
    response = responses[name]
    if not isinstance(response, np.ndarray) or response.ndim < 2 or len(response) != n:
        found = getattr(response, "shape", type(response).__name__)
        raise NeuroferError(
            f"the response at site {name!r} is {found} for {n} images; it must be (n, units) or "
            "(n, channels, height, width), one row per image"
        )
    expected = shapes.setdefault(name, response.shape[1:])
    if response.shape[1:] != expected:
        raise NeuroferError(
            f"the response at site {name!r} has shape {response.shape[1:]} per image here and "
            f"{expected} before; resize the images to one size"
        )
    return response


def _attributes(subject: Recordable, stimuli: StimulusSet, missing: int) -> dict[str, str]:
    from neurofer import __version__

    return {
        "subject": subject.identifier,
        "stimuli": stimuli.identifier,
        "neurofer": __version__,
        "options": json.dumps(getattr(subject, "options", {}), sort_keys=True, default=str),
        "missing": str(missing),
    }
