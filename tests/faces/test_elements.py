from __future__ import annotations

import numpy as np
import pytest

from neurofer.faces import elements
from neurofer.faces.elements import ELEMENTS, mix, noise4, noise_table, smoothstep, unit


def test_smoothstep() -> None:
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert smoothstep(0.0, 1.0, x).tolist() == [0, 0, 0.5, 1, 1]
    assert smoothstep(1.0, 0.0, x).tolist() == [1, 1, 0.5, 0, 0]


def test_unit_has_length_one() -> None:
    vector = np.array(unit(np.array([3.0]), np.array([4.0]), np.array([12.0])))
    assert vector.ravel() == pytest.approx(np.array([3, 4, 12]) / 13)


def test_noise_meets_its_lattice_and_repeats() -> None:
    table = noise_table().reshape(32, 32, 32, 4)  # z, y, x, channel
    x, y, z = (np.arange(5.0) * step for step in (1, 2, 3))
    expected = [table[int(c), int(b), int(a)] for a, b, c in zip(x, y, z, strict=True)]
    got = np.stack(noise4(noise_table(), x, y, z), axis=1)
    assert np.array_equal(got, expected)
    assert np.allclose(noise4(noise_table(), x + 0.3, y, z), noise4(noise_table(), x - 31.7, y, z))


def test_noise_interpolates_between_lattice_points() -> None:
    a, m, b = (noise4(noise_table(), np.float64(x), 2.0, 5.0)[0] for x in (7.0, 7.5, 8.0))
    assert m == pytest.approx((a + b) / 2)


def test_noise_channels_are_independent() -> None:
    values = noise_table().reshape(-1, 4)
    assert np.abs(np.corrcoef(values.T) - np.eye(4)).max() < 0.02
    assert values.mean() == pytest.approx(0.5, abs=0.01)


def test_elements_take_numbers_and_arrays_alike() -> None:
    table = noise_table()
    points = np.linspace(-3, 3, 24).reshape(8, 3)
    whole = noise4(table, *points.T)
    single = [noise4(table, *(np.float64(value) for value in point)) for point in points]
    assert np.array_equal(np.stack(whole, axis=1), single)


def test_all_elements_are_registered() -> None:
    assert {mix, smoothstep, unit, noise4} <= set(ELEMENTS)
    assert len({f.__qualname__ for f in ELEMENTS}) == len(ELEMENTS)
    assert elements.element(mix) is mix
    ELEMENTS.pop()
