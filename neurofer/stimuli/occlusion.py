"""Real occluders: a gray box over a part of the face, drawn on the image.

A box is placed by the position landmarks alone (eyes and nose): a box that followed the mouth
would tell the expression by its size.
"""

from __future__ import annotations

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.stimulus_set import StimulusSet

# Boxes in the frame of the face: x runs along the eyes, 0 at their middle and 1 at the right one's
# distance from the left; y runs down, 0 at the eyes and 1 at the nose. (x0, y0, x1, y1); infinite:
# to the border. Chosen so that on every rendered head and expression the box covers the landmarks
# of its part and none of another.
OCCLUDERS: dict[str, tuple[float, float, float, float]] = {
    "eyes": (-1.15, -1.35, 1.15, 0.6),
    "mouth": (-1.0, 1.15, 1.0, 3.0),
    "left": (-np.inf, -np.inf, 0.0, np.inf),
    "right": (0.0, -np.inf, np.inf, np.inf),
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
            by each face's eyes and nose.
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
    covered = []
    for i, image in enumerate(stimuli.images()):
        height, width = image.shape[:2]
        if region is None:
            assert stimuli.landmarks is not None
            x0, y0, x1, y1 = face_box(stimuli.landmarks[i], occluder)
        else:
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
    masks = None if any(part is None for part in parts) else parts
    name = f"{stimuli.name}-{occluder}-covered"
    return StimulusSet.from_arrays(name, table, covered, stimuli.landmarks, masks)


def face_box(landmarks: np.ndarray, occluder: str) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) of an occluder in pixel-centre coordinates.

    Args:
        landmarks: (13, 2), of which the last three (left eye, right eye, nose) are used.
        occluder: a key of `OCCLUDERS`.
    """
    left, right, nose = landmarks[10:13]
    middle = (left + right) / 2
    across = float(right[0] - left[0])
    down = float(nose[1] - middle[1])
    x0, y0, x1, y1 = OCCLUDERS[occluder]
    x, y = float(middle[0]), float(middle[1])
    return x + x0 * across, y + y0 * down, x + x1 * across, y + y1 * down
