"""Colours and textures of identities, from palettes picked by hand for each head.

Seeds walk through the palettes with different strides, so that neighbouring seeds never share a
colour of skin, hair or shirt, nor a hairstyle, where the palette has a choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from neurofer.faces.random import Random

Colour = tuple[float, float, float]
T = TypeVar("T")

ANCESTRIES = ("african", "asian", "caucasian")

_SKINS: dict[str, tuple[Colour, Colour]] = {
    "african": ((0.34, 0.20, 0.13), (0.22, 0.125, 0.08)),
    "asian": ((0.78, 0.56, 0.42), (0.64, 0.43, 0.30)),
    "caucasian": ((0.80, 0.56, 0.45), (0.70, 0.46, 0.36)),
}


@dataclass(frozen=True)
class Paint:
    """Colours (linear, 0 to 1) and textures of an identity; not scaled by `spread`."""

    skin: Colour
    lips: Colour
    brow: Colour
    iris: Colour
    sclera: Colour = (0.84, 0.81, 0.78)
    hair: Colour = (0.09, 0.05, 0.03)
    fur: Colour = (0.34, 0.24, 0.15)
    fur_below: Colour = (0.48, 0.38, 0.27)
    shirt: Colour = (0.25, 0.26, 0.28)
    hairstyle: str = "bald"  # in `hair.HAIRSTYLES`
    hair_shine: float = 0.35
    hairline: float = 0.0  # decimetres above the usual line
    temples: float = 0.0  # how much higher at the temples
    stubble: float = 0.0
    blush: float = 0.22
    socket: float = 0.25  # how dark the eye sockets are
    socket_size: float = 1.0
    relief: float = 0.0  # how much lighter the bridge of the nose and the cheeks are
    brow_height: float = 7.50  # y in the base head
    brow_thickness: float = 0.042
    brow_opacity: float = 0.85
    iris_radius: float = 0.066
    pupil: float = 0.45  # of the iris
    highlight: float = 1.0
    specular: float = 0.10
    bumps: float = 0.10
    lashes: float = 1.2  # length of the upper lashes
    wrinkles: float = 0.8  # how deep, where action units draw them
    toon: float = 0.0  # 0 smooth shading, 1 steps
    outline: float = 0.0


@dataclass(frozen=True)
class Macro:
    """The coarse shape: ancestry shares, and male, old in [0, 1], weight in [-1, 1]."""

    ancestry: Colour
    male: float
    old: float
    weight: float


def _blend(a: Colour, b: Colour, t: float) -> Colour:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def _times(a: Colour, b: Colour) -> Colour:
    return (a[0] * b[0], a[1] * b[1], a[2] * b[2])


def _varied(random: Random, colour: Colour, amount: float) -> Colour:
    """Vary brightness, and each channel a little."""
    bright = random.uniform(1 - amount, 1 + amount)
    tint = [random.uniform(1 - amount / 6, 1 + amount / 6) for _ in range(3)]
    return _times(colour, (bright * tint[0], bright * tint[1], bright * tint[2]))


def luminance(colour: Colour) -> float:
    """Return how bright a linear colour is, 0 to 1 (ITU-R BT.709)."""
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def exposure(skin: Colour) -> float:
    """Return how much brighter a head is lit than the light says, for its skin to be readable.

    A photographer opens up for dark skin. The square root of what would level the luminance, at
    most 1.6: light skin (luminance 0.5 and more) stays as it is, dark skin stays dark.

    >>> exposure((0.8, 0.56, 0.45)), round(exposure((0.22, 0.125, 0.08)), 3)
    (1.0, 1.6)
    """
    return min(max(math.sqrt(0.46 / luminance(skin)), 1.0), 1.6)


def _walk(seed: int, values: Sequence[T], stride: int) -> T:
    """Pick a value so that neighbouring seeds differ.

    The stride is coprime to the number of values, and the next number is not a multiple of it.
    """
    return values[(seed * stride + seed // len(values)) % len(values)]


def _brow(hair: Colour, skin: Colour, share: float) -> Colour:
    """Return hair darkened until it stands out: at most a share of the skin's luminance."""
    dark = min(0.6, share * luminance(skin) / luminance(hair))
    return _times(hair, (dark, dark, dark))


