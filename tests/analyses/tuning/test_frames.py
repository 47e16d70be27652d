"""Frames: from the norm, absolute, or none."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses.tuning.frames import compare_frames
from neurofer.errors import NeuroferError
from neurofer.simulation.populations import cell_counts, shown_faces

FEW = {"dimensions": 3, "n_random": 45}


@pytest.fixture(scope="module")
def faces():
    return shown_faces(3, **FEW)


@pytest.mark.parametrize(
    ("kind", "frame", "sign"),
    [
        ("rising", "norm", 1),
        ("falling", "norm", -1),
        ("axis", "absolute", 0),
        ("exemplar", "absolute", 0),
        ("silent", "flat", 0),
    ],
)
def test_the_frame_of_a_cell_is_found(faces, kind, frame, sign):
    rates = cell_counts(faces, kind, 5, n_trials=40, seed=2)
    found = compare_frames(faces.position, faces.norm, rates, faces.identity, n_folds=3)
    assert (found["frame"] == frame).mean() >= 0.8
    assert (found["sign"] == sign).mean() >= 0.8
    if frame != "flat":
        assert (found["cv_r2"] > 0).mean() >= 0.8


def test_one_head_has_fewer_frames_and_counts_have_trials():
    shown = shown_faces(1, **FEW)
    rates = cell_counts(shown, "rising", 3, seed=1)
    trials = np.full(len(rates), 10)
    found = compare_frames(
        shown.position, shown.norm[0], rates, shown.identity, likelihood="poisson", trials=trials
    )
    assert found["candidate"].to_numpy().tolist() == [
        "absolute: flat",
        "absolute: axis",
        "absolute: exemplar",
        "norm: norm-direction",
    ]
    assert (found["frame"] == "norm").all()


def test_what_predicts_no_one_who_was_left_out_is_none(faces, monkeypatch):
    from neurofer.analyses.tuning import frames

    monkeypatch.setattr(frames, "cross_validate", lambda x, y, *_, **__: np.zeros(y.shape[1]))
    rates = cell_counts(faces, "rising", 2)
    found = compare_frames(faces.position, faces.norm, rates, faces.identity)
    assert (found["frame"] == "none").all()
    assert (found["model"] == "norm-direction").all()


def test_where_the_norm_lies_is_tested_against_other_places(faces):
    rates = cell_counts(faces, "rising", 4, n_trials=100, seed=3)
    options = {"n_controls": 9, "n_folds": 3, "seed": 1}
    found = compare_frames(faces.position, faces.norm, rates, faces.identity, **options)
    assert (found["norm_p"] <= 0.2).all()
    silent = cell_counts(faces, "silent", 2, seed=3)
    assert np.isnan(
        compare_frames(faces.position, faces.norm, silent, faces.identity, **options)["norm_p"]
    ).all()


def test_units_that_cannot_be_fitted_say_so(faces):
    rates = cell_counts(faces, "axis", 3, seed=1)
    rates[0, 0], rates[:, 1] = np.inf, 3.0
    found = compare_frames(faces.position, faces.norm, rates, faces.identity, n_folds=3)
    assert found["status"].to_numpy().tolist() == ["not finite", "constant", "ok"]
    assert found["frame"].to_numpy().tolist()[:2] == ["", ""]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, n, y: (p[:, 0], n, y), "position must be"),
        (lambda p, n, y: (p, n[:3], y), "position must be"),
        (lambda p, n, y: (p, n, y[:4]), "rows of responses"),
        (lambda p, n, y: (np.where(p == p[0], np.nan, p), n, y), "must be finite"),
        (lambda p, n, y: (np.eye(3)[[0, 1, 2] * 2], np.zeros(3), y[:6]), "show mixtures"),
    ],
)
def test_what_is_no_design_is_named(faces, change, message):
    given = change(faces.position, faces.norm, cell_counts(faces, "axis", 2))
    with pytest.raises(NeuroferError, match=message):
        compare_frames(*given, faces.identity)
    with pytest.raises(NeuroferError, match="kind='asix'"):
        cell_counts(faces, "asix", 2)
    with pytest.raises(NeuroferError, match="n_heads=0"):
        shown_faces(0)
