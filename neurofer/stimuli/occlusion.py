"""Real occluders: a gray box over a part of the face, drawn on the image.

A box is placed by the mean position landmarks (eyes and nose) of a person's images, so that it is
the same for every expression: a box that followed the mouth, or a nose that wrinkles, would tell
the expression.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.stimulus_set import StimulusSet


class Box(NamedTuple):
    """A box in the frame of the face, whose origin is the middle between the eyes.

    Its horizontal unit is the distance between the eyes; the vertical one is that distance too
    (`unit` "eyes"), or the distance from the eyes down to the nose ("nose"). Infinite: to the
    border of the image.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    unit: str = "eyes"


# On every rendered head, identity and expression a box covers the expression landmarks of its
# part and none of the other part (measured on the three sets; the tests look again).
OCCLUDERS: dict[str, Box] = {
    "eyes": Box(-1.05, -0.8, 1.05, 0.3),
    "mouth": Box(-0.95, 1.15, 0.95, 3.3, "nose"),
    "left": Box(-np.inf, -np.inf, 0.0, np.inf),
    "right": Box(0.0, -np.inf, np.inf, np.inf),
}
GRAY = 128


def occlude(
    stimuli: StimulusSet,
    occluder: str,
    *,
    region: tuple[float, float, float, float] | None = None,
    gray: int = GRAY,
) -> StimulusSet:
    """Return the set with a gray box drawn on every image, and a column `occluder`.

    Landmarks and part labels stay those of the face behind the box.

    Args:
        stimuli: with landmarks, unless a region is given.
        occluder: "eyes" (with the eyebrows), "mouth", "left" or "right" (half of the image).
            With a region, any word.
        region: a fixed box (x0, y0, x1, y1) in fractions of the image, instead of a box placed
            by each person's eyes and nose.
        gray: of the box, 0..255.

    Raises:
        NeuroferError: the occluder is unknown, the set has no landmarks, or the region is empty.
    """
    if region is None and occluder not in OCCLUDERS:
        raise unknown_choice("occluder", occluder, OCCLUDERS)
    if region is None and stimuli.landmarks is None:
        raise NeuroferError(
            f"stimulus set {stimuli.name!r} has no landmarks to place an occluder by; give a "
            "region=(x0, y0, x1, y1) in fractions of the image"
        )
    if region is not None and not (region[0] < region[2] and region[1] < region[3]):
        raise NeuroferError(f"region={region} is empty; give (x0, y0, x1, y1), x0 < x1 and y0 < y1")
    boxes = None if region is not None else _face_boxes(stimuli, occluder)
    covered = []
    for i, image in enumerate(stimuli.images()):
        height, width = image.shape[:2]
        if boxes is not None:
            x0, y0, x1, y1 = boxes[i]
        else:
            assert region is not None
            x0, y0, x1, y1 = np.multiply(region, (width, height, width, height)) - 0.5
        # A pixel is covered if its centre lies in the box.
        x, y = np.arange(width), np.arange(height)
        inside = ((y >= y0) & (y <= y1))[:, None] & ((x >= x0) & (x <= x1))[None, :]
        copy = image.copy()
        copy[inside] = gray
        covered.append(copy)
    table = stimuli.table
    table["occluder"] = occluder
    parts = [stimuli.parts(i) for i in range(len(stimuli))]
    masks = None if all(part is None for part in parts) else parts
    name = f"{stimuli.name}-{occluder}-covered"
    return StimulusSet.from_arrays(name, table, covered, stimuli.landmarks, masks)


def face_box(positions: np.ndarray, occluder: str) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of an occluder in pixel-centre coordinates.

    Args:
        positions: (3, 2), left eye, right eye and nose.
        occluder: a key of `OCCLUDERS`.
    """
    left, right, nose = positions
    x, y = (float(value) for value in (left + right) / 2)
    box = OCCLUDERS[occluder]
    across = float(right[0] - left[0])
    down = across if box.unit == "eyes" else float(nose[1]) - y
    return x + box.x0 * across, y + box.y0 * down, x + box.x1 * across, y + box.y1 * down


def _face_boxes(stimuli: StimulusSet, occluder: str) -> list[tuple[float, float, float, float]]:
    assert stimuli.landmarks is not None
    table = stimuli.table
    boxes = [(0.0, 0.0, 0.0, 0.0)] * len(stimuli)
    for rows in table.groupby(["head", "identity", "view", "session"]).indices.values():
        box = face_box(stimuli.landmarks[rows, 10:13].mean(axis=0), occluder)
        for i in rows:
            boxes[i] = box
    return boxes
