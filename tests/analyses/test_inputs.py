"""What every analysis says to a recording that it cannot take."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurofer.analyses import ANALYSES, analyse
from neurofer.analyses.inputs import joined, read_responses, sorted_expressions, sorted_heads
from neurofer.errors import NeuroferError
from neurofer.simulation import norm_referenced_units


def _nan_unit(recording):
    spoiled = recording.copy()
    spoiled.values[3, 1] = np.nan
    spoiled.values[4, 2] = np.inf
    return spoiled


def _twice(recording):
    return recording.isel(presentation=[0, 1, 1, 2, 3, 4])


def _without_strength(recording):
    strength = recording["strength"].to_numpy().copy()
    strength[2] = np.nan
    return recording.assign_coords(strength=("presentation", strength))


BAD = {
    "time bins": (lambda r: r.expand_dims(time_bin=3), "3 time bins"),
    "no presentations": (lambda r: r.isel(presentation=[]), "no presentations"),
    "no neuroids": (lambda r: r.isel(neuroid=[]), "no neuroids"),
    "other dims": (lambda r: r.rename(neuroid="neuron"), "has presentation, neuron"),
    "no head": (lambda r: r.drop_vars("head"), "presentation coordinate='head' is not in"),
    "shown twice": (_twice, "is presented 2 times"),
    "no strength": (_without_strength, "strength=nan"),
    "unknown site": (lambda r: r, "site='nro' is not in the recording; it has nre, .*'nre'"),
}


@pytest.mark.parametrize("name", list(ANALYSES))
@pytest.mark.parametrize("case", list(BAD))
def test_every_analysis_names_what_is_wrong(recording, name, case):
    spoil, message = BAD[case]
    with pytest.raises(NeuroferError, match=message):
        analyse(name, spoil(recording), site="nro" if case == "unknown site" else "nre")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("efficiency", {"site": "nre"}),
        ("rsa", {"site": "nre"}),
        ("transfer", {"site": "nre", "decoder": "svm"}),
    ],
)
def test_activity_that_is_not_finite_is_named(recording, name, options):
    message = r"2 of 6 units of site 'nre' .*nre\.1, nre\.2.* at 2 of 375 presentations"
    with pytest.raises(NeuroferError, match=message):
        analyse(name, _nan_unit(recording), **options)


def test_responses_are_those_of_the_site_in_the_order_of_the_ids(recording):
    shuffled = recording.isel(presentation=np.random.default_rng(0).permutation(375))
    responses = read_responses(shuffled.transpose("neuroid", "presentation"), "decision")
    ids = responses.column("stimulus_id")
    assert (ids == np.sort(ids)).all()
    row = np.flatnonzero(recording["stimulus_id"].to_numpy() == ids[7])[0]
    own = recording["site"].to_numpy() == "decision"
    assert (responses.activity[7] == recording.to_numpy()[row, own]).all()
    assert responses.unit.tolist()[:2] == ["neutral", "happy"]
    assert responses.column("head")[7] == recording["head"].to_numpy()[row]


def test_a_laboratorys_recording_needs_no_site(faces):
    """Five coordinates on presentation are enough; neuroids may have none."""
    full = norm_referenced_units(faces)
    names = ("stimulus_id", "head", "identity", "expression", "strength")
    plain = xr.DataArray(
        full.to_numpy(),
        dims=full.dims,
        coords={name: ("presentation", full[name].to_numpy()) for name in names},
    )
    result = analyse("linearity", plain, site=None, n_bootstrap=20)
    assert result.attrs["subject"] == result.attrs["data"] == "not stated"
    assert result["neuroid"].to_numpy().tolist() == list("012345")
    with pytest.raises(NeuroferError, match="have no coordinate 'site'"):
        analyse("linearity", plain)


def test_orders_are_canonical():
    assert sorted_heads(["zebra", "cartoon", "human"]) == ["human", "cartoon", "zebra"]
    assert sorted_expressions(["sad", "awe", "neutral"]) == ["neutral", "sad", "awe"]
    assert joined(np.array(["a", "b"]), np.array([1, 2])).tolist() == ["a/1", "b/2"]
