"""The task of the heatmap net: thirteen landmarks on rendered heads of unseen identities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from neurofer.faces import LANDMARKS, POSITION_LANDMARKS
from neurofer.schema import Strict
from neurofer.subjects.norm_referenced.heatmap import (
    MAP_SIZE,
    HeatmapNet,
    expected_position,
    standardise,
    to_cells,
)
from neurofer.subjects.weight_files.tensors import save_tensors
from neurofer.training.batches import batch_positions
from neurofer.training.recipe import Recipe
from neurofer.training.tasks.heads import RenderedHeads, rendered_heads
from neurofer.training.world import World, sent


class Augmentation(Strict):
    """What is done at random to a training image of 112 x 112; all ranges are symmetric.

    Shift in fractions of the frame, zoom and stretch (x against y) in fractions, roll in degrees,
    contrast in fractions, brightness and noise in fractions of 255. `mirror` and `cover` are
    probabilities: of a left-right reflection, and of a gray rectangle over a part of the face.
    """

    shift: float = Field(default=0.08, ge=0)
    zoom: float = Field(default=0.12, ge=0)
    stretch: float = Field(default=0.05, ge=0)
    roll: float = Field(default=4.0, ge=0)
    contrast: float = Field(default=0.4, ge=0)
    brightness: float = Field(default=0.15, ge=0)
    noise: float = Field(default=0.01, ge=0)
    mirror: float = Field(default=0.5, ge=0, le=1)
    cover: float = Field(default=0.0, ge=0, le=1)


class TaskRecipe(Recipe):
    """A recipe of the task `landmarks`.

    The loss of a landmark is `map_weight` times the cross-entropy between the map and a Gaussian
    of `target_sd` cells about the truth, plus `position_weight` times the absolute error of the
    soft-argmax in cells.
    """

    task: Literal["landmarks"]
    compile: Literal[False] = False
    data: RenderedHeads
    channels: tuple[int, int, int, int] = (8, 24, 48, 64)
    augmentation: Augmentation = Augmentation()
    target_sd: float = Field(default=1.2, gt=0)
    map_weight: float = Field(default=0.2, ge=0)
    position_weight: float = Field(default=2.0, ge=0)


class Task:
    """Training and held-out images of a landmark recipe, and what the loop does with them."""

    division = None  # heads rendered for the purpose, not from a stimulus set

    def __init__(self, recipe: TaskRecipe, world: World, *, quiet: bool = False) -> None:
        self.recipe, self.world = recipe, world
        self.heads = rendered_heads(recipe.data, quiet=quiet)
        train = ~self.heads.held_out
        self.inputs = torch.from_numpy(self.heads.inputs[train]).to(world.device)
        cells = to_cells(self.heads.landmarks[train], recipe.data.size)
        self.cells = torch.from_numpy(cells.astype(np.float32)).to(world.device)

    def data(self) -> dict[str, Any]:
        """Describe the rendered heads: their hash, and how many were learned and held out."""
        held_out = int(self.heads.held_out.sum())
        return {
            "source": "rendered",
            "sha256": self.heads.sha256,
            "renderer": self.heads.renderer,
            "training_images": len(self.heads.held_out) - held_out,
            "held_out_images": held_out,
        }

    def net(self) -> nn.Module:
        """Return a new heatmap net."""
        # With channels last the convolutions take two thirds of the time on CPUs (oneDNN).
        net = HeatmapNet(self.recipe.channels)
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def learners(self, net: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Return all parameters: one optimiser."""
        return {"net": list(net.parameters())}

    def positions(self, step: int) -> np.ndarray:
        """Return which training images a step's batch holds."""
        recipe = self.recipe
        return batch_positions(len(self.inputs), recipe.batch_size, recipe.seed, step)

    def losses(self, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield the mean loss over the landmarks of a step's batch."""
        recipe = self.recipe
        positions = self.positions(step)
        random = np.random.default_rng((recipe.seed, 1, step))
        share, device = self.world.share(len(positions)), self.world.device
        shown = sent(positions, device)
        # In bfloat16 the landmarks would be off by up to half a cell.
        with torch.autocast(device.type, enabled=False):
            inputs = self.inputs[shown][:, None].float()
            inputs, cells = augment(inputs, self.cells[shown], recipe.augmentation, random)
            seen = standardise(inputs[share])
        logits = net(seen).float()
        with torch.autocast(device.type, enabled=False):
            yield "net", landmark_loss(logits, cells[share], recipe)

    def validate(self, net: nn.Module) -> float:
        """Return minus the mean error on the held-out identities."""
        return -self._errors(net)["all"]

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Return mean errors in pixels (of the rendered size) on the held-out identities.

        They are called those of validation where they were looked at while training.
        """
        start = "validation_" if self.recipe.evaluate_every else ""
        return {f"{start}{key}": value for key, value in self._errors(net).items()}

    def _errors(self, net: nn.Module) -> dict[str, float]:
        heads, held_out = self.heads, self.heads.held_out
        inputs = torch.from_numpy(heads.inputs[held_out])[:, None].to(self.world.device).float()
        with torch.inference_mode():
            maps = torch.cat([net(standardise(part)).flatten(2) for part in inputs.split(50)])
        maps = maps.cpu()
        cells = expected_position(maps.softmax(-1).unflatten(2, (MAP_SIZE, MAP_SIZE))).numpy()
        difference = cells - to_cells(heads.landmarks[held_out], self.recipe.data.size)
        error = np.linalg.norm(difference, axis=2) * (self.recipe.data.size / MAP_SIZE)
        result = {"all": error.mean(), "expression_landmarks": error[:, : len(LANDMARKS)].mean()}
        for head in self.recipe.data.heads:
            result[head] = error[heads.head[held_out] == head].mean()
        return {key: round(float(value), 4) for key, value in result.items()}

    def save(self, net: nn.Module, path: Path, about: dict[str, Any]) -> None:
        """Write the weights in half precision: the error changes by less than 0.001 pixels.

        Args:
            net: that was trained.
            path: of the weight file.
            about: what the file says of itself.
        """
        tensors = {key: t.half() for key, t in net.state_dict().items() if t.is_floating_point()}
        save_tensors(path, tensors, {**about, "channels": list(self.recipe.channels)})


def landmark_loss(logits: torch.Tensor, cells: torch.Tensor, recipe: TaskRecipe) -> torch.Tensor:
    """Return the loss of maps (n, k, H, W) against true positions (n, k, 2) in cells.

    Args:
        logits: (n, k, H, W) maps.
        cells: (n, k, 2) true positions, in cells of the map.
        recipe: says which loss.
    """
    height, width = logits.shape[-2:]
    log_maps = logits.flatten(2).log_softmax(-1)
    axes = [torch.arange(side, dtype=cells.dtype, device=cells.device) for side in (width, height)]
    near_x = torch.exp(-((axes[0] - cells[..., 0, None]) ** 2) / (2 * recipe.target_sd**2))
    near_y = torch.exp(-((axes[1] - cells[..., 1, None]) ** 2) / (2 * recipe.target_sd**2))
    target = (near_y[..., :, None] * near_x[..., None, :]).flatten(2)
    # A landmark that the augmentation pushed out of the frame has an empty target.
    target = target / target.sum(-1, keepdim=True).clamp(min=1e-6)
    cross_entropy = -(target * log_maps).sum(-1)
    position = expected_position(log_maps.exp().view_as(logits))
    inside = (cells >= 0).all(-1) & (cells[..., 0] <= width - 1) & (cells[..., 1] <= height - 1)
    distance = (position - cells).abs().mean(-1) * inside
    return recipe.map_weight * cross_entropy.mean() + recipe.position_weight * distance.mean()


def augment(
    inputs: torch.Tensor, cells: torch.Tensor, ranges: Augmentation, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change images and landmarks at random.

    Args:
        inputs: (n, 1, H, W) gray, 0..255.
        cells: (n, 13, 2) positions in cells of the maps.
        ranges: how much.
        random: where the random numbers come from.

    Returns:
        new images and new positions of the same shapes.
    """
    count, device = len(inputs), inputs.device

    def uniform(limit: float, *shape: int) -> torch.Tensor:
        values = random.uniform(-limit, limit, (count, *shape)).astype(np.float32)
        return sent(values, device)

    mirrored = sent(random.random(count) < ranges.mirror, device)
    inputs = torch.where(mirrored[:, None, None, None], inputs.flip(-1), inputs)
    cells = torch.where(mirrored[:, None, None], mirror_landmarks(cells), cells)

    zoom, stretch = 1 + uniform(ranges.zoom), uniform(ranges.stretch)
    angle = torch.deg2rad(uniform(ranges.roll))
    scale = torch.stack([zoom * (1 + stretch), zoom * (1 - stretch)], 1)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    forward = rotation * scale[:, None, :]  # frame coordinates, -1..1: new = forward old + shift
    shift = 2 * uniform(ranges.shift, 2)
    inputs, cells = _warp(inputs, cells, forward, shift)

    contrast, brightness = (
        1 + uniform(ranges.contrast, 1, 1, 1),
        uniform(ranges.brightness, 1, 1, 1),
    )
    noise = random.standard_normal(inputs.shape, dtype=np.float32) * (255 * ranges.noise)
    inputs = (inputs - 127.5) * contrast + 127.5 + 255 * brightness + sent(noise, device)
    for position in np.flatnonzero(random.random(count) < ranges.cover):
        _cover(inputs[position, 0], random)
    return inputs, cells


def mirror_landmarks(cells: torch.Tensor) -> torch.Tensor:
    """Reflect positions (n, 13, 2) left to right; what was the left landmark is now the right."""
    # One slice after the other: a list of indices would be copied to the device.
    reflected = torch.stack([cells[:, other] for other in MIRROR], 1)
    return torch.stack([MAP_SIZE - 1 - reflected[..., 0], reflected[..., 1]], -1)


def _mirror_order() -> list[int]:
    names = (*LANDMARKS, *POSITION_LANDMARKS)
    swap = {"left": "right", "right": "left"}
    other = ("_".join(swap.get(part, part) for part in name.split("_")) for name in names)
    return [names.index(name) for name in other]


MIRROR = _mirror_order()


def _warp(
    inputs: torch.Tensor, cells: torch.Tensor, forward: torch.Tensor, shift: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move image and landmarks by the same affine map of the frame."""
    inverse = _inverse(forward)
    back = torch.cat([inverse, -inverse @ shift[:, :, None]], 2)
    grid = functional.affine_grid(back, list(inputs.shape), align_corners=False)
    warped = functional.grid_sample(inputs, grid, padding_mode="border", align_corners=False)
    frame = (cells + 0.5) * (2 / MAP_SIZE) - 1
    moved = frame @ forward.transpose(1, 2) + shift[:, None, :]
    return warped, (moved + 1) * (MAP_SIZE / 2) - 0.5


def _inverse(matrices: torch.Tensor) -> torch.Tensor:
    """Return the inverses of 2 x 2 matrices (n, 2, 2); torch's own waits to know if there are any.

    Rotations with stretches of less than one always have one.
    """
    a, b, c, d = (matrices[:, row, column] for row in (0, 1) for column in (0, 1))
    adjugate = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1)
    return adjugate / (a * d - b * c)[:, None, None]


def _cover(image: torch.Tensor, random: np.random.Generator) -> None:
    """Draw a gray rectangle of a sixth to a third of the frame's side, in place."""
    size = image.shape[-1]
    height, width = random.integers(size // 6, size // 3, 2)
    top, left = random.integers(size // 8, size - size // 3, 2)
    image[top : top + height, left : left + width] = float(random.uniform(0, 255))
