"""When the areas of CORnet-S respond, as Brain-Score has it."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.recording import check_recording, record
from neurofer.stimuli import StimulusSet
from neurofer.subjects import Subject, load_subject
from tests.training.test_images import made


@pytest.fixture(scope="module")
def subject() -> Subject:
    return load_subject("cornet-s", weights="untrained", width=0.0625)


@pytest.fixture(scope="module")
def stimuli() -> StimulusSet:
    return made(identities=2, size=64).take([0, 1, 2])


def test_every_region_with_times_has_a_site_a_step(subject: Subject) -> None:
    published = {"V1": (50, 100, 1), "V2": (70, 100, 2), "V4": (90, 50, 4), "IT": (100, 100, 2)}
    assert subject.times == published
    assert {name: len(sites) for name, sites in subject.regions.items()} == {
        name: count for name, (_, _, count) in published.items()
    }


@pytest.mark.parametrize(
    ("region", "bins", "steps"),
    [
        ("V1", [(50, 150), (900, 950)], [0, 0]),
        ("V2", [(0, 10), (119, 120), (121, 130), (170, 270)], [0, 0, 1, 1]),
        ("V4", [(90, 140), (140, 190), (190, 240), (240, 290)], [0, 1, 2, 3]),
        ("V4", [(215, 300), (216, 300), (1000, 1001)], [2, 3, 3]),
        ("IT", [(70, 170), (150, 250), (151, 160), (170, 270)], [0, 0, 1, 1]),
    ],
)
def test_each_bin_is_answered_by_the_nearest_step(
    subject: Subject,
    stimuli: StimulusSet,
    region: str,
    bins: list[tuple[int, int]],
    steps: list[int],
) -> None:
    subject.start_recording(region, time_bins=bins)
    seen = subject.look_at(stimuli)
    assert seen is not None
    check_recording(seen)
    assert seen.dims == ("presentation", "neuroid", "time_bin")
    assert seen["time_bin_start"].values.tolist() == [start for start, _ in bins]
    assert set(seen["region"].values) == {region}
    assert set(seen["site"].values) == {f"{region}.output"}
    suffix = "" if region == "V1" else "-t{}"
    for place, step in enumerate(steps):
        site = record(subject, stimuli, sites=[f"{region}.output{suffix.format(step)}"])
        np.testing.assert_array_equal(seen.values[:, :, place], site.values)


def test_steps_differ(subject: Subject, stimuli: StimulusSet) -> None:
    subject.start_recording("V4", time_bins=[(90, 140), (140, 190), (190, 240), (240, 290)])
    seen = subject.look_at(stimuli)
    assert seen is not None
    for step in range(3):
        assert np.abs(seen.values[:, :, step] - seen.values[:, :, step + 1]).max() > 0.01
