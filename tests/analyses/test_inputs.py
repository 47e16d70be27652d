"""What every analysis says to a recording that it cannot take."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurofer.analyses import ANALYSES, analyse
from neurofer.analyses.inputs import (
    KEEP,
    joined,
    read_responses,
    sorted_expressions,
    sorted_heads,
)
from neurofer.errors import NeuroferError
from neurofer.simulation import norm_referenced_units


def _nan_unit(recording):
    spoiled = recording.copy()
    spoiled.values[3, 1] = np.nan
    spoiled.values[4, 2] = np.inf
    return spoiled


def _disagreeing(recording):
    twice = recording.isel(presentation=[0, 1, 1, 2, 3, 4])
    heads = twice["head"].to_numpy().copy()
    heads[2] = "monkey" if heads[1] != "monkey" else "human"
    return twice.assign_coords(head=("presentation", heads))


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
    "shown as two": (_disagreeing, "is shown with head='.*' and with head=.*must agree"),
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
    assert analyse("linearity", plain, n_bootstrap=20).attrs["site"] == ""
    with pytest.raises(NeuroferError, match="have no coordinate 'site'"):
        analyse("linearity", plain, site="nre")


@pytest.mark.parametrize("name", ["linearity", "tuning", "transfer"])
def test_the_only_site_of_a_recording_is_analysed(recording, name):
    """Whatever site an analysis takes by default; of several sites it is not guessed."""
    one = recording.isel(neuroid=recording["site"].to_numpy() == "nre")
    cells = one.assign_coords(site=("neuroid", ["neurons"] * one.sizes["neuroid"]))
    few = {"n_noise": 6} if name == "tuning" else {}
    assert analyse(name, cells, n_bootstrap=5, **few).attrs["site"] == "neurons"
    two = recording.isel(neuroid=np.isin(recording["site"], ["coding", "noise"]))
    with pytest.raises(NeuroferError, match="is not in the recording; it has coding, noise"):
        analyse(name, two)


def _trials(repeats, units=3):
    """One stimulus a number in `repeats`, shown that often; activity counts up."""
    ids = np.repeat([f"s{k}" for k in range(len(repeats))], repeats)
    columns = {
        "stimulus_id": ids,
        "head": np.full(len(ids), "human"),
        "identity": ids,
        "expression": np.full(len(ids), "happy"),
        "strength": np.ones(len(ids)),
        "session": np.array(["day 1", "day 2"])[np.arange(len(ids)) % 2],
    }
    activity = np.arange(len(ids) * units, dtype=np.float32).reshape(len(ids), units)
    coords = {name: ("presentation", values) for name, values in columns.items()}
    return xr.DataArray(activity, coords, ("presentation", "neuroid"))


@pytest.mark.parametrize(
    ("repeats", "said", "least", "most"),
    [
        ([2, 2], "means over 2 trials of a stimulus", 2, 2),
        ([1, 3, 2], "means over 1 to 3 trials of a stimulus (unequal)", 1, 3),
    ],
)
def test_trials_are_averaged_and_counted(repeats, said, least, most):
    recording = _trials(repeats)
    responses = read_responses(recording, None)
    ends = np.cumsum(repeats)
    means = [
        recording.values[end - n : end].mean(axis=0) for n, end in zip(repeats, ends, strict=True)
    ]
    np.testing.assert_array_equal(responses.activity, np.array(means, np.float32))
    found = responses.said_of_trials()
    assert (found["trials"], found["trials_least"], found["trials_most"]) == (said, least, most)
    assert (found["n_missing"], found["missing"]) == (0, "")
    assert responses.mixed == ("session",)
    assert "session" not in responses.stimuli


def test_neurons_of_two_sessions_are_counted_one_by_one():
    """Eight presentations, of which each neuron was recorded in four or none: not eight trials."""
    recording = _trials([8, 8])
    recording.values[:4, 0] = np.nan  # recorded in the second half only
    recording.values[4:8, 1:] = np.nan  # ... and these in the first
    recording.values[8:, 2] = np.nan  # never shown the second stimulus
    responses = read_responses(recording, None, undefined=True)
    np.testing.assert_array_equal(responses.counts, [[4, 4, 4], [8, 8, 0]])
    assert responses.activity[0, 0] == recording.values[4:8, 0].mean()
    found = responses.said_of_trials()
    assert found["trials"] == "means over 4 to 8 trials of a stimulus (unequal)"
    assert (found["n_missing"], found["missing"]) == (1, "1 stimuli: s1")
    with pytest.raises(NeuroferError, match=r"1 of 3 units .* not finite \(2\).*\(s1\)"):
        read_responses(recording, None)
    recording.values[0, 1] = np.inf  # a number that is not a number is not passed over
    with pytest.raises(NeuroferError, match="2 of 3 units"):
        read_responses(recording, None)


def test_single_trials_and_counts_that_a_recording_states():
    recording = _trials([3, 2])
    single = read_responses(recording, None, trials=KEEP)
    assert len(single.activity) == 5
    assert single.said_of_trials()["trials"] == "single trials"
    assert single.mixed == ()
    order = np.array([4, 1, 0, 3, 2])
    numbered = recording.assign_coords(repeat=("presentation", [1, 2, 3, 1, 2]))
    again = read_responses(numbered.isel(presentation=order), None, trials=KEEP)
    np.testing.assert_array_equal(again.activity, single.activity)
    means = _trials([1, 1]).assign_coords(n_trials=("presentation", [8, 40]))
    assert read_responses(means, None).said_of_trials()["trials_most"] == 40
    # Means of means count the trials in them.
    means = _trials([2, 1]).assign_coords(n_trials=("presentation", [1, 3, 5]))
    responses = read_responses(means, None)
    np.testing.assert_array_equal(responses.counts[:, 0], [4, 5])
    expected = (means.values[0] + 3 * means.values[1]) / 4
    np.testing.assert_allclose(responses.activity[0], expected)
    # Neurons that were not recorded together have numbers of trials of their own.
    own = np.array([[1, 2, 0], [3, 6, 9], [5, 5, 5]])
    apart = means.assign_coords(n_averaged=(("presentation", "neuroid"), own))
    responses = read_responses(apart, None)
    np.testing.assert_array_equal(responses.counts, [[4, 8, 9], [5, 5, 5]])
    np.testing.assert_allclose(responses.activity[0], np.average(means[:2], 0, own[:2]))
    assert read_responses(_trials([1, 1]), None).said_of_trials() == {}


def test_orders_are_canonical():
    assert sorted_heads(["zebra", "cartoon", "human"]) == ["human", "cartoon", "zebra"]
    assert sorted_expressions(["sad", "awe", "neutral"]) == ["neutral", "sad", "awe"]
    assert joined(np.array(["a", "b"]), np.array([1, 2])).tolist() == ["a/1", "b/2"]
