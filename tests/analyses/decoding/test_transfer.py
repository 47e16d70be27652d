from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion

from neurofer.analyses.decoding import transfer
from neurofer.analyses.decoding.decoders import DECODERS, confusion_matrix
from neurofer.analyses.statistics import wilson_interval
from neurofer.errors import NeuroferError
from neurofer.simulation import (
    coding_units,
    exemplar_units,
    join,
    noise_units,
    norm_referenced_units,
    simulated_faces,
)

LABELS = ("happy", "sad", "fear")


def accuracy(result, head="all", strength="all"):
    return float(result["accuracy"].sel(head=head, strength=strength))


def test_norm_referenced_units_transfer_without_error(faces):
    result = transfer.run(norm_referenced_units(faces, decide=True))
    assert (result["accuracy"] == 100).all()
    assert (result["accuracy_by_expression"] == 100).all()
    assert result.attrs["n_ties"] == result.attrs["n_undefined"] == 0


@pytest.mark.parametrize("decoder", list(DECODERS))
def test_only_norm_referenced_units_transfer_to_distant_heads(faces, decoder):
    """Exemplar units hold the expressions of one head, in absolute space."""
    recording = join(
        norm_referenced_units(faces, noise=0.02), exemplar_units(faces, noise=0.02, seed=1)
    )
    norm = transfer.run(recording, "nre", decoder=decoder)
    exemplar = transfer.run(recording, "exemplar", decoder=decoder)
    assert accuracy(exemplar, "human", "1") > 95
    for head in ("monkey", "cartoon"):
        assert accuracy(norm, head, "1") > 95
        assert accuracy(exemplar, head, "1") < 35


@pytest.mark.parametrize("decoder", list(DECODERS))
def test_noise_is_read_at_chance(decoder):
    """Four populations of a balanced set: 1 in 7, within the 99.9 % range of a binomial."""
    balanced = simulated_faces(n_identities=10, strengths=(1.0,))
    results = [
        transfer.run(noise_units(balanced, 30, seed=k), "noise", decoder=decoder, n_bootstrap=20)
        for k in range(4)
    ]
    low, high = wilson_interval(4 * 30, 4 * 210, confidence=0.999)
    assert 100 * low < np.mean([accuracy(result) for result in results]) < 100 * high
    assert results[0].attrs["n_tested"] == 210
    assert results[0].attrs["chance"] == pytest.approx(100 / 7)


def test_shuffled_labels_are_read_at_chance():
    balanced = simulated_faces(n_identities=10, strengths=(1.0,))
    recording = norm_referenced_units(balanced, noise=0.02)
    assert accuracy(transfer.run(recording, "nre", decoder="ridge")) == 100
    identity = np.char.add(recording["head"].to_numpy(), recording["identity"].to_numpy())
    generator = np.random.default_rng(1)
    shuffled = recording["expression"].to_numpy().copy()
    for name in np.unique(identity):
        shuffled[identity == name] = generator.permutation(shuffled[identity == name])
    shuffled = recording.assign_coords(expression=("presentation", shuffled))
    result = transfer.run(shuffled, "nre", decoder="ridge")
    low, high = wilson_interval(30, 210, confidence=0.999)
    assert 100 * low < accuracy(result) < 100 * high


def test_no_identity_is_answered_by_a_decoder_that_saw_it():
    """A code of identity and expression together: any leak would be read without error.

    Each identity shows each expression twice, with the same pattern, unlike all other patterns.
    """
    faces = simulated_faces(heads=("human", "monkey"), n_identities=6, strengths=(0.5, 1.0))
    recording = coding_units(faces, ("head", "identity", "expression"), 200)
    for part in ({"head": "human"}, {"head": ["human", "monkey"]}, {"strength": [0.0, 1.0]}):
        result = transfer.run(recording, "coding", decoder="ridge", train=part)
        assert int(result["n"].sel(head="all", strength="all")) == 2 * 6 * 13
        assert accuracy(result) < 40
    # The same code is read without error where the decoder may see the identity.
    x, y = recording.to_numpy(), recording["expression"].to_numpy()
    seen = recording["strength"].to_numpy() != 0.5
    one = np.full(len(y), "stranger")
    leaked = transfer.cross_identity_answers(x, y, np.where(seen, "a", one), seen, "ridge")
    assert (leaked[~seen] == y[~seen]).all()


def test_strangers_are_answered_by_one_decoder_and_others_by_the_rest(monkeypatch):
    calls = []

    def record(train, classes, test, decoder, penalty):
        calls.append((len(train), len(test)))
        return np.full(len(test), "sad")

    monkeypatch.setattr(transfer, "fit_and_answer", record)
    identity = np.repeat(["a", "b", "c"], 4)
    training = np.isin(identity, ["a", "b"])
    answers = transfer.cross_identity_answers(
        np.zeros((12, 2)), np.full(12, "sad"), identity, training, "ridge"
    )
    assert calls == [(8, 4), (4, 4), (4, 4)]
    assert (answers == "sad").all()


def test_the_only_identity_of_the_training_part_is_not_tested(one_identity):
    recording = norm_referenced_units(one_identity, noise=0.01)
    result = transfer.run(recording, "nre", decoder="ridge")
    assert result.attrs["untested_heads"] == "human"
    assert result["n"].sel(head="human").sum() == 0
    assert np.isnan(result["accuracy"].sel(head="human")).all()
    assert (result["interval"].sel(head="human") == "none").all()
    assert accuracy(result, "all") == 100
    assert int(result["n"].sel(head="all", strength="all")) == 50
    chosen = (result["shown"] != "") & (result["answered"] == "")
    assert chosen.sum() == 25


