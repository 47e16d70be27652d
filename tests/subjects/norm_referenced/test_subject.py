from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from neurofer.errors import NeuroferError
from neurofer.recording import Batch, record
from neurofer.stimuli import StimulusSet, load_stimuli, protocol
from neurofer.subjects import load_subject
from neurofer.subjects.norm_referenced.lessons import dropped_landmarks


@pytest.fixture(scope="module")
def bfs():
    return load_stimuli("bfs")


@pytest.fixture(scope="module")
def bfs_l():
    return load_stimuli("bfs-l")


@pytest.fixture(scope="module")
def template(bfs):
    """The template back end; random weights do, where it is not accuracy that is tested."""
    return load_subject(
        "md-nre", training=protocol(bfs, "nine"), trunk="vgg16-untrained", dissection="off"
    )


def truth(stimuli, **options):
    options = {"landmarks": "ground-truth", **options}
    return load_subject("md-nre", training=protocol(stimuli, "nine"), **options)


def answers(subject, stimuli):
    decision = record(subject, stimuli)
    return decision["unit"].values[decision.values.argmax(axis=1)]


def test_true_landmarks_on_the_original_construction_give_every_answer():
    stimuli = load_stimuli("bfs-scales")
    held_out = stimuli.select(split="test")
    assert len(held_out) == 96
    assert (answers(truth(stimuli), held_out) == held_out.table["expression"]).all()


@pytest.mark.parametrize("normalisation", ["individual", "categorical"])
def test_units_are_linear_in_strength(bfs_l, normalisation):
    nre = record(truth(bfs_l, normalisation=normalisation), bfs_l, sites=["nre"])
    for head in ("human", "monkey", "cartoon"):
        for unit in nre["unit"].values:
            shown = (nre["head"] == head) & nre["expression"].isin(["neutral", unit])
            rows = nre[shown.values][:, (nre["unit"] == unit).values]
            fit = linregress(rows["strength"].values, rows.values[:, 0])
            assert fit.rvalue**2 > 0.99, (head, unit)
            assert fit.slope > 0


def test_what_the_stimuli_say_of_a_test_image_does_not_change_the_answer(template, bfs):
    shown = bfs.take([44, 80])
    table = shown.table
    table["expression"] = ["happy", "neutral"]
    table["strength"] = [1.0, 0.0]
    table["head"] = ["cartoon", "human"]
    table["identity"] = ["cartoon-1", "human-1"]
    lied = StimulusSet.from_arrays(
        "lied", table.drop(columns="image_sha256"), list(shown.images()), landmarks=shown.landmarks
    )
    blind = StimulusSet.from_arrays(
        "blind", table.drop(columns="image_sha256"), list(shown.images())
    )
    sites = ["landmarks", "differences", "nre", "head", "decision"]
    expected = record(template, shown, sites=sites).values
    for other in (lied, blind):
        np.testing.assert_array_equal(record(template, other, sites=sites).values, expected)


def test_only_the_nine_images_are_learned_from(bfs, template):
    assert template.training_images == frozenset(protocol(bfs, "nine").table["image_sha256"])
    assert len(template.lessons.images) == 9
    assert len(template.lessons.faces) == 3
    assert template.lessons.expressions == (
        "happy", "sad", "angry", "fear", "disgust", "surprise"
    )  # fmt: skip


def test_differences_of_a_reference_image_are_zero(bfs):
    subject = truth(bfs)
    neutrals = protocol(bfs, "nine").select(expression="neutral")
    recording = record(subject, neutrals, sites=["differences", "nre"])
    np.testing.assert_allclose(recording.values, 0.0, atol=1e-4)


def test_a_training_image_drives_its_own_unit_by_the_length_of_its_displacement(bfs):
    subject = truth(bfs, align="none")
    shown = protocol(bfs, "nine").select(expression="happy")
    neutral = protocol(bfs, "nine").select(expression="neutral", head="human")
    # Without scales the reference moves with the centroid of the position landmarks.
    travel = (shown.landmarks - neutral.landmarks)[0]
    moved = np.linalg.norm(travel[:10] - travel[10:].mean(axis=0), axis=1)
    nre = record(subject, shown, sites=["nre"])
    assert float(nre[0, (nre["unit"] == "happy").values]) == pytest.approx(moved.sum(), rel=1e-5)


