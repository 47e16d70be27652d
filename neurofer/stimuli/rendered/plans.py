"""Plans of simulated sets: what each image shows, from the protocol of the set it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.faces import AVATARS, HEADS, Identity, make_identity
from neurofer.faces.random import Random
from neurofer.schema import Strict
from neurofer.stimuli.rendered.jitter import Draw, Jitter, draw
from neurofer.stimuli.rendered.render_cache import RenderSpec
from neurofer.stimuli.splits import shuffled

VIEWS = {"full-left": -90, "half-left": -45, "frontal": 0, "half-right": 45, "full-right": 90}
"""View -> yaw in degrees; negative turns the face to the image's left."""

SESSIONS = ("A", "B")
MOST_KDEF = 70
EXPRESSION_LETTERS = {
    "fear": "AF",
    "angry": "AN",
    "disgust": "DI",
    "happy": "HA",
    "neutral": "NE",
    "sad": "SA",
    "surprise": "SU",
}
VIEW_LETTERS = {
    "full-left": "FL",
    "half-left": "HL",
    "frontal": "S",
    "half-right": "HR",
    "full-right": "FR",
}
AVATAR_WORDS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "joy",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
# Of FERG's 55,767 images its usual split takes 6,000 to test and 6,000 to validate.
_FERG_SHARE = 6000 / 55767

Planned = Iterator[tuple[dict[str, Any], RenderSpec]]


class Scene(NamedTuple):
    """What a card lays down for all its images; `last_seed` bounds the seeds of identities."""

    name: str
    expressions: tuple[str, ...]
    jitter: Jitter
    wrinkles: bool
    last_seed: int


class _Parameters(Strict):
    size: int = Field(ge=16, le=2048)


class KdefParameters(_Parameters):
    """Parameters of sets in the protocol of KDEF."""

    identities: int = Field(default=MOST_KDEF, ge=1, le=MOST_KDEF)
    first_seed: int


class FergParameters(_Parameters):
    """Parameters of sets in the protocol of FERG."""

    images: int = Field(default=60, ge=1)


