from __future__ import annotations

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.stimuli.images import image_sha256
from neurofer.stimuli.occlusion import OCCLUDERS, face_box, occlude

from .conftest import make_stimuli

UPPER, MOUTH = [0, 1, 2, 3, 8, 9], [4, 5, 6, 7]
LEFT, RIGHT = [0, 1, 4, 8], [2, 3, 6, 9]  # the middle of the mouth lies on the border
COVERED = {"eyes": UPPER, "mouth": MOUTH, "left": LEFT, "right": RIGHT}
FREE = {"eyes": [*MOUTH, 12], "mouth": [*UPPER, 10, 11, 12], "left": RIGHT, "right": LEFT}


@pytest.fixture(scope="module")
def rendered() -> StimulusSet:
    return load_stimuli("bfs-wide", size=48, seeds=(1,))


@pytest.mark.parametrize("occluder", OCCLUDERS)
def test_a_box_covers_its_part_and_no_other(rendered: StimulusSet, occluder: str) -> None:
    covered = occlude(rendered, occluder)
    landmarks = rendered.landmarks
    assert landmarks is not None
    for before, after, points in zip(rendered.images(), covered.images(), landmarks, strict=True):
        gray = (after == 128).all(axis=2)
        np.testing.assert_array_equal(after[~gray], before[~gray])
        columns, rows = np.round(points).astype(int).T
        assert gray[rows, columns][COVERED[occluder]].all()
        x0, y0, x1, y1 = face_box(points[10:13], occluder)
        x, y = points[FREE[occluder]].T
        assert not ((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)).any()


def test_the_box_does_not_tell_the_expression(rendered: StimulusSet) -> None:
    table = rendered.table
    for occluder in ("eyes", "mouth"):
        masks = [(image == 128).all(axis=2) for image in occlude(rendered, occluder).images()]
        boxes = [tuple(np.argwhere(mask)[[0, -1]].ravel()) for mask in masks]
        assert (table.assign(box=boxes).groupby("identity")["box"].nunique() == 1).all()


def test_ground_truth_and_table_are_kept() -> None:
    stimuli = make_stimuli()
    covered = occlude(stimuli, "left")
    assert covered.table["occluder"].tolist() == ["left"] * 12
    same = [c for c in stimuli.table.columns if c != "image_sha256"]
    assert covered.table[same].equals(stimuli.table[same])
    hashes = [image_sha256(image) for image in covered.images()]
    assert covered.table["image_sha256"].tolist() == hashes
    np.testing.assert_array_equal(covered.parts(3), stimuli.parts(3))
    np.testing.assert_array_equal(covered.landmarks, stimuli.landmarks)
    assert covered.identifier.startswith("tiny-left-covered-simulated-")


def test_a_fixed_region() -> None:
    stimuli = make_stimuli()
    bare = StimulusSet.from_arrays("bare", stimuli.table, list(stimuli.images()))
    covered = occlude(bare, "band", region=(0, 0.25, 1, 0.5), gray=7)
    expected = stimuli.image(2).copy()
    expected[4:8] = 7
    np.testing.assert_array_equal(covered.image(2), expected)


def test_what_cannot_be_placed_is_refused() -> None:
    stimuli = make_stimuli()
    with pytest.raises(NeuroferError, match="did you mean 'mouth'"):
        occlude(stimuli, "mouht")
    with pytest.raises(NeuroferError, match="is empty"):
        occlude(stimuli, "band", region=(0.5, 0, 0.5, 1))
    bare = StimulusSet.from_arrays("bare", stimuli.table, list(stimuli.images()))
    with pytest.raises(NeuroferError, match="no landmarks"):
        occlude(bare, "mouth")
