"""A small net that finds the thirteen landmarks of a face: the `heatmap` landmark back end.

It sees a gray image of 112 x 112 and gives one map of 56 x 56 a landmark; the landmark is the mean
position under the map's softmax (soft-argmax: Sun et al. 2018, "Integral human pose regression").
Its weights are shipped: `heatmap` was trained on rendered heads of all three kinds,
`heatmap-human` on rendered humans only (`neurofer train heatmap` makes them again).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.subjects.networks.weightless import weightless
from neurofer.subjects.preprocess import heatmap_input
from neurofer.subjects.weight_files.shipped import FOLDER
from neurofer.subjects.weight_files.tensors import load_tensors, tensors_hash

MAP_SIZE = 56
LANDMARK_COUNT = 13
NAMES = ("heatmap", "heatmap-human")
CONFIDENCE_RADIUS = 2.5  # cells of the map: 10 pixels of a 224-pixel image


def load(name: str | os.PathLike[str]) -> LandmarkNet:
    """Return the landmark net that is shipped under a name, or that lies in a weight file.

    Args:
        name: one of `NAMES`, or the path of a file that `neurofer train` wrote.

    Raises:
        NeuroferError: an unknown name, a missing file, or a file with the wrong content.
    """
    text = os.fspath(name)
    if text in NAMES:
        path = FOLDER / f"{text}.safetensors"
    elif text.endswith(".safetensors"):
        path = Path(text)
    else:
        raise unknown_choice("landmark net", text, [*NAMES, "a .safetensors file"])
    tensors, about = load_tensors(path)
    try:
        with weightless():  # a few bytes may ask for more than fits into memory
            own = HeatmapNet(tuple(about["channels"])).state_dict()
        if any(own[key].shape != value.shape for key, value in tensors.items()):
            raise ValueError("its tensors have other shapes")
        net = HeatmapNet(tuple(about["channels"]))
        net.load_state_dict({key: value.float() for key, value in tensors.items()})
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise NeuroferError(f"{path} does not hold a heatmap net: {error}") from error
    return LandmarkNet(name=Path(text).stem, net=net.eval(), about=about)


@dataclass(frozen=True, eq=False)
class LandmarkNet:
    """A trained heatmap net that takes images of any size.

    Attributes:
        name: of the weights.
        net: in evaluation mode.
        about: the recipe and the data that it was trained on.
    """

    name: str
    net: HeatmapNet
    about: dict[str, Any]

    @cached_property
    def sha256(self) -> str:
        """The hash of the weights."""
        return tensors_hash(self.net.state_dict())

    def predict(
        self, images: Sequence[np.ndarray], *, batch_size: int = 16
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the landmarks in images.

        Args:
            images: n arrays (H, W, 3) uint8, RGB. An image that is not square is squashed, as in
                the trunk; a face should fill the frame about as in the rendered sets.
            batch_size: images in one forward pass.

        Returns:
            the landmarks, (n, 13, 2) float64, x and y in pixel-centre coordinates of each image,
            and the confidence, (n, 13) float32: the share of the map's mass within ten pixels (of
            224) of the landmark.
        """
        positions, confidence = [], []
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            inputs = torch.from_numpy(np.stack([heatmap_input(image) for image in batch]))[:, None]
            with torch.inference_mode():
                maps = (
                    self.net(standardise(inputs))
                    .flatten(2)
                    .softmax(-1)
                    .unflatten(2, (MAP_SIZE,) * 2)
                )
                cells = expected_position(maps)
                confidence.append(_mass_near(maps, cells).numpy())
            sizes = [image.shape[:2] for image in batch]
            positions.append(to_pixels(cells.double().numpy(), np.array(sizes)))
        if not positions:
            return np.empty((0, LANDMARK_COUNT, 2)), np.empty((0, LANDMARK_COUNT), np.float32)
        return np.concatenate(positions), np.concatenate(confidence)


