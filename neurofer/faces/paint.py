"""Colours and textures of identities, drawn from a palette for each head."""

from __future__ import annotations

from dataclasses import dataclass

from neurofer.faces.random import Random

Colour = tuple[float, float, float]

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
    brow_height: float = 7.50  # y in the base head
    brow_thickness: float = 0.042
    brow_opacity: float = 0.85
    iris_radius: float = 0.066
    pupil: float = 0.45  # of the iris
    highlight: float = 1.0
    specular: float = 0.10
    bumps: float = 0.10
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
    tint = [random.uniform(1 - amount / 3, 1 + amount / 3) for _ in range(3)]
    return _times(colour, (bright * tint[0], bright * tint[1], bright * tint[2]))


_HUMAN_HAIR: tuple[Colour, ...] = (
    (0.03, 0.02, 0.018),
    (0.09, 0.05, 0.03),
    (0.22, 0.12, 0.06),
    (0.42, 0.28, 0.13),
    (0.36, 0.35, 0.34),
)
_HUMAN_IRIS: tuple[Colour, ...] = (
    (0.20, 0.10, 0.05),
    (0.25, 0.33, 0.40),
    (0.22, 0.26, 0.14),
    (0.10, 0.05, 0.03),
)


def _paint_human(random: Random, macro: Macro) -> Paint:
    skin: Colour = (0.0, 0.0, 0.0)
    for share, ancestry in zip(macro.ancestry, ANCESTRIES, strict=True):
        tone = _blend(*_SKINS[ancestry], random.uniform())
        skin = (skin[0] + share * tone[0], skin[1] + share * tone[1], skin[2] + share * tone[2])
    hair, iris = random.choice(_HUMAN_HAIR), random.choice(_HUMAN_IRIS)
    if macro.ancestry[2] < 0.5:
        hair, iris = _HUMAN_HAIR[0], _HUMAN_IRIS[3]
    hair = _varied(random, hair, 0.25)
    return Paint(
        skin=skin,
        lips=_times(skin, (0.90, 0.58, 0.58)),
        brow=_blend(_times(hair, (0.6, 0.6, 0.6)), skin, 0.12),
        iris=_varied(random, iris, 0.15),
        hair=hair,
        shirt=_varied(random, (0.25, 0.26, 0.28), 0.5),
        hairline=0.16 * macro.male * random.uniform() - 0.02,
        temples=0.16 * random.uniform(),
        stubble=0.8 * random.uniform() if macro.male > 0.5 else 0.0,
        brow_thickness=0.034 + 0.02 * macro.male * random.uniform(),
        brow_opacity=random.uniform(0.6, 0.95),
    )


_MONKEY_COATS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((0.34, 0.24, 0.15), (0.48, 0.38, 0.27), (0.62, 0.40, 0.32)),
    ((0.16, 0.10, 0.07), (0.22, 0.15, 0.10), (0.45, 0.30, 0.23)),
    ((0.42, 0.36, 0.28), (0.50, 0.45, 0.38), (0.66, 0.43, 0.36)),
    ((0.40, 0.20, 0.09), (0.45, 0.28, 0.15), (0.36, 0.24, 0.19)),
    ((0.09, 0.085, 0.085), (0.15, 0.14, 0.14), (0.27, 0.19, 0.16)),
)
"""Fur, fur of neck and chest, bare skin."""


def _paint_monkey(random: Random, macro: Macro) -> Paint:
    fur, below, skin = random.choice(_MONKEY_COATS)
    fur, below, skin = (_varied(random, colour, 0.2) for colour in (fur, below, skin))
    return Paint(
        skin=skin,
        lips=_times(skin, (0.75, 0.6, 0.6)),
        brow=_times(fur, (0.3, 0.3, 0.3)),
        iris=_varied(random, (0.28, 0.16, 0.055), 0.3),
        sclera=(0.55, 0.42, 0.32),
        hair=fur,
        fur=fur,
        fur_below=below,
        brow_thickness=0.05,
        brow_opacity=0.8,
        iris_radius=0.085,
        socket=0.4,
        blush=0.3,
    )


_CARTOON_SKINS: tuple[Colour, ...] = (
    (0.92, 0.66, 0.50),
    (0.85, 0.56, 0.40),
    (0.55, 0.33, 0.20),
    (0.95, 0.72, 0.58),
    (0.80, 0.60, 0.36),
)
_CARTOON_HAIR: tuple[Colour, ...] = (
    (0.30, 0.12, 0.04),
    (0.05, 0.04, 0.05),
    (0.06, 0.04, 0.03),
    (0.75, 0.50, 0.15),
    (0.55, 0.12, 0.06),
)
_CARTOON_IRIS: tuple[Colour, ...] = (
    (0.15, 0.45, 0.70),
    (0.30, 0.17, 0.07),
    (0.20, 0.45, 0.20),
    (0.20, 0.55, 0.60),
    (0.35, 0.22, 0.08),
)
_CARTOON_SHIRTS: tuple[Colour, ...] = (
    (0.70, 0.15, 0.12),
    (0.12, 0.30, 0.60),
    (0.85, 0.60, 0.10),
    (0.20, 0.50, 0.30),
    (0.40, 0.20, 0.50),
)


def _paint_cartoon(random: Random, macro: Macro) -> Paint:
    skin = _varied(random, random.choice(_CARTOON_SKINS), 0.06)
    hair = _varied(random, random.choice(_CARTOON_HAIR), 0.2)
    return Paint(
        skin=skin,
        lips=_times(skin, (0.92, 0.55, 0.55)),
        brow=_times(hair, (0.5, 0.5, 0.5)),
        iris=_varied(random, random.choice(_CARTOON_IRIS), 0.15),
        sclera=(0.95, 0.95, 0.95),
        hair=hair,
        shirt=_varied(random, random.choice(_CARTOON_SHIRTS), 0.15),
        hairline=0.02,
        blush=0.45,
        socket=0.06,
        brow_height=7.51,
        brow_thickness=0.036,
        brow_opacity=1.0,
        iris_radius=0.088,
        pupil=0.5,
        highlight=1.5,
        specular=0.06,
        bumps=0.0,
        toon=0.45,
        outline=0.75,
    )


PAINTERS = {"human": _paint_human, "monkey": _paint_monkey, "cartoon": _paint_cartoon}
