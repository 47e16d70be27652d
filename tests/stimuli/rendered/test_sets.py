from __future__ import annotations

import json
import time
import warnings
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import Camera, Light
from neurofer.sealed import read_sealed, write_sealed
from neurofer.stimuli import StimulusSet, image_cache, load_stimuli, writer
from neurofer.stimuli.catalogue import stimuli_card
from neurofer.stimuli.rendered.render_cache import RenderSpec, chunks
from neurofer.stimuli.rendered.sets import plan
from tests.stimuli.conftest import FakeRenderer


def load(name: str, cache: Path, **parameters: object) -> StimulusSet:
    return load_stimuli(name, cache=cache, **{"size": 16, "seeds": (1, 2, 3, 4, 5), **parameters})


SIZES = {"": 105, "-l": 75, "-l-full": 375}


@pytest.mark.parametrize("kind", ["bfs", "bfs-wide", "bfs-scales"])
@pytest.mark.parametrize("suffix", SIZES)
def test_plans(kind: str, suffix: str) -> None:
    name = kind + suffix
    card = stimuli_card(name)
    rows, specs = zip(*plan(name, card, (4, 7, 1, 2, 3), 224), strict=True)
    assert (
        len(rows) == SIZES[suffix] == len(set(specs)) == len({row["stimulus_id"] for row in rows})
    )
    assert sum(row["split"] == "train" for row in rows) == 9
    for row, spec in zip(rows, specs, strict=True):
        assert (row["head"], row["expression"], row["strength"]) == (
            spec.head,
            spec.expression,
            spec.strength,
        )
        assert (row["expression"] == "neutral") == (row["strength"] == 0)
        assert spec.spread == {"bfs": 0.35, "bfs-wide": 1, "bfs-scales": 0.35}[kind]
    identities = list(
        dict.fromkeys(
            (row["identity"], spec.seed, spec.scale_x)
            for row, spec in zip(rows, specs, strict=True)
        )
    )
    first = identities[: 1 if suffix == "-l" else 5]
    seeds, scales = (4, 7, 1, 2, 3), (1.0, 0.8, 0.9, 1.1, 1.2)
    if kind == "bfs-scales":
        labels = ("x100", "x080", "x090", "x110", "x120")
        expected = [
            (f"human-{label}", 4, scale) for label, scale in zip(labels, scales, strict=True)
        ]
    else:
        expected = [(f"human-{seed}", seed, 1.0) for seed in seeds]
    assert first == expected[: len(first)]
    if suffix:
        strengths = {row["strength"] for row in rows if row["expression"] == "sad"}
        assert strengths == {0.25, 0.5, 0.75, 1.0}


def test_ground_truth_comes_with_the_images(renderer: FakeRenderer, tmp_path: Path) -> None:
    stimuli = load("bfs", tmp_path, seeds=(3,))
    assert stimuli.identifier.startswith("bfs-rendered-")
    assert set(stimuli.table["source"]) == {"rendered"}
    assert stimuli.landmarks is not None
    assert stimuli.landmarks.shape == (21, 13, 2)
    assert stimuli.image(4).shape == (16, 16, 3)
    parts = stimuli.parts(4)
    assert parts is not None
    assert (parts.shape, parts.dtype) == ((16, 16), np.uint8)
    note = json.loads(read_sealed(next((tmp_path / "fake-renderer-00").glob("*.note"))))
    assert set(note) == {"made_of", "files", "facts"}
    assert set(note["facts"]) == {"landmarks", "action_units"}


def test_an_image_is_rendered_once_whatever_sets_it_is_in(
    renderer: FakeRenderer, tmp_path: Path
) -> None:
    load("bfs", tmp_path)
    assert len(renderer.drawn) == 105
    load("bfs-l", tmp_path)  # 3 heads x 6 expressions x 3 further strengths
    assert len(renderer.drawn) == 105 + 54
    load("bfs-scales", tmp_path)  # scale 1.0 is the first identity of bfs
    assert len(renderer.drawn) == 159 + 84
    load("bfs", tmp_path)
    load("bfs-wide", tmp_path)
    assert len(renderer.drawn) == 243 + 105
    assert len(set(renderer.drawn)) < len(renderer.drawn)  # spread is not among the arguments


