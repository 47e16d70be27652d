"""What is known of a subject before it is made: for lists and descriptions."""

from __future__ import annotations

from dataclasses import dataclass

NONE_NEEDED = "none needed"
OWN_LICENCE = "MIT, the neurofer authors"


@dataclass(frozen=True)
class Facts:
    """What is known of a subject with its default options before it is made.

    None and "" stand for what is not known before it has its weights or its training stimuli.

    Attributes:
        size: height and width of what it sees, in pixels; None is any size.
        gray: whether it sees gray values only.
        preprocessing: what becomes of the pixels, in words.
        parameters: how many numbers its network has learned or may learn.
        sites: where it can be recorded from without training stimuli.
        weights: "shipped", "fetched", "to fetch", "untrained" or "none needed".
        licence: of its weights, then who gave it.
        source: where its weights come from.
    """

    size: int | None = None
    gray: bool | None = None
    preprocessing: str = ""
    parameters: int | None = None
    sites: tuple[str, ...] | None = None
    weights: str = ""
    licence: str = ""
    source: str = ""
