"""Landmarks of drawn faces, on masks whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.faces import LANDMARKS, POSITION_LANDMARKS
from neurofer.stimuli.rendered.part_landmarks import READ, read_landmarks

NAMES = (*LANDMARKS, *POSITION_LANDMARKS)


def box(x: int, y: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((60, 80), np.uint8)
    mask[y : y + height, x : x + width] = 255
    return mask


def where(**parts: np.ndarray) -> dict[str, tuple[float, float]]:
    points = read_landmarks(parts)
    assert points.shape == (13, 2)
    return {
        name: (float(x), float(y))
        for name, (x, y) in zip(NAMES, points, strict=True)
        if not np.isnan(x)
    }


def test_a_pair_of_brows_and_eyes() -> None:
    assert where(brows=box(10, 5, 20, 3) | box(45, 7, 11, 5)) == {
        "left_eyebrow_ext": (10, 6),
        "left_eyebrow_int": (29, 6),
        "right_eyebrow_int": (45, 9),
        "right_eyebrow_ext": (55, 9),
    }
    assert where(eyes=box(10, 20, 11, 5) | box(50, 22, 11, 7)) == {
        "left_eye": (15, 22),
        "right_eye": (55, 25),
        "left_eyelid": (15, 20),
        "right_eyelid": (55, 22),
    }


def test_resting_eyes_locate_the_face_and_the_others_have_the_lids() -> None:
    shut = box(10, 30, 11, 1) | box(50, 30, 11, 1)
    assert where(**{"eyes": shut, "resting eyes": box(10, 20, 11, 5) | box(50, 22, 11, 7)}) == {
        "left_eye": (15, 22),
        "right_eye": (55, 25),
        "left_eyelid": (15, 30),
        "right_eyelid": (55, 30),
    }


def test_a_mouth_and_a_nose() -> None:
    mouth = box(30, 40, 21, 3) | box(38, 38, 5, 9)
    assert where(mouth=mouth, nose=box(39, 30, 3, 5)) == {
        "left_mouth": (30, 41),
        "right_mouth": (50, 41),
        "top_mouth": (40, 38),
        "down_mouth": (40, 46),
        "nose": (40, 32),
    }


def test_dimples_folds_and_shadows_do_not_count() -> None:
    mouth = box(30, 40, 21, 3)
    assert where(mouth=mouth | box(24, 40, 2, 2)) == where(mouth=mouth)
    shadow = box(20, 38, 40, 8) // 2
    assert where(mouth=np.maximum(mouth, shadow)) == where(mouth=mouth)
    # all of it half as opaque is not a shadow
    assert where(mouth=mouth // 2) == where(mouth=mouth)


@pytest.mark.parametrize("part", READ)
def test_what_is_not_there_stays_unknown(part: str) -> None:
    assert where(**{part: np.zeros((60, 80), np.uint8)}) == {}


@pytest.mark.parametrize("part", ["brows", "eyes"])
def test_one_piece_is_no_pair(part: str) -> None:
    assert where(**{part: box(10, 5, 40, 3)}) == {}
