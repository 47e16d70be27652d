"""Brain-Score: subjects as its brain models, recordings as its assemblies, and both back.

Brain-Score is imported where it is used; importing this module only sets what it reads from the
environment, so import it before Brain-Score.

>>> brain_model = as_brain_model(load_subject("pixels"))  # doctest: +SKIP
>>> benchmark(brain_model)  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.recording.layout import (
    DIMS,
    NEUROID_INTEGERS,
    NEUROID_STRINGS,
    TIME_COORDS,
    make_recording,
)
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import COLUMNS, SOURCES, SPLITS, check_expressions, make_table
from neurofer.stimuli.writer import image_names
from neurofer.subjects.subject import Subject

# Brain-Score caches by name: it served old activations after the weights had changed, and the
# activations of a larger set of the same name. And it installs packages when it loads a plugin.
ENVIRONMENT = {"RESULTCACHING_DISABLE": "1", "BS_INSTALL_DEPENDENCIES": "no"}
for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)


class BrainSubject:
    """A subject behind Brain-Score's BrainModel interface; made by `as_brain_model`.

    It shows Brain-Score stimuli to the subject and hands assemblies back, in their order.
    """

    def __init__(self, subject: Subject, regions: dict[str, tuple[str, ...]] | None = None) -> None:
        """Wrap a subject; see `as_brain_model`."""
        self.subject = subject
        self.regions = {**subject.regions, **(regions or {})}
        self._chosen = regions or {}

    @property
    def identifier(self) -> str:
        """The subject's identifier, which ends in a hash of its content."""
        return self.subject.identifier

    def visual_degrees(self) -> int:
        """Return the width of the visual field in degrees."""
        return self.subject.visual_degrees()

    def start_recording(
        self, recording_target: str, time_bins: Sequence[tuple[int, int]] | None = None
    ) -> None:
        """Choose a region or site and time bins; see `Subject.start_recording`."""
        # A region of the subject's own goes by its name, which says when its steps respond.
        target = self._chosen.get(str(recording_target), str(recording_target))
        if time_bins is not None:
            # A benchmark whose assembly was squeezed hands its one bin over as a 0-d array.
            time_bins = [np.asarray(one).item() if np.ndim(one) == 0 else one for one in time_bins]
        self.subject.start_recording(target, time_bins)

    def start_task(self, task: str, fitting_stimuli: Any = None) -> None:
        """Choose a task; see `Subject.start_task`."""
        self.subject.start_task(task, fitting_stimuli)

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
        """Return the assembly of a Brain-Score StimulusSet; None in the task "passive"."""
        seen = self.subject.look_at(stimuli_from_brainscore(stimuli), number_of_trials)
        if seen is None or "neuroid" in seen.dims:
            return None if seen is None else to_brainscore(seen)
        return _assembly("BehavioralAssembly", seen)


def as_brain_model(
    subject: Subject, regions: dict[str, tuple[str, ...]] | None = None
) -> BrainSubject:
    """Return a subject as a Brain-Score BrainModel, which its benchmarks accept.

    Args:
        subject: of `load_subject`.
        regions: sites by Brain-Score region, beside those that the sites themselves name:
            {"IT": ("conv3_3",)}.

    Raises:
        NeuroferError: a site is unknown.
    """
    for sites in (regions or {}).values():
        subject.check_sites(sites)
    return BrainSubject(subject, regions)


def to_brainscore(recording: xr.DataArray) -> Any:
    """Return a recording as a NeuroidAssembly (every coordinate a level of a MultiIndex).

    `site` is given a second time as `layer`, the name that Brain-Score uses.

    Raises:
        NeuroferError: Brain-Score is not installed.
    """
    return _assembly("NeuroidAssembly", recording.assign_coords(layer=recording["site"]))


def from_brainscore(assembly: xr.DataArray) -> xr.DataArray:
    """Return a NeuroidAssembly as a recording.

    The exact inverse of `to_brainscore`. For an assembly from elsewhere, coordinates of the
    layout that it lacks are filled: strings by "", channels by -1, ids by the position.

    Raises:
        NeuroferError: the dims are not those of a NeuroidAssembly, or a coordinate cannot be kept.
    """
    plain = xr.DataArray(assembly)
    indexed = [dim for dim in plain.dims if dim in plain.coords]
    plain = plain.reset_index(indexed) if indexed else plain
    if set(plain.dims) not in ({*DIMS[:2]}, {*DIMS}):
        raise NeuroferError(f"an assembly has dims {DIMS[:2]} or {DIMS}, not {plain.dims}")
    plain = plain.transpose(*DIMS[: plain.ndim])
    coords: dict[str, tuple[Any, np.ndarray]] = {}
    for name, coord in plain.coords.items():
        if name == "n_averaged":
            coords[name] = (coord.dims, coord.to_numpy().astype(np.int64))
        elif len(coord.dims) == 1:
            coords[str(name)] = (str(coord.dims[0]), _plain(coord.values, str(name)))
    _fill_neuroids(coords, plain.sizes["neuroid"])
    _fill_presentations(coords, plain.sizes["presentation"])
    coords.pop("layer", None)
    kept = {str(k): str(v) for k, v in assembly.attrs.items() if isinstance(v, (str, int, float))}
    return make_recording(plain.to_numpy().astype(np.float32), coords, kept)