def test_the_images_of_training_are_held_out_or_counted(faces):
    recording = norm_referenced_units(faces, decide=True)
    trained = np.zeros(recording.sizes["presentation"], bool)
    trained[[0, 3, 100, 200]] = True
    recording = recording.assign_coords(in_training=("presentation", trained))
    held_out, all_images = (transfer.run(recording, held_out=flag) for flag in (True, False))
    assert held_out.attrs["n_tested"] == 371
    assert all_images.attrs["n_tested"] == 375
    ids = recording["stimulus_id"].to_numpy()[trained]
    assert set(held_out["stimulus_id"].to_numpy()[held_out["answered"] == ""]) == set(ids)


def test_a_recording_that_does_not_say_has_no_training_images(faces):
    recording = norm_referenced_units(faces, decide=True).drop_vars("in_training")
    assert transfer.run(recording).attrs["n_tested"] == 375


def test_accuracies_are_those_of_pandas(recording):
    """Every cell, against a groupby of the answers."""
    result = transfer.run(recording, "coding", decoder="svm", n_bootstrap=50)
    assert (result["stimulus_id"].to_numpy() == np.sort(recording["stimulus_id"])).all()
    order = np.argsort(recording["stimulus_id"].to_numpy())
    answers = pd.DataFrame(
        {
            "head": recording["head"].to_numpy()[order],
            "strength": [f"{s:g}" for s in recording["strength"].to_numpy()[order]],
            "expression": result["shown"].to_numpy(),
            "correct": result["shown"].to_numpy() == result["answered"].to_numpy(),
        }
    )
    assert 20 < accuracy(result) < 95
    for (head, strength), cell in answers.groupby(["head", "strength"])["correct"]:
        assert accuracy(result, head, strength) == pytest.approx(100 * cell.mean())
        assert int(result["n"].sel(head=head, strength=strength)) == len(cell)
    for (head, shown), cell in answers.groupby(["head", "expression"])["correct"]:
        place = {"head": head, "expression": shown}
        assert result["accuracy_by_expression"].sel(place) == pytest.approx(100 * cell.mean())
        assert int(result["accuracy_by_expression_n"].sel(place)) == len(cell)
    assert accuracy(result) == pytest.approx(100 * answers["correct"].mean())
    confusion = result["confusion"].to_numpy()
    names = result["answer"].to_numpy().tolist()
    expected = sklearn_confusion(result["shown"], result["answered"], labels=names)
    shown = [names.index(name) for name in result["expression"].to_numpy()]
    assert (confusion == expected[shown]).all()
    low, high = result["accuracy_low"], result["accuracy_high"]
    assert ((low <= result["accuracy"]) & (result["accuracy"] <= high)).all()
    assert (low < high).all()


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, "tie"]))))
def test_confusion_counts_every_answer_once(pairs):
    shown, answers = (np.array([pair[k] for pair in pairs], dtype=str) for k in (0, 1))
    counts = confusion_matrix(shown, answers, list(LABELS), [*LABELS, "tie"])
    assert counts.sum() == len(pairs)
    assert (counts.sum(axis=1) == [np.sum(shown == name) for name in LABELS]).all()
    assert np.trace(counts) == np.sum(shown == answers)


def test_ties_and_undefined_activity_are_named_and_wrong(faces):
    recording = norm_referenced_units(faces, decide=True)
    silent = recording.copy()
    human = recording["head"].to_numpy() == "human"
    silent.values[human] = 0
    monkey = recording["head"].to_numpy() == "monkey"
    silent.values[monkey, 2] = np.nan
    result = transfer.run(silent)
    assert result.attrs["n_ties"] == result.attrs["n_undefined"] == 125
    assert accuracy(result, "human") == accuracy(result, "monkey") == 0
    assert accuracy(result, "cartoon") == 100
    counts = result["confusion"].sum("expression")
    assert int(counts.sel(answer="tie")) == int(counts.sel(answer="undefined")) == 125


def test_an_expression_without_a_unit_is_never_answered(faces):
    result = transfer.run(norm_referenced_units(faces, noise=0.01), "nre")
    assert result.attrs["never_answered"] == "neutral"
    assert accuracy(result, strength="0") == 0
    assert accuracy(result, strength="1") == 100
    assert result.attrs["chance"] == pytest.approx(100 / 6)


def test_tables_hold_percent_to_one_decimal(recording):
    result = transfer.run(recording, n_bootstrap=100)
    table = transfer.table(result)
    assert list(table) == ["head", "strength", "n", "accuracy", "low", "high", "interval"]
    assert len(table) == 4 * 6
    overall = table[(table["head"] == "all") & (table["strength"] == "all")].iloc[0]
    assert overall["accuracy"] == round(accuracy(result), 1)
    assert overall["n"] == 375


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "argmin"}, "did you mean 'argmax'"),
        ({"site": "coding"}, "no labels"),
        ({"site": "nre", "train": {"head": "human"}}, "not fitted"),
        ({"site": "nre", "decoder": "svm", "train": {"head": "dog"}}, "head='dog' is not in"),
        ({"site": "nre", "decoder": "svm", "train": {"hat": "human"}}, "column='hat' is not in"),
        ({"site": "nre", "decoder": "svm", "train": {"expression": "sad"}}, "two classes"),
    ],
)
def test_bad_options_are_named(recording, options, message):
    with pytest.raises(NeuroferError, match=message):
        transfer.run(recording, **options)


def test_nothing_left_to_test_is_an_error(one_identity):
    human = norm_referenced_units(one_identity).isel(presentation=slice(0, 25))
    with pytest.raises(NeuroferError, match="none of 25 presentations is left to test"):
        transfer.run(human, "nre", decoder="ridge")
    trained = human.assign_coords(in_training=("presentation", np.ones(25, bool)))
    with pytest.raises(NeuroferError, match="25 trained the subject"):
        transfer.run(trained, "nre")
