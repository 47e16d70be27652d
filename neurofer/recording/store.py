"""Recordings on disk: netCDF, exact round trip, and a store that is keyed by content."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurofer.closure import closure_hash, source_hash
from neurofer.errors import NeuroferError
from neurofer.files import content_hash, expanded
from neurofer.hdf5 import check_hdf5
from neurofer.netcdf3 import check_whole
from neurofer.recording.layout import check_recording, join_coords, make_recording
from neurofer.recording.record import check_sites, record
from neurofer.recording.sites import Recordable
from neurofer.sealed import (
    SEALED,
    SEALED_BY,
    DamagedError,
    cached,
    check_seal,
    is_kept,
    is_sealed,
    write_sealed,
)
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.versions import RESPONSE_LIBRARIES, versions

# What makes stimuli does not decide a response: the stimuli themselves are in the key.
MAKES_STIMULI = (
    "neurofer.faces",
    "neurofer.stimuli.cards",
    "neurofer.stimuli.catalogue",
    "neurofer.stimuli.folder",
    "neurofer.stimuli.image_cache",
    "neurofer.stimuli.layouts",
    "neurofer.stimuli.licensed",
    "neurofer.stimuli.rendered",
    "neurofer.stimuli.writer",
)


def response_source(made: Any) -> str | None:
    """Return a hash of the code and the versions that decide a subject's responses.

    Args:
        made: the subject's class, what makes it, or the name of its module in this package.

    Returns:
        None where a user's class has no source: what was typed at a prompt.
    """
    if isinstance(made, str):
        own: str | None = closure_hash(made, without=MAKES_STIMULI)
    else:
        own = source_hash(made, without=MAKES_STIMULI)
    if own is None:
        return None
    recording = closure_hash("neurofer.recording.store", without=MAKES_STIMULI)
    return content_hash(own, recording, versions(RESPONSE_LIBRARIES))


def save_recording(recording: xr.DataArray, path: str | os.PathLike[str]) -> Path:
    """Write a recording as netCDF, whole or not at all, and return the path.

    Raises:
        NeuroferError: it is not a recording, or no netCDF library is installed.
    """
    check_recording(recording)
    path = expanded(path)
    _write(recording, path, named=False)
    return path


def steady_order(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose netCDF file has the same bytes in every run.

    xarray lists the coordinates of a variable in the order of a set, which differs between runs.
    """
    ordered = dataset.copy()
    for variable in ordered.data_vars.values():
        beside = [
            str(name)
            for name, coord in ordered.coords.items()
            if name not in ordered.dims and set(coord.dims) <= set(variable.dims)
        ]
        if beside and not any(" " in name for name in beside):
            variable.encoding["coordinates"] = " ".join(sorted(beside))
    return ordered


def load_recording(path: str | os.PathLike[str], *, named: bool = False) -> xr.DataArray:
    """Read a recording that `save_recording` wrote: same values, dtypes, coordinates, attributes.

    Every byte is checked against the seal that `save_recording` put at the end of the file;
    `named` asks for the seal of a cache, which is valid under this name only.

    Raises:
        NeuroferError: the file is missing, damaged or not a recording.
    """
    loaded = open_netcdf(path, named=named)
    if "activity" not in loaded:
        raise NeuroferError(f"{path} holds no variable 'activity': it is not a recording")
    array = loaded["activity"]
    strings = {
        name: (coord.dims, np.asarray([str(item) for item in coord.values], dtype=np.str_))
        for name, coord in array.coords.items()
        if coord.dtype.kind in "OSU"
    }
    array = array.assign_coords(strings)
    array.encoding = {}
    for coord in array.coords.values():
        coord.encoding = {}
    return check_recording(array)


def open_netcdf(path: str | os.PathLike[str], *, named: bool = False) -> xr.Dataset:
    """Return all that a netCDF file holds, in memory; numbers with units of time stay numbers.

    A seal is checked where there is one; `named` asks for one of a cache.

    Raises:
        NeuroferError: the file is missing or cannot be read, reaches into other files, or declares
            more than it holds.
    """
    path = expanded(path)
    if not path.is_file():
        raise NeuroferError(f"there is no recording at {path}")
    try:
        sealed = is_sealed(path)
        if sealed or named:
            check_seal(path, named=named)
        check_hdf5(path)
        check_whole(path)
        with xr.open_dataset(
            path, engine=_engine(), decode_times=False, decode_timedelta=False
        ) as dataset:
            loaded = dataset.load()
        if loaded.attrs.pop(SEALED, None) is not None and not sealed:
            raise DamagedError(f"{path} is damaged: its end, with its seal, is missing")
        return loaded
    except NeuroferError:
        raise
    except Exception as error:  # the netCDF libraries raise OSError, RuntimeError, ValueError, ...
        raise NeuroferError(
            f"the recording {path} cannot be read ({error}); it is truncated or not a netCDF file: "
            "record again"
        ) from error


def write_netcdf(dataset: xr.Dataset, path: Path, *, named: bool) -> None:
    """Write a dataset as netCDF with a seal, whole or not at all.

    Args:
        dataset: what is written; the file says in `attrs` that it has a seal.
        path: of the file.
        named: it is valid under this name only, as in a cache.
    """
    with write_sealed(path, named=named) as partial:
        marked = steady_order(dataset).assign_attrs({SEALED: SEALED_BY})
        marked.to_netcdf(partial, engine=_engine())


def _write(recording: xr.DataArray, path: Path, *, named: bool) -> None:
    write_netcdf(recording.to_dataset(name="activity"), path, named=named)


