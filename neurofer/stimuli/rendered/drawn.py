"""Drawn sets: people of published avatar styles whose brows, eyes and mouths show expressions."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
from pydantic import Field, field_validator

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import cache_folder, content_hash
from neurofer.schema import Strict
from neurofer.stimuli.cards import Card
from neurofer.stimuli.rendered.drawing import Drawing, ensure_drawn
from neurofer.stimuli.rendered.part_landmarks import PLACES, READ
from neurofer.stimuli.rendered.sets import made_set, seeds_and_size
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import EXPRESSIONS

T = TypeVar("T")
BACKGROUND = "#c9c9c9"


class Style(Strict):
    """A published avatar style and what of it shows which expression.

    Attributes:
        view: where its heads look.
        frame: x, y and side of the square that is shown, in the units of the style.
        options: the same for every image; a part with probability 0 is left out.
        expressions: expression -> part -> variant. Expressions that the style cannot show are
            left out.
        added: variants of our own: part -> variant -> attributes of a path.
        landmarks: what a part is read as: "brows", "eyes", "mouth" or "nose" -> part.
        points: landmark -> x and y in the units of the style, where it is always in one place.
        doubtful: expressions that could be read as another.
        about: what was judged, and how far it can be trusted.
    """

    title: str
    creator: str
    source: str
    licence: Literal["CC0 1.0", "CC BY 4.0"]
    view: Literal["frontal", "half-left", "half-right"]
    frame: tuple[float, float, float]
    options: dict[str, Any] = Field(default_factory=dict)
    expressions: dict[str, dict[str, str]] = Field(min_length=2)
    added: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict)
    landmarks: dict[str, str] = Field(default_factory=dict)
    points: dict[str, tuple[float, float]] = Field(default_factory=dict)
    doubtful: tuple[str, ...] = ()
    about: str

    @field_validator("landmarks")
    @classmethod
    def _read(cls, landmarks: dict[str, str]) -> dict[str, str]:
        return _only_known("landmarks", landmarks, READ)

    @field_validator("points")
    @classmethod
    def _landmark(cls, points: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        return _only_known("points", points, PLACES)

    @field_validator("expressions")
    @classmethod
    def _known(cls, expressions: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        if "neutral" not in expressions:
            raise ValueError("the style shows no neutral face")
        return _only_known("expression", expressions, EXPRESSIONS)

    def variants(self, expression: str) -> dict[str, list[str]]:
        """Return the options that show an expression."""
        parts = self.expressions[expression]
        return {f"{part}Variant": [variant] for part, variant in parts.items()}


def _only_known(what: str, named: dict[str, T], choices: Collection[str]) -> dict[str, T]:
    for name in named:
        if name not in choices:
            raise ValueError(str(unknown_choice(what, name, choices)))
    return named


class DrawnCard(Card):
    """Avatar styles, and the versions of the packages that they come from."""

    kind: Literal["drawn"]
    styles: dict[str, Style] = Field(min_length=1)

    def sets(self) -> dict[str, str]:
        """Return the set of all styles and the set of each."""
        every = {self.name: f"{len(self.styles)} styles, five people each, rendered"}
        return every | {
            f"{self.name}-{name}": f"{style.title}, {len(style.expressions)} expressions, rendered"
            for name, style in self.styles.items()
        }

    def methods(self) -> str:
        """Return the description and the credits."""
        styles = "; ".join(
            f"{style.title} by {style.creator} ({style.licence}, {style.source})"
            for style in self.styles.values()
        )
        return " ".join(f"{self.description} Styles: {styles}.".split())


CARD = DrawnCard


def load(
    name: str,
    card: DrawnCard,
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    **parameters: Any,
) -> StimulusSet:
    """Return a drawn set; images that the cache lacks are drawn first.

    Parameters are `seeds`, one per person of each style (default 1 to 5), and `size` in pixels.

    Args:
        name: of the set.
        card: of the set.
        cache: folder of the images; by default the user's cache.
        progress: see `progress.progress_of`.
        parameters: `seeds` and `size`.

    Raises:
        NeuroferError: a parameter is unknown or wrong, the extra `dicebear` is not installed, or
            two seeds give the same person.
    """
    seeds, size = seeds_and_size(f"drawn set {name!r}", parameters)
    rows, drawings = zip(*plan(name, card, seeds, size), strict=True)
    folder = cache_folder("drawings") if cache is None else Path(cache)
    drawn = ensure_drawn(drawings, folder, text=f"drawing {name}", progress=progress)
    stimuli = made_set(name, rows, drawn)
    _check_different(stimuli.table)
    return stimuli


def _check_different(table: pd.DataFrame) -> None:
    """Refuse persons that look the same: parts are few, and two seeds can choose alike."""
    seen: dict[str, str] = {}
    for pixels, stimulus in zip(table["image_sha256"], table["stimulus_id"], strict=True):
        if pixels in seen:
            raise NeuroferError(
                f"{seen[pixels]} and {stimulus} look the same; choose another seed for one of them"
            )
        seen[pixels] = stimulus


def plan(
    name: str, card: DrawnCard, seeds: Sequence[int], size: int
) -> Iterator[tuple[dict[str, Any], Drawing]]:
    """Yield the table row and the drawing of every image, by style, identity, expression.

    Args:
        name: of the set.
        card: of the set.
        seeds: one per person of each style.
        size: in pixels.
    """
    for key, style in card.styles.items():
        if name not in (card.name, f"{card.name}-{key}"):
            continue
        for seed in seeds:
            for expression in (one for one in EXPRESSIONS if one in style.expressions):
                row = {
                    "stimulus_id": f"{card.name}-{key}-{seed}-{expression}",
                    "head": f"2d-{key}",
                    "identity": f"2d-{key}-{seed}",
                    "expression": expression,
                    "view": style.view,
                    "source": "rendered",
                    "seed": seed,
                    "licence": style.licence,
                    "doubtful": expression in style.doubtful,
                }
                options = {
                    **style.options,
                    **style.variants(expression),
                    # Neighbouring numbers give DiceBear's random numbers much alike.
                    "seed": content_hash(key, seed)[:16],
                    "backgroundColor": [BACKGROUND],
                }
                drawing = Drawing(
                    style=key,
                    options=options,
                    added=style.added,
                    landmarks=style.landmarks,
                    points=style.points,
                    rest=style.variants("neutral"),
                    frame=style.frame,
                    size=size,
                )
                yield row, drawing
