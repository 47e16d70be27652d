from __future__ import annotations

import statistics

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from neurofer.analyses.statistics import (
    can_resample,
    cluster_interval,
    clustered_wilson_interval,
    expanded_tail,
    false_discovery,
    percentile_interval,
    proportion_interval,
    resample,
    standard_error_interval,
    wilson_interval,
)


@given(n=st.integers(1, 500), data=st.data(), confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_is_that_of_statsmodels(n, data, confidence):
    successes = data.draw(st.integers(0, n))
    expected = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    found = wilson_interval(successes, n, confidence=confidence)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_clusters_of_one_observation_are_wilson_with_students_t():
    correct = np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0.0])
    low, high = clustered_wilson_interval(correct, np.ones(10), np.zeros(10))
    effect = 10 / 9  # of independent observations: the unbiased variance over the biased one
    quantile = scipy.stats.t.ppf(0.975, 9)
    assert (low, high) == pytest.approx(
        wilson_interval(7 / effect, 10 / effect, quantile=quantile), abs=1e-12
    )


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (2, 3, 6), (9,)])
def test_each_stratum_costs_a_degree_of_freedom(sizes):
    """Clustered Wilson in strata, computed anew in the terms of Korn and Graubard.

    One observation a cluster, and strata that differ: their difference is not variance.
    """
    rng = np.random.default_rng(len(sizes))
    strata = np.repeat(np.arange(len(sizes)), sizes)
    n = np.full(len(strata), 6.0)
    successes = rng.binomial(6, 0.3 + 0.4 * strata / len(sizes)).astype(float)
    p = successes.sum() / n.sum()
    variance = sum(
        len(own) * statistics.variance(own)
        for own in ([*(successes - 6 * p)[strata == h]] for h in range(len(sizes)))
    )
    effective = n.sum() / (variance / n.sum() ** 2 / (p * (1 - p) / n.sum()))
    # statsmodels takes the confidence of a normal quantile; here of Student's t.
    quantile = scipy.stats.t.ppf(0.975, len(strata) - len(sizes))
    alpha = 2 * scipy.stats.norm.sf(quantile)
    expected = proportion_confint(p * effective, effective, alpha=alpha, method="wilson")
    plain = proportion_confint(p * n.sum(), n.sum(), method="wilson")
    expected = max(expected, plain, key=lambda ends: ends[1] - ends[0])
    assert clustered_wilson_interval(successes, n, strata) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("inflation", [1.0, 1.25, 3.0])
def test_inflation_is_of_the_variance_between_clusters(inflation):
    successes, n = np.array([6.0, 0, 5, 1, 6, 0]), np.full(6, 6.0)
    p = 0.5
    effect = inflation * 6 * np.var(successes, ddof=1) / 36**2 / (p * (1 - p) / 36)
    expected = wilson_interval(p * 36 / effect, 36 / effect, quantile=scipy.stats.t.ppf(0.975, 5))
    found = clustered_wilson_interval(successes, n, np.zeros(6), inflation=inflation)
    assert found == pytest.approx(expected)
    # Where clusters vary less than independent answers, it first makes up for that.
    alike = clustered_wilson_interval(np.full(6, 3.0), n, np.zeros(6), inflation=inflation)
    assert alike == wilson_interval(18, 36)


@pytest.mark.parametrize(("clusters", "effect"), [(8, 1.0), (8, 4.0), (12, 1.5), (20, 2.0)])
def test_few_clusters_are_covered_as_often_as_they_should_be(clusters, effect):
    """Beta-binomial answers: as independent ones, and up to four times as varied."""
    rng, size, p = np.random.default_rng(clusters), 14, 0.3
    share = np.full((600, clusters), p)
    if effect > 1:
        scale = (size - 1) / (effect - 1) - 1
        share = rng.beta(p * scale, (1 - p) * scale, share.shape)
    n, stratum = np.full(clusters, float(size)), np.zeros(clusters)
    ends = [
        clustered_wilson_interval(one.astype(float), n, stratum)
        for one in rng.binomial(size, share)
    ]
    held = np.mean([low <= p <= high for low, high in ends])
    assert 0.925 < held < 0.98


