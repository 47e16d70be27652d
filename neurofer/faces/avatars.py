"""Six stylised characters, each with proportions, colours, hair and drawing of its own.

They are ours and stand for no character of FERG or of any film: names, shapes and colours were made
up here. Like all heads they share one mesh, so that an expression moves them all alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from neurofer.errors import unknown_choice
from neurofer.faces.camera import Frame
from neurofer.faces.heads import FRAMES
from neurofer.faces.identities import Identity, macro_targets, mirrored
from neurofer.faces.paint import Macro, Paint


class Avatar(NamedTuple):
    """How a character is made.

    `targets` are shape targets of the asset, of both sides where one is named; `style` are the
    parameters of the stylised warp, see `heads.HUMAN_STYLE`, and the volume of the hair.
    """

    frame: Frame
    macro: Macro
    targets: Mapping[str, float]
    style: Mapping[str, float]
    paint: Paint


_BRAM = Avatar(  # a burly man: anvil jaw, small eyes, wide nose
    frame=Frame(-0.1, -0.72),
    macro=Macro((0.1, 0.1, 0.8), 1.0, 0.15, 0.7),
    targets={
        "head/head-square": 0.9,
        "chin/chin-width-incr": 1.0,
        "chin/chin-cleft-incr": 0.8,
        "chin/chin-prominent-incr": 0.6,
        "nose/nose-volume-incr": 0.7,
        "forehead/forehead-nubian-incr": 0.4,
        "cheek/l-cheek-bones-incr": 0.6,
    },
    style={
        "hair": 0.10,
        "width": 1.04,
        "cranium": -0.1,
        "crown": -0.1,
        "taper": -0.34,
        "jowl": 0.10,
        "chin": -0.10,
        "chin_out": 0.16,
        "mouth": 0.30,
        "nose_wide": 0.45,
        "nose": 1.15,
        "eye": 0.9,
        "ear": 0.85,
        "neck": 0.35,
    },
    paint=Paint(
        skin=(0.72, 0.42, 0.29),
        lips=(0.56, 0.25, 0.20),
        brow=(0.05, 0.028, 0.018),
        iris=(0.14, 0.24, 0.34),
        sclera=(0.92, 0.90, 0.88),
        hair=(0.07, 0.04, 0.025),
        hairstyle="crop",
        shirt=(0.16, 0.20, 0.13),
        temples=0.22,
        stubble=0.95,
        blush=0.3,
        socket=0.25,
        brow_thickness=0.072,
        brow_opacity=1.0,
        specular=0.08,
        bumps=0.03,
    ),
)

_ILVA = Avatar(  # a girl: huge wide-set eyes, round cranium, tiny chin, thin neck
    frame=Frame(0.1, -0.655),
    macro=Macro((0.1, 0.2, 0.7), 0.0, 0.0, -0.2),
    targets={
        "head/head-round": 0.6,
        "eyes/l-eye-scale-incr": 0.8,
        "eyes/l-eye-height1-incr": 0.9,
        "eyes/l-eye-height2-incr": 0.9,
        "eyes/l-eye-height3-incr": 0.9,
        "nose/nose-volume-decr": 0.5,
        "nose/nose-scale-vert-decr": 0.6,
        "nose/nose-point-up": 0.5,
        "nose/nose-scale-depth-decr": 0.9,
        "mouth/mouth-scale-horiz-decr": 0.5,
    },
    style={
        "hair": 0.16,
        "cranium": 0.20,
        "crown": 0.10,
        "taper": 0.24,
        "chin": 0.17,
        "mouth": 0.02,
        "mouth_up": -0.04,
        "nose": 0.78,
        "eye": 1.52,
        "eye_tall": 1.12,
        "eye_apart": 0.12,
        "ear": 0.85,
        "neck": -0.42,
    },
    paint=Paint(
        skin=(0.96, 0.72, 0.60),
        lips=(0.86, 0.32, 0.32),
        brow=(0.36, 0.11, 0.04),
        iris=(0.16, 0.50, 0.30),
        sclera=(0.97, 0.97, 0.97),
        hair=(0.62, 0.16, 0.05),
        hairstyle="bob",
        shirt=(0.10, 0.36, 0.52),
        hairline=0.02,
        blush=0.6,
        socket=0.05,
        brow_thickness=0.026,
        brow_opacity=1.0,
        iris_radius=0.094,
        pupil=0.5,
        highlight=1.6,
        specular=0.05,
        bumps=0.0,
        toon=0.45,
        outline=0.75,
    ),
)

_KOFI = Avatar(  # a lanky youth: tall narrow head, big ears, broad mouth
    frame=Frame(0.03, -0.76),
    macro=Macro((0.8, 0.0, 0.2), 0.8, 0.0, -0.6),
    targets={
        "head/head-oval": 0.8,
        "mouth/mouth-lowerlip-volume-incr": 0.3,
        "mouth/mouth-upperlip-volume-incr": 0.2,
        "eyes/l-eye-height2-incr": 0.6,
        "ears/l-ear-wing-incr": 1.0,
    },
    style={
        "depth": 0.95,
        "hair": 0.10,
        "width": 0.84,
        "height": 0.94,
        "crown": 0.1,
        "chin": -0.1,
        "taper": 0.05,
        "mouth": 0.28,
        "mouth_up": -0.05,
        "nose_wide": 0.15,
        "eye": 1.22,
        "eye_apart": 0.02,
        "ear": 1.55,
        "neck": -0.22,
    },
    paint=Paint(
        skin=(0.26, 0.135, 0.075),
        lips=(0.25, 0.095, 0.08),
        brow=(0.012, 0.009, 0.008),
        iris=(0.13, 0.06, 0.025),
        sclera=(0.93, 0.91, 0.88),
        hair=(0.02, 0.016, 0.015),
        hairstyle="curls",
        shirt=(0.80, 0.42, 0.05),
        hairline=0.05,
        blush=0.15,
        socket=0.15,
        brow_thickness=0.045,
        brow_opacity=1.0,
        iris_radius=0.078,
        highlight=1.3,
        specular=0.16,
        bumps=0.02,
    ),
)

_ODO = Avatar(  # an old man: narrow skull over wide jowls, long drooping nose, white brows
    frame=Frame(-0.06, -0.65),
    macro=Macro((0.0, 0.1, 0.9), 0.9, 1.0, 0.4),
    targets={
        "mouth/mouth-trans-down": 0.3,
        "head/head-triangular": 0.5,
        "nose/nose-hump-incr": 0.9,
        "nose/nose-point-down": 0.3,
        "nose/nose-scale-vert-incr": 0.3,
        "ears/l-ear-lobe-incr": 1.0,
        "ears/l-ear-scale-vert-incr": 0.8,
        "cheek/l-cheek-volume-incr": 0.9,
        "eyes/l-eye-bag-incr": 0.8,
        "neck/neck-double-incr": 0.8,
    },
    style={
        "hair": 0.06,
        "cranium": -0.12,
        "jowl": 0.26,
        "taper": -0.05,
        "chin": 0.08,
        "mouth": -0.05,
        "nose": 1.18,
        "nose_long": 0.05,
        "nose_wide": 0.15,
        "eye": 1.0,
        "eye_apart": -0.02,
        "ear": 1.40,
        "neck": 0.05,
    },
    paint=Paint(
        skin=(0.82, 0.55, 0.47),
        lips=(0.66, 0.33, 0.31),
        brow=(0.66, 0.65, 0.63),
        iris=(0.26, 0.34, 0.42),
        sclera=(0.90, 0.87, 0.82),
        hair=(0.72, 0.71, 0.69),
        hairstyle="receding",
        shirt=(0.30, 0.08, 0.10),
        hairline=0.30,
        temples=0.30,
        blush=0.75,
        socket=0.35,
        brow_thickness=0.07,
        brow_opacity=1.0,
        specular=0.12,
        bumps=0.05,
    ),
)

_SURI = Avatar(  # a woman: heart-shaped face, almond eyes, full lips, long neck
    frame=Frame(0.06, -0.66),
    macro=Macro((0.2, 0.6, 0.2), 0.0, 0.05, -0.3),
    targets={
        "mouth/mouth-scale-horiz-incr": 0.6,
        "head/head-invertedtriangular": 0.6,
        "chin/chin-triangle": 0.5,
        "cheek/l-cheek-bones-incr": 0.9,
        "eyes/l-eye-corner2-up": 1.0,
        "eyes/l-eye-scale-incr": 0.6,
        "mouth/mouth-lowerlip-volume-incr": 0.6,
        "mouth/mouth-upperlip-volume-incr": 0.5,
        "mouth/mouth-cupidsbow-incr": 0.6,
        "nose/nose-width2-decr": 0.6,
    },
    style={
        "hair": 0.18,
        "width": 0.96,
        "cranium": 0.12,
        "taper": 0.16,
        "chin": -0.04,
        "mouth": 0.28,
        "mouth_tall": 0.12,
        "nose": 0.85,
        "eye": 1.45,
        "eye_tall": 1.0,
        "eye_apart": 0.05,
        "ear": 0.80,
        "neck": -0.38,
    },
    paint=Paint(
        skin=(0.66, 0.40, 0.24),
        lips=(0.55, 0.08, 0.12),
        brow=(0.02, 0.012, 0.01),
        iris=(0.34, 0.17, 0.04),
        sclera=(0.95, 0.94, 0.92),
        hair=(0.018, 0.014, 0.022),
        hairstyle="long",
        shirt=(0.48, 0.06, 0.28),
        blush=0.3,
        socket=0.30,
        brow_thickness=0.032,
        brow_opacity=1.0,
        iris_radius=0.084,
        highlight=1.4,
        specular=0.10,
        bumps=0.0,
        toon=0.2,
    ),
)

_TESS = Avatar(  # a small child: broad flat face, round cheeks, button nose, flat drawing
    frame=Frame(0.14, -0.69),
    macro=Macro((0.1, 0.3, 0.6), 0.2, 0.0, 0.9),
    targets={
        "eyes/l-eye-height3-incr": 1.0,
        "eyes/l-eye-height1-incr": 1.0,
        "nose/nose-scale-depth-decr": 0.8,
        "head/head-round": 1.0,
        "head/head-fat-incr": 0.15,
        "cheek/l-cheek-volume-incr": 0.5,
        "nose/nose-volume-decr": 0.5,
        "nose/nose-point-up": 0.5,
        "nose/nose-scale-vert-decr": 0.5,
        "eyes/l-eye-height2-incr": 1.0,
        "eyes/l-eye-scale-incr": 0.6,
    },
    style={
        "hair": 0.14,
        "width": 1.20,
        "height": 0.88,
        "depth": 0.94,
        "crown": 0.10,
        "jowl": 0.06,
        "taper": -0.02,
        "chin": 0.04,
        "mouth": 0.0,
        "nose": 0.85,
        "eye": 1.45,
        "eye_tall": 1.3,
        "eye_apart": 0.10,
        "ear": 1.0,
        "neck": -0.40,
    },
    paint=Paint(
        skin=(0.98, 0.76, 0.52),
        lips=(0.90, 0.42, 0.34),
        brow=(0.42, 0.25, 0.05),
        iris=(0.10, 0.30, 0.70),
        sclera=(1.0, 1.0, 1.0),
        hair=(0.92, 0.66, 0.16),
        hairstyle="fringe",
        shirt=(0.75, 0.14, 0.12),
        hairline=0.06,
        blush=0.8,
        socket=0.0,
        brow_thickness=0.05,
        brow_opacity=1.0,
        iris_radius=0.10,
        pupil=0.6,
        highlight=1.8,
        specular=0.0,
        bumps=0.0,
        toon=0.75,
        outline=0.75,
    ),
)

_AVATARS = {
    "bram": _BRAM,
    "ilva": _ILVA,
    "kofi": _KOFI,
    "odo": _ODO,
    "suri": _SURI,
    "tess": _TESS,
}

AVATARS = tuple(_AVATARS)
"""The names of the avatars, which are heads to the renderer."""


def make_avatar(name: str) -> Identity:
    """Return a stylised character of our own; its `head` is its name, its seed and spread are 0.

    Raises:
        NeuroferError: an unknown name.

    >>> make_avatar("odo").head
    'odo'
    """
    if name not in _AVATARS:
        raise unknown_choice("avatar", name, AVATARS, "the face renderer")
    avatar = _AVATARS[name]
    targets = {**macro_targets(avatar.macro), **mirrored(dict(avatar.targets))}
    return Identity(
        seed=0,
        head=name,
        spread=0.0,
        targets=tuple(sorted(targets.items())),
        style=tuple(avatar.style.items()),
        paint=avatar.paint,
    )


def frame_of(head: str) -> Frame:
    """Return where the middle of a head or of an avatar is."""
    return FRAMES[head] if head in FRAMES else _AVATARS[head].frame
