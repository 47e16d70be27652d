"""The camera: where the points of a head fall in the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neurofer.faces.checks import check_number
from neurofer.faces.trigonometry import cos_sin

DISTANCE = 14.0
"""From the camera to the point between the eyes, in decimetres."""

EXTENT = 2.90
"""Width of the frame at the point between the eyes at zoom 1, in decimetres."""


class Frame(NamedTuple):
    """Where the middle of a head is, in decimetres from the point between its eyes.

    One frame serves all identities of a head, so that none of them leaves the image at zoom 1: the
    height is half-way from crown to chin, the depth half-way from the back of the head to the tip
    of nose or muzzle. A head turns about it.
    """

    height: float
    depth: float


@dataclass(frozen=True)
class Camera:
    """How a head is turned and framed.

    Attributes:
        yaw: turns the face to the image's right, in degrees.
        pitch: bows the face, in degrees.
        roll: tilts the face against the clock, in degrees.
        zoom: magnification; 1 shows the whole head, however far it is turned aside.
        shift: moves the face right and down, in fractions of the frame.

    Raises:
        NeuroferError: a number is out of range.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("yaw", "pitch", "roll"):
            check_number(name, getattr(self, name), -360, 360)
        check_number("zoom", self.zoom, 0.1, 20)
        for shift in self.shift:
            check_number("shift", shift, -2, 2)

    def turn(self, vertices: np.ndarray, frame: Frame) -> np.ndarray:
        """Rotate vertices (V, 3) about the middle of the head."""
        x, y, z = vertices[:, 0], vertices[:, 1] - frame.height, vertices[:, 2] - frame.depth
        c, s = cos_sin(self.yaw)
        x, z = c * x + s * z, c * z - s * x
        c, s = cos_sin(self.pitch)
        y, z = c * y - s * z, s * y + c * z
        c, s = cos_sin(self.roll)
        x, y = c * x - s * y, s * x + c * y
        return np.stack([x, y + frame.height, z + frame.depth], axis=1)

    def project(self, turned: np.ndarray, frame: Frame, size: int) -> np.ndarray:
        """Return the places of turned vertices in an image of size pixels, (V, 2) float64.

        Pixel (column, row) has its centre at (column, row): the image spans -0.5 to size - 0.5.

        Args:
            turned: (V, 3) vertices as the camera sees them.
            frame: of the image.
            size: of the image, in pixels.
        """
        x, y, z = turned.T
        scale = size * self.zoom / EXTENT * (DISTANCE / (DISTANCE - z))
        right = size * (0.5 + self.shift[0]) + x * scale
        down = size * (0.5 + self.shift[1]) - (y - frame.height) * scale
        return np.stack([right - 0.5, down - 0.5], axis=1)
