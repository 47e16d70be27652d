"""One row per neuron, and the stimuli that recordings have in common."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurofer.cli import app as cli
from neurofer.errors import NeuroferError
from neurofer.recording import check_recording, common_stimuli, read_neurons, summarise_neurons
from neurofer.simulation import norm_referenced_units, simulated_faces

RATES = pd.DataFrame(
    {
        "stimulus_id": ["a", "b", "a", "c"],
        "identity": ["p", "q", "p", "r"],
        "expression": ["sad", "happy", "sad", "lipsmack"],
        "c1": [1.0, 2.0, 3.0, 5.0],
        "c2": [4.0, np.nan, np.nan, 4.0],
        "trial": [1, 2, 3, 4],
    }
)


@pytest.mark.parametrize("trials", ["mean", "keep"])
def test_every_neuron_has_its_range_and_trials(trials):
    table = summarise_neurons(read_neurons(RATES, trials=trials)).set_index("neuroid_id")
    low, high = (1, 5) if trials == "keep" else (2, 5)
    assert table.loc["c1", ["n_stimuli", "n_trials", "lowest", "highest"]].tolist() == [
        *(3, 4, low, high)
    ]
    assert table.loc["c2", ["n_stimuli", "n_trials", "lowest", "highest"]].tolist() == [2, 2, 4, 4]
    assert table["constant"].tolist() == [False, True]
    assert table.loc["c1", "mean"] == pytest.approx(11 / 4 if trials == "keep" else 3)


def test_the_command_line_lists_every_neuron(tmp_path, capsys, monkeypatch):
    RATES.to_csv(tmp_path / "RATES.CSV")
    words = ["neurons", "check", str(tmp_path / "RATES.CSV"), "--constant", "head=monkey"]
    monkeypatch.setattr("sys.argv", ["neurofer", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("c1", "c2"))] == [
        ["c1", "3", "4", "2", "3", "5"],
        ["c2", "2", "2", "4", "4", "4", "(never", "differs)"],
    ]
    assert "expression: 3 (happy, sad, lipsmack)" in lines
    assert "head: 1 (monkey)" in lines
    assert "set aside: 2" in lines
    assert any("'Unnamed: 0'" in line for line in lines)
    assert any("'trial'" in line for line in lines)


FACES = simulated_faces(heads=("human",), n_identities=3, expressions=("neutral", "fear"))
MODEL = norm_referenced_units(FACES, slope=20, intercept=5, noise=0.0)


def test_common_stimuli_come_in_one_order():
    shuffled = MODEL.isel(presentation=np.random.default_rng(0).permutation(len(MODEL))[4:])
    first, second = common_stimuli([MODEL, shuffled])
    check_recording(second)
    kept = set(shuffled["stimulus_id"].to_numpy())
    ids = [name for name in MODEL["stimulus_id"].to_numpy() if name in kept]
    for one in (first, second):
        assert one["stimulus_id"].to_numpy().tolist() == ids
    np.testing.assert_array_equal(first, second)
    assert (first.attrs["n_not_common"], second.attrs["n_not_common"]) == ("4", "0")
    gone = [name for name in MODEL["stimulus_id"].to_numpy() if name not in kept]
    assert first.attrs["not_common"] == ", ".join(gone)
    assert first.attrs["stimuli"] != MODEL.attrs["stimuli"] == second.attrs["stimuli"]


def test_common_stimuli_keep_all_repeats():
    twice = MODEL.isel(presentation=[3, 0, 3, 1])
    first, second = common_stimuli([MODEL, twice])
    assert first.sizes["presentation"] == 3
    assert second["stimulus_id"].to_numpy().tolist() == [
        *MODEL["stimulus_id"].to_numpy()[[0, 1, 3, 3]]
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [MODEL], "a list of two"),
        (lambda: MODEL, "a list of two"),
        (
            lambda: [MODEL, MODEL.assign_coords(identity=("presentation", ["x"] * len(MODEL)))],
            "has identity='1' in one recording and 'x' in another",
        ),
        (
            lambda: [
                MODEL,
                MODEL.assign_coords(
                    stimulus_id=("presentation", [f"s{k}" for k in range(len(MODEL))])
                ),
            ],
            "no stimulus_id in common",
        ),
    ],
)
def test_what_has_nothing_in_common_is_said(make, message):
    with pytest.raises(NeuroferError, match=message):
        common_stimuli(make())