class HeatmapNet(nn.Module):
    """A U-Net of five scales: (n, 1, 112, 112) standardised gray to (n, 13, 56, 56) map logits.

    Ronneberger, Fischer and Brox 2015, without its last decoding step: the maps have half the
    input's resolution, and the soft-argmax reads them below the cell.
    """

    def __init__(self, channels: tuple[int, ...] = (8, 24, 48, 64)) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.channels = tuple(channels)
        self.encode1 = _convolution(1, c1)
        self.encode2 = nn.Sequential(_convolution(c1, c2), _convolution(c2, c2))
        self.encode3 = nn.Sequential(_convolution(c2, c3), _convolution(c3, c3))
        self.encode4 = nn.Sequential(_convolution(c3, c4), _convolution(c4, c4))
        self.encode5 = nn.Sequential(_convolution(c4, c4), _convolution(c4, c4))
        self.decode4 = _convolution(2 * c4, c4)
        self.decode3 = _convolution(c4 + c3, c3)
        self.decode2 = _convolution(c3 + c2, c2)
        self.read = nn.Conv2d(c2, LANDMARK_COUNT, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the maps."""
        scale1 = self.encode1(image)
        scale2 = self.encode2(functional.max_pool2d(scale1, 2))
        scale3 = self.encode3(functional.max_pool2d(scale2, 2))
        scale4 = self.encode4(functional.max_pool2d(scale3, 2))
        scale5 = self.encode5(functional.max_pool2d(scale4, 2))
        scale4 = self.decode4(torch.cat([_double(scale5), scale4], 1))
        scale3 = self.decode3(torch.cat([_double(scale4), scale3], 1))
        scale2 = self.decode2(torch.cat([_double(scale3), scale2], 1))
        return self.read(scale2)


def standardise(inputs: torch.Tensor) -> torch.Tensor:
    """Bring every image of (n, 1, H, W) to mean 0 and standard deviation 1."""
    mean = inputs.mean((2, 3), keepdim=True)
    deviation = inputs.std((2, 3), keepdim=True)
    return (inputs - mean) / (deviation + 1e-3 * 255)


def soft_argmax(logits: torch.Tensor) -> torch.Tensor:
    """Return the mean position under each map's softmax, (n, k, H, W) to (n, k, 2): x, y in cells.

    The centre of the first cell is 0, 0.
    """
    return expected_position(logits.flatten(2).softmax(-1).view_as(logits))


def expected_position(maps: torch.Tensor) -> torch.Tensor:
    """Return the mean position under maps that sum to 1, as `soft_argmax` does for logits."""
    height, width = maps.shape[-2:]
    x = (maps.sum(-2) * torch.arange(width, dtype=maps.dtype, device=maps.device)).sum(-1)
    y = (maps.sum(-1) * torch.arange(height, dtype=maps.dtype, device=maps.device)).sum(-1)
    return torch.stack([x, y], -1)


def to_pixels(cells: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Turn map positions into pixel-centre coordinates of images.

    Args:
        cells: (n, k, 2) x, y in cells of the 56 x 56 maps.
        sizes: (n, 2) height and width of each image.
    """
    pixels_per_cell = sizes[:, None, ::-1] / MAP_SIZE
    return (cells + 0.5) * pixels_per_cell - 0.5


def to_cells(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Turn pixel-centre coordinates in square images into map positions (see `to_pixels`)."""
    return (landmarks + 0.5) * (MAP_SIZE / size) - 0.5


def _mass_near(maps: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Return each map's mass within `CONFIDENCE_RADIUS` of a position, (n, k)."""
    axis = torch.arange(MAP_SIZE, dtype=maps.dtype)
    squared_x = (axis - cells[..., 0, None]) ** 2
    squared_y = (axis - cells[..., 1, None]) ** 2
    near = squared_x[..., None, :] + squared_y[..., :, None] <= CONFIDENCE_RADIUS**2
    return (maps * near).sum((-2, -1))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _double(maps: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="nearest")
