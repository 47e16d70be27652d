"""Cards: what is to be said about a stimulus set, and how its images are come by."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import content_folder

KINDS = {
    "drawn": "neurofer.stimuli.drawn",
    "licensed": "neurofer.stimuli.licensed",
    "rendered": "neurofer.stimuli.rendered",
    "simulated": "neurofer.stimuli.simulated",
}
"""Kind of card -> the module that reads it, with its `CARD`, a class of cards, and its `load`."""


class Strict(BaseModel):
    """A part of a card or a recipe: unknown keys are refused, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Card(Strict):
    """What every card says, whatever its kind."""

    name: str
    title: str
    kind: str
    description: str
    licence: str
    citation: str

    def sets(self) -> dict[str, str]:
        """Return the sets of this card: name -> one line that says what it is."""
        return {self.name: self.title}

    def methods(self) -> str:
        """Return what a methods section says of the set, in sentences."""
        return " ".join(self.description.split())


def read_card(path: Path) -> Card:
    """Read one card.

    Raises:
        NeuroferError: it is no YAML, or a key is missing, unknown or has a wrong value.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise NeuroferError(f"{path} is no YAML: {error}") from error
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind not in KINDS:
        raise unknown_choice("kind", kind, KINDS, str(path))
    try:
        card: Card = module_of(str(kind)).CARD.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NeuroferError(f"{path}: {where}: {first['msg']}") from error
    return card


def module_of(kind: str) -> Any:
    """Return the module that reads cards of a kind and loads their sets."""
    return import_module(KINDS[kind])


@lru_cache(maxsize=1)
def read_cards() -> dict[str, Card]:
    """Return every set's card by the set's name, in the order of the cards' files.

    Raises:
        NeuroferError: a card is wrong, or two cards name the same set.
    """
    found: dict[str, Card] = {}
    for path in sorted(content_folder("stimuli").glob("*.yaml")):
        card = read_card(path)
        for name in card.sets():
            if name in found:
                raise NeuroferError(f"{path}: the set {name!r} is in another card as well")
            found[name] = card
    return found
