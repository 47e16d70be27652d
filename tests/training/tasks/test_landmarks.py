from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from neurofer.faces import LANDMARKS, POSITION_LANDMARKS
from neurofer.subjects.norm_referenced.heatmap import MAP_SIZE
from neurofer.training.tasks.landmarks import (
    MIRROR,
    Augmentation,
    TaskRecipe,
    augment,
    landmark_loss,
    mirror_landmarks,
)

NONE = dict.fromkeys(Augmentation.model_fields, 0.0)
RECIPE = TaskRecipe(name="x", task="landmarks", steps=1, data={"identities": 1})


def spots(cells: torch.Tensor) -> torch.Tensor:
    """Draw one bright spot at each item's first landmark, (n, 1, 112, 112)."""
    axis = torch.arange(112.0)
    x, y = (cells[:, 0] * 2 + 0.5).unbind(1)
    squared = (axis[None, None, :] - x[:, None, None]) ** 2
    squared = squared + (axis[None, :, None] - y[:, None, None]) ** 2
    return 200 * torch.exp(-squared / 8)[:, None]


def centre(images: torch.Tensor) -> torch.Tensor:
    """Return the centre of mass in cells, (n, 2)."""
    mass = images[:, 0] / images[:, 0].sum((1, 2), keepdim=True)
    axis = torch.arange(112.0)
    place = torch.stack([(mass.sum(1) * axis).sum(1), (mass.sum(2) * axis).sum(1)], 1)
    return (place - 0.5) / 2


def test_mirrored_left_is_right():
    names = (*LANDMARKS, *POSITION_LANDMARKS)
    for name, other in zip(names, (names[i] for i in MIRROR), strict=True):
        swapped = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert other == swapped
    cells = torch.rand(2, 13, 2) * 55
    torch.testing.assert_close(mirror_landmarks(mirror_landmarks(cells)), cells)
    assert mirror_landmarks(cells)[0, 0, 0] == MAP_SIZE - 1 - cells[0, 3, 0]


@pytest.mark.parametrize(
    "ranges",
    [{"shift": 0.1}, {"zoom": 0.2}, {"stretch": 0.1}, {"roll": 20.0}, {"mirror": 1.0}],
    ids=lambda ranges: next(iter(ranges)),
)
def test_landmarks_move_with_the_image(ranges):
    torch.manual_seed(0)
    cells = 20 + 16 * torch.rand(6, 13, 2)
    images = spots(cells)
    moved, positions = augment(
        images, cells, Augmentation(**{**NONE, **ranges}), np.random.default_rng(0)
    )
    first = MIRROR[0] if "mirror" in ranges else 0
    torch.testing.assert_close(centre(moved), positions[:, first], atol=0.05, rtol=0)
    assert (positions[:, first] - cells[:, 0]).abs().max() > 0.5


def test_without_ranges_nothing_changes():
    cells = 20 + 16 * torch.rand(2, 13, 2)
    images = spots(cells)
    same, positions = augment(images, cells, Augmentation(**NONE), np.random.default_rng(0))
    torch.testing.assert_close(same, images, atol=1e-2, rtol=0)
    torch.testing.assert_close(positions, cells, atol=1e-4, rtol=0)


def test_a_cover_is_one_gray_rectangle():
    images, cells = torch.zeros(3, 1, 112, 112), torch.zeros(3, 13, 2)
    ranges = Augmentation(**{**NONE, "cover": 1.0})
    covered, _ = augment(images, cells, ranges, np.random.default_rng(0))
    for image in covered[:, 0]:
        rows, columns = torch.nonzero(image, as_tuple=True)
        inside = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert inside.unique().numel() == 1
        assert 18 <= inside.shape[0] <= 37 >= inside.shape[1] >= 18


def test_the_loss_by_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    cells = 1 + 5 * torch.rand(2, 3, 2, generator=generator)
    total = 0.0
    for n in range(2):
        for k in range(3):
            x, y = cells[n, k].tolist()
            target = torch.tensor(
                [
                    [np.exp(-((j - x) ** 2 + (i - y) ** 2) / (2 * 1.2**2)) for j in range(8)]
                    for i in range(8)
                ]
            )
            log_map = functional.log_softmax(logits[n, k].double().flatten(), 0)
            cross_entropy = -float((target.flatten() / target.sum() * log_map).sum())
            p = log_map.exp().reshape(8, 8)
            error_x = abs(float((p.sum(0) * torch.arange(8)).sum()) - x)
            error_y = abs(float((p.sum(1) * torch.arange(8)).sum()) - y)
            total += 0.2 * cross_entropy + 2.0 * (error_x + error_y) / 2
    assert landmark_loss(logits, cells, RECIPE).item() == pytest.approx(total / 6, rel=1e-5)


def test_landmarks_outside_the_frame_do_not_pull_the_position():
    logits = torch.zeros(1, 2, 8, 8)
    cells = torch.tensor([[[3.5, 3.5], [30.0, 3.5]]])
    assert landmark_loss(logits, cells, RECIPE).item() == pytest.approx(0.2 * np.log(64) / 2)
