"""A small set of every kind of card, for the tests that run over all sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.stimuli.catalogue import stimuli_card

from .fake_layouts import fake_layout


def _rendered(name: str, folder: Path) -> StimulusSet:
    return load_stimuli(name, size=16, seeds=(1,), cache=folder / "cache")


_SIMULATED = {
    "kdef": {"identities": 2},
    "ferg": {"images": 2},
    "lfw": {"identities": 2, "images": 4},
}


def _simulated(name: str, folder: Path) -> StimulusSet:
    few = _SIMULATED[stimuli_card(name).layout]
    return load_stimuli(name, size=16, cache=folder / "cache", **few)


def _drawn(name: str, folder: Path) -> StimulusSet:
    pytest.importorskip("dicebear", reason="needs the extra `dicebear`")
    return load_stimuli(name, size=48, seeds=(1, 2), cache=folder / "cache")


def _licensed(name: str, folder: Path) -> StimulusSet:
    path = folder / "copy"
    if not path.exists():
        fake_layout(name, path)
    return load_stimuli(name, path=path, cache=folder / "cache")


SMALL: dict[str, Callable[[str, Path], StimulusSet]] = {
    "drawn": _drawn,
    "licensed": _licensed,
    "rendered": _rendered,
    "simulated": _simulated,
}
"""Kind of card -> a function that loads a small set of a name; a folder is there for its files."""
