"""An independent face detector finds the heads: OpenCV's Haar cascade of Viola and Jones (2001).

Settings: `haarcascade_frontalface_default.xml`, scaleFactor 1.05, minNeighbors 3, minSize a quarter
of the frame. A face is found when a box holds the tip of its nose and has a plausible width.
"""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.faces import RECIPES, FaceRenderer, Rendering, make_identity

cv2 = pytest.importorskip("cv2")

SIZE = 160
SEEDS = range(3000, 3005)


@pytest.fixture(scope="module")
def cascade() -> cv2.CascadeClassifier:
    cv2.setNumThreads(1)
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")


def found(cascade: cv2.CascadeClassifier, shown: Rendering) -> bool:
    gray = cv2.cvtColor(shown.image, cv2.COLOR_RGB2GRAY)
    boxes = cascade.detectMultiScale(gray, 1.05, 3, minSize=(SIZE // 4, SIZE // 4))
    nose, wide = shown.landmarks[12], np.ptp(shown.landmarks[:, 0])
    return any(
        x < nose[0] < x + w and y < nose[1] < y + h and 1.2 * wide < w < 4.5 * wide
        for x, y, w, h in boxes
    )


@pytest.mark.parametrize(("head", "share"), [("human", 0.95), ("cartoon", 0.95), ("monkey", 0.70)])
def test_faces_are_found(
    renderer: FaceRenderer, cascade: cv2.CascadeClassifier, head: str, share: float
) -> None:
    hits = [
        found(cascade, renderer.render(make_identity(seed, head), e, size=SIZE, ground_truth=False))
        for seed in SEEDS
        for e in RECIPES
    ]
    assert np.mean(hits) >= share


def test_nothing_is_found_without_a_face(
    renderer: FaceRenderer, cascade: cv2.CascadeClassifier
) -> None:
    from neurofer.faces import Camera

    behind = renderer.render(make_identity(1, "human"), size=SIZE, camera=Camera(yaw=180))
    assert not found(cascade, behind)
