from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neurofer.errors import NeuroferError
from neurofer.faces import PARTS
from neurofer.recording.saliency import GROUPS, UNITS, part_shares, saliency_units

SHAPE = (3, 6, 5)
MASKS = arrays.arrays(np.uint8, SHAPE, elements=st.integers(0, max(PARTS.values())))
MAPS = arrays.arrays(np.float64, SHAPE, elements=st.floats(0, 1e6))


def test_every_part_of_the_renderer_is_in_one_group() -> None:
    assert sorted(part for group in GROUPS.values() for part in group) == sorted(PARTS)


@settings(max_examples=20)
@given(maps=MAPS, parts=MASKS, factor=st.floats(1e-3, 1e3))
def test_shares_and_areas_sum_to_one_whatever_the_scale(
    maps: np.ndarray, parts: np.ndarray, factor: float
) -> None:
    shares, areas = part_shares(maps, parts)
    empty = maps.sum((1, 2)) == 0
    assert (np.isnan(shares).all(1) == empty).all()
    np.testing.assert_allclose(shares[~empty].sum(1), 1)
    np.testing.assert_allclose(areas.sum(1), 1)
    scaled, _ = part_shares(factor * maps, parts)
    np.testing.assert_allclose(scaled[~empty], shares[~empty], rtol=1e-6, atol=1e-12)


@settings(max_examples=20)
@given(maps=MAPS, parts=MASKS)
def test_they_equal_their_loops(maps: np.ndarray, parts: np.ndarray) -> None:
    shares, areas = part_shares(maps, parts)
    for k in range(len(maps)):
        for g, members in enumerate(GROUPS.values()):
            inside = np.isin(parts[k], [PARTS[part] for part in members])
            assert areas[k, g] == pytest.approx(inside.mean())
            if maps[k].sum() > 0:
                assert shares[k, g] == pytest.approx(maps[k][inside].sum() / maps[k].sum())


def test_the_units_of_a_site_are_shares_areas_spread_and_answer() -> None:
    """A map on the mouth, one alike everywhere in what is seen, and one that is empty."""
    parts = np.zeros((3, 4, 4), np.uint8)
    parts[:, 2] = PARTS["lips"]
    maps = np.stack([(parts[0] == PARTS["lips"]).astype(float), np.ones((4, 4)), np.zeros((4, 4))])
    seen = np.ones((3, 4, 4), bool)
    seen[1, :2] = maps[1, :2] = False
    found = saliency_units(maps, parts, seen, np.array([1.0, 0.0, np.nan]), 4)
    values = {unit: found[:, k].tolist() for k, unit in enumerate(UNITS)}
    assert found.shape == (3, len(UNITS))
    assert values["share of mouth"][:2] == [1, 0.5]
    assert values["share of background"][:2] == [0, 0.5]
    assert values["area of mouth"] == [0.25, 0.5, 0.25]
    assert values["spread"][:2] == [0.25, 1]
    assert values["places"] == [4, 4, 4]
    assert np.isnan(values["share of mouth"][2])
    assert np.isnan(values["spread"][2])
    np.testing.assert_array_equal(values["correct"], [1, 0, np.nan])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps[:, :3], r"maps \(2, 3, 4\), part masks \(2, 4, 4\)"),
        (lambda maps: -maps, "nowhere negative"),
        (lambda maps: np.where(maps > 0, np.nan, maps), "must be finite"),
    ],
)
def test_maps_that_are_none_are_said(change, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NeuroferError, match=message):
        part_shares(change(np.ones((2, 4, 4))), np.zeros((2, 4, 4), np.uint8))
