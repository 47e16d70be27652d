from __future__ import annotations

import pytest

from neurofer.errors import NeuroferError, unknown_choice


@pytest.mark.parametrize(
    ("value", "choices", "where", "expected"),
    [
        (
            "angri",
            ["angry", "disgust"],
            "stimulus set 'bfs'",
            "expression='angri' is not in stimulus set 'bfs'; it has angry, disgust; "
            "did you mean 'angry'?",
        ),
        ("xyz", ["angry"], "", "expression='xyz' is unknown; choose from angry"),
        (7, [], "the study", "expression=7 is not in the study; it has nothing"),
    ],
)
def test_message_names_value_choices_and_nearest(value, choices, where, expected):
    error = unknown_choice("expression", value, choices, where)
    assert isinstance(error, NeuroferError)
    assert str(error) == expected


@pytest.mark.parametrize(
    ("value", "choices", "meant"),
    [
        ("NEUTRAL", ["neutral", "happy"], "neutral"),
        ("Hapy", ["neutral", "happy"], "happy"),
        ("n_components", ["N_Components", "seed"], "N_Components"),
        ("Conv1", ["conv1", "CONV1"], "conv1"),
        ("CONV1", ["conv1", "CONV1"], "CONV1"),
        ("xyz", ["neutral"], None),
    ],
)
def test_capitals_are_no_reason_not_to_say_what_was_meant(value, choices, meant):
    said = str(unknown_choice("name", value, choices))
    assert ("did you mean" in said) == (meant is not None)
    assert meant is None or said.endswith(f"did you mean {meant!r}?")