_DARK_HAIR: tuple[Colour, ...] = (
    (0.022, 0.018, 0.017),
    (0.050, 0.030, 0.020),
    (0.030, 0.026, 0.028),
    (0.090, 0.048, 0.028),
)
_LIGHT_HAIR: tuple[Colour, ...] = (
    (0.100, 0.055, 0.030),
    (0.400, 0.260, 0.120),
    (0.045, 0.030, 0.022),
    (0.220, 0.090, 0.035),
    (0.200, 0.115, 0.055),
    (0.520, 0.380, 0.200),
    (0.140, 0.060, 0.030),
)
_GREY_HAIR: tuple[Colour, ...] = (
    (0.36, 0.35, 0.34),
    (0.17, 0.165, 0.16),
    (0.52, 0.51, 0.50),
)
_DARK_IRIS: tuple[Colour, ...] = ((0.10, 0.05, 0.03), (0.16, 0.08, 0.04), (0.07, 0.04, 0.03))
_LIGHT_IRIS: tuple[Colour, ...] = (
    (0.20, 0.10, 0.05),
    (0.25, 0.33, 0.40),
    (0.22, 0.26, 0.14),
    (0.13, 0.06, 0.03),
    (0.30, 0.36, 0.36),
)
_HUMAN_SHIRTS: tuple[Colour, ...] = (
    (0.25, 0.26, 0.28),
    (0.10, 0.16, 0.28),
    (0.46, 0.44, 0.40),
    (0.22, 0.07, 0.08),
    (0.12, 0.20, 0.15),
    (0.05, 0.05, 0.06),
    (0.38, 0.27, 0.16),
    (0.28, 0.36, 0.46),
    (0.30, 0.20, 0.30),
)
_MALE_STYLES = ("short", "parting", "crop", "quiff", "receding", "curls", "bald")
_FEMALE_STYLES = ("long", "bob", "bun", "fringe", "curls", "short", "parting")


def _paint_human(random: Random, macro: Macro, seed: int) -> Paint:
    skin: Colour = (0.0, 0.0, 0.0)
    for share, ancestry in zip(macro.ancestry, ANCESTRIES, strict=True):
        tone = _blend(*_SKINS[ancestry], random.uniform())
        skin = (skin[0] + share * tone[0], skin[1] + share * tone[1], skin[2] + share * tone[2])
    light = macro.ancestry[2] >= 0.5
    hair = _walk(seed, _LIGHT_HAIR, 3) if light else _walk(seed, _DARK_HAIR, 1)
    if macro.old > 0.5:
        hair = _walk(seed, _GREY_HAIR, 1)
    iris = _walk(seed, _LIGHT_IRIS, 3) if light else _walk(seed, _DARK_IRIS, 1)
    hair = _varied(random, hair, 0.2)
    return Paint(
        skin=skin,
        lips=_times(skin, (0.90, 0.58, 0.58)),
        brow=_blend(_brow(hair, skin, 0.25), skin, 0.04),
        iris=_varied(random, iris, 0.15),
        hair=hair,
        shirt=_varied(random, _walk(seed, _HUMAN_SHIRTS, 4), 0.15),
        hairstyle=_walk(seed, _MALE_STYLES if macro.male > 0.5 else _FEMALE_STYLES, 3),
        hairline=0.10 * macro.male * random.uniform() - 0.02,
        temples=0.16 * macro.male * random.uniform(),
        wrinkles=0.6 + 0.6 * macro.old,
        stubble=0.8 * random.uniform() if macro.male > 0.5 else 0.0,
        brow_thickness=0.034 + 0.02 * macro.male * random.uniform(),
        brow_opacity=random.uniform(0.64, 0.84),
    )


_MONKEY_COATS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((0.34, 0.24, 0.15), (0.48, 0.38, 0.27), (0.62, 0.40, 0.32)),
    ((0.16, 0.10, 0.07), (0.22, 0.15, 0.10), (0.45, 0.30, 0.23)),
    ((0.42, 0.36, 0.28), (0.50, 0.45, 0.38), (0.66, 0.43, 0.36)),
    ((0.40, 0.20, 0.09), (0.45, 0.28, 0.15), (0.36, 0.24, 0.19)),
    ((0.09, 0.085, 0.085), (0.15, 0.14, 0.14), (0.27, 0.19, 0.16)),
    ((0.28, 0.27, 0.26), (0.42, 0.41, 0.39), (0.58, 0.36, 0.31)),
    ((0.24, 0.13, 0.07), (0.38, 0.26, 0.16), (0.54, 0.38, 0.27)),
    ((0.46, 0.33, 0.18), (0.55, 0.46, 0.33), (0.50, 0.33, 0.26)),
)
"""Fur, fur of neck and chest, bare skin."""


