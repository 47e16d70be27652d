"""Identities: shapes drawn from a seed, the same on every platform; `paint` colours them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from neurofer.errors import unknown_choice
from neurofer.faces.checks import check_number
from neurofer.faces.heads import HEADS, STYLES
from neurofer.faces.mesh import head_mesh
from neurofer.faces.paint import ANCESTRIES, PAINTERS, Macro, Paint
from neurofer.faces.random import Random

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
class Identity:
    """One person, monkey, cartoon or avatar: what `make_identity` and `make_avatar` return.

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


_MEAN_MACRO = {
    "human": Macro((1 / 3, 1 / 3, 1 / 3), 0.5, 0.23, 0.0),
    "monkey": Macro((0.2, 0.2, 0.6), 0.5, 0.15, 0.0),
    "cartoon": Macro((0.2, 0.2, 0.6), 0.5, 0.15, 0.0),
}


def make_identity(seed: int, head: str, *, spread: float = 1.0) -> Identity:
    """Draw an identity.

    `spread` scales every shape parameter about the head's mean identity, mean + spread * (drawn -
    mean); at 0 all identities of a head have one shape. Colours and textures always vary fully.

    Args:
        seed: of the identity.
        head: "human", "monkey", "cartoon" or an avatar.
        spread: scales every shape parameter about the head's mean identity, from 0 to 2.

    Raises:
        NeuroferError: an unknown head, or a spread outside [0, 2].

    >>> make_identity(3, "monkey").style == make_identity(3, "monkey").style
    True
    """
    if head not in HEADS:
        raise unknown_choice("head", head, HEADS, "the face renderer")
    check_number("spread", spread, 0, 2)
    macro = _draw_macro(Random(seed, head, "macro"), head)
    targets = macro_targets(_blend_macro(_MEAN_MACRO[head], macro, spread))
    if head == "cartoon":
        _add(targets, mirrored(_CARTOON_TARGETS))
    _add(targets, mirrored(_draw_local(Random(seed, head, "local"), spread)))
    return Identity(
        seed=seed,
        head=head,
        spread=float(spread),
        targets=tuple(sorted(targets.items())),
        style=_draw_style(Random(seed, head, "style"), head, spread),
        paint=PAINTERS[head](Random(seed, head, "paint"), macro, seed),
    )


def _add(targets: dict[str, float], more: dict[str, float]) -> None:
    for name, weight in more.items():
        targets[name] = targets.get(name, 0.0) + weight


def _draw_macro(random: Random, head: str) -> Macro:
    weight = random.uniform(-1, 1)
    if head != "human":
        mean = _MEAN_MACRO[head]
        return Macro(mean.ancestry, mean.male, mean.old, weight)
    draws = [random.uniform() for _ in ANCESTRIES]
    cubes = [u * u * u for u in draws]
    total = cubes[0] + cubes[1] + cubes[2]
    old = random.uniform()
    return Macro(
        ancestry=(cubes[0] / total, cubes[1] / total, cubes[2] / total),
        male=random.choice((0.1, 0.9)),
        old=0.7 * old * old,
        weight=weight,
    )


def _blend_macro(mean: Macro, drawn: Macro, spread: float) -> Macro:
    def blend(a: float, b: float) -> float:
        return a + spread * (b - a)

    shares = [blend(a, b) for a, b in zip(mean.ancestry, drawn.ancestry, strict=True)]
    return Macro(
        ancestry=(shares[0], shares[1], shares[2]),
        male=blend(mean.male, drawn.male),
        old=blend(mean.old, drawn.old),
        weight=blend(mean.weight, drawn.weight),
    )


def macro_targets(macro: Macro) -> dict[str, float]:
    """Return the asset's targets, name -> weight, that make up a coarse shape."""
    targets = {}
    sexes = (("male", macro.male), ("female", 1 - macro.male))
    ages = (("young", 1 - macro.old), ("old", macro.old))
    for ancestry, share in zip(ANCESTRIES, macro.ancestry, strict=True):
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


def mirrored(targets: dict[str, float]) -> dict[str, float]:
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
