"""What every registered subject keeps to; a new subject is tested by being registered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurofer.closure import closure
from neurofer.errors import NeuroferError
from neurofer.files import cache_folder
from neurofer.recording import load_recording, record, save_recording
from neurofer.recording.layout import check_recording
from neurofer.recording.record import batches
from neurofer.recording.sites import Batch
from neurofer.recording.store import MAKES_STIMULI
from neurofer.stimuli import StimulusSet, load_stimuli, protocol
from neurofer.subjects import list_subjects, load_subject, trunk
from neurofer.subjects.facts import NONE_NEEDED
from neurofer.subjects.features import READOUTS
from neurofer.subjects.networks.architectures import ARCHITECTURES
from neurofer.subjects.pretrained import face_net
from neurofer.subjects.registry import subject_factory, subject_source
from neurofer.subjects.subject import Subject
from neurofer.subjects.trained import TrainedSubject
from neurofer.subjects.weight_files.tensors import save_tensors
from tests.executed import executed
from tests.subjects.needs import subject_params

BULKY = 100_000
# Readouts divide by how much features vary, which in an untrained network is little: rounding of
# 1e-5 in the features becomes 1e-3 in them.
FITTED = (*READOUTS, "decision")
HALF = 0.1  # of a site's greatest activity: how far bfloat16, of 8 bits, may be from float32
pytestmark = pytest.mark.weights

# Those that the package registers; tests register some of their own.
NAMES = [name for name in list_subjects() if name not in ("counting", "bright")]
WITHOUT_WEIGHTS = [n for n in NAMES if subject_factory(n).facts().weights == NONE_NEEDED]


def options_of(name: str) -> dict[str, Any]:
    """Small ones, so that all are quick: what is promised does not depend on the width."""
    factory: Any = subject_factory(name)
    if issubclass(factory, TrainedSubject):
        taken = {"width": 0.125, "embedding": 64}
        own = ARCHITECTURES[factory.architecture].options
        return {"weights": "untrained", **{k: v for k, v in taken.items() if k in own}}
    return {"size": 112} if "size" in factory.defaults else {}


@pytest.fixture(scope="module")
def bfs() -> StimulusSet:
    return load_stimuli("bfs")


@pytest.fixture(scope="module")
def make(bfs: StimulusSet) -> Callable[..., Subject]:
    """A new subject, trained as all here are."""
    nine = protocol(bfs, "nine")
    return lambda name, **options: load_subject(
        name, training=nine, **{**options_of(name), **options}
    )


@pytest.fixture(scope="module")
def made_by() -> dict[str, set[str]]:
    """The modules whose functions ran when `subjects` were made, by the name of the subject."""
    return {}


@pytest.fixture(scope="module")
def subjects(
    make: Callable[..., Subject], made_by: dict[str, set[str]]
) -> Callable[[str], Subject]:
    known: dict[str, Subject] = {}

    def get(name: str) -> Subject:
        if name not in known:
            with executed() as made_by[name]:
                known[name] = make(name)
        return known[name]

    return get


@pytest.fixture(scope="module")
def few(bfs: StimulusSet) -> StimulusSet:
    return bfs.take([1, 40, 41, 80, 104])


def handy(subject: Subject) -> list[str]:
    """Its sites but for the many early maps, which take longer to compare than to compute."""
    return [site for site in subject.sites if not site.startswith("conv")]


def test_package_has_subjects() -> None:
    assert {"md-nre", "pixels", "lbp", "vgg16-bsds", "vgg16-untrained", "siamese"} <= set(NAMES)
    assert cache_folder().is_dir()


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_every_site_responds_and_is_recorded(name, subjects, few, tmp_path) -> None:
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
    default = record(subject, few.take([0, 3]))
    assert load_recording(save_recording(default, tmp_path / "recording.nc")).identical(default)


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_all_code_that_makes_a_response_is_in_its_key(name, subjects, made_by, few) -> None:
    """Else a recording made by other code would be taken from a cache."""
    subject = subjects(name)
    with executed() as modules:
        record(subject, few.take([0]))
    modules |= made_by[name]
    source = subject_source(name)
    module = source if isinstance(source, str) else source.__module__
    keyed = set(closure(module, "neurofer.recording.store", without=MAKES_STIMULI))
    assert len(modules) > 5
    lacking = {
        one for one in modules - keyed if not any(one.startswith(made) for made in MAKES_STIMULI)
    }
    assert not lacking


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_order_is_kept_and_batches_do_not_matter(name, subjects, few) -> None:
    subject = subjects(name)
    sites = handy(subject)
    order = [4, 2, 0, 3, 1]
    alone = record(subject, few.take(order), sites=sites, batch_size=1)
    assert alone["stimulus_id"].values.tolist() == few.table["stimulus_id"].iloc[order].tolist()
    together = subject.respond(thirty_two(few), sites)
    for site in sites:
        here = alone.values[:, (alone["site"] == site).values]
        there = together[site].reshape(32, -1)[order]
        # Rounding is relative to the activity of a site: units near 0 are sums of greater numbers.
        scale = (np.nanmax(np.abs(there)) + 1e-6) * (100 if site in FITTED else 1)
        np.testing.assert_allclose(here / scale, there / scale, atol=1e-5, err_msg=site)


def thirty_two(few: StimulusSet) -> Batch:
    """The stimuli over and over, shown at once."""
    (batch,) = batches(few, len(few))
    rows = [k % len(few) for k in range(32)]
    assert batch.landmarks is not None
    table = batch.table.iloc[rows].reset_index(drop=True)
    return Batch([batch.images[row] for row in rows], table, batch.landmarks[rows])


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_a_new_one_of_the_same_name_and_training_answers_the_same(
    name, subjects, make, few
) -> None:
    subject, again = subjects(name), make(name)
    assert again is not subject
    assert again.identifier == subject.identifier
    assert subject.identifier.startswith(f"{name}-")
    first, once_more = (record(subject, few.take([1, 3]), sites=handy(subject)) for _ in range(2))
    np.testing.assert_array_equal(first.values, once_more.values)
    other = record(again, few.take([1, 3]), sites=handy(subject))
    np.testing.assert_array_equal(first.values, other.values)


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_training_images_are_known_and_change_the_identifier(name, subjects, bfs) -> None:
    subject = subjects(name)
    nine = protocol(bfs, "nine")
    assert subject.training_images == frozenset(nine.table["image_sha256"])
    training = protocol(bfs, "nine-and-neutrals")
    other = load_subject(name, training=training, **options_of(name))
    assert other.identifier != subject.identifier


@pytest.mark.parametrize("name", subject_params([n for n in NAMES if n not in WITHOUT_WEIGHTS]))
def test_one_weight_more_or_less_changes_the_identifier(
    name, subjects, make, monkeypatch, tmp_path
) -> None:
    subject = subjects(name)
    if isinstance(subject, TrainedSubject):
        files = [weight_file(subject, tmp_path / f"{k}.safetensors", k) for k in (0.0, 2.0**-10)]
        original, changed = (load_subject(name, weights=str(file)).identifier for file in files)
    elif name == "vgg16-untrained":
        original, changed = (make(name, seed=seed).identifier for seed in (0, 1))
    else:
        original = subject.identifier
        for module in (face_net, trunk):
            monkeypatch.setattr(module, "load_weights", nudged(module.load_weights))
        changed = make(name).identifier
    assert changed != original
    assert changed.rpartition("-")[0] == original.rpartition("-")[0]


def nudged(load: Callable[[str], Any]) -> Callable[[str], Any]:
    def loaded(name: str) -> Any:
        weights = dict(load(name))
        first = next(iter(weights))
        weights[first] = weights[first].clone()
        weights[first].view(-1)[0] += 2.0**-10
        return weights

    return loaded


def weight_file(subject: TrainedSubject, path: Path, more: float = 0.0) -> Path:
    """Write a subject's network as `neurofer train` does, one weight a little greater."""
    tensors = {key: values.clone() for key, values in subject.net.state_dict().items()}
    next(iter(tensors.values()))[(0,) * 4] += more
    own = ARCHITECTURES[subject.architecture].options
    options = {key: value for key, value in subject.options.items() if key in own}
    network = {"name": subject.architecture, "options": options, "size": subject.size}
    outputs = [] if ARCHITECTURES[subject.architecture].tower else list("abcdefg")
    about = {"network": network, **({"outputs": outputs} if outputs else {})}
    save_tensors(path, tensors, about)
    return path


