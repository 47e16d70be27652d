"""Cosine and sine from + - * / alone: libm differs between platforms in its last bits."""

from __future__ import annotations

import math

# Taylor coefficients; below 45 degrees the first term left out is under 1e-17.
_COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(9))
_SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(9))
_RADIANS = 3.141592653589793 / 180.0


def cos_sin(degrees: float) -> tuple[float, float]:
    """Return cosine and sine of an angle in degrees, the same bits on every platform.

    >>> cos_sin(90.0)
    (0.0, 1.0)
    """
    quarter = math.floor(degrees / 90.0 + 0.5)
    angle = (degrees - 90.0 * quarter) * _RADIANS
    square = angle * angle
    cosine = _polynomial(_COSINE, square)
    sine = angle * _polynomial(_SINE, square)
    turned = ((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))[quarter % 4]
    return turned[0] + 0.0, turned[1] + 0.0


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    result = 0.0
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result