def test_observations_that_repeat_within_a_cluster_count_as_one():
    """Seven copies of an answer are one answer: the effective sample size is that of clusters."""
    correct = np.array([1, 1, 0, 1, 0, 1, 1, 1, 1, 0.0])
    single = clustered_wilson_interval(correct, np.ones(10), np.zeros(10))
    copied = clustered_wilson_interval(7 * correct, np.full(10, 7.0), np.zeros(10))
    assert copied == pytest.approx(single, abs=1e-12)


@pytest.mark.parametrize("successes", [0, 20])
def test_clusters_that_agree_have_the_plain_wilson_interval(successes):
    found = clustered_wilson_interval(np.full(4, successes / 4), np.full(4, 5.0), np.zeros(4))
    assert found == pytest.approx(wilson_interval(successes, 20))


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_percentiles_agree_with_scipys_bootstrap(statistic):
    values = np.random.default_rng(3).gamma(2.0, size=40)
    expected = scipy.stats.bootstrap(
        (values,), statistic, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    index = resample(np.zeros(40), 20_000, seed=2)
    low, high = percentile_interval(statistic(values[index], axis=1))
    assert low == pytest.approx(expected.low, abs=0.03)
    assert high == pytest.approx(expected.high, abs=0.03)


def test_resampling_stays_within_strata_and_follows_the_seed():
    strata = np.array(["a", "b", "a", "b", "b"])
    index = resample(strata, 500, seed=4)
    assert (strata[index] == strata).all()
    # Every member of a stratum is drawn equally often.
    share = np.bincount(index[:, [1, 3, 4]].ravel(), minlength=5)[[1, 3, 4]] / 1500
    np.testing.assert_allclose(share, 1 / 3, atol=0.05)
    assert (index == resample(strata, 500, seed=4)).all()
    assert (index != resample(strata, 500, seed=5)).any()


def test_expansion_restores_students_t():
    """The expanded bootstrap interval of a normal mean has the length of Student's interval."""
    values = np.random.default_rng(0).normal(size=12)
    index = resample(np.zeros(12), 200_000, seed=1)
    low, high = percentile_interval(values[index].mean(axis=1), np.zeros(12))
    student = scipy.stats.t.interval(0.95, 11, values.mean(), scipy.stats.sem(values))
    assert high - low == pytest.approx(student[1] - student[0], rel=0.05)
    assert expanded_tail(np.zeros(10_000)) == pytest.approx(0.025, abs=1e-4)


def test_standard_error_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).normal(size=12)
    replicates = values[resample(np.zeros(12), 200_000, seed=1)].mean(axis=1)
    found = standard_error_interval(values.mean(), replicates, np.zeros(12))
    student = scipy.stats.t.interval(0.95, 11, values.mean(), scipy.stats.sem(values))
    np.testing.assert_allclose(found, student, rtol=0.01)


@pytest.mark.parametrize("strata", ["hhhhhh", "hhhmmm", "hhmmcc"])
def test_standard_error_of_few_replicates_is_that_of_a_sample(strata):
    """Three replicates, whose SD is 1 with n - 1 and 0.82 with n; the rest in closed form."""
    n, free = 6, 6 - len(set(strata))
    low, high = standard_error_interval(7.0, np.array([1.0, 2.0, 3.0]), np.array(list(strata)))
    half = scipy.stats.t.ppf(0.975, free) * np.sqrt(n / free)
    assert (low, high) == pytest.approx((7 - half, 7 + half), rel=1e-12)


@pytest.mark.parametrize(
    ("clusters", "strata", "expected"),
    [
        ("aabbccddee", "hhhhhhhhhh", True),
        ("aabbccdd", "hhhhhhhh", False),  # four clusters
        ("abcdef", "hhhhhm", False),  # one in its stratum
        ("abcdef", "hhhmmm", True),
    ],
)
def test_five_clusters_and_two_a_stratum_can_be_resampled(clusters, strata, expected):
    assert can_resample(np.array(list(clusters)), np.array(list(strata))) is expected


