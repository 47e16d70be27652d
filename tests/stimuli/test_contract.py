"""What every registered stimulus set keeps, found from the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurofer.faces import PARTS
from neurofer.stimuli import (
    COLUMNS,
    StimulusSet,
    list_stimuli,
    load_stimuli,
    protocol,
    read_stimuli,
)
from neurofer.stimuli.catalogue import stimuli_card
from neurofer.stimuli.images import image_sha256
from neurofer.stimuli.table import EXPRESSIONS, SOURCES, SPLITS

from .conftest import FakeRenderer


def check(stimuli: StimulusSet) -> None:
    table = stimuli.table
    assert len(table) == len(stimuli) > 0
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert table["stimulus_id"].is_unique
    assert table["image_sha256"].is_unique
    assert set(table["expression"]) <= set(EXPRESSIONS)
    assert set(table["source"]) <= set(SOURCES)
    assert set(table["split"]) <= set(SPLITS)
    assert table["strength"].between(0, 1).all()
    assert (table["strength"][table["expression"] == "neutral"] == 0).all()
    assert (table.groupby("identity")["head"].nunique() == 1).all()
    for source in ("rendered", "simulated"):
        assert (source in stimuli.identifier) == (source in set(table["source"]))
    for i in (0, len(stimuli) - 1):
        image, parts = stimuli.image(i), stimuli.parts(i)
        assert (image.dtype, image.ndim, image.shape[2]) == (np.uint8, 3, 3)
        assert image_sha256(image) == table["image_sha256"].iloc[i]
        assert parts is None or (parts.dtype, parts.shape) == (np.uint8, image.shape[:2])
    if stimuli.landmarks is not None:
        assert stimuli.landmarks.shape == (len(stimuli), 13, 2)
    assert stimuli.take(range(len(stimuli))).identifier == stimuli.identifier
    training = protocol(stimuli, "nine").table
    assert set(training["image_sha256"]) == set(table["image_sha256"][table["split"] == "train"])


@pytest.mark.parametrize("name", list_stimuli())
def test_every_set(renderer: FakeRenderer, tmp_path: Path, name: str) -> None:
    stimuli = load_stimuli(name, size=16, seeds=(1,), cache=tmp_path / "cache")
    check(stimuli)
    assert stimuli.name == name
    nine = protocol(stimuli, "nine")
    assert read_stimuli(nine.save(tmp_path / "set")).identifier == nine.identifier
    assert load_stimuli(name, size=16, seeds=(1,), cache=tmp_path / "cache").content == (
        stimuli.content
    )


@pytest.mark.parametrize("name", list_stimuli())
def test_every_card_speaks_for_its_sets(name: str) -> None:
    card = stimuli_card(name)
    for text in (card.title, card.description, card.construction, card.licence, card.citation):
        assert len(text) > 10
    assert set(card.protocols) == {"nine", "nine-and-neutrals"}
    assert "rendered" in (card.title + card.description).lower()


def test_a_set_from_the_renderer() -> None:
    stimuli = load_stimuli("bfs-wide", size=48, seeds=(1,))
    check(stimuli)
    again = load_stimuli("bfs-wide", size=48, seeds=(1,))
    assert again.identifier == stimuli.identifier
    assert stimuli.landmarks is not None
    assert ((stimuli.landmarks > 0) & (stimuli.landmarks < 47)).all()
    parts = stimuli.parts(0)
    assert parts is not None
    assert {PARTS["background"], PARTS["skin"], PARTS["lips"]} <= set(np.unique(parts).tolist())
