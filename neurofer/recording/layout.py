"""The layout of a recording: dims, coordinates and attributes, how they are built and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.recording.sites import Site
from neurofer.stimuli.table import COLUMNS, column

NEUROID_STRINGS = ("neuroid_id", "model", "site", "region", "unit")
NEUROID_INTEGERS = ("neuroid_num", "channel", "channel_x", "channel_y")
NEUROID_COORDS = NEUROID_STRINGS + NEUROID_INTEGERS
TIME_COORDS = ("time_bin_start", "time_bin_end")
DIMS = ("presentation", "neuroid", "time_bin")
PRESENTATION_COORDS = (*COLUMNS, "in_training")

# As many digits of an image's hash identify it: of a million images, two agree in them by chance
# once in forty million sets. Weight files name the images that they were trained on so.
HASH_DIGITS = 16

# Names that mean something of their own in a recording, so that no column of stimuli may have them.
TAKEN = frozenset({*NEUROID_COORDS, *TIME_COORDS, *DIMS, "layer", "in_training"})

Coords = dict[str, tuple[str, np.ndarray]]


def presentation_coords(table: pd.DataFrame, training_images: frozenset[str]) -> Coords:
    """Return every column of a stimulus table as a coordinate, and `in_training` (bool).

    Args:
        table: the stimuli.
        training_images: `image_sha256`, whole or their first `HASH_DIGITS` digits.

    Raises:
        NeuroferError: a column has the name of a dim or of another coordinate of the layout.
    """
    coords: Coords = {}
    for name in table.columns:
        if name in TAKEN:
            raise NeuroferError(
                f"column {name!r} of the stimulus table has the name of a coordinate of the "
                "recording; rename it"
            )
        coords[name] = ("presentation", column(table, name))
    hashes = table["image_sha256"].tolist()
    known = {value[:HASH_DIGITS] for value in training_images}
    trained = np.fromiter((value[:HASH_DIGITS] in known for value in hashes), dtype=bool)
    coords["in_training"] = ("presentation", trained)
    return coords


def neuroid_coords(site: Site, shape: Sequence[int], model: str) -> Coords:
    """Return the neuroid coordinates of one site.

    Args:
        site: where it was recorded.
        shape: of the response to one image: (units,), (channels, height, width) or another,
            flattened in C order. Units of a map carry channel, channel_y (row) and channel_x
            (column); units of any other shape carry -1 there.
        model: the subject's identifier.

    Raises:
        NeuroferError: the labels of the site do not fit the number of units.
    """
    n = int(np.prod(shape, dtype=np.int64))
    if site.labels is not None and len(site.labels) != n:
        raise NeuroferError(
            f"site {site.name!r} has {len(site.labels)} labels but a response of shape "
            f"{tuple(shape)}, {n} units"
        )
    number = np.arange(n)
    channel = row = col = np.full(n, -1)
    if len(shape) == 3:
        channel, row, col = (index.ravel() for index in np.indices(shape))
    values: dict[str, np.ndarray] = {
        "neuroid_id": numbered(f"{site.name}.", n),
        "model": np.full(n, model),
        "site": np.full(n, site.name),
        "region": np.full(n, site.region or ""),
        "unit": np.asarray(site.labels if site.labels is not None else [""] * n, dtype=np.str_),
        "neuroid_num": number,
        "channel": channel,
        "channel_x": col,
        "channel_y": row,
    }
    return {name: ("neuroid", value) for name, value in values.items()}


def numbered(prefix: str, n: int) -> np.ndarray:
    """Return prefix + "0", prefix + "1" ... as an array of n strings.

    Written digit by digit for all units at once, five times as fast as string functions: a layer
    of a trunk has 800,000 units.

    >>> numbered("pool.", 3).tolist()
    ['pool.0', 'pool.1', 'pool.2']
    """
    width, start = len(str(max(n - 1, 0))), len(prefix)
    codes = np.zeros((n, start + width), dtype=np.uint32)
    codes[:, :start] = [ord(letter) for letter in prefix]
    first = 0
    for digits in range(1, width + 1):
        last = min(10**digits, n)
        number = np.arange(first, last)
        for place in range(digits):
            tens = 10 ** (digits - 1 - place)
            codes[first:last, start + place] = ord("0") + number // tens % 10
        first = last
    return codes.view(f"<U{start + width}")[:, 0]


def time_coords(time_bins: Sequence[tuple[int, int]]) -> Coords:
    """Return the coordinates of time bins, (start, end) in ms.

    Raises:
        NeuroferError: there are none, or one does not end after its start.
    """
    bins = [tuple(int(edge) for edge in time_bin) for time_bin in time_bins]
    for time_bin in bins:
        if len(time_bin) != 2 or time_bin[0] >= time_bin[1]:
            raise NeuroferError(f"time bin {time_bin}; a time bin is (start, end) in ms")
    if not bins:
        raise NeuroferError("time_bins is empty; give (start, end) in ms, or None")
    edges = np.asarray(bins, dtype=np.int64)
    return {name: ("time_bin", edges[:, k]) for k, name in enumerate(TIME_COORDS)}


def join_coords(sites: Sequence[Coords]) -> Coords:
    """Concatenate the neuroid coordinates of several sites."""
    if len(sites) == 1:
        return sites[0]
    return {
        name: ("neuroid", np.concatenate([coords[name][1] for coords in sites]))
        for name in sites[0]
    }


def make_recording(
    activity: np.ndarray,
    coords: Mapping[str, Any],
    attributes: Mapping[str, str],
    *,
    unique: bool = True,
) -> xr.DataArray:
    """Build and check a recording; activity is float32 (presentation, neuroid[, time_bin]).

    `unique` False spares the comparison of all neuroid_ids where they are known to differ.

    Args:
        activity: (presentation, neuroid[, time_bin]).
        coords: name -> (dimension, values).
        attributes: of the recording.
        unique: False spares the comparison of all neuroid_ids where they are known to differ.
    """
    dims = DIMS[: activity.ndim]
    array = xr.DataArray(activity, dims=dims, coords=dict(coords), name="activity")
    array.attrs.update(attributes)
    return check_recording(array, unique=unique)


def check_recording(recording: xr.DataArray, *, unique: bool = True) -> xr.DataArray:
    """Return the recording if it has the layout, else say what is wrong.

    The layout: dims presentation x neuroid [x time_bin]; float32; non-index coordinates: on
    presentation the stimulus columns and `in_training`, on neuroid `NEUROID_COORDS`, on time_bin
    its start and end in ms.

    Raises:
        NeuroferError: names the first thing that departs from the layout.
    """
    if not isinstance(recording, xr.DataArray):
        raise NeuroferError(f"a recording is an xarray.DataArray, not {type(recording).__name__}")
    if tuple(recording.dims) not in (DIMS[:2], DIMS):
        raise NeuroferError(
            f"a recording has dims {DIMS[:2]} or {DIMS}, not {tuple(recording.dims)}; "
            "transpose or rename them"
        )
    if recording.dtype != np.float32:
        raise NeuroferError(
            f"a recording is float32, not {recording.dtype}; use .astype('float32')"
        )
    for dim in recording.dims:
        if dim in recording.coords:
            raise NeuroferError(
                f"the recording has an index on dim {dim!r}; its coordinates are plain: "
                f"use .reset_index({dim!r}) or neurofer.brainscore.from_brainscore"
            )
    _check_coords(recording)
    if unique:
        _check_unique(recording)
    return recording


def _check_coords(recording: xr.DataArray) -> None:
    wanted = {"presentation": PRESENTATION_COORDS, "neuroid": NEUROID_COORDS}
    if "time_bin" in recording.dims:
        wanted["time_bin"] = TIME_COORDS
    kinds = dict.fromkeys((*COLUMNS, *NEUROID_STRINGS), "U") | {"strength": "f"}
    kinds |= dict.fromkeys((*NEUROID_INTEGERS, *TIME_COORDS), "i") | {"in_training": "b"}
    for dim, names in wanted.items():
        for name in names:
            if name not in recording.coords:
                raise NeuroferError(
                    f"the recording lacks the coordinate {name!r} on dim {dim!r}; "
                    f"dim {dim!r} carries {', '.join(names)}"
                )
            coordinate = recording.coords[name]
            if coordinate.dims != (dim,):
                raise NeuroferError(
                    f"coordinate {name!r} of the recording lies on {coordinate.dims}, not {dim!r}"
                )
            if coordinate.dtype.kind != kinds[name]:
                said = {"U": "strings", "f": "floats", "i": "integers", "b": "truth values"}
                raise NeuroferError(
                    f"coordinate {name!r} of the recording holds {coordinate.dtype}, "
                    f"not {said[kinds[name]]}"
                )


def _check_unique(recording: xr.DataArray) -> None:
    values = recording["neuroid_id"].to_numpy()
    if len(np.unique(values)) != len(values):
        ids, counts = np.unique(values, return_counts=True)
        raise NeuroferError(
            f"neuroid_id={str(ids[np.argmax(counts)])!r} occurs {counts.max()} times in the "
            "recording; every neuroid needs an id of its own"
        )