TRAINED = [name for name in NAMES if "weights" in getattr(subject_factory(name), "defaults", {})]


@pytest.mark.parametrize("name", TRAINED)
def test_one_made_again_from_its_weight_file_is_the_same(name, subjects, few, tmp_path) -> None:
    untrained = subjects(name)
    (tmp_path / "elsewhere").mkdir()
    one, two = (
        load_subject(name, weights=str(weight_file(untrained, folder / "net.safetensors")))
        for folder in (tmp_path, tmp_path / "elsewhere")
    )
    assert one.identifier == two.identifier
    assert one.options["width"] == untrained.options["width"]
    sites = [untrained.sites["pooled"].name, list(one.sites)[-2]]
    seen = [record(each, few.take([1, 3]), sites=sites).values for each in (one, two, untrained)]
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_bfloat16_is_close_or_is_refused(name, subjects, make, few) -> None:
    subject = subjects(name)
    if "precision" not in subject.defaults:
        with pytest.raises(NeuroferError, match="option='precision' is not in subject"):
            make(name, precision="bfloat16")
        return
    fast = load_subject(name, **options_of(name), precision="bfloat16")
    assert fast.identifier != load_subject(name, **options_of(name)).identifier
    (batch,) = batches(few.take([0, 3]), 2)
    sites = list(fast.sites)
    slow, rough = (each.respond(batch, sites) for each in (subject, fast))
    for site in sites:
        assert rough[site].dtype == np.float32
        near = HALF * np.abs(slow[site]).max()
        np.testing.assert_allclose(rough[site], slow[site], rtol=0, atol=near, err_msg=site)
    assert any((rough[site] != slow[site]).any() for site in sites)


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_unknown_site_and_option_name_the_choices(name, subjects, make, few) -> None:
    with pytest.raises(NeuroferError, match=r"site='nosuch' is not in subject .*it has "):
        record(subjects(name), few, sites=["nosuch"])
    with pytest.raises(NeuroferError, match="option='nosuch'"):
        make(name, nosuch=1)


