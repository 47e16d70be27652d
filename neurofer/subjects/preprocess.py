"""Images to arrays: gray values, area means, and what each network was taught to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice

if TYPE_CHECKING:
    import torch

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

    Args:
        image: (H, W).
        height: of the grid.
        width: of the grid.

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


def resize(image: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as (height, width, 3), bilinear; square without a width.

    To a square without keeping its aspect, as the paper does with its photographs; an image of
    that size is returned as it is.

    Args:
        image: (H, W, 3) uint8.
        height: in pixels.
        width: in pixels; by default the height.
    """
    width = width or height
    if image.shape[:2] == (height, width):
        return image
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def cut_middle(image: np.ndarray, size: int, shorter_side: int) -> np.ndarray:
    """Return the middle (size, size, 3) of an image whose shorter side was resized.

    The aspect is kept, and what lies beyond the square is cut off on both sides.

    Args:
        image: (H, W, 3) uint8.
        size: height and width in pixels.
        shorter_side: in pixels, at least `size`.
    """
    height, width = image.shape[:2]
    shorter = min(height, width)
    image = resize(image, height * shorter_side // shorter, width * shorter_side // shorter)
    top, left = ((side - size) // 2 for side in image.shape[:2])
    return image[top : top + size, left : left + size]


@dataclass(frozen=True)
class Preprocessing:
    """What a network sees of an image; the default is what those that are trained here see.

    Channel c of a pixel, 0 to 255, becomes (pixel / scale - mean[c]) / deviation[c].

    Attributes:
        order: of the channels, "RGB" or "BGR"; `mean` and `deviation` are in this order.
        scale, mean, deviation: of the equation; one value serves for all channels.
        shorter_side: the image is brought to so many pixels on its shorter side and its middle is
            cut out; None brings the whole image to the square, without keeping its aspect.

    Raises:
        NeuroferError: a value that none of this can be done with.
    """

    order: str = "RGB"
    scale: float = 127.5
    mean: tuple[float, ...] = (1.0,)
    deviation: tuple[float, ...] = (1.0,)
    shorter_side: int | None = None

    def __post_init__(self) -> None:
        if self.order not in ("RGB", "BGR"):
            raise unknown_choice("order", self.order, ("RGB", "BGR"))
        for name in ("mean", "deviation"):
            if len(getattr(self, name)) not in (1, 3):
                raise NeuroferError(f"{name}={getattr(self, name)}; it has 1 or 3 values")
        if min(self.scale, *self.deviation) <= 0:
            raise NeuroferError(
                f"scale={self.scale} and deviation={self.deviation} must be above 0"
            )

    @classmethod
    def stated(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return what a weight file states under the attributes' names."""
        names = [field.name for field in fields(cls)]
        for name in values:
            if name not in names:
                raise unknown_choice("preprocessing", name, names)
        # JSON, in which a file states them, has lists and no tuples.
        read: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**read)

    def pixels(self, image: np.ndarray, size: int, *, colourless: bool = False) -> np.ndarray:
        """Return an image (H, W, 3) uint8 as (channels, size, size) uint8, RGB or gray.

        Args:
            image: (H, W, 3) uint8.
            size: in pixels.
            colourless: make it gray first.
        """
        if self.shorter_side is not None:
            if self.shorter_side < size:
                raise NeuroferError(
                    f"shorter_side={self.shorter_side} leaves no middle of {size} pixels"
                )
            image = cut_middle(image, size, self.shorter_side)
        return network_input(image, size, colourless=colourless)

    def scaled(self, images: torch.Tensor) -> torch.Tensor:
        """Return RGB or gray images (n, channels, H, W), 0 to 255, as the network's input."""
        images = images.float()
        if self.order == "BGR":
            images = images.flip(1)
        mean, deviation = (
            images.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.deviation)
        )
        images = images / self.scale - mean
        return images if self.deviation == (1.0,) else images / deviation


IMAGENET = Preprocessing("RGB", 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What torch's networks that were trained on ImageNet see."""


# Of photographs of faces, 0 to 255: what face-api and dlib subtract.
_MEAN_RGB = (122.782, 117.001, 104.298)

CONVENTIONS = {
    "caffe": Preprocessing("BGR", 1.0, (103.939, 116.779, 123.68)),
    "torchvision": IMAGENET,
    "dlib": Preprocessing("RGB", 1.0, _MEAN_RGB, (256.0,)),
    "face-api": Preprocessing("RGB", 1.0, _MEAN_RGB, (255.0,)),
}
"""How networks that others trained see pixels."""

_WORDS = {
    "caffe": "BGR, 0 to 255, minus the mean colour of ImageNet",
    "torchvision": "RGB, 0 to 1, standardised by mean and deviation of ImageNet",
    "dlib": f"RGB minus {_MEAN_RGB}, divided by 256",
    "face-api": f"RGB minus {_MEAN_RGB}, divided by 255",
    "opencv-gray": "8-bit gray divided by 127.5, minus 1",
}


def in_words(convention: str) -> str:
    """Return what becomes of pixels under a convention, in words."""
    return _WORDS[convention]


def preprocess(images: torch.Tensor, convention: str) -> torch.Tensor:
    """Turn RGB images (n, 3, H, W), float32 in 0 to 255, into what a network was trained on.

    Args:
        images: RGB, 0 to 255.
        convention: out of `CONVENTIONS`.
    """
    if convention not in CONVENTIONS:
        raise unknown_choice("preprocessing", convention, CONVENTIONS)
    return CONVENTIONS[convention].scaled(images)


def image_tensor(images: np.ndarray | Sequence[np.ndarray]) -> torch.Tensor:
    """Turn images (n, H, W, 3) uint8, or a list of equal-sized ones, into (n, 3, H, W) float32."""
    import torch

    shapes = {np.shape(image) for image in images}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3 or next(iter(shapes))[2] != 3:
        raise NeuroferError(f"images must all have one shape (H, W, 3), got {sorted(shapes)}")
    stack = torch.from_numpy(np.ascontiguousarray(np.stack([np.asarray(i) for i in images])))
    return stack.permute(0, 3, 1, 2).to(torch.float32)


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