def test_single_reference_reads_all_heads_against_one(bfs):
    held_out = bfs.select(split="test", head=["monkey", "cartoon"])
    shown = held_out.table["expression"].to_numpy()
    right = [
        (answers(truth(bfs, single_reference=head), held_out) == shown).mean()
        for head in (None, "human")
    ]
    assert right[0] > 0.9
    assert right[1] < right[0] - 0.2


def test_inferred_reference_needs_no_neutral_of_the_other_heads(bfs):
    happy = bfs.select(identity=["monkey-1", "cartoon-1"], expression="happy")
    human = protocol(bfs, "nine").select(head="human")
    chosen = bfs.table["image_sha256"].isin(
        [*happy.table["image_sha256"], *human.table["image_sha256"]]
    )
    training = bfs.take(np.flatnonzero(chosen))
    subject = load_subject(
        "md-nre", training=training, landmarks="ground-truth", inferred_reference="happy"
    )
    held_out = bfs.take(np.flatnonzero(~chosen)).select(identity=["monkey-1", "cartoon-1"])
    shown = held_out.table["expression"].to_numpy()
    assert (answers(subject, held_out) == shown).mean() > 0.9


@pytest.mark.parametrize(
    ("names", "dropped"),
    [
        ((), []),
        (("mouth",), [4, 5, 6, 7]),
        (("eyes",), [0, 1, 2, 3, 8, 9]),
        # With its half dropped, the visible rest is the published one, its slip corrected.
        (("left",), [0, 1, 4, 8]),
        (("right",), [2, 3, 6, 9]),
        (("left_mouth", "mouth"), [4, 5, 6, 7]),
    ],
)
def test_dropped_landmarks(names, dropped):
    assert dropped_landmarks(names).nonzero()[0].tolist() == dropped


def test_dropped_landmarks_are_missing_and_contribute_nothing(bfs):
    shown = bfs.take([45])
    whole, dropped = (
        record(truth(bfs, drop=drop), shown, sites=["differences"]).values.reshape(10, 2)
        for drop in ((), ("mouth",))
    )
    assert np.isnan(dropped[4:8]).all()
    np.testing.assert_array_equal(dropped[[0, 1, 2, 3, 8, 9]], whole[[0, 1, 2, 3, 8, 9]])


def test_landmarks_come_in_pixels_of_the_image_that_was_shown(bfs):
    subject = truth(bfs)
    image = bfs.image(40)
    large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    table = bfs.take([40]).table
    batch = Batch([large], table, (bfs.landmarks[[40]] + 0.5) * 2 - 0.5)
    found = subject.respond(batch, ["landmarks"])["landmarks"]
    np.testing.assert_allclose(found[0], (bfs.landmarks[40] + 0.5) * 2 - 0.5, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"landmarks": "templates"}, "did you mean 'template'?"),
        ({"drop": ["mouths"]}, "did you mean 'mouth'?"),
        ({"single_reference": "dog"}, "human, monkey, cartoon"),
        ({"inferred_reference": "happier"}, "did you mean 'happy'?"),
        ({"layer": "conv9_9", "landmarks": "template"}, "conv3_3"),
        ({"normalisation": "unit"}, "individual"),
        ({"threshold": 1}, "neutral_threshold"),
    ],
)
def test_wrong_options_name_the_choices(bfs, options, message):
    with pytest.raises(NeuroferError, match=message.replace("?", r"\?")):
        truth(bfs, **options)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ({"expression": "neutral"}, "no expression but neutral"),
        ({"expression": ["happy", "sad"]}, "neutral"),
        (None, "protocol"),
    ],
)
def test_training_stimuli_that_lack_something(bfs, select, message):
    training = None if select is None else bfs.select(**select)
    with pytest.raises(NeuroferError, match=message):
        load_subject("md-nre", training=training, landmarks="ground-truth")


@pytest.mark.weights
def test_landmarks_are_found_within_two_pixels(bfs):
    subject = load_subject("md-nre", training=protocol(bfs, "nine"), dissection="off")
    shown = bfs.select(split="test").take([3, 40, 70, 90])
    found = record(subject, shown, sites=["landmarks"]).values.reshape(-1, 13, 2)
    error = np.linalg.norm(found - shown.landmarks, axis=-1)
    assert np.median(error) < 2.0
