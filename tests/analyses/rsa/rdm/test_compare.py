from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as reference

from neurofer.analyses.rsa.rdm.compare import (
    COMPARISONS,
    WHITENED,
    compare,
    compare_present,
    noise_ceiling,
    tied,
)
from neurofer.analyses.rsa.rdm.matrices import n_conditions
from neurofer.analyses.rsa.rdm.nuisance import residuals
from neurofer.errors import NeuroferError

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.random((3, 66)).round(1)  # with ties
OTHERS = GENERATOR.random((4, 66)).round(2)
NUISANCE = GENERATOR.random((2, 66))


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_comparisons_are_those_of_rsatoolbox(comparison):
    expected = reference(RDMs(VECTORS), RDMs(OTHERS), method=comparison)
    np.testing.assert_allclose(compare(VECTORS, OTHERS, comparison), expected, atol=1e-12)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_absent_pairs_are_those_of_rsatoolbox(comparison):
    drawn = np.sort(GENERATOR.integers(0, 12, 12))
    sides = [RDMs(one).subsample_pattern("index", drawn) for one in (VECTORS, OTHERS)]
    expected = reference(*sides, method=comparison)
    shown = ~np.isnan(sides[0].get_vectors()[0])
    vectors = [one.get_vectors()[:, shown] for one in sides]
    found = compare_present(*vectors, comparison, drawn[:, None] != drawn)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("comparison", WHITENED)
def test_whitening_is_by_the_covariance_of_dissimilarities(comparison):
    """From its definition: V = (C C')^2 of the contrasts, as a matrix."""
    row, column = np.triu_indices(12, 1)
    contrast = np.eye(12)[row] - np.eye(12)[column]
    inverse = np.linalg.inv((contrast @ contrast.T) ** 2)
    a, b = VECTORS, OTHERS
    if comparison == "corr_cov":
        a, b = (one - one.mean(axis=1, keepdims=True) for one in (a, b))
    norms = [np.sqrt(np.einsum("ij,jk,ik->i", one, inverse, one)) for one in (a, b)]
    expected = a @ inverse @ b.T / np.outer(*norms)
    np.testing.assert_allclose(compare(a, b, comparison), expected, atol=1e-10)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(COMPARISONS))
def test_similarity_is_symmetric_bounded_and_blind_to_scale(seed, comparison):
    a, b = np.random.default_rng(seed).random((2, 3, 28))
    found = compare(a, b, comparison)
    np.testing.assert_allclose(found, compare(b, a, comparison).T, atol=1e-12)
    np.testing.assert_allclose(found, compare(5 * a, b, comparison), atol=1e-12)
    assert (np.abs(found) <= 1 + 1e-12).all()
    np.testing.assert_allclose(np.diag(compare(a, a, comparison)), 1)


@pytest.mark.parametrize("times", [1, 5, 10, 100, 1e-7, 3e9])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_levels_in_another_unit_give_the_same(comparison, times):
    """Of 0, 0.2, ... 1 some differences are equal but for rounding; of 0, 1, ... 5 they are."""
    level = np.tile(np.arange(6), 2)
    row, column = np.triu_indices(12, 1)
    whole = np.abs(level[row] - level[column]).astype(float)
    model = np.abs((level / 5 * times)[row] - (level / 5 * times)[column])
    for sides in ((VECTORS, model), (model, OTHERS)):
        exact = tuple(whole if one is model else one for one in sides)
        np.testing.assert_allclose(
            compare(*sides, comparison), compare(*exact, comparison), atol=1e-11
        )
    raters = np.stack([model, *VECTORS]), np.stack([whole, *VECTORS])
    low_and_high = [noise_ceiling(one, comparison) for one in raters]
    np.testing.assert_allclose(*low_and_high, atol=1e-11)


def test_what_is_left_of_equal_dissimilarities_is_equal():
    """Residuals of categories are of few values, which rounding parts."""
    category, other = GENERATOR.integers(0, 2, (2, 66)).astype(float)
    left = residuals(category, other)
    exact = left.round(9)
    assert len(np.unique(exact)) == 4
    for comparison in ("spearman", "kendall", "tau-a"):
        found, expected = (compare(VECTORS, one, comparison) for one in (left, exact))
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_ties_are_of_neighbours_only():
    values = GENERATOR.random((2, 500))
    np.testing.assert_array_equal(tied(values), values)
    near = values + 1e-14 * GENERATOR.random((2, 500))
    doubled = tied(np.hstack([values, near]))
    np.testing.assert_array_equal(doubled[:, :500], doubled[:, 500:])
    assert [len(np.unique(one)) for one in doubled] == [500, 500]


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_the_ceiling_is_that_of_rsatoolbox(comparison):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = boot_noise_ceiling(RDMs(OTHERS), method=comparison)
    np.testing.assert_allclose(noise_ceiling(OTHERS, comparison), expected, atol=1e-12)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_the_ceiling_brackets_the_true_model(comparison):
    """On average: the true RDM explains what raters share, no more than their own mean does."""
    generator = np.random.default_rng(2)
    found = []
    for _ in range(20):
        truth = 1 + generator.random(45)
        raters = truth - 0.5 + generator.random((8, 45))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            low, high = noise_ceiling(raters, comparison)
        found.append((low, compare(raters, truth, comparison).mean(), high))
    low, true, high = np.mean(found, axis=0)
    assert low < true < high


def test_the_conditions_of_a_vector_are_counted():
    assert [n_conditions(n * (n - 1) // 2) for n in (2, 12, 420)] == [2, 12, 420]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare(VECTORS, OTHERS, "pearson"), "comparison='pearson' is unknown"),
        (lambda: compare(VECTORS, OTHERS[:, :3], "corr"), "66 dissimilarities cannot"),
        (lambda: compare(VECTORS, np.ones((1, 66)), "tau-a"), "number 1 of 1 RDMs is constant"),
        (lambda: compare(VECTORS, np.zeros((1, 66)), "cosine"), "is constant"),
        (
            lambda: compare(VECTORS, np.ones((2, 66)), "corr", other_names=["view", "age"]),
            "'view', number 1 of 2 RDMs, is constant",
        ),
        (
            lambda: compare([VECTORS[0], 0.1 + np.eye(66)[0] * 1e-17], OTHERS, "corr", names="ab"),
            "'b', number 2 of 2 RDMs, is constant",
        ),
        (lambda: compare(VECTORS * np.nan, OTHERS, "corr"), "not finite"),
        (lambda: compare(VECTORS[:, :65], OTHERS[:, :65], "corr_cov"), "do not make an RDM"),
        (lambda: compare(VECTORS[:, :1], OTHERS[:, :1], "corr"), "too few to be compared"),
    ],
)
def test_bad_comparisons_are_named(call, message):
    with pytest.raises(NeuroferError, match=message):
        call()