@pytest.mark.parametrize("name", subject_params(NAMES))
def test_what_is_known_before_is_so(name, subjects, few) -> None:
    subject, factory = subjects(name), subject_factory(name)
    assert isinstance(factory, type)
    assert issubclass(factory, Subject)
    facts, shapes = factory.facts(), factory.shapes()
    if shapes is None:
        assert facts.sites is None
        return
    assert facts.sites == tuple(shapes)
    assert set(shapes) - {"decision"} == set(subject.sites) - set(FITTED)
    assert facts.licence
    assert facts.weights in ("shipped", "fetched", "to fetch", "untrained", "none needed")
    if not isinstance(subject, TrainedSubject) and "size" not in subject.defaults:
        (batch,) = batches(few.take([3]), 1)
        sites = [site for site in shapes if site != "decision"]
        found = subject.respond(batch, sites)
        assert {site: found[site].shape[1:] for site in sites} == {s: shapes[s] for s in sites}


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_option_is_named_before_weights_are_read(name: str) -> None:
    factory: Any = subject_factory(name)
    for option, default in factory.defaults.items():
        other = 1 if isinstance(default, bool) else True
        for bad in (1j, b"x", {}, float("nan"), other):
            with pytest.raises(NeuroferError, match=f"subject '{name}': {option}="):
                factory(**{option: bad})
