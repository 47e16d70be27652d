"""Looking at a face in the frame of its head, through a window.

The first pass finds the face in a small image. The image is then warped so that the face lies as
in its head's neutral training image, and the trunk sees only a window round the landmarks, at a
zoom of its own: at zoom 1.25 a cell of conv3_3 is 3.2 pixels wide instead of 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from neurofer.subjects.norm_referenced.reference import FaceFrame
from neurofer.subjects.trunk import to_map, to_pixels


@dataclass(frozen=True)
class Window:
    """A rectangle in the frame of a head, sampled at a zoom.

    Attributes:
        origin: (2,) x and y of the first sample's centre, pixels of the frame.
        shape: (height, width) in samples.
        zoom: samples a pixel.
        stride: samples a cell of the trunk's layer.
    """

    origin: np.ndarray
    shape: tuple[int, int]
    zoom: float
    stride: int

    @property
    def cell(self) -> float:
        """The width of a cell in pixels of the frame."""
        return self.stride / self.zoom

    def to_cells(self, points: np.ndarray) -> np.ndarray:
        """Bring points from the frame (pixels) to the layer's map (cells)."""
        return to_map((np.asarray(points) - self.origin) * self.zoom, self.stride)

    def to_frame(self, cells: np.ndarray) -> np.ndarray:
        """Bring points from the layer's map (cells) to the frame (pixels)."""
        return to_pixels(cells, self.stride) / self.zoom + self.origin


def window_round(
    points: np.ndarray,
    margin: float,
    zoom: float,
    stride: int,
    shape: tuple[int, int] | None = None,
) -> Window:
    """Return the window with its middle at the middle of points.

    Args:
        points: (n, 2), pixels of the frame.
        margin: pixels between the outermost points and the border.
        zoom: samples a pixel.
        stride: samples a cell of the trunk's layer.
        shape: (height, width); None for as large as the points and the margin need.
    """
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    if shape is None:
        cell = 2 * stride  # deeper layers need an even number of cells
        width, height = np.ceil((high - low + 2 * margin) * zoom / cell).astype(int) * cell
        shape = (int(height), int(width))
    half = (np.array(shape[::-1]) - 1) / 2 / zoom
    return Window((low + high) / 2 - half, shape, zoom, stride)


def warp(image: torch.Tensor, frame: FaceFrame, window: Window) -> torch.Tensor:
    """Return what the window shows of an image, (1, 3, height, width), bilinear.

    Args:
        image: (1, 3, H, W); beyond its border the border's colour goes on.
        frame: one face: image = scale * frame + shift.
        window: in the frame.
    """
    height, width = window.shape
    scale, shift = frame.scale[0], frame.shift[0]
    x = (window.origin[0] + np.arange(width) / window.zoom) * scale[0] + shift[0]
    y = (window.origin[1] + np.arange(height) / window.zoom) * scale[1] + shift[1]
    # grid_sample counts from -1 at the outer edge of the first pixel to 1 at that of the last.
    x = (2.0 * x + 1.0) / image.shape[3] - 1.0
    y = (2.0 * y + 1.0) / image.shape[2] - 1.0
    grid = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1).astype(np.float32)
    return functional.grid_sample(
        image, torch.from_numpy(grid)[None], align_corners=False, padding_mode="border"
    )


def identity_frame() -> FaceFrame:
    """Return the frame of a training image: the image itself."""
    return FaceFrame(np.ones((1, 2)), np.zeros((1, 2)))
