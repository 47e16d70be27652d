"""What every registered stimulus set keeps, found from the registry."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import PARTS
from neurofer.stimuli import (
    COLUMNS,
    StimulusSet,
    list_stimuli,
    load_stimuli,
    protocol,
    read_stimuli,
    split,
)
from neurofer.stimuli.catalogue import stimuli_card
from neurofer.stimuli.images import image_sha256
from neurofer.stimuli.licensed.card import LicensedCard
from neurofer.stimuli.splits import RULES
from neurofer.stimuli.table import EXPRESSIONS, SOURCES, SPLITS

from .conftest import FakeRenderer
from .small_sets import SMALL
from .test_splits import check as check_split


def check(stimuli: StimulusSet) -> None:
    table = stimuli.table
    assert len(table) == len(stimuli) > 0
    assert tuple(table.columns[: len(COLUMNS)]) == COLUMNS
    assert table["stimulus_id"].is_unique
    assert table["image_sha256"].is_unique
    assert set(table["expression"]) <= {"", *EXPRESSIONS}
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


@pytest.mark.parametrize("name", list_stimuli())
def test_every_set(renderer: FakeRenderer, tmp_path: Path, name: str) -> None:
    load = SMALL[stimuli_card(name).kind]
    stimuli = load(name, tmp_path)
    check(stimuli)
    assert stimuli.name == name
    some = stimuli.take(range(min(9, len(stimuli))))
    assert read_stimuli(some.save(tmp_path / "set")).identifier == some.identifier
    assert load(name, tmp_path).content == stimuli.content
    for rule in RULES:
        with contextlib.suppress(NeuroferError):  # a set without sessions, with one head, ...
            for one in split(stimuli, rule, folds=2, classes=None):
                check_split(stimuli, one)


@pytest.mark.parametrize("name", list_stimuli())
def test_every_card_speaks_for_its_sets(name: str) -> None:
    card = stimuli_card(name)
    assert card.licence  # "CC0" says all
    for text in (card.title, card.description, card.citation, card.methods()):
        assert len(text) > 10
    assert all(len(line) > 10 for line in card.sets().values())
    if card.kind != "licensed":
        assert "rendered" in (card.title + card.description).lower()


@pytest.mark.parametrize("name", [n for n in list_stimuli() if stimuli_card(n).kind == "licensed"])
def test_a_licensed_set_has_a_stand_in(name: str) -> None:
    card = stimuli_card(name)
    assert isinstance(card, LicensedCard)
    assert stimuli_card(card.stand_in).kind == "simulated"


@pytest.mark.parametrize("name", [n for n in list_stimuli() if stimuli_card(n).kind == "rendered"])
def test_the_training_split_is_the_nine_images(
    renderer: FakeRenderer, tmp_path: Path, name: str
) -> None:
    stimuli = SMALL["rendered"](name, tmp_path)
    table, training = stimuli.table, protocol(stimuli, "nine").table
    assert set(training["image_sha256"]) == set(table["image_sha256"][table["split"] == "train"])


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
