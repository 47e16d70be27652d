"""Every analysis takes a laboratory's own neurons, and says what is wrong with them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurofer.analyses import ANALYSES, analyse
from neurofer.errors import NeuroferError
from neurofer.recording import read_neurons
from neurofer.simulation import coding_units, simulated_faces

NAMES = pytest.mark.parametrize("name", [k for k, one in ANALYSES.items() if not one.networks_only])
FACES = simulated_faces(
    heads=("human", "monkey"),
    expressions=("neutral", "happy", "sad", "fear"),
    strengths=(0.5, 1.0),
)
CELLS = [f"cell {k}" for k in range(6)]
SMALL = {"n_bootstrap": 10, "n_permutations": 5, "n_folds": 2, "draws": 1, "images": (1, 2)}


def _run(name, recording):
    known = ANALYSES[name].options()
    options = {key: value for key, value in SMALL.items() if key in known}
    one = ANALYSES[name]
    return analyse(name, recording, **{"site": None, **one.quick, **options, **one.unlabelled})


@pytest.fixture(scope="module")
def array():
    """Spike counts of six neurons that code head and expression, and grow with strength."""
    units = coding_units(FACES, ("head", "expression"), len(CELLS), noise=0.5)
    strength = FACES.table["strength"].to_numpy()[:, None]
    counts = np.round(20 + 12 * strength + 8 * np.abs(units.to_numpy()))
    return units.copy(data=counts.astype(np.float32)).assign_coords(
        neuroid_id=("neuroid", CELLS),
        site=("neuroid", ["neurons"] * len(CELLS)),
    )


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    """The stimulus table, as a laboratory would keep it."""
    path = tmp_path_factory.mktemp("laboratory") / "stimuli.csv"
    columns = ["stimulus_id", "head", "identity", "expression", "strength", "source"]
    FACES.table[columns].to_csv(path, index=False)
    return path


def _csv(array, folder):
    path = folder / "counts.csv"
    table = pd.DataFrame(array.to_numpy(), columns=CELLS)
    table.insert(0, "stimulus_id", array["stimulus_id"].to_numpy())
    table.to_csv(path, index=False)
    return path


def _nwb(array, folder):
    """Half a second each second; the spikes of a trial lie in its first tenth."""
    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile("simulated", "id", dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    file.add_trial_column("stimulus_id", "what was shown")
    for i, name in enumerate(array["stimulus_id"].to_numpy().tolist()):
        file.add_trial(start_time=float(i), stop_time=i + 0.5, stimulus_id=name)
    for counts in array.to_numpy().T.astype(int):
        trial = np.repeat(np.arange(len(counts)), counts)
        within = np.concatenate([np.arange(n) / (10 * n) for n in counts if n])
        file.add_unit(spike_times=trial + within)
    path = folder / "session.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


@pytest.fixture(scope="module")
def laboratory(array, stimuli):
    """The recording as it is read from each kind of file."""
    table = read_neurons(_csv(array, stimuli.parent), stimuli)
    session = read_neurons(_nwb(array, stimuli.parent), stimuli, measure="count")
    return {"csv": table, "nwb": session.assign_coords(neuroid_id=("neuroid", CELLS))}


@pytest.fixture(scope="module")
def results(array):
    """What each analysis says of the array, made once."""
    found: dict[str, xr.Dataset] = {}

    def result(name):
        if name not in found:
            found[name] = _run(name, array)
        return found[name]

    return result


@NAMES
@pytest.mark.parametrize("kind", ["csv", "nwb"])
def test_neurons_of_a_file_give_the_result_of_the_array(laboratory, results, name, kind):
    found = _run(name, laboratory[kind])
    xr.testing.assert_equal(found, results(name))
    assert found.attrs["data"] == "simulated"


def _broken(array, value=np.nan):
    activity = array.to_numpy().copy()
    activity[0, 2] = value  # a neutral, from which every series begins
    return array.copy(data=activity)


def _constant(array):
    activity = array.to_numpy().copy()
    activity[:, 2] = 7
    return array.copy(data=activity)


def _twice(array):
    ids = array["stimulus_id"].to_numpy().copy()
    ids[1] = ids[0]
    return array.assign_coords(stimulus_id=("presentation", ids))


BROKEN = r"1 of 6 units .* not finite \(cell 2\), at 1 of 70 presentations"
TWICE = "stimulus_id='human-1-neutral-0' is shown with expression='neutral' and with .*'happy'"
# What an analysis that goes on says of the unit, in `status`; all others refuse, naming it.
STATED = {"linearity": "not finite", "tuning": "not finite"}
MISSING = ["linearity", "tuning"]  # those that take what a unit has
LEFT_OUT = ["geometry"]  # those that leave a unit out, count it and name it
STATED_CONSTANT = {"linearity": "constant", "tuning": "constant"}


def _undefined(result):
    """How many values of each variable are not a number."""
    return {
        str(name): int(np.isnan(values.to_numpy()).sum())
        for name, values in result.data_vars.items()
        if values.dtype.kind == "f"
    }


@NAMES
def test_a_unit_that_is_not_finite_is_named(array, results, name):
    if name in LEFT_OUT:
        result = _run(name, _broken(array))
        assert int(result.attrs["n_set_aside"]) == 1
        assert "cell 2" in result.attrs["set_aside_units"]
        return
    if name not in STATED:
        with pytest.raises(NeuroferError, match=BROKEN):
            _run(name, _broken(array))
        return
    _check_stated(_run(name, _broken(array, np.inf)), results(name), STATED[name])


@pytest.mark.parametrize("name", MISSING)
def test_a_unit_that_lacks_a_presentation_is_measured_on_the_rest(array, name):
    result = _run(name, _broken(array))
    assert (result["n_missing"].to_numpy() > 0).tolist() == [False, False, True] + [False] * 3
    assert (result["status"] == "ok").all()


@NAMES
def test_a_constant_unit_is_named_or_does_no_harm(array, results, name):
    result = _run(name, _constant(array))
    if name in STATED_CONSTANT:
        _check_stated(result, results(name), STATED_CONSTANT[name])
    else:
        assert _undefined(result) == _undefined(results(name))


def _check_stated(result, whole, words):
    """The third unit says what is wrong with it; the others, and all summaries, have numbers."""
    status = result["status"].transpose("neuroid", ...).to_numpy().reshape(len(CELLS), -1)
    assert (status[2] == words).any()
    assert (np.delete(status, 2, axis=0) == "ok").all()
    others = [variable.isel(neuroid=[0, 1, 3, 4, 5]) for variable in (result, whole)]
    assert _undefined(others[0]) == _undefined(others[1])


@NAMES
def test_two_stimuli_of_one_id_are_named(array, name):
    with pytest.raises(NeuroferError, match=TWICE):
        _run(name, _twice(array))


@NAMES
def test_single_trials_of_a_file_say_what_their_means_say(array, stimuli, tmp_path, name):
    """Unequal repeats: every stimulus twice, the first ten five times."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.arange(70), np.arange(70), *[np.arange(10)] * 3])
    counts = array.to_numpy()[rows] + rng.integers(-3, 4, size=(len(rows), len(CELLS)))
    table = pd.DataFrame(counts, columns=CELLS)
    table.insert(0, "stimulus_id", array["stimulus_id"].to_numpy()[rows])
    table.to_csv(tmp_path / "trials.csv", index=False)
    kept, means = (
        _run(name, read_neurons(tmp_path / "trials.csv", stimuli, trials=trials))
        for trials in ("keep", "mean")
    )
    if kept.attrs["trials"] == "single trials":  # fitted one by one: the same units, more values
        assert kept.attrs["n_presentations"] == len(rows)
        assert dict(kept.sizes) == dict(means.sizes)
        return
    # Single trials may say more, such as how reliable they are.
    xr.testing.assert_equal(kept[list(means.data_vars)], means)
    said = "means over 2 to 5 trials of a stimulus (unequal)"
    assert kept.attrs["trials"] == means.attrs["trials"] == said
    assert kept.attrs["n_missing"] == 0