def _paint_monkey(random: Random, macro: Macro, seed: int) -> Paint:
    fur, below, skin = _walk(seed, _MONKEY_COATS, 3)
    fur, below, skin = (_varied(random, colour, 0.15) for colour in (fur, below, skin))
    return Paint(
        skin=skin,
        lips=_times(skin, (0.75, 0.6, 0.6)),
        brow=_brow(fur, skin, 0.25),
        iris=_varied(random, (0.28, 0.16, 0.055), 0.3),
        sclera=(0.55, 0.42, 0.32),
        hair=fur,
        fur=fur,
        fur_below=below,
        hairstyle="fur",
        brow_thickness=0.05,
        brow_opacity=0.8,
        iris_radius=0.085,
        socket=0.7,
        socket_size=1.3,
        relief=0.35,
        blush=0.15,
    )


_CARTOON_SKINS: tuple[Colour, ...] = (
    (0.92, 0.66, 0.50),
    (0.55, 0.33, 0.20),
    (0.85, 0.56, 0.40),
    (0.95, 0.74, 0.62),
    (0.70, 0.45, 0.28),
    (0.90, 0.66, 0.42),
    (0.40, 0.23, 0.15),
)
_CARTOON_HAIR: tuple[Colour, ...] = (
    (0.26, 0.10, 0.035),
    (0.045, 0.035, 0.045),
    (0.52, 0.31, 0.09),
    (0.40, 0.065, 0.035),
    (0.05, 0.09, 0.22),
    (0.36, 0.24, 0.12),
    (0.14, 0.06, 0.028),
    (0.48, 0.16, 0.03),
    (0.22, 0.05, 0.16),
)
_CARTOON_IRIS: tuple[Colour, ...] = (
    (0.15, 0.45, 0.70),
    (0.30, 0.17, 0.07),
    (0.20, 0.45, 0.20),
    (0.20, 0.55, 0.60),
    (0.42, 0.26, 0.08),
    (0.30, 0.28, 0.55),
    (0.18, 0.10, 0.05),
)
_CARTOON_SHIRTS: tuple[Colour, ...] = (
    (0.70, 0.15, 0.12),
    (0.12, 0.30, 0.60),
    (0.85, 0.60, 0.10),
    (0.20, 0.50, 0.30),
    (0.40, 0.20, 0.50),
    (0.85, 0.82, 0.76),
    (0.12, 0.12, 0.15),
    (0.80, 0.36, 0.10),
    (0.15, 0.48, 0.52),
    (0.75, 0.35, 0.42),
)
_CARTOON_STYLES = ("quiff", "bob", "spikes", "long", "parting", "bun", "curls", "fringe")


def _paint_cartoon(random: Random, macro: Macro, seed: int) -> Paint:
    skin = _varied(random, _walk(seed, _CARTOON_SKINS, 3), 0.05)
    hair = _varied(random, _walk(seed, _CARTOON_HAIR, 4), 0.12)
    dark = min(1.0, 0.35 * luminance(skin) / luminance(hair))
    hair = _times(hair, (dark, dark, dark))
    return Paint(
        skin=skin,
        lips=_times(skin, (0.85, 0.42, 0.42)),
        brow=_brow(hair, skin, 0.22),
        iris=_varied(random, _walk(seed, _CARTOON_IRIS, 2), 0.15),
        sclera=(0.95, 0.95, 0.95),
        hair=hair,
        shirt=_varied(random, _walk(seed, _CARTOON_SHIRTS, 3), 0.12),
        hairstyle=_walk(seed, _CARTOON_STYLES, 3),
        hairline=0.02,
        lashes=1.6,
        blush=0.45,
        socket=0.06,
        brow_thickness=0.030,
        brow_opacity=1.0,
        iris_radius=0.083,
        pupil=0.38,
        highlight=1.5,
        specular=0.06,
        bumps=0.0,
        toon=0.45,
        outline=0.75,
    )


PAINTERS = {"human": _paint_human, "monkey": _paint_monkey, "cartoon": _paint_cartoon}