def test_stopped_anywhere_it_goes_on(
    renderer: FakeRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load("bfs", tmp_path / "whole").identifier
    draw = renderer.render

    def stop_at_forty(*args: object, **options: object) -> object:
        if len(renderer.drawn) == 105 + 40:
            raise KeyboardInterrupt
        return draw(*args, **options)

    monkeypatch.setattr(renderer, "render", stop_at_forty)
    with pytest.raises(KeyboardInterrupt):
        load("bfs", tmp_path / "parts")
    monkeypatch.setattr(renderer, "render", draw)
    assert load("bfs", tmp_path / "parts").identifier == whole
    # The last four may have been drawn but not yet written when it was stopped.
    assert 210 <= len(renderer.drawn) <= 214


@pytest.mark.parametrize("suffix", [".png", ".parts.png", ".note"])
def test_what_is_lost_is_rendered_again(
    renderer: FakeRenderer, tmp_path: Path, suffix: str
) -> None:
    stimuli = load("bfs", tmp_path)
    folder = tmp_path / "fake-renderer-00"
    files = [f for f in folder.iterdir() if f.name.partition(".")[2] == suffix[1:]]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-9])  # cut off by a crash
    with pytest.warns(UserWarning, match=rf"{files[1].name} is damaged.* made again"):
        again = load("bfs", tmp_path)
    assert again.identifier == stimuli.identifier
    assert len(renderer.drawn) == 105 + 2
    assert len(list(again.images())) == 105


def same(a: StimulusSet, b: StimulusSet) -> None:
    assert a.identifier == b.identifier
    for i in range(len(a)):
        np.testing.assert_array_equal(a.image(i), b.image(i))
        np.testing.assert_array_equal(a.parts(i), b.parts(i))


@pytest.mark.parametrize("suffix", [".png", ".parts.png", ".note"])
def test_no_wrong_byte_of_the_cache_goes_unseen(
    renderer: FakeRenderer, tmp_path: Path, suffix: str
) -> None:
    """What is damaged is made again, so that all is as it was."""
    stimuli = load("bfs", tmp_path, seeds=(1,)).take(range(3))
    original = StimulusSet.from_arrays(
        "bfs",
        stimuli.table.drop(columns="image_sha256"),
        list(stimuli.images()),
        stimuli.landmarks,
        [mask for i in range(3) if (mask := stimuli.parts(i)) is not None],
    )
    assert original.identifier == stimuli.identifier
    path = tmp_path / "fake-renderer-00" / f"{stimuli._images[1].path.stem}{suffix}"  # type: ignore[union-attr]
    content = path.read_bytes()
    told = 0
    for place in np.random.default_rng(2).integers(0, len(content), 15).tolist():
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            same(load("bfs", tmp_path, seeds=(1,)).take(range(3)), original)
        told += any("made again" in str(one.message) for one in caught)
        path.write_bytes(content)
    assert told >= 13  # of a PNG, some bits say nothing of the pixels


def test_a_picture_that_is_damaged_after_loading_is_made_again(
    renderer: FakeRenderer, tmp_path: Path
) -> None:
    stimuli = load("bfs", tmp_path, seeds=(1,))
    before = [image.copy() for image in stimuli.images()]
    for path in (tmp_path / "fake-renderer-00").glob("*.png"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match=r"made again"):
        np.testing.assert_array_equal(list(stimuli.images()), before)


