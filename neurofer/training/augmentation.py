"""What is done at random to training images, on the device where they are."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional

from neurofer.schema import Strict
from neurofer.training.world import sent


class ImageAugmentation(Strict):
    """What is done at random to a training image; all ranges are symmetric.

    Shift in fractions of the frame, zoom in fractions, roll in degrees; contrast, brightness and
    colour (each channel by itself) in fractions. `mirror`, `gray` and `cover` are probabilities:
    of a left-right reflection, of losing the colour, and of a gray rectangle of a sixth to a third
    of the frame's side.
    """

    shift: float = Field(default=0.06, ge=0)
    zoom: float = Field(default=0.1, ge=0)
    roll: float = Field(default=5.0, ge=0)
    contrast: float = Field(default=0.3, ge=0)
    brightness: float = Field(default=0.15, ge=0)
    colour: float = Field(default=0.1, ge=0)
    mirror: float = Field(default=0.5, ge=0, le=1)
    gray: float = Field(default=0.0, ge=0, le=1)
    cover: float = Field(default=0.0, ge=0, le=1)


def augment_images(
    images: torch.Tensor,
    ranges: ImageAugmentation,
    random: np.random.Generator,
    part: slice | None = None,
    whole: int | None = None,
) -> torch.Tensor:
    """Change images at random.

    The random numbers are drawn for the whole batch, so that every process of several draws the
    same ones and uses its part.

    Args:
        images: (n, C, H, W), 0 to 255.
        ranges: how much.
        random: where the random numbers come from.
        part: which images of the batch these are; default: all.
        whole: how many images the batch has; default: n.

    Returns:
        (n, C, H, W) float32 in 0 to 255.
    """
    part, count, device = part or slice(None), whole or len(images), images.device

    def uniform(limit: float, *shape: int) -> torch.Tensor:
        values = random.uniform(-limit, limit, (count, *shape)).astype(np.float32)
        return sent(values[part], device)

    def chance(probability: float) -> torch.Tensor:
        return sent(random.random(count)[part] < probability, device)

    images = images.float()
    angle, zoom = torch.deg2rad(uniform(ranges.roll)), 1 + uniform(ranges.zoom)
    mirror = 1.0 - 2.0 * chance(ranges.mirror).float()
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = 2 * uniform(ranges.shift, 2)
    rows = [
        torch.stack([cosine * mirror, -sine, shift[:, 0]], 1),
        torch.stack([sine * mirror, cosine, shift[:, 1]], 1),
    ]
    # In bfloat16 the grid would be off by up to half a pixel of 224.
    with torch.autocast(device.type, enabled=False):
        grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
        images = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    contrast = 1 + uniform(ranges.contrast, 1, 1, 1)
    colour = 1 + uniform(ranges.colour, images.shape[1], 1, 1)
    brightness = 255 * uniform(ranges.brightness, 1, 1, 1)
    images = ((images - 127.5) * contrast + 127.5) * colour + brightness
    colourless = chance(ranges.gray)[:, None, None, None]
    images = torch.where(colourless, images.mean(1, keepdim=True), images)
    covered = random.random((count, 6))[part]
    return _cover(images.clamp(0, 255), ranges.cover, covered)


def _cover(images: torch.Tensor, probability: float, draws: np.ndarray) -> torch.Tensor:
    """Draw gray rectangles, in place; `draws` (n, 6) in [0, 1] says where."""
    side = images.shape[-1]
    for image, (use, high, wide, top, left, level) in zip(images, draws, strict=True):
        if use < probability:
            height, width = (int(side * (1 + amount) / 6) for amount in (high, wide))
            y, x = (int(side / 8 + place * side * 13 / 24) for place in (top, left))
            image[:, y : y + height, x : x + width] = 255 * level
    return images
