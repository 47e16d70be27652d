"""Data efficiency: draws that are nested, apart from what is tested, and honest at one image."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses import analyse
from neurofer.analyses.decoding.efficiency import _drawn, correct_by_draw
from neurofer.analyses.decoding.folds import make_folds
from neurofer.analyses.gram import gram_matrix
from neurofer.errors import NeuroferError

PEOPLE = np.repeat([f"p{k}" for k in range(10)], 6)
LABELS = np.tile(np.arange(3), 20)
GROUPS = {"identity": PEOPLE, "image": np.arange(60)}


def test_draws_are_of_the_training_part_balanced_and_nested():
    for f, fold in enumerate(make_folds(GROUPS, "identity")):
        before: set[int] = set()
        for images in (1, 2, 5):
            drawn = _drawn(fold, LABELS, GROUPS, images, [0, 3, f])
            assert set(drawn.training) <= set(fold.training)
            assert np.bincount(LABELS[drawn.training]).tolist() == [images] * 3
            assert before <= set(drawn.training)
            assert len(drawn.parts) == len(drawn.training)
            keeps = PEOPLE[drawn.training]
            assert all(len(np.unique(drawn.parts[keeps == one])) == 1 for one in np.unique(keeps))
            before = set(drawn.training)


def test_more_images_read_more_of_a_noisy_code_and_all_are_the_probe():
    rng = np.random.default_rng(0)
    activity = rng.normal(size=(3, 30))[LABELS] + 2 * rng.normal(size=(60, 30))
    gram, folds = gram_matrix(activity), make_folds(GROUPS, "identity")
    accuracy = [
        correct_by_draw(gram, LABELS, folds, GROUPS, images, 8).mean() for images in (1, 4, None)
    ]
    assert 1 / 3 < accuracy[0] < accuracy[1] < accuracy[2]
    assert correct_by_draw(gram, LABELS, folds, GROUPS, None, 8).shape == (1, 60)


def test_a_clean_code_needs_one_image_of_a_value():
    activity = np.eye(3)[LABELS] + 1e-3 * np.random.default_rng(0).normal(size=(60, 3))
    folds = make_folds(GROUPS, "identity")
    assert correct_by_draw(gram_matrix(activity), LABELS, folds, GROUPS, 1, 3).all()


def test_a_result_ends_with_what_the_probe_reads(recording):
    result = analyse("efficiency", recording, site="coding", draws=2)
    whole = analyse("probe", recording, site="coding", n_bootstrap=30)
    assert result["images"].values.tolist() == ["1", "2", "4", "8", "all"]  # of 12 neutrals
    assert float(result["accuracy"].sel(images="all")) == pytest.approx(
        float(whole["accuracy"].sel(view="all"))
    )
    assert float(result["spread"].sel(images="all")) == 0
    assert float(result["accuracy"].sel(images="1")) < float(result["accuracy"].sel(images="8"))


def test_more_images_than_there_are_is_refused(recording):
    with pytest.raises(NeuroferError, match="images=40: give numbers from 1 to 12"):
        analyse("efficiency", recording, site="coding", images=[1, 40])