def _proportions(correct):
    """Three heads of five identities of seven expressions, as BFS has."""
    heads = np.repeat(["h", "m", "c"], 35)
    identity = np.repeat([f"{h}{i}" for h in "hmc" for i in range(5)], 7)
    series = np.array([f"{i}/{k % 7}" for k, i in enumerate(identity)])
    return correct.ravel(), heads, identity, series


def test_intervals_cover_the_truth():
    """Clustered answers: identities differ in difficulty with an intraclass correlation of 0.1."""
    generator = np.random.default_rng(11)
    for truth in (0.5, 0.9):
        covered, n = 0, 250
        for _ in range(n):
            own = generator.beta(truth * 9, (1 - truth) * 9, 15)
            correct = generator.random((15, 7)) < own[:, None]
            low, high, _ = proportion_interval(*_proportions(correct), n_bootstrap=300)
            covered += low <= truth <= high
        assert 0.91 <= covered / n <= 0.995


@pytest.mark.parametrize(
    ("errors", "identities", "method"),
    [
        (0, range(15), "Wilson"),
        (2, range(6), "bootstrap over identities"),
        (2, range(4), "Wilson, clustered by identities"),
        (2, range(15), "Wilson, clustered by identities"),  # all equally good: no spread to draw
    ],
)
def test_the_method_fits_what_was_seen(errors, identities, method):
    correct = np.ones((15, 7), bool)
    correct[list(identities), :errors] = False
    interval = proportion_interval(*_proportions(correct))
    assert interval.method == method
    assert interval.low < correct.mean() <= interval.high
    assert interval.high - interval.low > 0.02


def test_one_identity_a_head_is_clustered_by_series():
    correct = np.array([1, 0, 1, 1] * 6 + [0, 0, 1, 1] * 6, bool)
    heads = np.repeat(["h", "m"], 24)
    series = np.repeat([f"{h}{k}" for h in "hm" for k in range(6)], 4)
    interval = proportion_interval(correct, heads, heads, series)
    assert interval.method == "Wilson, clustered by series"
    assert interval.low < correct.mean() < interval.high


def test_nothing_observed_has_no_interval():
    empty = np.array([])
    assert proportion_interval(empty, empty, empty, empty).method == "none"


@pytest.mark.parametrize(
    ("identities", "method"), [(6, "identities"), (3, "series"), (1, "series")]
)
def test_clusters_of_a_median_are_identities_or_series(identities, method):
    n = 30
    values = np.random.default_rng(0).normal(size=n)
    identity = np.arange(n) % identities
    interval = cluster_interval(np.nanmedian, values, np.zeros(n), identity, np.arange(n))
    assert interval.method == f"bootstrap over {method}"
    assert interval.low < np.median(values) < interval.high


def test_unequal_clusters_count_every_value_once():
    """The median over padded clusters ignores the padding."""
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    identity = np.array([0, 1, 2, 3, 4, 4, 4, 4, 4, 4])
    low, high, _ = cluster_interval(np.nanmean, values, np.zeros(10), identity, identity)
    assert 1 <= low < values.mean() < high <= 7.5


def test_too_few_values_have_no_interval():
    few = np.arange(3)
    interval = cluster_interval(np.nanmean, few.astype(float), np.zeros(3), few, few)
    assert interval.method == "none"
    assert np.isnan(interval.low)


def test_false_discovery_is_that_of_scipy_and_leaves_out_what_was_not_tested():
    p = np.random.default_rng(0).uniform(size=(20, 3)) ** 2
    theirs = scipy.stats.false_discovery_control(p, axis=0)
    np.testing.assert_allclose(false_discovery(p), theirs)
    holes = np.insert(p[:, 0], [3, 9], np.nan)
    found = false_discovery(holes)
    np.testing.assert_allclose(found[np.isfinite(holes)], theirs[:, 0])
    assert np.isnan(found[np.isnan(holes)]).all()
    assert np.isnan(false_discovery(np.full(2, np.nan))).all()
