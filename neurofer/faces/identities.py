"""Identities: shape, colours and textures drawn from a seed, the same on every platform."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.faces.heads import HEADS, STYLES
from neurofer.faces.mesh import head_mesh
from neurofer.faces.random import Random

Colour = tuple[float, float, float]

_ANCESTRIES = ("african", "asian", "caucasian")
_SKINS: dict[str, tuple[Colour, Colour]] = {
    "african": ((0.34, 0.20, 0.13), (0.22, 0.125, 0.08)),
    "asian": ((0.78, 0.56, 0.42), (0.64, 0.43, 0.30)),
    "caucasian": ((0.80, 0.56, 0.45), (0.70, 0.46, 0.36)),
}
_OPPOSITES = (
    ("incr", "decr"),
    ("up", "down"),
    ("in", "out"),
    ("concave", "convex"),
    ("forward", "backward"),
    ("compress", "uncompress"),
)
_LOCAL_GROUPS = ("nose", "mouth", "chin", "cheek", "forehead", "eyes", "head", "eyebrows", "ears")
_LOCAL_COUNT = 36
_LOCAL_AMPLITUDE = 0.55
_CALM_GROUPS = ("eyes", "mouth", "head", "forehead", "chin/chin-height")  # half the amplitude

_CARTOON_TARGETS: dict[str, float] = {
    "head/head-round": 0.5,
    **{f"eyes/l-eye-height{k}-incr": 0.9 for k in (1, 2, 3)},
    "eyes/l-eye-scale-incr": 0.9,
    "nose/nose-volume-decr": 0.8,
    "nose/nose-scale-vert-decr": 0.8,
    "nose/nose-point-up": 0.6,
    "nose/nose-width1-decr": 0.5,
    "nose/nose-scale-depth-decr": 0.5,
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
    hairline: float = 0.0  # decimetres above the usual line
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
class Identity:
    """One person, monkey or cartoon: what `make_identity` returns.

    Attributes:
        seed, head, spread: as they were asked for.
        targets: (name, weight) of the asset's shape targets, by name.
        style: (name, value) of the head's warp.
        paint: colours and textures.
    """

    seed: int
    head: str
    spread: float
    targets: tuple[tuple[str, float], ...]
    style: tuple[tuple[str, float], ...]
    paint: Paint

    def parameters(self) -> dict[str, Any]:
        """Return everything that makes this identity, as a JSON-able dictionary."""
        fields = asdict(self)
        fields["targets"] = dict(self.targets)
        fields["style"] = dict(self.style)
        fields["paint"] = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in fields["paint"].items()
        }
        return fields


@dataclass(frozen=True)
class _Macro:
    """The coarse shape: ancestry shares, and male, old in [0, 1], weight in [-1, 1]."""

    ancestry: Colour
    male: float
    old: float
    weight: float


_MEAN_MACRO = {
    "human": _Macro((1 / 3, 1 / 3, 1 / 3), 0.5, 0.23, 0.0),
    "monkey": _Macro((0.2, 0.2, 0.6), 0.5, 0.15, 0.0),
    "cartoon": _Macro((0.2, 0.2, 0.6), 0.5, 0.15, 0.0),
}


def make_identity(seed: int, head: str, *, spread: float = 1.0) -> Identity:
    """Draw an identity.

    `spread` scales every shape parameter about the head's mean identity, mean + spread * (drawn -
    mean); at 0 all identities of a head have one shape. Colours and textures always vary fully.

    Raises:
        NeuroferError: an unknown head, or a spread outside [0, 2].

    >>> make_identity(3, "monkey").style == make_identity(3, "monkey").style
    True
    """
    if head not in HEADS:
        raise unknown_choice("head", head, HEADS, "the face renderer")
    if not 0 <= spread <= 2:
        raise NeuroferError(f"spread={spread!r} is not allowed; choose a number from 0 to 2")
    macro = _draw_macro(Random(seed, head, "macro"), head)
    targets = _macro_targets(_blend_macro(_MEAN_MACRO[head], macro, spread))
    if head == "cartoon":
        _add(targets, _mirrored(_CARTOON_TARGETS))
    _add(targets, _mirrored(_draw_local(Random(seed, head, "local"), spread)))
    return Identity(
        seed=seed,
        head=head,
        spread=float(spread),
        targets=tuple(sorted(targets.items())),
        style=_draw_style(Random(seed, head, "style"), head, spread),
        paint=_PAINTERS[head](Random(seed, head, "paint"), macro),
    )


def _add(targets: dict[str, float], more: dict[str, float]) -> None:
    for name, weight in more.items():
        targets[name] = targets.get(name, 0.0) + weight


def _draw_macro(random: Random, head: str) -> _Macro:
    weight = random.uniform(-1, 1)
    if head != "human":
        mean = _MEAN_MACRO[head]
        return _Macro(mean.ancestry, mean.male, mean.old, weight)
    draws = [random.uniform() for _ in _ANCESTRIES]
    cubes = [u * u * u for u in draws]
    total = cubes[0] + cubes[1] + cubes[2]
    old = random.uniform()
    return _Macro(
        ancestry=(cubes[0] / total, cubes[1] / total, cubes[2] / total),
        male=random.choice((0.1, 0.9)),
        old=0.7 * old * old,
        weight=weight,
    )


def _blend_macro(mean: _Macro, drawn: _Macro, spread: float) -> _Macro:
    def blend(a: float, b: float) -> float:
        return a + spread * (b - a)

    shares = [blend(a, b) for a, b in zip(mean.ancestry, drawn.ancestry, strict=True)]
    return _Macro(
        ancestry=(shares[0], shares[1], shares[2]),
        male=blend(mean.male, drawn.male),
        old=blend(mean.old, drawn.old),
        weight=blend(mean.weight, drawn.weight),
    )


def _macro_targets(macro: _Macro) -> dict[str, float]:
    targets = {}
    sexes = (("male", macro.male), ("female", 1 - macro.male))
    ages = (("young", 1 - macro.old), ("old", macro.old))
    for ancestry, share in zip(_ANCESTRIES, macro.ancestry, strict=True):
        for sex, sex_share in sexes:
            for age, age_share in ages:
                targets[f"macro/{ancestry}-{sex}-{age}"] = share * sex_share * age_share
    extreme = "max" if macro.weight > 0 else "min"
    for sex, sex_share in sexes:
        name = f"macro/universal-{sex}-young-averagemuscle-{extreme}weight"
        targets[name] = 0.6 * sex_share * abs(macro.weight)
    return targets


@lru_cache(maxsize=1)
def _local_axes() -> tuple[tuple[str, str], ...]:
    """Return the directions in which faces differ locally: (target, its opposite or "")."""
    mesh = head_mesh()
    axes = []
    for name in mesh.names:
        group, _, rest = name.partition("/")
        left_out = ("trans" in rest, "head-age" in rest, "head-angle" in rest, "shape-" in rest)
        if group not in _LOCAL_GROUPS or any(left_out) or rest.startswith("r-"):
            continue
        stem, _, suffix = name.rpartition("-")
        pair = [f"{stem}-{b}" for a, b in _OPPOSITES if suffix == a]
        if pair and mesh.has_target(pair[0]):
            axes.append((name, pair[0]))
        elif suffix not in {b for _, b in _OPPOSITES}:
            axes.append((name, ""))
    return tuple(axes)


def _draw_local(random: Random, spread: float) -> dict[str, float]:
    """Draw signed weights for some local axes, with mean 0."""
    targets = {}
    for target, opposite in random.sample(_local_axes(), _LOCAL_COUNT):
        amplitude = _LOCAL_AMPLITUDE * (0.5 if target.startswith(_CALM_GROUPS) else 1.0)
        weight = spread * random.uniform(-amplitude, amplitude)
        if opposite and weight < 0:
            targets[opposite] = -weight
        else:
            targets[target] = weight
    return targets


def _mirrored(targets: dict[str, float]) -> dict[str, float]:
    """Give every target of one side its twin on the other."""
    both = dict(targets)
    for name, weight in targets.items():
        group, _, rest = name.partition("/")
        if rest.startswith("l-"):
            both[f"{group}/r-{rest[2:]}"] = weight
    return both


def _draw_style(random: Random, head: str, spread: float) -> tuple[tuple[str, float], ...]:
    style = []
    for name, (low, high) in STYLES[head].items():
        mean = (low + high) / 2
        style.append((name, mean + spread * (random.uniform(low, high) - mean)))
    return tuple(style)


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


def _paint_human(random: Random, macro: _Macro) -> Paint:
    skin: Colour = (0.0, 0.0, 0.0)
    for share, ancestry in zip(macro.ancestry, _ANCESTRIES, strict=True):
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


def _paint_monkey(random: Random, macro: _Macro) -> Paint:
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


def _paint_cartoon(random: Random, macro: _Macro) -> Paint:
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


_PAINTERS = {"human": _paint_human, "monkey": _paint_monkey, "cartoon": _paint_cartoon}