class LfwParameters(_Parameters):
    """Parameters of sets of identities."""

    identities: int = Field(default=100, ge=1)
    images: int = Field(default=20, ge=1)
    expressions: int | tuple[str, ...] = 7
    heads: tuple[str, ...] = Field(default=("human",), min_length=1)
    views: tuple[str, ...] = Field(default=("frontal",), min_length=1)
    first_seed: int

    @field_validator("heads", "views")
    @classmethod
    def _known(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        what, choices = ("head", HEADS) if info.field_name == "heads" else ("view", tuple(VIEWS))
        for name in names:
            if name not in choices:
                raise ValueError(str(unknown_choice(what, name, choices)))
        return names

    @field_validator("expressions")
    @classmethod
    def _some(cls, expressions: int | tuple[str, ...]) -> int | tuple[str, ...]:
        if isinstance(expressions, int):
            if not 1 <= expressions <= len(AVATAR_WORDS):
                raise ValueError(f"a number of expressions is 1 to {len(AVATAR_WORDS)}")
            return expressions
        for expression in expressions:
            if expression not in AVATAR_WORDS:
                raise ValueError(str(unknown_choice("expression", expression, AVATAR_WORDS)))
        if not expressions or len(set(expressions)) < len(expressions):
            raise ValueError("name different expressions, at least one")
        return expressions


def plan_kdef(scene: Scene, parameters: KdefParameters) -> Planned:
    """Plan people x expressions x five views x two sessions, named as KDEF names its files."""
    for label, sex, seed in _people(scene, parameters):
        for session_number, session in enumerate(SESSIONS):
            for expression in scene.expressions:
                for view_number, (view, yaw) in enumerate(VIEWS.items()):
                    image = session_number * len(VIEWS) + view_number
                    drawn = draw(scene.jitter, seed, expression, image, yaw=yaw)
                    letters = EXPRESSION_LETTERS[expression] + VIEW_LETTERS[view]
                    row = {
                        "stimulus_id": f"{session}{label}{letters}",
                        "head": "human",
                        "identity": label,
                        "expression": expression,
                        "view": view,
                        "session": session,
                        "sex": {"F": "female", "M": "male"}[sex],
                    }
                    yield _planned(scene, "human", seed, row, drawn, parameters.size)


def plan_ferg(scene: Scene, parameters: FergParameters) -> Planned:
    """Plan avatars x expressions x images, in the split that FERG's images are usually put to."""
    stems = sorted(
        f"{avatar}_{AVATAR_WORDS[expression]}_{image + 1}"
        for avatar in AVATARS
        for expression in scene.expressions
        for image in range(parameters.images)
    )
    split = dict(zip(stems, shuffled(len(stems), _FERG_SHARE), strict=True))
    for avatar in AVATARS:
        for expression in scene.expressions:
            for image in range(parameters.images):
                drawn = draw(scene.jitter, avatar, expression, image)
                stem = f"{avatar}_{AVATAR_WORDS[expression]}_{image + 1}"
                row = {
                    "stimulus_id": stem,
                    "head": avatar,
                    "identity": avatar,
                    "expression": expression,
                    "split": split[stem],
                }
                yield _planned(scene, avatar, 0, row, drawn, parameters.size)


def plan_lfw(scene: Scene, parameters: LfwParameters) -> Planned:
    """Plan identities x images, where an identity goes through its expressions and the views."""
    for number in range(parameters.identities):
        seed = parameters.first_seed + number
        _within(scene, seed)
        head = parameters.heads[number % len(parameters.heads)]
        name = f"{head.capitalize()}_{seed}"
        shown = _shown(scene, seed, parameters.expressions)
        for image in range(parameters.images):
            expression = shown[image % len(shown)]
            view = parameters.views[image // len(shown) % len(parameters.views)]
            row = {
                "stimulus_id": f"{name}_{image + 1:04d}",
                "head": head,
                "identity": name,
                "expression": expression,
                "view": view,
            }
            drawn = draw(scene.jitter, seed, expression, image, yaw=VIEWS[view])
            yield _planned(scene, head, seed, row, drawn, parameters.size)


class Plan(NamedTuple):
    """How a layout is planned: the model of its parameters, and the function."""

    parameters: type[_Parameters]
    plan: Callable[[Scene, Any], Planned]


PLANS: dict[str, Plan] = {
    "kdef": Plan(KdefParameters, plan_kdef),
    "ferg": Plan(FergParameters, plan_ferg),
    "lfw": Plan(LfwParameters, plan_lfw),
}
"""Card of the original -> how a set that stands for it is planned."""


def sex_of(identity: Identity) -> str:
    """Return "F" or "M", by which of the mesh's female and male shapes weigh more."""
    weights = dict.fromkeys("FM", 0.0)
    for name, weight in identity.targets:
        if name.startswith("macro/"):
            weights["F" if "-female-" in name else "M"] += weight
    return max(weights, key=weights.__getitem__)


def _people(scene: Scene, parameters: KdefParameters) -> Iterator[tuple[str, str, int]]:
    """Yield label, sex and seed: women and men in turn, each the next seed of the sex."""
    waiting: dict[str, list[int]] = {"F": [], "M": []}
    seed = parameters.first_seed
    for number in range(parameters.identities):
        sex = "FM"[number % 2]
        while not waiting[sex]:
            _within(scene, seed)
            waiting[sex_of(make_identity(seed, "human"))].append(seed)
            seed += 1
        yield f"{sex}{number // 2 + 1:02d}", sex, waiting[sex].pop(0)


def _within(scene: Scene, seed: int) -> None:
    if seed > scene.last_seed:
        raise NeuroferError(
            f"the identities of {scene.name!r} need seeds above {scene.last_seed}, which belong to "
            "other sets; ask for fewer identities or a smaller first_seed"
        )


def _shown(scene: Scene, seed: int, expressions: int | tuple[str, ...]) -> tuple[str, ...]:
    """Return the expressions that an identity shows; as many as are asked for, by its seed."""
    if isinstance(expressions, tuple):
        return expressions
    return tuple(Random(seed, "shown").sample(scene.expressions, expressions))


def _planned(
    scene: Scene, head: str, seed: int, row: dict[str, Any], drawn: Draw, size: int
) -> tuple[dict[str, Any], RenderSpec]:
    """Complete the row by what was drawn, and specify the image."""
    camera = drawn.camera
    pose = {"yaw": camera.yaw, "pitch": camera.pitch, "roll": camera.roll}
    row = {**row, "strength": drawn.strength, "source": "rendered", "seed": seed, **pose}
    spec = RenderSpec(
        head=head,
        seed=seed,
        spread=1.0,
        expression=row["expression"],
        strength=1.0,  # the action units have it
        scale_x=1.0,
        size=size,
        action_units=drawn.action_units,
        camera=camera,
        light=drawn.light,
        background=drawn.background,
        wrinkles=scene.wrinkles,
    )
    return row, spec