def stimuli_from_brainscore(stimuli: Any) -> StimulusSet:
    """Return a Brain-Score StimulusSet (a table with `get_stimulus`) as a StimulusSet.

    Every column is kept. A column that has a canonical name but other content (an `expression`
    that is not ours) is an error, not guessed at.

    Raises:
        NeuroferError: it is not a StimulusSet, or an image cannot be read.
    """
    if not isinstance(stimuli, pd.DataFrame) or not hasattr(stimuli, "get_stimulus"):
        raise NeuroferError(
            f"{type(stimuli).__name__} is not a stimulus set; pass a neurofer StimulusSet or a "
            "Brain-Score StimulusSet"
        )
    table = pd.DataFrame(stimuli).reset_index(drop=True)
    path_of: Any = stimuli.get_stimulus
    paths = [path_of(stimulus_id) for stimulus_id in table["stimulus_id"]]
    name = str(getattr(stimuli, "identifier", None) or "stimuli")
    return StimulusSet.from_files(name, table, paths)


def stimulus_set_to_brainscore(stimuli: StimulusSet, folder: str | os.PathLike[str]) -> Any:
    """Write the images to `folder` and return a Brain-Score StimulusSet that points to them.

    Raises:
        NeuroferError: Brain-Score is not installed.
    """
    saved = stimuli.save(folder)
    try:
        from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet as Theirs
    except ImportError as error:
        raise _not_installed() from error
    table = stimuli.table
    made = Theirs(table)
    files = image_names(table["stimulus_id"])
    made.stimulus_paths = {
        stimulus_id: saved / "images" / file
        for stimulus_id, file in zip(table["stimulus_id"], files, strict=True)
    }
    made.identifier = stimuli.identifier
    return made


def _assembly(kind: str, array: xr.DataArray) -> Any:
    try:
        from brainscore_core.supported_data_standards.brainio import assemblies
    except ImportError as error:
        raise _not_installed() from error
    coords = {str(name): (c.dims, _objects(c.to_numpy())) for name, c in array.coords.items()}
    made = getattr(assemblies, kind)(array.to_numpy(), coords=coords, dims=array.dims)
    made.attrs.update(array.attrs)
    return made


def _not_installed() -> NeuroferError:
    return NeuroferError("Brain-Score is not installed; run pip install 'neurofer[brainscore]'")


def _objects(values: np.ndarray) -> np.ndarray:
    # A level of a MultiIndex must not be a fixed-width string: xarray 2022.3 would compare '<U5'
    # with '<U7' levels as different dtypes when it aligns two assemblies.
    return values.astype(object) if values.dtype.kind == "U" else values


def _plain(values: np.ndarray, name: str) -> np.ndarray:
    """Undo what a MultiIndex does to a column: strings and truth values come back as objects."""
    if name in NEUROID_INTEGERS or name in TIME_COORDS:
        return values.astype(np.int64)
    if name in NEUROID_STRINGS or (name in COLUMNS and name != "strength"):
        return np.asarray([str(item) for item in values], dtype=np.str_)
    if values.dtype != object:
        return values
    items = values.tolist()
    if all(isinstance(item, bool) for item in items):
        return np.asarray(items, dtype=bool)
    return np.asarray(["" if item is None else str(item) for item in items], dtype=np.str_)


def _fill_neuroids(coords: dict[str, tuple[Any, np.ndarray]], n: int) -> None:
    if "site" not in coords and "layer" in coords:
        coords["site"] = coords["layer"]
    for name in NEUROID_STRINGS:
        values = np.arange(n).astype(np.str_) if name == "neuroid_id" else np.full(n, "")
        coords.setdefault(name, ("neuroid", values))
    for name in NEUROID_INTEGERS:
        values = np.arange(n) if name == "neuroid_num" else np.full(n, -1)
        coords.setdefault(name, ("neuroid", values))


def _fill_presentations(coords: dict[str, tuple[Any, np.ndarray]], n: int) -> None:
    given = {name: values for name, (dim, values) in coords.items() if dim == "presentation"}
    allowed = {"source": SOURCES, "split": SPLITS}
    repeats = len(set(given.get("stimulus_id", np.arange(n)).tolist())) < n
    if not repeats and all(name in given for name in COLUMNS):
        coords.setdefault("in_training", ("presentation", np.zeros(n, dtype=bool)))
        return
    frame = pd.DataFrame({k: given[k] for k in given if k in COLUMNS and k != "image_sha256"})
    frame = frame.reindex(range(n))
    if repeats:  # presentations of one stimulus share its id; only a stimulus table forbids that
        frame = frame.drop(columns="stimulus_id")
    for name, choices in allowed.items():
        if name in frame and not set(frame[name]) <= {*choices, ""}:
            raise NeuroferError(
                f"coordinate {name!r} of the assembly holds other values than "
                f"{', '.join(choices)}; rename the coordinate"
            )
    if "expression" in frame:
        try:
            check_expressions(str(value) for value in frame["expression"])
        except NeuroferError as error:
            raise NeuroferError(
                f"coordinate 'expression' of the assembly: {error}; or rename the coordinate"
            ) from error
    filled = make_table(frame, [""] * n)
    for name in COLUMNS:
        values = filled[name].to_numpy()
        values = values if name == "strength" else values.astype(np.str_)
        coords.setdefault(name, ("presentation", values))
    coords.setdefault("in_training", ("presentation", np.zeros(n, dtype=bool)))
