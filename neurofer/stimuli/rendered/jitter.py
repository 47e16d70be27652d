"""Jitter: how much the images of a simulated set vary beside the expression.

On renders without variation raw pixels solve every task. The ranges below were chosen by linear
probes of pixels, untrained and trained nets; each set's card gives what was measured on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from neurofer.errors import unknown_choice
from neurofer.faces import RECIPES, Camera, Light
from neurofer.faces.random import Random
from neurofer.schema import Strict

Fraction = Annotated[float, Field(ge=0, le=1)]
Degrees = Annotated[float, Field(ge=0, le=90)]
Range = tuple[float, float]

REST_UNITS = (1, 2, 4, 7, 10, 12, 14, 15, 17, 20, 23, 25)
"""Action units of which a resting face shows some."""

_REST_COUNT = 4
# A neutral face shows less of another expression: it is still to be called neutral.
_NEUTRAL_BLEND = 0.4
_EXPRESSIVE = tuple(expression for expression, recipe in RECIPES.items() if recipe)


class Jitter(Strict):
    """Ranges that are drawn from uniformly; a single number is the reach to both sides.

    Attributes:
        strength: of the expression.
        style: of a factor about 1 on each action unit, fixed for an actor and expression.
        session: of a factor about 1 on each action unit, new in every image.
        rest: most of each of the 4 action units that an actor's face shows at rest.
        blend: most of the share of another expression.
        gaze: most of the action units that turn the eyes (61 to 64).
        yaw, pitch, roll: degrees about the view.
        zoom: about 1.
        shift: fraction of the frame.
        azimuth, elevation, key: of the light, see `faces.Light`; None keeps the default light.
        fill, ambient: factors on the default light's.
        background: whether every image has its own background.
    """

    strength: Range = (1.0, 1.0)
    style: Fraction = 0.0
    session: Fraction = 0.0
    rest: Fraction = 0.0
    blend: Fraction = 0.0
    gaze: Fraction = 0.0
    yaw: Degrees = 0.0
    pitch: Degrees = 0.0
    roll: Degrees = 0.0
    zoom: Fraction = 0.0
    shift: Fraction = 0.0
    azimuth: Range | None = None
    elevation: Range | None = None
    key: Range | None = None
    fill: Range = (1.0, 1.0)
    ambient: Range = (1.0, 1.0)
    background: bool = False


CLEAN = Jitter()
TRAINING = Jitter(
    strength=(0.5, 1.0),
    style=0.4,
    session=0.15,
    rest=0.25,
    yaw=8,
    pitch=6,
    roll=4,
    zoom=0.08,
    shift=0.03,
    azimuth=(-50, 50),
    elevation=(5, 55),
    key=(0.55, 0.95),
    fill=(0.5, 1.5),
    ambient=(0.7, 1.3),
    background=True,
)
HARD_FRONTAL = Jitter(
    strength=(0.3, 0.8),
    style=0.5,
    session=0.25,
    rest=0.35,
    yaw=20,
    pitch=12,
    roll=8,
    zoom=0.15,
    shift=0.07,
    azimuth=(-80, 80),
    elevation=(-10, 65),
    key=(0.45, 1.1),
    fill=(0.5, 1.5),
    ambient=(0.7, 1.3),
    background=True,
)
VIEWS = Jitter(
    # Weaker expressions leave the top of an identity network below half correct.
    strength=(0.4, 0.9),
    style=0.5,
    session=0.25,
    rest=0.35,
    blend=0.2,
    yaw=8,
    pitch=8,
    roll=5,
    zoom=0.12,
    shift=0.06,
    azimuth=(-60, 60),
    elevation=(0, 60),
    key=(0.5, 1.0),
    fill=(0.5, 1.5),
    ambient=(0.7, 1.3),
    background=True,
)
# The original shows one light, plain backgrounds and tight frames; its strengths are those of an
# animator's frames on the way to an expression, and its heads turn and look about.
AVATARS = Jitter(
    strength=(0.4, 1.0),
    style=0.25,
    session=0.2,
    gaze=0.6,
    yaw=12,
    pitch=8,
    roll=6,
    zoom=0.05,
    shift=0.02,
)
# No two images of a person may be equal: duplicates would cross splits.
CONTROL = CLEAN.model_copy(update={"yaw": 0.25, "pitch": 0.25, "shift": 0.0025})
JITTERS: dict[str, Jitter] = {
    "A": CLEAN,
    "E": TRAINING,
    "F": HARD_FRONTAL,
    "R": VIEWS,
    "avatars": AVATARS,
    "control": CONTROL,
}
"""A: clean. E: for training. F: hard, frontal. R: hard, five views. avatars: as mild as FERG.
control: A, moved by up to a quarter of a degree and of a hundredth of the frame."""


@dataclass(frozen=True)
class Draw:
    """What was drawn for one image.

    Attributes:
        strength: of the expression; 0 for neutral.
        action_units: pairs of an action unit and its strength, by action unit.
        camera, light: as drawn; the default where nothing varies.
        background: a seed for `faces.make_background`, or None.
    """

    strength: float
    action_units: tuple[tuple[int, float], ...]
    camera: Camera
    light: Light
    background: int | None


def draw(
    jitter: Jitter, actor: int | str, expression: str, image: int, *, yaw: float = 0.0
) -> Draw:
    """Draw what one image shows; the same arguments give the same image on every platform.

    Args:
        jitter: the ranges.
        actor: who poses; an actor's style and resting face are the same in all images.
        expression: a name of `faces.RECIPES`.
        image: number of the image of this actor and expression.
        yaw: of the view, in degrees.

    Raises:
        NeuroferError: the expression has no recipe.
    """
    if expression not in RECIPES:
        raise unknown_choice("expression", expression, RECIPES, "the face renderer")
    random = Random(actor, "image", expression, image)
    strength = random.uniform(*jitter.strength)
    units = _expression_units(jitter, actor, expression, random)
    units = {unit: strength * value for unit, value in units.items()}
    for unit, value in (*_resting_face(jitter, actor), *_gaze(jitter, random)):
        units[unit] = units.get(unit, 0.0) + value
    return Draw(
        strength=0.0 if expression == "neutral" else strength,
        action_units=tuple(sorted(units.items())),
        camera=_camera(jitter, random, yaw),
        light=_light(jitter, random),
        background=random.integer(1 << 31) if jitter.background else None,
    )


@lru_cache(maxsize=4096)
def style_of(jitter: Jitter, actor: int | str, expression: str) -> Mapping[int, float]:
    """Return how an actor shows an expression: action unit -> weight at full strength.

    Args:
        jitter: how much actors differ.
        actor: number or name.
        expression: its name.
    """
    random = Random(actor, "style", expression)
    return {
        unit: weight * (1 + _about(random, jitter.style))
        for unit, weight in RECIPES[expression].items()
    }


def _expression_units(
    jitter: Jitter, actor: int | str, expression: str, random: Random
) -> dict[int, float]:
    units = {
        unit: weight * (1 + _about(random, jitter.session))
        for unit, weight in style_of(jitter, actor, expression).items()
    }
    other, share = random.choice(_EXPRESSIVE), jitter.blend * random.uniform()
    if share:
        units = {unit: (1 - share) * weight for unit, weight in units.items()}
        share *= 1.0 if expression != "neutral" else _NEUTRAL_BLEND
        for unit, weight in style_of(jitter, actor, other).items():
            units[unit] = units.get(unit, 0.0) + share * weight
    return units


@lru_cache(maxsize=4096)
def _resting_face(jitter: Jitter, actor: int | str) -> tuple[tuple[int, float], ...]:
    if not jitter.rest:
        return ()
    random = Random(actor, "rest")
    shown = random.sample(REST_UNITS, _REST_COUNT)
    return tuple((unit, jitter.rest * random.uniform()) for unit in shown)


def _gaze(jitter: Jitter, random: Random) -> tuple[tuple[int, float], ...]:
    if not jitter.gaze:
        return ()
    across, up = _about(random, jitter.gaze), _about(random, jitter.gaze)
    return ((61 if across > 0 else 62, abs(across)), (63 if up > 0 else 64, abs(up)))


def _camera(jitter: Jitter, random: Random, yaw: float) -> Camera:
    return Camera(
        yaw=yaw + _about(random, jitter.yaw),
        pitch=_about(random, jitter.pitch),
        roll=_about(random, jitter.roll),
        zoom=1 + _about(random, jitter.zoom),
        shift=(_about(random, jitter.shift), _about(random, jitter.shift)),
    )


def _light(jitter: Jitter, random: Random) -> Light:
    usual = Light()

    def between(limits: Range | None, otherwise: float) -> float:
        return otherwise if limits is None else random.uniform(*limits)

    return Light(
        azimuth=between(jitter.azimuth, usual.azimuth),
        elevation=between(jitter.elevation, usual.elevation),
        key=between(jitter.key, usual.key),
        fill=usual.fill * random.uniform(*jitter.fill),
        ambient=usual.ambient * random.uniform(*jitter.ambient),
    )


def _about(random: Random, reach: float) -> float:
    return random.uniform(-reach, reach)
