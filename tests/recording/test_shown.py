"""The stimulus table beside a recording: strengths, names of expressions, ids written otherwise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.recording import check_recording, read_neurons
from neurofer.recording.shown import in_order

EXPRESSIONS = ["neutral", "happy", "sad"]


def _rates(ids) -> pd.DataFrame:
    return pd.DataFrame({"stimulus_id": ids, "c1": np.linspace(1, 2, len(ids))})


def _stimuli(ids, **columns) -> pd.DataFrame:
    base = {"stimulus_id": ids, "identity": "p", "expression": EXPRESSIONS[: len(ids)]}
    return pd.DataFrame(base).assign(**columns)


@pytest.mark.parametrize(
    ("strength", "read"),
    [([0, 20, 100], [0, 20, 100]), (["0", "0.5", "1"], [0, 0.5, 1]), ([0, 1, 1], [0, 1, 1])],
)
def test_strengths_may_be_whole_numbers(strength, read):
    found = read_neurons(_rates(["a", "b", "c"]), _stimuli(["a", "b", "c"], strength=strength))
    check_recording(found)
    assert found["strength"].to_numpy().tolist() == read
    assert ("strengths run to 100" in found.attrs["notes"]) == (max(read) > 1)
    inside = _rates(["a", "b", "c"]).merge(_stimuli(["a", "b", "c"], strength=strength))
    assert read_neurons(inside)["strength"].to_numpy().tolist() == read


def test_strengths_in_european_form(tmp_path):
    (tmp_path / "s.csv").write_text(
        "stimulus_id;identity;expression;strength\na;p;neutral;0\nb;p;happy;0,5\nc;p;sad;1,0\n"
    )
    found = read_neurons(_rates(["a", "b", "c"]), tmp_path / "s.csv")
    assert found["strength"].to_numpy().tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("word", ["Neutral", "NEUTRAL", "neutral"])
def test_neutral_is_neutral_in_any_case(word):
    stimuli = _stimuli(["a", "b"], expression=[word, "Happy"])
    found = read_neurons(_rates(["a", "b"]), stimuli)
    assert found["expression"].to_numpy().tolist() == ["neutral", "happy"]
    assert found["strength"].to_numpy().tolist() == [0, 1]
    assert "Happy as happy" in found.attrs["notes"]


def test_a_laboratory_has_expressions_of_its_own():
    stimuli = _stimuli(["a", "b", "c"], expression=["lipsmack", "threat", "neutral"])
    found = read_neurons(_rates(["a", "b", "c"]), stimuli)
    assert found["expression"].to_numpy().tolist() == ["lipsmack", "threat", "neutral"]
    assert "beyond neurofer's own eight: lipsmack, threat" in found.attrs["notes"]
    assert in_order(["threat", "sad", "lipsmack", "neutral"]) == [
        "neutral",
        "sad",
        "lipsmack",
        "threat",
    ]


@pytest.mark.parametrize(
    ("written", "known"),
    [("1.0", "1"), ("001", "1"), ("1", "01"), ("Face", "face"), ("face", "face.png")],
)
def test_an_id_written_otherwise_is_named(written, known):
    found = read_neurons(_rates([written, "b"]), _stimuli([known, "b"]))
    said = f"stimulus {written!r}: not in the stimulus table, which has {known!r}"
    assert found.attrs["set_aside"] == said
    with pytest.raises(NeuroferError, match="which has"):
        read_neurons(_rates([written]), _stimuli([known]))


def test_what_was_never_shown_and_what_differs_is_said():
    rates = _rates(["a", "b"]).assign(identity=["p", "q"], strength=[0, 1])
    stimuli = _stimuli(["a", "b", "c"], strength=[0.0, 1.0, 1.0])
    notes = read_neurons(rates, stimuli).attrs["notes"]
    assert "1 stimuli of the table were not shown (c)" in notes
    assert "'identity' of the recording differs from the stimulus table's in 1" in notes
    assert "'strength'" not in notes


def test_constants_hold_for_all_stimuli():
    rates = _rates(["a", "b"]).assign(identity=["p", "q"])
    found = read_neurons(rates, constants={"expression": "neutral", "head": "human"})
    assert set(found["expression"].to_numpy()) == {"neutral"}
    assert set(found["strength"].to_numpy()) == {0}
    assert set(found["head"].to_numpy()) == {"human"}
    for constants, message in (
        ({"identity": "p"}, "says the identity of its stimuli itself"),
        ({"expresion": "sad"}, "did you mean 'expression'"),
        (None, "constants="),
    ):
        with pytest.raises(NeuroferError, match=message):
            read_neurons(rates, constants=constants)
