from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofer.reports.blocks import Section, spans
from neurofer.reports.numbers import counted, fixed, interval, listed, measured, published
from neurofer.studies.claims import ClaimRow


@given(st.text(st.characters(exclude_characters="`*")))
def test_plain_text_is_one_part(text: str) -> None:
    assert spans(text) == ([("text", text)] if text else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`a` b", [("code", "a"), ("text", " b")]),
        ("**a**`b`", [("strong", "a"), ("code", "b")]),
        ("a ` b", [("text", "a ` b")]),
        ("2 * 3 ** 4", [("text", "2 * 3 ** 4")]),
        ("`#set page()` $x$", [("code", "#set page()"), ("text", " $x$")]),
    ],
)
def test_spans(text: str, expected: list[tuple[str, str]]) -> None:
    assert spans(text) == expected


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(97.916, 1, "97.9"), (100.0, 1, "100.0"), (0.97649, 3, "0.976"), (None, 1, "–"),
     (0.0, 3, "0.000"),
     (float("nan"), 1, "–"), (99.96, 1, "100.0"), (-3.0, 1, "−3.0")],
)  # fmt: skip
def test_fixed(value: float | None, digits: int, expected: str) -> None:
    assert fixed(value, digits) == expected


def test_numbers_of_a_claim() -> None:
    row = ClaimRow("a", "A", published=14.3, measured=97.916, low=92.77, high=100, unit="%")
    assert (published(row), measured(row), interval(row)) == ("14.3", "97.9", "92.8–100.0")
    assert measured(ClaimRow("a", "A", measured=0.97649)) == "0.976"
    assert interval(ClaimRow("a", "A", low=-0.1, high=0.25)) == "−0.100 to 0.250"
    assert measured(ClaimRow("a", "A", measured=0.97649, digits=2)) == "0.98"


def test_words() -> None:
    assert listed(["a"]) == "a"
    assert listed([]) == ""
    assert listed(["a", "b"]) == "a and b"
    assert counted(1, "identity", "identities") == "1 identity"
    assert counted(2, "identity", "identities") == "2 identities"
    assert Section("What did not hold?").anchor == "what-did-not-hold"
