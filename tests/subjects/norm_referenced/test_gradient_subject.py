from __future__ import annotations

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.recording import record
from neurofer.stimuli import load_stimuli, protocol
from neurofer.subjects import load_subject


@pytest.fixture(scope="module")
def bfs():
    return load_stimuli("bfs")


def truth(training, **options):
    return load_subject("md-nre-gradient", training=training, landmarks="ground-truth", **options)


def answers(subject, stimuli):
    decision = record(subject, stimuli)
    return decision["unit"].values[decision.values.argmax(axis=1)]


def test_true_landmarks_give_nearly_every_expression(bfs):
    subject = truth(protocol(bfs, "nine"))
    shown = bfs.select(split="test")
    expressive = shown.take(np.flatnonzero(shown.table["expression"] != "neutral"))
    assert (answers(subject, expressive) == expressive.table["expression"]).mean() > 0.95
    decision = record(subject, expressive)
    np.testing.assert_allclose(decision.values.sum(axis=1), 1.0, rtol=1e-5)


def test_it_starts_from_md_nre_s_differences(bfs):
    training = protocol(bfs, "nine")
    plain = load_subject("md-nre", training=training, landmarks="ground-truth")
    subject = truth(training, epochs=0)
    shown = bfs.take([40, 80, 104])
    expected, found = (record(one, shown, sites=["differences"]).values for one in (plain, subject))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_it_learns_from_every_image_of_the_heads_that_show_expressions(bfs):
    nine, more = (protocol(bfs, name) for name in ("nine", "nine-and-neutrals"))
    few, many = truth(nine), truth(more)
    assert many.learned.losses[-1] < many.learned.losses[0]
    assert many.learned.radius > few.learned.radius
    # Human neutrals differ, so that their mean is not the first of them.
    assert np.abs(many._shifts).max() > 10 * np.abs(few._shifts).max()
    assert few.identifier != many.identifier


def test_a_head_without_expressions_has_the_human_shift_about_its_own_neutrals(bfs):
    subject = truth(protocol(bfs, "nine"))
    np.testing.assert_allclose(subject._shifts, subject._shifts[[0, 0, 0]])
    neutrals = protocol(bfs, "nine").select(expression="neutral")
    differences = record(subject, neutrals, sites=["differences"]).values.reshape(3, 10, 2)
    np.testing.assert_allclose(differences, -subject._shifts, atol=1e-4)


def test_dropped_landmarks_contribute_nothing(bfs):
    subject = truth(protocol(bfs, "nine"), drop=("mouth",))
    shown = bfs.take([45, 46])
    found = record(subject, shown, sites=["differences"]).values.reshape(2, 10, 2)
    assert np.isnan(found[:, 4:8]).all()
    assert np.isfinite(record(subject, shown, sites=["nre", "decision"]).values).all()
    assert (subject.learned.tuning[:, 4:8] == 0).all()


def test_options_of_the_other_readout_are_unknown(bfs):
    with pytest.raises(NeuroferError, match="neutral_threshold"):
        truth(protocol(bfs, "nine"), neutral_threshold=0.1)
