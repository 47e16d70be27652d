"""Simulated sets: rendered faces that stand in for sets of photographs or of films.

They have the protocol and the file layout of their originals and the variation that makes them
hard (`jitter`). They never carry an original's bare name.
"""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.faces import RECIPES
from neurofer.schema import Strict, validated
from neurofer.stimuli.cards import Card
from neurofer.stimuli.rendered.jitter import JITTERS
from neurofer.stimuli.rendered.plans import PLANS, Planned, Scene
from neurofer.stimuli.rendered.sets import render_set
from neurofer.stimuli.stimulus_set import StimulusSet


class Version(Strict):
    """One set of a card."""

    description: str
    jitter: str

    @field_validator("jitter")
    @classmethod
    def _known(cls, jitter: str) -> str:
        if jitter not in JITTERS:
            raise ValueError(str(unknown_choice("jitter", jitter, JITTERS)))
        return jitter


class Seeds(Strict):
    """The identity seeds that a card may use: reported from `first`, tuned from `development`."""

    first: int = Field(ge=0)
    development: int
    last: int

    @model_validator(mode="after")
    def _ascending(self) -> Seeds:
        if not self.first < self.development <= self.last:
            raise ValueError("first < development <= last")
        return self


class Difficulty(Strict):
    """How well linear probes read the expression, measured: percent correct by feature and set."""

    method: str
    command: str
    chance: float
    percent_correct: dict[str, dict[str, float]]


class SimulatedCard(Card):
    """Rendered faces in the protocol of a set that is licensed.

    Attributes:
        layout: the original's card, whose protocol and files the set has.
        expressions: in the order of the table.
        size: pixels of an image, unless another is asked for.
        wrinkles: whether action units wrinkle the skin.
        seeds: None where the persons are not drawn from seeds.
    """

    kind: Literal["simulated"]
    layout: Literal["kdef", "ferg", "lfw"]
    construction: str
    expressions: tuple[str, ...] = Field(min_length=1)
    size: int = Field(ge=16, le=2048)
    wrinkles: bool = False
    seeds: Seeds | None = None
    versions: dict[str, Version] = Field(min_length=1)
    difficulty: Difficulty | None = None

    @field_validator("expressions")
    @classmethod
    def _shown(cls, expressions: tuple[str, ...]) -> tuple[str, ...]:
        for expression in expressions:
            if expression not in RECIPES:
                raise ValueError(str(unknown_choice("expression", expression, RECIPES)))
        return expressions

    def sets(self) -> dict[str, str]:
        """Return the versions and their descriptions."""
        return {name: version.description for name, version in self.versions.items()}

    def methods(self) -> str:
        """Return description and construction."""
        return " ".join(f"{self.description} {self.construction}".split())


CARD = SimulatedCard


def load(
    name: str,
    card: SimulatedCard,
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    **parameters: Any,
) -> StimulusSet:
    """Return a simulated set; images that the cache lacks are rendered first.

    Args:
        name: of the set.
        card: its card.
        cache: see `load_stimuli`.
        progress: see `load_stimuli`.
        parameters: `size` in pixels, and by the card's layout
            kdef: `identities` (1 to 70, women and men in turn) and `first_seed`;
            ferg: `images`, of each avatar and expression;
            lfw: `identities`, `images` of each, `expressions` (how many of them an identity
            shows, drawn for each, or the names of those that all show), `heads`, `views`,
            `first_seed`.

    Raises:
        NeuroferError: a parameter is unknown or has a wrong value.
    """
    return render_set(name, plan(name, card, **parameters), cache=cache, progress=progress)


def plan(name: str, card: SimulatedCard, **parameters: Any) -> Planned:
    """Yield the table row and the specification of every image.

    Args:
        name: of the set.
        card: of the set.
        parameters: that replace the card's.

    Raises:
        NeuroferError: a parameter is unknown or has a wrong value.
    """
    layout = PLANS[card.layout]
    checked = _check(name, card, layout.parameters, parameters)
    jitter = JITTERS[card.versions[name].jitter]
    last = card.seeds.last if card.seeds is not None else 0
    scene = Scene(card.name, card.expressions, jitter, card.wrinkles, last)
    return layout.plan(scene, checked)


def _check(name: str, card: SimulatedCard, model: type[Any], parameters: dict[str, Any]) -> Any:
    known = model.model_fields
    for parameter in parameters:
        check_choice("parameter", parameter, known, f"simulated set {name!r}")
    given = {"size": card.size, **{key: _plain(value) for key, value in parameters.items()}}
    if card.seeds is not None:
        given.setdefault("first_seed", card.seeds.first)
    checked: Any = validated(model, given, f"simulated set {name!r}")
    if card.seeds is not None and not card.seeds.first <= checked.first_seed <= card.seeds.last:
        raise NeuroferError(
            f"first_seed={checked.first_seed} of {name!r}: give a whole number from "
            f"{card.seeds.first} to {card.seeds.last} (from {card.seeds.development} on to tune "
            "settings); other seeds belong to other sets"
        )
    return checked


def _plain(value: Any) -> Any:
    """Return numbers of numpy as Python's, and lists as tuples."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(value) if isinstance(value, list) else value
