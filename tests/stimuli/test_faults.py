"""Stimuli on a disk that fails at each of its operations: whole, old or new, or made again."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurofer import leftovers
from neurofer.errors import NeuroferError
from neurofer.stimuli import load_stimuli, read_stimuli
from neurofer.stimuli.rendered.render_cache import RenderSpec, ensure_rendered
from tests.faults import FAULTS, Disk, Killed
from tests.stimuli.conftest import FakeRenderer, make_stimuli
from tests.stimuli.fake_layouts import fake_layout

SPECS = [RenderSpec("human", seed, 1.0, "happy", 0.5, 1.0, 8) for seed in (3, 4)]


def every_fault(
    folder: Path,
    fault: str,
    act: Callable[[Path], Any],
    prepare: Callable[[Path], Any],
    step: int = 1,
) -> list[tuple[Path, str]]:
    """Do something once for each of its operations, which fails; return where, and what failed.

    Args:
        folder: below which each has a folder of its own.
        fault: one of `FAULTS`.
        act: what is done, in a folder.
        prepare: what is done there before, on a sound disk.
        step: 2 lets every second operation fail.
    """
    prepare(folder / "counted")
    with Disk(folder) as disk:
        act(folder / "counted")
    found = []
    for at in range(1, len(disk.operations) + 1, step):
        place = folder / f"{fault}-{at}"
        prepare(place)
        with Disk(folder, at, fault), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with contextlib.suppress(Killed, OSError, NeuroferError):
                act(place)
        found.append((place, f"{fault} at {at}: {disk.operations[at - 1]}"))
    return found


def read(folder: Path) -> str:
    """Return the identifier of a set, of which every pixel and every mask was read."""
    found = read_stimuli(folder)
    assert len(list(found.images())) == len([found.parts(i) for i in range(len(found))])
    return found.identifier


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("before", [False, True], ids=["new", "old"])
def test_a_set_is_saved_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, before: bool
) -> None:
    old, new = make_stimuli(12, 4).take(range(2)), make_stimuli(12, 4).take(range(2, 4))

    def prepare(place: Path) -> None:
        if before:
            old.save(place / "set")

    found = every_fault(tmp_path, fault, lambda place: new.save(place / "set"), prepare, 2)
    assert len(found) > 25
    monkeypatch.setattr(leftovers, "_lives", lambda process: False)
    for place, what in found:
        leftovers.clean(place, again=True)  # as the next start does
        there = (place / "set").exists()
        assert there or not before, what
        if there:
            assert read(place / "set") in (old.identifier, new.identifier), what
        new.save(place / "set")
        assert read(place / "set") == new.identifier, what
        assert [path.name for path in place.iterdir()] == ["set"], what


@pytest.mark.parametrize("fault", FAULTS)
def test_rendered_images_are_made_again_where_they_are_damaged(
    renderer: FakeRenderer, tmp_path: Path, fault: str
) -> None:
    """They are not flushed: a power cut may empty every file, which is found."""

    def make(place: Path) -> list[Any]:
        made = ensure_rendered(SPECS, place, workers=0)
        return [
            (one.image.read().tobytes(), one.parts.read().tobytes(), one.landmarks) for one in made
        ]

    expected = make(tmp_path / "whole")
    found = every_fault(tmp_path, fault, make, lambda place: None)
    assert len(found) > 40
    for place, what in found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what is damaged is named
            assert make(place) == expected, what
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            assert make(place) == expected, what


@pytest.mark.parametrize("fault", FAULTS)
def test_the_index_of_a_copy_is_whole_or_made_again(tmp_path: Path, fault: str) -> None:
    fake_layout("ferg", tmp_path / "copy")

    def load(place: Path) -> str:
        return load_stimuli("ferg", path=tmp_path / "copy", cache=place).identifier

    expected = load(tmp_path / "whole")
    found = every_fault(tmp_path, fault, load, lambda place: None, step=2)
    assert len(found) > 70
    for place, what in found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an index that is damaged is named
            assert load(place) == expected, what
        assert len(list(place.glob("ferg*.npz"))) == 1, what
