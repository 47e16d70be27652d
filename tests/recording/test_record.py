from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

import neurofer
from neurofer.errors import NeuroferError
from neurofer.recording import Batch, Recordable, Site, record
from neurofer.recording.record import batches
from neurofer.stimuli import StimulusSet, read_stimuli
from neurofer.stimuli.images import write_image

from .conftest import FakeSubject

ALL = ("map", "means", "points", "hidden")


def test_a_fake_subject_is_recordable(subject: FakeSubject) -> None:
    assert isinstance(subject, Recordable)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_one_pass_for_all_sites(
    subject: FakeSubject, stimuli: StimulusSet, batch_size: int
) -> None:
    recording = record(subject, stimuli, sites=ALL, batch_size=batch_size)
    assert len(subject.passes) == -(-10 // batch_size)
    assert {sites for _, sites in subject.passes} == {ALL}
    pixels = np.stack(list(stimuli.images())).astype(np.float32)
    hidden = pixels[:, 0, :2, 0].copy()
    hidden[stimuli.table["expression"] == "happy", 1] = np.nan
    expected = np.concatenate(
        [
            pixels[:, :2, :4].transpose(0, 3, 1, 2).reshape(10, -1),
            pixels.mean(axis=(1, 2)),
            pixels[:, :3, 0, :2].reshape(10, -1),
            hidden,
        ],
        axis=1,
    )
    np.testing.assert_array_equal(recording.values, expected)
    assert recording.dtype == np.float32


def test_neuroid_coordinates(subject: FakeSubject, stimuli: StimulusSet) -> None:
    recording = record(subject, stimuli, sites=["means", "map"])
    means = recording[:, recording["site"] == "means"]
    assert means["unit"].values.tolist() == ["red", "green", "blue"]
    assert means["neuroid_id"].values.tolist() == ["means.0", "means.1", "means.2"]
    assert set(means["region"].values) == {"IT"}
    assert set(means["channel"].values) == {-1}
    maps = recording[:, recording["site"] == "map"]
    pixels = np.stack(list(stimuli.images()))
    for k in range(maps.sizes["neuroid"]):
        one = maps[:, k]
        at = (int(one["channel_y"]), int(one["channel_x"]), int(one["channel"]))
        np.testing.assert_array_equal(one.values, pixels[:, at[0], at[1], at[2]])
    assert set(recording["model"].values) == {"fake-00112233"}


def test_presentation_coordinates(stimuli: StimulusSet) -> None:
    trained = stimuli.table["image_sha256"].tolist()[2:4]
    recording = record(FakeSubject(trained), stimuli)
    for name in stimuli.table:
        assert recording[name].dims == ("presentation",)
        assert recording[name].values.tolist() == stimuli.table[name].tolist()
    assert recording["in_training"].dtype == bool
    assert np.flatnonzero(recording["in_training"].values).tolist() == [2, 3]
    assert not set(recording.dims) & set(recording.coords)


def test_attributes(subject: FakeSubject, stimuli: StimulusSet) -> None:
    attributes = record(subject, stimuli, sites=["hidden"]).attrs
    assert attributes["subject"] == subject.identifier
    assert attributes["stimuli"] == stimuli.identifier
    assert attributes["neurofer"] == neurofer.__version__
    assert json.loads(attributes["options"]) == {"gain": 2}
    assert attributes["missing"] == "2"


def test_default_sites(subject: FakeSubject, stimuli: StimulusSet) -> None:
    assert set(record(subject, stimuli)["site"].values) == {"means"}


def test_time_bins_repeat_a_static_response(subject: FakeSubject, stimuli: StimulusSet) -> None:
    still = record(subject, stimuli)
    moving = record(subject, stimuli, time_bins=[(0, 50), (50, 120)])
    assert moving.dims == ("presentation", "neuroid", "time_bin")
    for k in range(2):
        np.testing.assert_array_equal(moving.values[:, :, k], still.values)
    assert moving["time_bin_start"].values.tolist() == [0, 50]
    assert moving["time_bin_end"].values.tolist() == [50, 120]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sites": ["maps"]}, r"site='maps' is not in subject 'fake-00112233'.*did you mean 'map'"),
        ({"sites": "meens"}, "did you mean 'means'"),
        ({"sites": []}, "sites is empty"),
        ({"sites": ["map", "map"]}, "names a site twice"),
        ({"batch_size": 0}, "batch_size=0: give a whole number, at least 1"),
        ({"batch_size": 1.5}, r"batch_size=1\.5"),
        ({"batch_size": "2"}, "batch_size='2'"),
        ({"sites": 3}, "sites=3: give a text or a list of texts"),
        ({"time_bins": [5]}, r"time_bins=\[5\]: give a list"),
        ({"time_bins": []}, "time_bins is empty"),
        ({"time_bins": [(5, 5)]}, r"time bin \(5, 5\)"),
    ],
)
def test_wrong_requests_cost_no_forward_pass(
    subject: FakeSubject, stimuli: StimulusSet, options: dict[str, object], message: str
) -> None:
    with pytest.raises(NeuroferError, match=message):
        record(subject, stimuli, **options)  # type: ignore[arg-type]
    assert not subject.passes


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (lambda n, k: {}, "did not respond at site 'means'"),
        (lambda n, k: {"means": np.zeros((n - 1, 3), np.float32)}, r"\(3, 3\) for 4 images"),
        (lambda n, k: {"means": np.zeros(n, np.float32)}, r"\(4,\) for 4 images"),
        (lambda n, k: {"means": [[1, 2, 3]] * n}, "list for 4 images"),
        (lambda n, k: {"means": np.zeros((n, 4), np.float32)}, "3 labels but .* 4 units"),
        (
            lambda n, k: {"means": np.zeros((n, 3 + k), np.float32)},
            r"\(4,\) per image here and \(3,\)",
        ),
    ],
)
def test_wrong_responses_are_refused(stimuli: StimulusSet, response, message: str) -> None:  # type: ignore[no-untyped-def]
    subject = FakeSubject()
    calls: list[int] = []

    def respond(batch: Batch, sites: object) -> dict[str, np.ndarray]:
        calls.append(0)
        return response(len(batch), len(calls) - 1)

    subject.respond = respond  # type: ignore[method-assign]
    with pytest.raises(NeuroferError, match=message):
        record(subject, stimuli, batch_size=4)


