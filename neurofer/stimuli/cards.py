"""Cards: what is to be said about a stimulus set, and how a rendered one is made."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import content_folder
from neurofer.stimuli.table import EXPRESSIONS


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Version(_Strict):
    """One set of a card: which identities it shows, and at which strengths."""

    description: str
    identities: Literal["first", "all"]
    strengths: tuple[float, ...] = Field(min_length=1)

    @field_validator("strengths")
    @classmethod
    def _within(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < strength <= 1 for strength in strengths):
            raise ValueError("a strength lies above 0 and at most at 1")
        if len(set(strengths)) < len(strengths):
            raise ValueError("a strength is named twice")
        return strengths


class Card(_Strict):
    """A stimulus set: description, licence, construction, protocols and versions.

    Attributes:
        spread: how far identities lie from their head's mean face (1: as people do).
        scales: horizontal scales. With more than one, the "identities" of a head are its first
            seed at these scales; with one, they are the seeds.
    """

    name: str
    title: str
    kind: Literal["rendered"]
    description: str
    construction: str
    licence: str
    citation: str
    protocols: dict[str, str]
    heads: tuple[str, ...] = Field(min_length=1)
    expressions: tuple[str, ...] = Field(min_length=1)
    spread: float = Field(ge=0)
    scales: tuple[float, ...] = Field(min_length=1)
    versions: dict[str, Version] = Field(min_length=1)

    @field_validator("expressions")
    @classmethod
    def _known(cls, expressions: tuple[str, ...]) -> tuple[str, ...]:
        for expression in expressions:
            if expression not in EXPRESSIONS:
                raise ValueError(str(unknown_choice("expression", expression, EXPRESSIONS)))
        return expressions


def read_card(path: Path) -> Card:
    """Read one card.

    Raises:
        NeuroferError: it is no YAML, or a key is missing, unknown or has a wrong value.
    """
    try:
        return Card.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NeuroferError(f"{path}: {where}: {first['msg']}") from error
    except yaml.YAMLError as error:
        raise NeuroferError(f"{path} is no YAML: {error}") from error


@lru_cache(maxsize=1)
def read_cards() -> dict[str, Card]:
    """Return every set's card by the set's name, in the order of the cards' files.

    Raises:
        NeuroferError: a card is wrong, or two cards name the same set.
    """
    found: dict[str, Card] = {}
    for path in sorted(content_folder("stimuli").glob("*.yaml")):
        card = read_card(path)
        for name in card.versions:
            if name in found:
                raise NeuroferError(f"{path}: the set {name!r} is in another card as well")
            found[name] = card
    return found
