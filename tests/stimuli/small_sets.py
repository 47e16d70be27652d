"""A small set of every kind of card, for the tests that run over all sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from neurofer.stimuli import StimulusSet, load_stimuli


def _rendered(name: str, folder: Path) -> StimulusSet:
    return load_stimuli(name, size=16, seeds=(1,), cache=folder / "cache")


SMALL: dict[str, Callable[[str, Path], StimulusSet]] = {"rendered": _rendered}
"""Kind of card -> a function that loads a small set of a name; a folder is there for its files."""
