"""Backgrounds: what might lie out of focus behind a head, the same bytes on every platform."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from neurofer.faces.checks import check_number
from neurofer.faces.elements import smoothstep
from neurofer.faces.random import Random, random_bytes

_COARSE = 40  # cells along a side that shapes are composed on, before they are enlarged


def make_background(seed: int, size: int) -> np.ndarray:
    """Return a background, (size, size, 3) uint8: a lit wall, a room out of focus, soft noise.

    A seed gives the same scene at every size, but for its grain of one pixel.

    Raises:
        NeuroferError: a size outside [8, 2048].

    >>> make_background(7, 64).shape
    (64, 64, 3)
    """
    check_number("size", size, 8, 2048)
    random = Random(seed, "background")
    scene = _wall(random)
    for shapes in (_furniture, _lights):
        scene = shapes(random, scene)
    scene = scene * (1.0 + _clouds(random))[..., None]
    image = _enlarge(scene.astype(np.float32), size)
    noise = random_bytes(random.integer(1 << 62), size * size).reshape(size, size, 1)
    strength = 34.0 * random.uniform() * random.uniform() / 255.0
    grain = (noise.astype(np.float32) - np.float32(127.5)) * np.float32(strength)
    image = image * np.float32(255.0) + grain
    return np.clip(np.floor(image + np.float32(0.5)), 0, 255).astype(np.uint8)


def _colour(random: Random, dark: float, bright: float) -> np.ndarray:
    """Draw a colour, mostly a muted one, (3,): a grey, warmed or cooled, seldom violet."""
    grey = random.uniform(dark, bright)
    warm, green = random.uniform(-1, 1), random.uniform(-0.25, 0.5)
    vivid = 0.12 + 0.55 * random.uniform() * random.uniform()
    tint = np.array([warm - 0.5 * green, 0.2 * warm + green, -1.2 * warm - 0.5 * green])
    return grey * (1.0 + vivid * tint)


@lru_cache(maxsize=1)
def _cells() -> tuple[np.ndarray, np.ndarray]:
    """Return the places of cells, right (1, n) and down (n, 1), from 0 to 1."""
    places = np.arange(_COARSE) / (_COARSE - 1)
    return places[None, :], places[:, None]


def _wall(random: Random) -> np.ndarray:
    """Draw a wall that a lamp lights from some side, (n, n, 3)."""
    x, y = _cells()
    near, far = _colour(random, 0.15, 0.95), random.uniform(0.35, 1.0)
    lamp_x, lamp_y, reach = random.uniform(-0.3, 1.3), random.uniform(-0.3, 0.9), 1.6
    dx, dy = (x - lamp_x) / reach, (y - lamp_y) / reach
    falloff = smoothstep(0.0, 1.0, dx * dx + dy * dy)
    return near * (1.0 + (far - 1.0) * falloff)[..., None]


def _furniture(random: Random, scene: np.ndarray) -> np.ndarray:
    """Put upright boxes with soft edges before the wall: windows, doors, shelves, a floor."""
    x, y = _cells()
    blur = random.uniform(0.04, 0.22)
    for _ in range(1 + random.integer(6)):
        left, width = random.uniform(-0.3, 0.9), random.uniform(0.08, 0.7)
        top, height = random.uniform(-0.4, 0.8), random.uniform(0.15, 1.2)
        across = smoothstep(left - blur, left + blur, x)
        across = across * smoothstep(left + width + blur, left + width - blur, x)
        down = smoothstep(top - blur, top + blur, y)
        down = down * smoothstep(top + height + blur, top + height - blur, y)
        cover = across * down * random.uniform(0.5, 1.0)
        scene = scene + (_colour(random, 0.05, 0.95) - scene) * cover[..., None]
    return scene


def _lights(random: Random, scene: np.ndarray) -> np.ndarray:
    """Put discs of light out of focus into one scene of three."""
    x, y = _cells()
    if random.uniform() > 1 / 3:
        return scene
    radius = random.uniform(0.04, 0.12)
    for _ in range(3 + random.integer(8)):
        dx, dy = (x - random.uniform()) / radius, (y - random.uniform()) / radius
        disc = smoothstep(1.15, 0.65, dx * dx + dy * dy) * random.uniform(0.1, 0.5)
        scene = scene + (_colour(random, 0.7, 1.1) - scene) * disc[..., None]
    return scene


def _clouds(random: Random) -> np.ndarray:
    """Draw smooth noise about 0 of two grain sizes, (n, n)."""
    total = np.zeros((_COARSE, _COARSE))
    for cells, most in ((3 + random.integer(4), 0.9), (8 + random.integer(6), 0.35)):
        lattice = random_bytes(random.integer(1 << 62), cells * cells) / 255.0 - 0.5
        strength = most * random.uniform() * random.uniform()
        total = total + strength * _enlarge(lattice.reshape(cells, cells), _COARSE)
    return total


def _enlarge(values: np.ndarray, size: int) -> np.ndarray:
    """Interpolate (n, n, ...) to (size, size, ...), smoothly along both axes."""
    index, part = _steps(len(values), size)
    part = part.astype(values.dtype)
    tall = part.reshape(-1, *(1,) * (values.ndim - 1))
    rows = values[index] + (values[index + 1] - values[index]) * tall
    wide = tall[None, :, 0]
    return rows[:, index] + (rows[:, index + 1] - rows[:, index]) * wide


@lru_cache(maxsize=64)
def _steps(cells: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for every pixel the cell before it, (size,) int64, and the way to the next one."""
    place = np.arange(size) * ((cells - 1) / (size - 1))
    index = np.minimum(np.floor(place).astype(np.int64), cells - 2)
    step = place - index
    return index, step * step * (3.0 - 2.0 * step) if 4 * cells < size else step
