"""What every registered subject keeps to; a new subject is tested by being registered."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.files import cache_folder
from neurofer.recording import record
from neurofer.recording.layout import check_recording
from neurofer.recording.record import batches
from neurofer.stimuli import load_stimuli, protocol
from neurofer.subjects import list_subjects, load_subject
from neurofer.subjects.features import READOUTS
from neurofer.subjects.subject import Subject
from tests.subjects.needs import subject_params

BULKY = 100_000
# Readouts divide by how much features vary, which in an untrained network is little: rounding of
# 1e-5 in the features becomes 1e-3 in them.
FITTED = (*READOUTS, "decision")
pytestmark = pytest.mark.weights

# Those that the package registers; tests register some of their own.
NAMES = [name for name in list_subjects() if name not in ("counting", "bright")]


@pytest.fixture(scope="module")
def bfs():
    return load_stimuli("bfs")


@pytest.fixture(scope="module")
def subjects(bfs):
    made: dict[str, Subject] = {}

    def make(name: str) -> Subject:
        if name not in made:
            made[name] = load_subject(name, training=protocol(bfs, "nine"))
        return made[name]

    return make


@pytest.fixture(scope="module")
def few(bfs):
    return bfs.take([1, 40, 41, 80, 104])


def test_package_has_subjects():
    assert {"md-nre", "pixels", "lbp", "vgg16-bsds", "vgg16-untrained"} <= set(NAMES)
    assert cache_folder().is_dir()


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_every_site_responds_and_is_recorded(name, subjects, few):
    subject = subjects(name)
    (batch,) = batches(few.take([3]), 1)
    responses = subject.respond(batch, list(subject.sites))
    assert set(responses) == set(subject.sites)
    for response in responses.values():
        assert response.dtype == np.float32
        assert len(response) == 1
    # Naming millions of neuroids takes longer than seeing the image.
    small = [site for site, response in responses.items() if response.size <= BULKY]
    recording = check_recording(record(subject, few.take([0, 3]), sites=small))
    assert set(recording["site"].values) == set(small)
    assert recording.attrs["subject"] == subject.identifier
    for site in small:
        there = recording.values[1, (recording["site"] == site).values]
        near = 1e-3 if site in FITTED else 1e-4
        np.testing.assert_allclose(there, responses[site].ravel(), rtol=near, atol=near)


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_order_is_kept_and_batches_do_not_matter(name, subjects, few):
    subject = subjects(name)
    sites = [site for site in subject.sites if not site.startswith("conv")]
    together = record(subject, few, sites=sites)
    assert together["stimulus_id"].values.tolist() == few.table["stimulus_id"].tolist()
    order = [4, 2, 0, 3, 1]
    alone = record(subject, few.take(order), sites=sites, batch_size=1)
    # Rounding is relative to the activity of a site: units near 0 are sums of greater numbers.
    scale = np.empty(together.sizes["neuroid"])
    for site in sites:
        here = (together["site"] == site).values
        scale[here] = np.nanmax(np.abs(together.values[:, here])) + 1e-6
        if site in FITTED:
            scale[here] *= 100
    np.testing.assert_allclose(alone.values / scale, together.values[order] / scale, atol=1e-5)


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_a_new_one_of_the_same_name_and_training_answers_the_same(name, subjects, bfs, few):
    subject = subjects(name)
    again = load_subject(name, training=protocol(bfs, "nine"))
    assert again is not subject
    assert again.identifier == subject.identifier
    assert subject.identifier.startswith(f"{name}-")
    sites = [site for site in subject.sites if not site.startswith("conv")]
    one, two = (record(s, few.take([1, 3]), sites=sites) for s in (subject, again))
    np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_training_images_are_known_and_change_the_identifier(name, subjects, bfs):
    subject = subjects(name)
    nine = protocol(bfs, "nine")
    assert subject.training_images == frozenset(nine.table["image_sha256"])
    other = load_subject(name, training=protocol(bfs, "nine-and-neutrals"))
    assert other.identifier != subject.identifier


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_unknown_site_and_option_name_the_choices(name, subjects, bfs, few):
    subject = subjects(name)
    with pytest.raises(NeuroferError, match=r"site='nosuch' is not in subject .*it has "):
        record(subject, few, sites=["nosuch"])
    with pytest.raises(NeuroferError, match="option='nosuch'"):
        load_subject(name, training=protocol(bfs, "nine"), nosuch=1)
