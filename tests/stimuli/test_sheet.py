from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.stimuli import sheet as sheets
from neurofer.stimuli.sheet import contact_sheet, draw_landmarks

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