@pytest.mark.parametrize("place", ["cache", "folder"])
def test_a_full_disk_is_one_line(
    renderer: FakeRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    stimuli = load("bfs", tmp_path / "other", seeds=(1,))
    list(stimuli.images())

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_cache, "write_image", full)
    monkeypatch.setattr(writer, "write_image", full)
    with pytest.raises(NeuroferError, match=r"cannot be written \(No space left on device\)"):
        if place == "cache":
            load("bfs", tmp_path / "cache", seeds=(1,))
        else:
            stimuli.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_the_note_of_another_image_is_not_taken(renderer: FakeRenderer, tmp_path: Path) -> None:
    """Whatever its name says: an image is of the specification that was asked for."""
    stimuli = load("bfs", tmp_path, seeds=(1,))
    note = next((tmp_path / "fake-renderer-00").glob("*.note"))
    content = json.loads(read_sealed(note))
    content["made_of"]["expression"] = "contempt"
    with write_sealed(note) as partial:
        partial.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match=r"note of another image.* made again"):
        assert load("bfs", tmp_path, seeds=(1,)).identifier == stimuli.identifier
    assert len(renderer.drawn) == 22


def test_another_renderer_is_another_cache(
    renderer: FakeRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("bfs", tmp_path, seeds=(1,))
    monkeypatch.setattr("neurofer.faces.RENDERER_VERSION", "another")
    load("bfs", tmp_path, seeds=(1,))
    assert len(renderer.drawn) == 42


def test_a_warm_set_loads_fast(renderer: FakeRenderer, tmp_path: Path) -> None:
    load("bfs", tmp_path)
    start = time.perf_counter()
    load("bfs", tmp_path).identifier  # noqa: B018
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seed": 3}, "parameter='seed'.*did you mean 'seeds'"),
        ({"seeds": ()}, "seeds=.*whole numbers, at least 0, all different"),
        ({"seeds": (1, 1)}, "all different"),
        ({"seeds": (1.5,)}, "whole numbers"),
        ({"seeds": (-1, 2)}, "at least 0"),
        ({"seeds": 3}, "a list of whole numbers"),
        ({"seeds": "12"}, "a list of whole numbers"),
        ({"size": 3}, "size=3: give a whole number, from 16 to 2048"),
        ({"size": 64.5}, "from 16 to 2048"),
        ({"size": True}, "from 16 to 2048"),
    ],
)
def test_wrong_parameters(tmp_path: Path, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        load("bfs", tmp_path, **parameters)
    assert not any(tmp_path.iterdir())


FULL = RenderSpec(
    head="human",
    seed=1,
    spread=1.0,
    expression="happy",
    strength=1.0,
    scale_x=1.0,
    size=64,
    action_units=((6, 0.1), (12, 1 / 3)),
    camera=Camera(yaw=7.25, shift=(0.1, -0.2)),
    light=Light(azimuth=12.5),
    background=4,
)


@pytest.mark.parametrize(
    "change",
    [
        {"head": "monkey"},
        {"seed": 2},
        {"spread": 0.35},
        {"expression": "sad"},
        {"strength": 0.5},
        {"scale_x": 0.8},
        {"size": 65},
        {"action_units": ((6, 0.1), (12, 0.3))},
        {"action_units": None},
        {"camera": Camera(yaw=7.25, shift=(0.1, 0.2))},
        {"camera": None},
        {"light": Light(azimuth=12.5, fill=0.3)},
        {"light": None},
        {"background": 5},
        {"background": None},
        {"wrinkles": True},
        {"transport": "local"},
    ],
)
def test_a_key_names_all_that_decides_the_pixels(change: dict[str, Any]) -> None:
    changed = replace(FULL, **change)
    assert changed.key != FULL.key
    for spec in (FULL, changed):
        again = RenderSpec.from_json(json.loads(json.dumps(spec.to_json())))
        assert (again, again.key) == (spec, spec.key)


def test_chunks_hold_everything_once_and_one_identity_each() -> None:
    rows, specs = zip(*plan("bfs-l", stimuli_card("bfs-l"), (1,), 64), strict=True)
    for workers in (2, 16):
        work = chunks(specs, workers)
        assert sorted(map(repr, chain.from_iterable(work))) == sorted(map(repr, specs))
        assert all(len({spec.identity for spec in chunk}) == 1 for chunk in work)
        assert len(work) >= min(workers, 18)
    assert chunks([RenderSpec("human", 1, 1, "happy", 1, 1, 64)], 4) == [
        [RenderSpec("human", 1, 1, "happy", 1, 1, 64)]
    ]
