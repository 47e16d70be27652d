from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.recording import Site, check_recording, record
from neurofer.recording.layout import neuroid_coords, numbered
from neurofer.stimuli import StimulusSet

from .conftest import FakeSubject


@pytest.fixture
def recording(subject: FakeSubject, stimuli: StimulusSet) -> xr.DataArray:
    return record(subject, stimuli, sites=["means", "map"])


def test_a_recording_has_the_layout(recording: xr.DataArray) -> None:
    assert check_recording(recording) is recording
    assert check_recording(recording[:3, recording["site"].values == "map"]).shape == (3, 24)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.values, "not ndarray"),
        (lambda r: r.T, "transpose"),
        (lambda r: r.rename(neuroid="unit_number"), "dims"),
        (lambda r: r.astype("float64"), "not float64"),
        (lambda r: r.assign_coords(neuroid=np.arange(27)), r"reset_index\('neuroid'\)"),
        (lambda r: r.set_index(presentation=["stimulus_id", "head"]), "presentation"),
        (lambda r: r.drop_vars("expression"), "lacks the coordinate 'expression'"),
        (lambda r: r.drop_vars("in_training"), "lacks the coordinate 'in_training'"),
        (lambda r: r.assign_coords(unit=("neuroid", np.arange(27))), "'unit'.*not strings"),
        (lambda r: r.assign_coords(site="means"), r"'site' .* lies on \(\)"),
        (lambda r: r.assign_coords(in_training=("presentation", np.zeros(10))), "not truth values"),
        (lambda r: r.assign_coords(neuroid_id=("neuroid", ["a"] * 27)), "'a' occurs 27 times"),
        (lambda r: r.expand_dims(time_bin=1, axis=2), "lacks the coordinate 'time_bin_start'"),
    ],
)
def test_what_departs_from_it_is_named(recording: xr.DataArray, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NeuroferError, match=message):
        check_recording(spoil(recording))


@pytest.mark.parametrize("shape", [(5,), (3, 2, 4), (13, 2), (2, 3, 2, 2)])
def test_units_are_numbered_in_c_order(shape: tuple[int, ...]) -> None:
    n = int(np.prod(shape))
    coords = {name: value for name, (_, value) in neuroid_coords(Site("s"), shape, "m").items()}
    assert coords["neuroid_num"].tolist() == list(range(n))
    assert len(set(coords["neuroid_id"])) == n
    if len(shape) == 3:
        index = np.ravel_multi_index(
            (coords["channel"], coords["channel_y"], coords["channel_x"]), shape
        )
        assert index.tolist() == list(range(n))
    else:
        assert set(coords["channel"]) == {-1}


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 1000, 1001])
def test_numbered_strings(n: int) -> None:
    assert numbered("conv3_3.", n).tolist() == [f"conv3_3.{i}" for i in range(n)]


def test_large_maps_are_named_fast() -> None:
    import time

    start = time.perf_counter()
    coords = neuroid_coords(Site("conv3_3"), (256, 56, 56), "md-nre-00000000")
    assert time.perf_counter() - start < 3
    assert coords["neuroid_id"][1][-1] == "conv3_3.802815"
