from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.recording import (
    Batch,
    Site,
    check_recording,
    nearest_steps,
    record,
    record_steps,
    step_bins,
)
from neurofer.stimuli import StimulusSet
from neurofer.subjects import Subject
from tests.subjects.brightness import colour_images

V4 = (90, 50, 4)  # 90, 140, 190, 240


class Recurrent(Subject):
    """Twice the pixels at every step; the third has fewer units."""

    name = "recurrent"
    times = {"IT": (70, 100, 2)}  # noqa: RUF012

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        steps = [Site(f"IT.out-t{step}", "IT") for step in range(2)]
        self.sites = {site.name: site for site in (*steps, Site("top", "V4"), Site("IT.out-t2"))}
        self.default_sites = ("top",)
        self.shown = 0

    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        self.shown += 1
        seen = np.stack(batch.images).astype(np.float32).transpose(0, 3, 1, 2)
        every = {"IT.out-t0": seen, "IT.out-t1": seen * 2, "top": seen[:, 0, 0]}
        every["IT.out-t2"] = seen[:, :, 1:]
        return {site: every[site] for site in sites}


@pytest.fixture
def stimuli() -> StimulusSet:
    return colour_images()


@pytest.mark.parametrize(
    ("start", "step"),
    [
        (90, 0),  # at a start
        (140, 1),
        (240, 3),
        (114, 0),  # between two
        (115, 0),  # in the middle: the earlier
        (116, 1),
        (0, 0),  # before the first
        (-500, 0),
        (10_000, 3),  # after the last
    ],
)
def test_the_step_with_the_nearest_start_answers(start: int, step: int) -> None:
    assert nearest_steps(V4, [(start, start + 10)]) == [step]
    assert nearest_steps(V4, [(start, start + 900)]) == [step]


def test_steps_follow_one_another() -> None:
    assert step_bins(V4) == [(90, 140), (140, 190), (190, 240), (240, 290)]
    assert step_bins((50, 100, 1)) == [(50, 150)]
    assert nearest_steps(V4, step_bins(V4)) == [0, 1, 2, 3]


@given(
    st.tuples(st.integers(-200, 500), st.integers(1, 200), st.integers(1, 9)),
    st.lists(st.integers(-1000, 3000), min_size=1, max_size=8),
)
def test_no_step_lies_nearer_than_the_one_that_answers(
    timing: tuple[int, int, int], starts: list[int]
) -> None:
    found = nearest_steps(timing, [(start, start + 1) for start in starts])
    for start, step in zip(starts, found, strict=True):
        away = [abs(timing[0] + k * timing[1] - start) for k in range(timing[2])]
        assert away[step] == min(away)
        assert step == away.index(min(away))


def test_each_bin_holds_the_activity_of_its_step(stimuli: StimulusSet) -> None:
    subject = Recurrent()
    sites = ["IT.out-t0", "IT.out-t1"]
    bins = [(170, 270), (0, 70), (100, 110)]
    over_time = check_recording(record_steps(subject, stimuli, sites, (70, 100, 2), bins))
    assert subject.shown == 1
    assert over_time.dims == ("presentation", "neuroid", "time_bin")
    flat = record(subject, stimuli, sites=sites)
    for place, site in enumerate(["IT.out-t1", "IT.out-t0", "IT.out-t0"]):
        expected = flat.values[:, flat["site"].values == site]
        np.testing.assert_array_equal(over_time.values[:, :, place], expected)
    edges = [over_time[name].values for name in ("time_bin_start", "time_bin_end")]
    assert list(zip(*edges, strict=True)) == bins
    assert set(over_time["site"].values) == {"IT.out"}
    assert over_time["neuroid_id"].values[:2].tolist() == ["IT.out.0", "IT.out.1"]
    assert over_time["channel"].values.tolist() == flat["channel"].values[:192].tolist()
    own = record_steps(subject, stimuli, sites, (70, 100, 2))
    assert own["time_bin_start"].values.tolist() == [70, 170]


def test_a_region_with_times_is_looked_at_over_time(stimuli: StimulusSet) -> None:
    subject = Recurrent()
    subject.start_recording("IT", [(70, 170), (170, 270)])
    seen = subject.look_at(stimuli)
    assert seen is not None
    np.testing.assert_array_equal(seen.values[:, :, 1], 2 * seen.values[:, :, 0])
    subject.start_recording("IT")  # without bins its steps are neuroids of their own
    steps = subject.look_at(stimuli)
    assert steps is not None
    assert steps.sizes == {"presentation": 3, "neuroid": 384}


@pytest.mark.parametrize("target", ["V4", "IT.out-t0", ["IT.out-t0"]])
def test_what_has_no_times_answers_the_same_in_every_bin(
    stimuli: StimulusSet, target: str | list[str]
) -> None:
    subject = Recurrent()
    subject.start_recording("IT", [(0, 10)])
    subject.start_recording(target, [(70, 170), (170, 270)])
    seen = subject.look_at(stimuli)
    assert seen is not None
    np.testing.assert_array_equal(seen.values[:, :, 1], seen.values[:, :, 0])


def test_steps_that_do_not_fit_are_named(stimuli: StimulusSet) -> None:
    subject = Recurrent()
    with pytest.raises(NeuroferError, match=r"are 2 sites for the 3 steps"):
        record_steps(subject, stimuli, ["IT.out-t0", "IT.out-t1"], (70, 100, 3))
    with pytest.raises(NeuroferError, match=r"same units; here are \{'IT.out-t1': 192, 'IT.out-t2"):
        record_steps(subject, stimuli, ["IT.out-t1", "IT.out-t2"], (70, 100, 2))
    with pytest.raises(NeuroferError, match="time_bins is empty"):
        record_steps(subject, stimuli, ["IT.out-t0", "IT.out-t1"], (70, 100, 2), [])
