"""Arithmetic that is written once and runs twice: on whole arrays by numpy, on one pixel by numba.

An element function takes and returns numbers or arrays alike and uses only + - * /, square root,
minimum, maximum, floor and table look-ups, all of which IEEE 754 defines to the last bit. It has no
branches on its arguments; a condition enters as a factor. So both backends draw the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from neurofer.faces.random import random_bytes

F = TypeVar("F", bound=Callable[..., Any])
Number = Any  # a float, or an array of them

ELEMENTS: list[Callable[..., Any]] = []
"""Every element function; the numba backend makes them callable from compiled code."""


def element(function: F) -> F:
    """Register an element function, and return it unchanged."""
    ELEMENTS.append(function)
    return function


@element
def mix(a: Number, b: Number, t: Number) -> Number:
    """Blend from a (t = 0) to b (t = 1).

    Args:
        a: at t = 0.
        b: at t = 1.
        t: from 0 to 1.
    """
    return a + (b - a) * t


@element
def square(x: Number) -> Number:
    """Multiply by itself: `**` may call the platform's pow."""
    return x * x


@element
def clip01(x: Number) -> Number:
    """Clip to [0, 1]."""
    return np.minimum(np.maximum(x, 0.0), 1.0)


@element
def smoothstep(a: Number, b: Number, x: Number) -> Number:
    """Rise smoothly from 0 at x = a to 1 at x = b; falls where b < a.

    Args:
        a: where it is 0.
        b: where it is 1.
        x: the place.
    """
    t = np.minimum(np.maximum((x - a) / (b - a), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@element
def bump(squared_radius: Number) -> Number:
    """Fall smoothly from 1 at radius 0 to 0 at radius 1: (1 - r^2)^3."""
    t = np.maximum(0.0, 1.0 - squared_radius)
    return t * t * t


@element
def unit(x: Number, y: Number, z: Number) -> Number:
    """Scale a vector to length 1.

    Args:
        x: component.
        y: component.
        z: component.
    """
    inverse = 1.0 / np.sqrt(x * x + y * y + z * z + 1e-20)
    return x * inverse, y * inverse, z * inverse


@element
def _channel(
    table: np.ndarray, x0: Number, x1: Number, yz: Number, tx: Number, ty: Number, tz: Number
) -> Number:
    """Interpolate one channel of the noise lattice; yz holds the four row offsets."""
    near = mix(
        mix(table[x0 + yz[0]], table[x1 + yz[0]], tx),
        mix(table[x0 + yz[1]], table[x1 + yz[1]], tx),
        ty,
    )
    far = mix(
        mix(table[x0 + yz[2]], table[x1 + yz[2]], tx),
        mix(table[x0 + yz[3]], table[x1 + yz[3]], tx),
        ty,
    )
    return mix(near, far, tz)


@element
def noise4(table: np.ndarray, x: Number, y: Number, z: Number) -> Number:
    """Four independent fields of value noise in [0, 1] at a point; the lattice has step 1.

    Args:
        table: of random numbers.
        x: of the point.
        y: of the point.
        z: of the point.
    """
    fx = np.floor(x)
    fy = np.floor(y)
    fz = np.floor(z)
    ix = np.int64(fx)
    iy = np.int64(fy)
    iz = np.int64(fz)
    tx = x - fx
    ty = y - fy
    tz = z - fz
    tx = tx * tx * (3.0 - 2.0 * tx)
    ty = ty * ty * (3.0 - 2.0 * ty)
    tz = tz * tz * (3.0 - 2.0 * tz)
    x0 = (ix & 31) << 2
    x1 = ((ix + 1) & 31) << 2
    y0 = (iy & 31) << 7
    y1 = ((iy + 1) & 31) << 7
    z0 = (iz & 31) << 12
    z1 = ((iz + 1) & 31) << 12
    rows = (y0 + z0, y1 + z0, y0 + z1, y1 + z1)
    return (
        _channel(table, x0, x1, rows, tx, ty, tz),
        _channel(table, x0 + 1, x1 + 1, rows, tx, ty, tz),
        _channel(table, x0 + 2, x1 + 2, rows, tx, ty, tz),
        _channel(table, x0 + 3, x1 + 3, rows, tx, ty, tz),
    )


@lru_cache(maxsize=1)
def noise_table() -> np.ndarray:
    """Return the lattice of `noise4`: (32 * 32 * 32 * 4,) float32, channels fastest."""
    table = random_bytes(7, 32 * 32 * 32 * 4).astype(np.float32) / np.float32(255)
    table.setflags(write=False)
    return table
