"""The light on a head: one key light with shadows, a fill light, and light from all around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neurofer.faces.checks import check_number
from neurofer.faces.elements import Number, clip01, element, mix, smoothstep, unit
from neurofer.faces.trigonometry import cos_sin

SHADOW_WIDTH = 384
"""Width of the shadow map in texels."""

_SHADOW_EXTENT = 4.6  # decimetres that the shadow map spans
_SHADOW_MIDDLE = (0.0, -0.3, -0.4)
_TEXELS = SHADOW_WIDTH / _SHADOW_EXTENT
_FAR = 20.0

DEPTH_UNITS = 65536.0
"""Depths are integers, in this many parts of a decimetre."""


@dataclass(frozen=True)
class Light:
    """The light, fixed to the camera.

    Attributes:
        azimuth: of the key light in degrees; 0 is from the camera, negative from the image's left.
        elevation: of the key light in degrees; 90 is from above.
        key, fill, ambient: intensities.

    Raises:
        NeuroferError: a number is out of range.
    """

    azimuth: float = -31.0
    elevation: float = 32.0
    key: float = 0.78
    fill: float = 0.20
    ambient: float = 0.36

    def __post_init__(self) -> None:
        for name in ("azimuth", "elevation"):
            check_number(name, getattr(self, name), -360, 360)
        for name in ("key", "fill", "ambient"):
            check_number(name, getattr(self, name), 0, 10)

    def direction(self) -> tuple[float, float, float]:
        """Return the unit vector towards the key light."""
        cos_a, sin_a = cos_sin(self.azimuth)
        cos_e, sin_e = cos_sin(self.elevation)
        return sin_a * cos_e, sin_e, cos_a * cos_e


class Lighting(NamedTuple):
    """The constants that pixels are lit with."""

    x: float  # towards the key light
    y: float
    z: float
    across_x: float  # axes of the shadow map
    across_y: float
    across_z: float
    along_x: float
    along_y: float
    along_z: float
    half_x: float  # between the key light and the camera
    half_y: float
    half_z: float
    fill_x: float
    fill_y: float
    fill_z: float
    key: float
    fill: float
    ambient: float


Vector = tuple[float, float, float]


def axes(direction: Vector) -> tuple[Vector, Vector]:
    """Return two unit vectors that are perpendicular to a direction and to each other."""
    x, y, z = direction
    u = unit(y * 0.013 - z, -x * 0.013, x)
    across = (float(u[0]), float(u[1]), float(u[2]))
    return across, (
        y * across[2] - z * across[1],
        z * across[0] - x * across[2],
        x * across[1] - y * across[0],
    )


def lighting(light: Light, exposure: float = 1.0) -> Lighting:
    """Collect the constants of a light, its intensities times an exposure."""
    direction = light.direction()
    across, along = axes(direction)
    half = unit(direction[0], direction[1], direction[2] + 1.0)
    fill = unit(0.8, 0.1, 0.5)
    intensities = (light.key * exposure, light.fill * exposure, light.ambient * exposure)
    values = (*direction, *across, *along, *half, *fill, *intensities)
    return Lighting(*(float(value) for value in values))


def shadow_coordinates(light: Lighting, turned: np.ndarray) -> np.ndarray:
    """Return column, row (texels) and depth (DEPTH_UNITS) of vertices in the shadow map (V', 3)."""
    x, y, z = (turned[:, axis] - _SHADOW_MIDDLE[axis] for axis in range(3))
    across = x * light.across_x + y * light.across_y + z * light.across_z
    along = x * light.along_x + y * light.along_y + z * light.along_z
    near = x * light.x + y * light.y + z * light.z
    half = _SHADOW_EXTENT / 2
    columns = ((across + half) * _TEXELS, (along + half) * _TEXELS, (_FAR - near) * DEPTH_UNITS)
    return np.stack(columns, axis=1)


@element
def shadow(
    light: Lighting, depth_map: np.ndarray, normal: Number, column: Number, row: Number, far: Number
) -> Number:
    """Return how much of the key light arrives at a point, 0 to 1: 3 x 3 texels are compared.

    The point is moved out along its normal by 0.035, so that a surface does not shade itself.

    Args:
        light: of the scene.
        depth_map: from the key light.
        normal: of the surface.
        column: of the point in the map.
        row: of the point in the map.
        far: depth of the point in the map.
    """
    nx, ny, nz = normal
    step = 0.035 * _TEXELS
    across = column + step * (nx * light.across_x + ny * light.across_y + nz * light.across_z)
    along = row + step * (nx * light.along_x + ny * light.along_y + nz * light.along_z)
    facing = nx * light.x + ny * light.y + nz * light.z
    limit = far - 0.035 * DEPTH_UNITS * facing - 0.02 * DEPTH_UNITS
    middle_x = np.int64(np.floor(across))
    middle_y = np.int64(np.floor(along))
    lit = 0.0
    for dy in range(-1, 2):
        y = np.minimum(np.maximum(middle_y + dy, 0), SHADOW_WIDTH - 1) * SHADOW_WIDTH
        for dx in range(-1, 2):
            x = np.minimum(np.maximum(middle_x + dx, 0), SHADOW_WIDTH - 1)
            lit = lit + (limit < depth_map[y + x]) * 1.0
    return lit * (1.0 / 9.0)


@element
def _key(n_l: Number, wrap: Number, shadow: Number, toon: float) -> Number:
    """The key light on one colour channel; skin carries some of it past the terminator."""
    smooth = clip01((n_l + wrap) / (1.0 + wrap))
    steps = 0.2 + 0.45 * smoothstep(0.25, 0.38, smooth) + 0.35 * smoothstep(0.62, 0.74, smooth)
    return mix(smooth, steps, toon) * (shadow * (1.0 - 0.25 * wrap) + 0.25 * wrap)


@element
def illuminate(
    light: Lighting,
    toon: float,
    normal: Number,
    colour: Number,
    wrap: Number,
    specular: Number,
    gloss: Number,
    rim: Number,
    occlusion: Number,
    shadow: Number,
) -> Number:
    """Return the light that a surface sends to the camera, (red, green, blue), linear.

    gloss 0 is skin, 1 a wet eye; rim brightens skin at grazing angles; occlusion and shadow are 1
    where all light arrives.

    Args:
        light: of the scene.
        toon: 0 for smooth shading, 1 for that of a cartoon.
        normal: of the surface.
        colour: (red, green, blue), linear.
        wrap: how far light reaches around, for each colour.
        specular: strength of the highlight.
        gloss: 0 is skin, 1 a wet eye.
        rim: brightens skin at grazing angles.
        occlusion: 1 where all light from around arrives.
        shadow: 1 where all of the key light arrives.
    """
    nx, ny, nz = normal
    n_l = nx * light.x + ny * light.y + nz * light.z
    n_h = np.maximum(nx * light.half_x + ny * light.half_y + nz * light.half_z, 0.0)
    n_f = nx * light.fill_x + ny * light.fill_y + nz * light.fill_z
    fill = light.fill * clip01((n_f + 0.5) * (2.0 / 3.0))
    sky = 0.5 + 0.5 * ny
    around = occlusion * 0.85 + 0.15
    p2 = n_h * n_h
    p4 = p2 * p2
    p8 = p4 * p4
    p16 = p8 * p8
    p32 = p16 * p16
    p64 = p32 * p32
    sheen = mix(p16 * 0.5 + p32 * 0.5, p64 * p64 * 3.0, gloss)
    sheen = specular * sheen * shadow * (n_l > 0.0)
    away = 1.0 - np.maximum(nz, 0.0)
    edge = away * away * away * 0.10 * occlusion * rim
    ambient = light.ambient
    red = (fill * 0.85 + ambient * mix(0.75, 0.95, sky)) * around
    green = (fill * 0.92 + ambient * mix(0.62, 1.0, sky)) * around
    blue = (fill * 1.0 + ambient * mix(0.55, 1.05, sky)) * around
    red = red + light.key * _key(n_l, wrap[0], shadow, toon)
    green = green + light.key * 0.97 * _key(n_l, wrap[1], shadow, toon)
    blue = blue + light.key * 0.92 * _key(n_l, wrap[2], shadow, toon)
    return (
        colour[0] * red + sheen + edge * 0.9,
        colour[1] * green + sheen + edge * 0.95,
        colour[2] * blue + sheen + edge,
    )


@element
def encode(linear: Number, ink: Number) -> Number:
    """Turn linear light into a display value 0 ... 255; ink in [0, 1] darkens outlines."""
    value = clip01(linear * (1.0 - ink) + 0.04 * ink)
    return np.int64(np.floor((np.sqrt(value) * 0.92 + value * 0.08) * 255.0 + 0.5))
