"""Images to arrays: gray values, area means."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

HEATMAP_INPUT = 112  # side of what the heatmap net sees
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, red, green, blue


def gray(image: np.ndarray) -> np.ndarray:
    """Return the luma of an image, (H, W, 3) uint8 to (H, W) float32 in 0..255.

    >>> gray(np.full((1, 1, 3), 7, dtype=np.uint8)).round(4)
    array([[7.]], dtype=float32)
    """
    return image.astype(np.float32) @ LUMA


def area_mean(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the mean of an image over each cell of a grid, (H, W) to (height, width) float32.

    A pixel that lies across a border counts by the part that lies inside, so that any size can
    be brought to any other; from 224 to 112 it is the mean of 2 x 2 pixels.

    >>> area_mean(np.array([[0.0, 3.0, 6.0]], dtype=np.float32), 1, 2)
    array([[1., 5.]], dtype=float32)
    """
    rows, columns = image.shape
    return _overlap(height, rows) @ image @ _overlap(width, columns).T


@lru_cache(maxsize=32)
def _overlap(cells: int, pixels: int) -> np.ndarray:
    """Return the weight of each pixel in each cell's mean along one axis, (cells, pixels)."""
    edges = np.arange(cells + 1) * (pixels / cells)
    position = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], position + 1) - np.maximum(edges[:-1, None], position)
    share = np.clip(overlap, 0, None) * (cells / pixels)
    return share.astype(np.float32)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as (size, size, 3), bilinear, without keeping its aspect.

    As the paper does with its photographs; an image of that size is returned as it is.
    """
    if image.shape[:2] == (size, size):
        return image
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def network_input(image: np.ndarray, size: int, *, colourless: bool = False) -> np.ndarray:
    """Return an image as a network that is trained here sees it: (channels, size, size) uint8.

    Training and recording both use it, so that they see the same.

    Args:
        image: (H, W, 3) uint8.
        size: height and width in pixels.
        colourless: one channel, of rounded gray values, instead of three.
    """
    image = resize(image, size)
    if colourless:
        return np.rint(gray(image)).astype(np.uint8)[None]
    return np.ascontiguousarray(np.moveaxis(image, 2, 0))


def heatmap_input(image: np.ndarray) -> np.ndarray:
    """Return an image as the heatmap net sees it, (H, W, 3) uint8 to (112, 112) float32, gray.

    It stands here because rendering processes need it and should not import torch.
    """
    return area_mean(gray(image), HEATMAP_INPUT, HEATMAP_INPUT)