def _stored(path: Path) -> xr.DataArray:
    return load_recording(path, named=True)


def _in_a_name(identifier: str) -> str:
    """Return an identifier as a part of a file's name, for people; the key tells files apart."""
    return re.sub(r"[^A-Za-z0-9_+=.-]", "-", identifier).lstrip(".")[:60]


class RecordingStore:
    """A folder of recordings, one file for each site, found again by content.

    A key is the hash of the subject's and the stimuli's identifiers and content, the site, the
    time bins, the source that decides a response and the versions of the libraries: changed
    weights, images or code never meet an old recording, and a changed analysis does not ask for a
    new one. A damaged file is named, set aside and recorded again. A subject without source, typed
    at a prompt, is recorded anew each time, which is said.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Use this folder; it is made when the first recording is stored."""
        self.folder = Path(folder)

    def path(
        self,
        subject: Recordable,
        stimuli: StimulusSet,
        site: str,
        time_bins: Sequence[tuple[int, int]] | None = None,
    ) -> Path | None:
        """Return where the recording of one site lies, or would lie; None without source.

        Args:
            subject: a subject, or what is known of one: identifier, sites and `source`.
            stimuli: what it is shown.
            site: the name of a site.
            time_bins: (start, end) in ms, or None.
        """
        source = subject.source if hasattr(subject, "source") else response_source(type(subject))
        if source is None:
            return None
        bins = None if time_bins is None else [[int(a), int(b)] for a, b in time_bins]
        key = content_hash(
            subject.identifier, stimuli.identifier, stimuli.content, site, bins, source
        )
        parts = (subject.identifier, stimuli.identifier, site)
        return self.folder / f"{'.'.join(map(_in_a_name, parts))}.{key[:32]}.nc"

    def lacking(self, subject: Recordable, stimuli: StimulusSet, sites: Sequence[str]) -> list[str]:
        """Return the sites that would have to be recorded.

        Args:
            subject: that would be recorded.
            stimuli: that it would be shown.
            sites: that are asked for.
        """
        paths = {site: self.path(subject, stimuli, site) for site in sites}
        return [site for site, path in paths.items() if path is None or not is_kept(path)]

    def record(
        self,
        subject: Recordable,
        stimuli: StimulusSet,
        *,
        sites: Sequence[str] | None = None,
        time_bins: Sequence[tuple[int, int]] | None = None,
        **options: Any,
    ) -> xr.DataArray:
        """Return the recording, from the folder where possible; as `neurofer.recording.record`.

        All sites that the folder lacks are recorded in one forward pass, then stored.

        Args:
            subject: a subject, or where all is stored what is known of one (see `path`).
            stimuli: what it is shown.
            sites: names of sites; default: `subject.default_sites`.
            time_bins: (start, end) in ms, or None.
            options: of `neurofer.recording.record`.
        """
        names = check_sites(subject, sites)
        paths = {name: self.path(subject, stimuli, name, time_bins) for name in names}
        found: dict[str, xr.DataArray] = {}
        for name, path in paths.items():
            stored = None if path is None else cached(path, _stored)
            if stored is not None:
                found[name] = stored
        lacking = [name for name in names if name not in found]
        if lacking:
            if None in paths.values():
                warnings.warn(
                    f"{subject.identifier}: its class has no source file, so that its responses "
                    "are kept in no cache; put it into a file",
                    stacklevel=2,
                )
            fresh = record(subject, stimuli, sites=lacking, time_bins=time_bins, **options)
            for name in lacking:
                own = fresh.isel(neuroid=fresh["site"].values == name)
                # In the order in memory that it will have when it is read: sums of float32 depend
                # on it in the last digits.
                found[name] = own.copy(data=np.ascontiguousarray(own.values))
                found[name].attrs["missing"] = count_missing(found[name])
                path = paths[name]
                if path is not None:
                    _write(found[name], path, named=True)
        return join_sites([found[name] for name in names])


def count_missing(recording: xr.DataArray) -> str:
    """Return how many presentations have a NaN, as `attrs["missing"]` holds it."""
    bad = np.isnan(recording.values).any(axis=tuple(range(1, recording.ndim)))
    return str(int(bad.sum()))


def join_sites(recordings: Sequence[xr.DataArray]) -> xr.DataArray:
    """Join recordings of the same presentations at different sites along neuroid.

    Raises:
        NeuroferError: they differ in presentations or time bins.
    """
    first = recordings[0]
    if len(recordings) == 1:
        return first
    coords = {
        str(name): (coord.dims, coord.values)
        for name, coord in first.coords.items()
        if coord.dims != ("neuroid",)
    }
    for other in recordings[1:]:
        for name, (_, values) in coords.items():
            if name not in other.coords or not np.array_equal(other[name].values, values):
                raise NeuroferError(f"the recordings to join differ in coordinate {name!r}")
    neuroids = [
        {
            str(name): ("neuroid", coord.values)
            for name, coord in recording.coords.items()
            if coord.dims == ("neuroid",)
        }
        for recording in recordings
    ]
    activity = np.concatenate([recording.values for recording in recordings], axis=1)
    joined = make_recording(activity, {**coords, **join_coords(neuroids)}, dict(first.attrs))
    joined.attrs["missing"] = count_missing(joined)
    return joined


def _engine() -> str:
    for engine, module in (("netcdf4", "netCDF4"), ("h5netcdf", "h5netcdf")):
        if find_spec(module) is not None:
            return engine
    raise NeuroferError("no netCDF library is installed; run pip install netCDF4")
