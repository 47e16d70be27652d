"""What all subjects of features share: sites, readouts on the training images only, errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.recording import Batch, record
from neurofer.stimuli import EXPRESSIONS, StimulusSet
from neurofer.subjects import load_subject
from neurofer.subjects.features import READOUTS

LABELS = EXPRESSIONS[:7]
NAMES = ("pixels", "lbp", "vgg16-untrained")


def patterns(seed: int = 0, size: int = 224) -> StimulusSet:
    """Return three "heads" of gratings; the expression is the frequency, the head the slant."""
    random = np.random.default_rng(seed)
    rows, images = [], []
    y, x = np.mgrid[:size, :size] / size
    for slant, head in enumerate(("human", "monkey", "cartoon")):
        for number, expression in enumerate(LABELS):
            wave = np.sin(2 * np.pi * (3 + number) * (x + 0.4 * slant * y))
            noise = random.normal(0, 8, (size, size))
            gray = np.clip(128 + 60 * wave + noise, 0, 255).astype(np.uint8)
            images.append(np.repeat(gray[..., None], 3, 2))
            rows.append({"head": head, "identity": f"{head}-1", "expression": expression})
    table = pd.DataFrame(rows).assign(source="simulated")
    return StimulusSet.from_arrays("gratings", table, images)


@pytest.fixture(scope="module")
def stimuli() -> StimulusSet:
    return patterns()


@pytest.fixture(scope="module")
def nine(stimuli) -> StimulusSet:
    table = stimuli.table
    keep = (table["head"] == "human") | (table["expression"] == "neutral")
    return stimuli.take(np.flatnonzero(keep))


@pytest.fixture(scope="module", params=NAMES)
def subject(request, nine):
    return load_subject(request.param, training=nine)


def test_readouts_are_sites_with_a_unit_an_expression(subject, nine):
    for name in (*READOUTS, "decision"):
        assert subject.sites[name].labels == LABELS
    assert subject.default_sites == ("decision",)
    assert len(subject.training_images) == len(nine) == 9


@pytest.mark.parametrize("readout", READOUTS)
def test_readouts_answer_their_training_images(subject, nine, readout):
    found = record(subject, nine, sites=[readout])
    answers = [LABELS[i] for i in found.to_numpy().argmax(1)]
    right = [a == b for a, b in zip(answers, nine.table["expression"], strict=True)]
    # Three neutral images of three heads have one mean: it need not be the nearest to each.
    assert sum(right) >= (7 if readout == "nearest-mean" else 9)


def test_decision_is_the_readout_of_the_option(nine):
    for readout in ("linear", "dense-nre"):
        subject = load_subject("pixels", training=nine, readout=readout)
        found = record(subject, nine, sites=["decision", readout]).to_numpy()
        np.testing.assert_array_equal(found[:, :7], found[:, 7:])


def test_readouts_depend_on_training_images_only(nine):
    """The same image gets the same evidence whatever is shown beside it, and in whatever order."""
    subject = load_subject("pixels", training=nine)
    shown = patterns(seed=1)
    images, table = list(shown.images()), shown.table
    sites = list(READOUTS)
    together = subject.respond(Batch(images, table), sites)
    for i in (0, 9, 20):
        alone = subject.respond(Batch([images[i]], table.iloc[[i]]), sites)
        for site in sites:
            np.testing.assert_allclose(alone[site][0], together[site][i], rtol=1e-5, atol=1e-6)


def test_labels_of_shown_images_are_not_used(nine):
    subject = load_subject("pixels", training=nine)
    shown = patterns(seed=1)
    batch = Batch(list(shown.images()), shown.table)
    hidden = replace(
        batch, table=shown.table.assign(expression="neutral", head="human", identity="")
    )
    for site in READOUTS:
        found, blind = subject.respond(batch, [site]), subject.respond(hidden, [site])
        np.testing.assert_array_equal(found[site], blind[site])


def test_the_oracle_is_told_the_head(nine):
    told = load_subject("pixels", training=nine, readout="dense-nre", head="oracle")
    shown = patterns(seed=1)
    batch = Batch(list(shown.images()), shown.table)
    wrong = replace(batch, table=shown.table.assign(head="human"))
    found, misled = told.respond(batch, ["decision"]), told.respond(wrong, ["decision"])
    assert not np.array_equal(found["decision"], misled["decision"])


def test_identity_depends_on_options_and_training(nine, stimuli):
    a = load_subject("pixels", training=nine)
    assert a.identifier == load_subject("pixels", training=nine).identifier
    others = (
        load_subject("pixels"),
        load_subject("pixels", training=nine, svm="rbf"),
        load_subject("pixels", training=stimuli),
    )
    assert len({a.identifier, *(one.identifier for one in others)}) == 4


def test_without_training_there_are_features_only():
    subject = load_subject("lbp")
    assert list(subject.sites) == ["lbp"]
    assert subject.default_sites == ("lbp",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"svm": "cubic"}, "subject 'pixels': svm='cubic' is unknown; choose from linear, rbf"),
        ({"kernel": "rbf"}, "option='kernel' is not in subject 'pixels'"),
    ],
)
def test_unknown_options_name_the_choices(options, message):
    with pytest.raises(NeuroferError, match=message):
        load_subject("pixels", **options)


def test_training_without_neutral_is_refused(nine):
    with pytest.raises(NeuroferError, match="needs training images of neutral and of two"):
        load_subject("pixels", training=nine.select(expression=["happy", "sad", "fear"]))
