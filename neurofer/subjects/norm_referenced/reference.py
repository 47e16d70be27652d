"""The reference vector: moved and scaled with the face, chosen by head or by identity.

A face is located by three position landmarks (left eye, right eye, nose). They give the scale and
the shift that bring the frame of the reference (the pixels of its neutral training image) to the
image: image = scale * frame + shift, for x and y apart. Landmarks are read in the frame, so
that a tuning vector means the same for a large, small or stretched face.

The original code subtracts the shift where it should add it, and has one scale, rounded to a
tenth; this is the corrected update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from neurofer.errors import unknown_choice

ALIGNMENTS: Final = ("none", "iso", "xy")


@dataclass(frozen=True)
class FaceFrame:
    """Where faces lie: image = scale * frame + shift.

    Attributes:
        scale: (n, 2), x and y.
        shift: (n, 2), pixels.
    """

    scale: np.ndarray
    shift: np.ndarray

    def __len__(self) -> int:
        return len(self.scale)

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Bring points (n, k, 2) or (k, 2) from the frame to the image."""
        return np.asarray(points) * self.scale[:, None] + self.shift[:, None]

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Bring points (n, k, 2) from the image to the frame."""
        return (np.asarray(points) - self.shift[:, None]) / self.scale[:, None]

    def take(self, rows: np.ndarray) -> FaceFrame:
        """Return the frames of some faces."""
        return FaceFrame(self.scale[rows], self.shift[rows])


def face_frame(
    position: np.ndarray,
    reference: np.ndarray,
    *,
    align: str = "xy",
    vertical_prior: float = 0.0,
) -> FaceFrame:
    """Return the frame of each face from its position landmarks.

    The horizontal scale is the distance of the eyes, the vertical one that of the nose from the
    line between them, each divided by the reference's; the shift brings the centroids together.
    Missing landmarks (NaN): with one, its place is taken from the reference triangle at the scale
    of the other two; with two, the scale is 1; a face without any stays NaN.

    Args:
        position: (n, 3, 2) left eye, right eye, nose, pixels.
        reference: (n, 3, 2) or (3, 2), the same landmarks of the neutral training image.
        align: "xy" (two scales), "iso" (one, the mean of both), "none" (shift only).
        vertical_prior: 0 to 1, how far the vertical scale is drawn towards 1. Identities differ
            in how low the nose sits, which is not a scale of the face.

    Raises:
        NeuroferError: unknown alignment.
    """
    if align not in ALIGNMENTS:
        raise unknown_choice("align", align, ALIGNMENTS)
    position = np.asarray(position, dtype=np.float64)
    reference = np.broadcast_to(np.asarray(reference, dtype=np.float64), position.shape)
    position = complete_triangle(position, reference)
    across = _eye_distance(position) / _eye_distance(reference)
    down = _nose_drop(position) / _nose_drop(reference)
    scale = np.stack([across, 1.0 + (1.0 - vertical_prior) * (down - 1.0)], axis=-1)
    if align == "iso":
        scale = np.repeat(np.stack([across, down], axis=-1).mean(-1, keepdims=True), 2, axis=-1)
    elif align == "none":
        scale = np.where(np.isnan(scale), np.nan, 1.0)
    shift = position.mean(axis=1) - scale * reference.mean(axis=1)
    return FaceFrame(scale, shift)


def complete_triangle(position: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Fill missing position landmarks (NaN) from the reference triangle.

    Args:
        position: (n, 3, 2); a landmark is missing if either coordinate is NaN.
        reference: (n, 3, 2).

    Returns:
        a copy; faces of which no landmark was found stay NaN.
    """
    position = np.array(position, dtype=np.float64)
    missing = np.isnan(position).any(axis=-1)
    for row in np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1)):
        found = np.flatnonzero(~missing[row])
        scale = 1.0
        if len(found) == 2:
            one, two = found
            scale = float(
                np.linalg.norm(position[row, one] - position[row, two])
                / np.linalg.norm(reference[row, one] - reference[row, two])
            )
        shift = (position[row, found] - scale * reference[row, found]).mean(axis=0)
        position[row, missing[row]] = scale * reference[row, missing[row]] + shift
    return position


def inferred_reference(expressive: np.ndarray, tuning: np.ndarray) -> np.ndarray:
    """Return the reference of a head whose neutral was never seen: r = s - t_m.

    Args:
        expressive: landmarks (..., l, 2) of an image of that head that shows expression m.
        tuning: displacement (..., l, 2) of that expression, from another head.
    """
    return np.asarray(expressive, dtype=np.float64) - np.asarray(tuning, dtype=np.float64)


def _eye_distance(position: np.ndarray) -> np.ndarray:
    return np.linalg.norm(position[:, 1] - position[:, 0], axis=-1)


def _nose_drop(position: np.ndarray) -> np.ndarray:
    return position[:, 2, 1] - position[:, :2, 1].mean(axis=1)


def rescale(points: np.ndarray, shape: Sequence[int], to: Sequence[int]) -> np.ndarray:
    """Bring pixel-centre coordinates from an image of one (height, width) to one of another.

    Args:
        points: (..., 2) x and y.
        shape: (height, width) that they belong to.
        to: (height, width) that they are brought to.
    """
    factor = np.array([to[1] / shape[1], to[0] / shape[0]])
    return np.asarray((points + 0.5) * factor - 0.5)
