from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofer.faces.trigonometry import cos_sin


@given(st.floats(-1000, 1000))
def test_agrees_with_libm(degrees: float) -> None:
    cosine, sine = cos_sin(degrees)
    assert cosine == pytest.approx(math.cos(math.radians(degrees)), abs=2e-13)
    assert sine == pytest.approx(math.sin(math.radians(degrees)), abs=2e-13)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(0, (1, 0)), (90, (0, 1)), (180, (-1, 0)), (-90, (0, -1)), (450, (0, 1))],
)
def test_quarter_turns_are_exact(degrees: float, expected: tuple[int, int]) -> None:
    assert cos_sin(degrees) == expected


def test_bits_are_frozen() -> None:
    # Exact on every platform; a change of these bits would change every turned image.
    assert [value.hex() for value in cos_sin(31.0)] == FROZEN


FROZEN = ["0x1.b6dea1e76eadep-1", "0x1.07b3120fddf13p-1"]
