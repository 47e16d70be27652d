from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import PARTS
from neurofer.stimuli import StimulusSet
from neurofer.stimuli import sheet as sheets
from neurofer.stimuli.sheet import contact_sheet, draw_landmarks, paint_parts, strength_ramps

from .conftest import make_stimuli


def flat(i: int) -> np.ndarray:
    return np.full((20, 20, 3), (20 * i + 10, 0, 255), np.uint8)


def test_every_cell_shows_its_stimulus() -> None:
    table = make_stimuli().table[["head", "expression"]]
    stimuli = StimulusSet.from_arrays("flat", table, [flat(i) for i in range(12)])
    picture = contact_sheet(stimuli, rows="head", columns="expression", cell=40)
    corners = {}
    for i in range(12):
        ys, xs = np.nonzero((picture == flat(i)[0, 0]).all(axis=2))
        assert len(ys) == 40 * 40
        corners[i] = (ys.min(), xs.min())
    for column, axis in (("head", 0), ("expression", 1)):
        values = list(dict.fromkeys(table[column]))
        places = sorted({corner[axis] for corner in corners.values()})
        assert np.diff(places).tolist() == [44] * (len(values) - 1)
        for i, corner in corners.items():
            assert values[places.index(corner[axis])] == table[column][i]


def test_the_title_says_what_it_is(stimuli: StimulusSet) -> None:
    title = sheets._title(stimuli, 1)
    assert title == f"{stimuli.identifier}: 12 images, simulated"
    assert "first of up to 3 a cell" in sheets._title(stimuli, 3)
    assert "photographs" in sheets._title(make_stimuli(source="photograph"), 1)


def test_columns_must_exist_and_fit(stimuli: StimulusSet) -> None:
    with pytest.raises(NeuroferError, match="did you mean 'identity'"):
        contact_sheet(stimuli, rows="identty")
    many = StimulusSet.from_arrays("many", pd.DataFrame({"head": range(40)}), [flat(0)] * 40)
    with pytest.raises(NeuroferError, match="more than 1000 cells"):
        contact_sheet(many, rows="stimulus_id", columns="head")


def test_images_keep_their_aspect() -> None:
    frame = np.asarray(sheets._fit(np.zeros((10, 20, 3), np.uint8), 40))
    assert (frame[19:21] == 0).all()
    assert (frame[:9] != 0).all()


def test_landmarks_are_drawn_where_they_are() -> None:
    gray = np.full((50, 40, 3), 128, np.uint8)
    points = np.full((13, 2), np.nan)
    points[0] = (10, 20)
    points[12] = (30, 35)
    drawn = draw_landmarks(gray, points, scale=4)
    assert drawn.shape == (200, 160, 3)
    changed = (drawn != 128).any(axis=2)
    for x, y in points[[0, 12]]:
        box = changed[int(4 * y) - 8 : int(4 * y) + 12, int(4 * x) - 8 : int(4 * x) + 12]
        assert box.any()
        ys, xs = np.nonzero(box)
        centre = np.array([ys.mean() - 8 + 4 * y, xs.mean() - 8 + 4 * x])
        # a pixel centre (x, y) lies at 4 * (x + 0.5) - 0.5 in the enlarged image
        np.testing.assert_allclose(centre, [4 * y + 1.5, 4 * x + 1.5], atol=1)
        changed[int(4 * y) - 8 : int(4 * y) + 12, int(4 * x) - 8 : int(4 * x) + 12] = False
    assert not changed.any()
    assert (gray == 128).all()


def test_landmarks_need_two_coordinates() -> None:
    with pytest.raises(NeuroferError, match=r"\(k, 2\)"):
        draw_landmarks(np.zeros((4, 4, 3), np.uint8), np.zeros((13, 3)))


def test_landmarks_lie_on_the_cell_as_on_the_image() -> None:
    points = np.full((1, 13, 2), np.nan)
    points[0, 0] = (10, 5)
    image = np.full((20, 40, 3), 128, np.uint8)
    stimuli = StimulusSet.from_arrays("one", pd.DataFrame({"head": ["a"]}), [image], points)
    plain, marked = (
        np.array(sheets._pictures(stimuli, [0], 80, landmarks=marks, parts=False)[0])
        for marks in (False, True)
    )
    ys, xs = np.nonzero((plain != marked).any(axis=2))
    # twice as large, and 20 below the upper edge of the square cell
    assert (xs.mean(), ys.mean()) == (pytest.approx(20.5, abs=0.6), pytest.approx(30.5, abs=0.6))


def test_parts_are_painted_and_the_background_is_not() -> None:
    image = np.full((4, 6, 3), 90, np.uint8)
    labels = np.zeros((4, 6), np.uint8)
    labels[1, 2], labels[2, 3] = PARTS["skin"], PARTS["lips"]
    painted = paint_parts(image, labels)
    changed = (painted != 90).any(axis=2)
    np.testing.assert_array_equal(changed, labels > 0)
    assert (painted[1, 2] != painted[2, 3]).any()
    assert len(sheets._PART_COLOURS) == max(PARTS.values()) + 1
    assert len({tuple(colour) for colour in sheets._PART_COLOURS}) == len(PARTS)
    with pytest.raises(NeuroferError, match=r"\(2, 6\).*\(4, 6\)"):
        paint_parts(image, labels[:2])


def ramp_set() -> StimulusSet:
    rows = [
        ("a", "a1", "neutral", 0.0), ("a", "a1", "happy", 1.0), ("a", "a1", "happy", 0.5),
        ("a", "a1", "sad", 1.0), ("a", "a2", "happy", 0.25), ("a", "a2", "happy", 0.5),
        ("b", "b1", "happy", 0.5), ("b", "b1", "happy", 1.0), ("c", "c1", "happy", 1.0),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["head", "identity", "expression", "strength"])
    return StimulusSet.from_arrays("ramps", table, [flat(i) for i in range(len(rows))])


def test_a_ramp_goes_from_neutral_to_full_strength() -> None:
    picture = strength_ramps(ramp_set(), cell=20)

    ys, xs = np.nonzero((picture == flat(1)[0, 0]).all(axis=2))
    top, left = ys.min(), xs.min()
    cells = {}
    for i in (0, 1, 2, 3, 6, 7):
        ys, xs = np.nonzero((picture == flat(i)[0, 0]).all(axis=2))
        found = {((y - top) // 24, (x - left) // 24) for y, x in zip(ys, xs, strict=True)}
        cells[i] = {(int(y), int(x)) for y, x in found}
    # rows: a happy, a sad, b happy; columns: 0, 0.5, 1, counted from "happy at full strength"
    assert cells == {
        0: {(0, -2), (1, -2)}, 1: {(0, 0)}, 2: {(0, -1)}, 3: {(1, 0)}, 6: {(2, -1)}, 7: {(2, 0)},
    }  # fmt: skip
    for unseen in (4, 5, 8):  # another person; a head with one strength
        assert not (picture == flat(unseen)[0, 0]).all(axis=2).any()


def test_what_cannot_be_drawn_is_said(stimuli: StimulusSet) -> None:
    bare = StimulusSet.from_arrays("bare", stimuli.table, [flat(i) for i in range(12)])
    with pytest.raises(NeuroferError, match="no landmarks"):
        contact_sheet(bare, landmarks=True)
    with pytest.raises(NeuroferError, match="no parts"):
        contact_sheet(bare, parts=True)
    with pytest.raises(NeuroferError, match="no expression at several strengths"):
        strength_ramps(bare)
