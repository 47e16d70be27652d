"""Rendered sets: from a card to the specification of every image, and to a StimulusSet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from neurofer.errors import unknown_choice
from neurofer.files import cache_folder
from neurofer.options import Different, at_least, check_options, within
from neurofer.schema import Strict
from neurofer.stimuli.cards import Card
from neurofer.stimuli.image_cache import CachedImage
from neurofer.stimuli.rendered.render_cache import RenderSpec, ensure_rendered
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import EXPRESSIONS, make_table

SEEDS = (1, 2, 3, 4, 5)
SIZE = 224


class Version(Strict):
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


class RenderedCard(Card):
    """Heads that show expressions, frontal, in one light: construction, protocols and versions.

    Attributes:
        spread: how far identities lie from their head's mean face (1: as people do).
        scales: horizontal scales. With more than one, the "identities" of a head are its first
            seed at these scales; with one, they are the seeds.
    """

    kind: Literal["rendered"]
    construction: str
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

    def sets(self) -> dict[str, str]:
        """Return the versions and their descriptions."""
        return {name: version.description for name, version in self.versions.items()}

    def methods(self) -> str:
        """Return description and construction."""
        return " ".join(f"{self.description} {self.construction}".split())


CARD = RenderedCard


def load(
    name: str,
    card: RenderedCard,
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    **parameters: Any,
) -> StimulusSet:
    """Return a rendered set; images that the cache lacks are rendered first.

    See `load_stimuli` for the arguments.

    Args:
        name: of the set.
        card: of the set.
        cache: folder of the images; by default the user's cache.
        progress: see `progress.progress_of`.
        parameters: `seeds` and `size`, where the card has them.
    """
    seeds, size = seeds_and_size(f"rendered set {name!r}", parameters)
    return render_set(name, plan(name, card, seeds, size), cache=cache, progress=progress)


def seeds_and_size(where: str, parameters: Mapping[str, Any]) -> tuple[tuple[int, ...], int]:
    """Return the parameters of a set whose persons are drawn from seeds, checked.

    Raises:
        NeuroferError: a parameter is unknown or has a wrong value.
    """
    given = check_options(_parameters, parameters, where, skip=0, what="parameter")
    return _parameters(**given)


def _parameters(
    seeds: Annotated[Sequence[Annotated[int, at_least(0)]], Different()] = SEEDS,
    size: Annotated[int, within(16, 2048)] = SIZE,
) -> tuple[tuple[int, ...], int]:
    return tuple(seeds), size


def render_set(
    name: str,
    planned: Iterable[tuple[dict[str, Any], RenderSpec]],
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> StimulusSet:
    """Return the set of planned images, a table row and a specification each.

    Args:
        name: of the set.
        planned: a table row and a specification per image.
        cache: folder of the images; by default the user's cache.
        progress: see `progress.progress_of`.
    """
    rows, specs = zip(*planned, strict=True)
    folder = cache_folder("renders") if cache is None else Path(cache)
    drawn = ensure_rendered(specs, folder, text=f"rendering {name}", progress=progress)
    return made_set(name, rows, drawn)


def made_set(
    name: str, rows: Iterable[Mapping[str, Any]], made: Sequence[CachedImage]
) -> StimulusSet:
    """Return the set of images of the cache.

    Args:
        name: of the set.
        rows: of its table, one per image.
        made: the images.
    """
    parts = [one.parts for one in made]
    return StimulusSet(
        name,
        make_table(pd.DataFrame(list(rows)), [one.image.sha256 for one in made]),
        [one.image for one in made],
        landmarks=np.asarray([one.landmarks for one in made], dtype=np.float64),
        parts=parts if any(parts) else None,
    )


def plan(
    name: str, card: RenderedCard, seeds: Sequence[int], size: int
) -> Iterator[tuple[dict[str, Any], RenderSpec]]:
    """Yield the table row and the specification of every image, by head, identity, expression.

    The nine training images (`split` is "train") are the neutral of the first identity of each
    head and the other expressions of the first identity of the first head, at full strength.

    Args:
        name: of the set.
        card: of the set.
        seeds: one per identity of each head.
        size: in pixels.
    """
    version = card.versions[name]
    identities = list(_identities(card, seeds))
    if version.identities == "first":
        identities = identities[:1]
    for head in card.heads:
        for number, (label, seed, scale_x) in enumerate(identities):
            for expression in card.expressions:
                neutral = expression == "neutral"
                for strength in (0.0,) if neutral else sorted(version.strengths):
                    trained = number == 0 and (neutral or (head == card.heads[0] and strength == 1))
                    row = {
                        "stimulus_id": f"{card.name}-{head}-{label}-{expression}"
                        f"-{round(100 * strength):03d}",
                        "head": head,
                        "identity": f"{head}-{label}",
                        "expression": expression,
                        "strength": strength,
                        "view": "frontal",
                        "split": "train" if trained else "test",
                        "source": "rendered",
                        "seed": seed,
                        "spread": card.spread,
                        "scale_x": scale_x,
                    }
                    spec = RenderSpec(head, seed, card.spread, expression, strength, scale_x, size)
                    yield row, spec


def _identities(card: RenderedCard, seeds: Sequence[int]) -> Iterator[tuple[str, int, float]]:
    """Yield label, seed and horizontal scale of the identities of a head."""
    if len(card.scales) > 1:
        for scale in card.scales:
            yield f"x{round(100 * scale):03d}", seeds[0], scale
    else:
        for seed in seeds:
            yield str(seed), seed, card.scales[0]