def test_a_column_that_would_hide_a_coordinate_is_refused(
    subject: FakeSubject, stimuli: StimulusSet
) -> None:
    table = stimuli.table.assign(region="Tuebingen")
    other = StimulusSet.from_arrays("noise", table, list(stimuli.images()))
    with pytest.raises(NeuroferError, match=r"column 'region'.*rename it"):
        record(subject, other)


def test_batches_carry_their_rows(stimuli: StimulusSet) -> None:
    landmarks = np.arange(10 * 26, dtype=float).reshape(10, 13, 2)
    with_truth = StimulusSet.from_arrays("x", stimuli.table, list(stimuli.images()), landmarks)
    seen = list(batches(with_truth, 4))
    assert [len(batch) for batch in seen] == [4, 4, 2]
    assert seen[1].table["stimulus_id"].tolist() == ["s4", "s5", "s6", "s7"]
    assert seen[1].table.index.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(seen[2].landmarks, landmarks[8:])
    np.testing.assert_array_equal(seen[2].images[1], stimuli.image(9))
    assert next(batches(stimuli, 4)).landmarks is None


def test_images_are_decoded_while_the_subject_works(
    stimuli: StimulusSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, image in enumerate(stimuli.images()):
        write_image(tmp_path / f"{i}.png", image)
    files = [tmp_path / f"{i}.png" for i in range(10)]
    lazy = StimulusSet.from_files("noise", stimuli.table, files)
    decoded: list[int] = []
    decode = StimulusSet.image

    def watched(self: StimulusSet, i: int) -> np.ndarray:
        assert threading.current_thread() is not threading.main_thread()
        decoded.append(i)
        return decode(self, i)

    monkeypatch.setattr(StimulusSet, "image", watched)
    subject = FakeSubject()
    respond = subject.respond
    ahead: list[int] = []

    def slow(batch: Batch, sites: tuple[str, ...]) -> dict[str, np.ndarray]:
        time.sleep(0.1)
        ahead.append(len(decoded))
        return respond(batch, sites)

    subject.respond = slow  # type: ignore[method-assign]
    record(subject, lazy, batch_size=2)
    assert ahead[0] > 2


def test_a_truncated_image_ends_the_recording(
    subject: FakeSubject, stimuli: StimulusSet, tmp_path: Path
) -> None:
    lazy = read_stimuli(stimuli.save(tmp_path / "set"))
    path = tmp_path / "set" / "images" / "s7.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(NeuroferError, match=r"'s7'.*s7\.png"):
        record(subject, lazy)


def test_recording_adds_little_to_a_bare_loop() -> None:
    """25 batches that take 2 ms each; the margin is for a busy machine."""
    images = np.zeros((400, 8, 8, 3), np.uint8)
    stimuli = StimulusSet.from_arrays("zeros", pd.DataFrame({"head": ["human"] * 400}), images)

    class Sleeper(FakeSubject):
        sites = {"units": Site("units")}  # noqa: RUF012
        default_sites = ("units",)

        def respond(self, batch: Batch, sites: object) -> dict[str, np.ndarray]:
            time.sleep(0.002)
            return {"units": np.zeros((len(batch), 10), np.float32)}

    subject = Sleeper()
    best = min(_seconds(lambda: record(subject, stimuli)) for _ in range(3))
    bare = 25 * 0.002
    assert best < bare + 0.15


def _seconds(function) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (nn.Linear(2, 2), r"takes a subject, got a Linear, which has no identifier, sites, .*see"),
        (nn.Linear, r"takes a subject, got a type, which has no identifier"),
        ("md-nre", r"takes a subject, got 'md-nre', .*neurofer\.load_subject\(name\)"),
        (None, r"takes a subject, got a NoneType"),
    ],
)
def test_what_is_no_subject_is_told_how_to_become_one(
    stimuli: StimulusSet, given: Any, said: str
) -> None:
    with pytest.raises(NeuroferError, match=said):
        record(given, stimuli)


@pytest.mark.parametrize("given", ["bfs", Path("faces"), np.zeros((2, 8, 8, 3), np.uint8), None])
def test_what_is_no_stimulus_set_is_told_how_to_load_one(subject: FakeSubject, given: Any) -> None:
    with pytest.raises(NeuroferError, match=r"takes a stimulus set, got .*load_stimuli\(name\)"):
        record(subject, given)
    assert not subject.passes
