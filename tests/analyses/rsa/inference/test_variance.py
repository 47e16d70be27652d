from __future__ import annotations

import numpy as np
import pytest

from neurofer.analyses.rsa.inference.resamples import Replicates, bootstrap, draws
from neurofer.analyses.rsa.inference.variance import (
    _satterthwaite,
    bootstrap_spread,
    corrected_spread,
    variance_of_pairs,
)
from neurofer.analyses.rsa.rdm.compare import COMPARISONS, TAUS, compare, influences

N = 14
ROW, COLUMN = np.triu_indices(N, 1)
LINEAR = [name for name in COMPARISONS if name not in TAUS]


def _vectors(seed, number, n=N, own=1.0):
    """(number, pairs) squared distances of patterns that share a part."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(n, 6))
    row, column = np.triu_indices(n, 1)
    patterns = shared + own * generator.normal(size=(number, n, 6))
    return ((patterns[:, row] - patterns[:, column]) ** 2).sum(axis=2)


@pytest.mark.parametrize("comparison", ["cosine", "corr"])
def test_influences_are_derivatives_by_the_weight_of_a_pair(comparison):
    subjects, models = _vectors(0, 3), _vectors(1, 2)

    def weighted(weights):
        a, b = subjects, models
        if comparison == "corr":
            a, b = (one - one.mean(axis=1, keepdims=True) for one in (a, b))
        products = np.einsum("p,bp,ap->ba", weights, b, a)
        norms = [np.sqrt((weights * one**2).sum(axis=1)) for one in (b, a)]
        return products / np.outer(*norms)

    step = 1e-6
    once = np.ones(subjects.shape[1])
    expected = np.stack(
        [
            (weighted(once + step * unit) - weighted(once - step * unit)) / (2 * step)
            for unit in np.eye(len(once))[:5]
        ],
        axis=-1,
    )
    found = influences(subjects, models, comparison)
    np.testing.assert_allclose(found[..., :5], expected, atol=1e-8)


@pytest.mark.parametrize("comparison", LINEAR)
def test_influences_sum_to_nothing(comparison):
    found = influences(_vectors(0, 3), _vectors(1, 2), comparison)
    assert found.shape == (2, 3, len(ROW))
    if "cov" not in comparison:
        np.testing.assert_allclose(found.sum(axis=-1), 0, atol=1e-12)


def test_what_is_of_pairs_is_told_from_what_is_of_stimuli():
    """Influences a_i + a_j + q_ij (+ those of a subject): Q is the number of pairs times var(q).

    L is n (n - 1)^2 var(a), less the part 1 / (n - 1) that the mean takes with it in the estimate.
    """
    generator = np.random.default_rng(2)
    found = []
    for _ in range(300):
        single, pairs = 3 * generator.normal(size=N), generator.normal(size=len(ROW))
        own = generator.normal(size=(5, len(ROW)))
        influence = single[ROW] + single[COLUMN] + pairs + own
        found.append(variance_of_pairs(influence - influence.mean(axis=1, keepdims=True), N))
    pairs = len(ROW) * np.array([1 + 1 / 5, 1])
    single = (N - 1) * (N - 2) ** 2 * 9
    expected = [*pairs, single + 2 * pairs[0]]
    np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=0.06)


@pytest.fixture(scope="module")
def experiments():
    """Of data that do not resemble the models: mean, both variances of two models, two ways."""
    values: dict[str, list] = {"stimuli": [], "both": []}
    for seed in range(120):
        subjects, models = _vectors(seed, 6), _vectors(1000 + seed, 2, own=4.0)
        kinds = ("both", "subjects", "stimuli")
        found = bootstrap(subjects, models, "corr", kinds, *draws(N, 6, 100, seed))
        each = compare(subjects, models, "corr").mean(axis=0)
        for over in values:
            some = found if over == "both" else {"stimuli": found["stimuli"]}
            plain = bootstrap_spread(some, N, 6)
            less = corrected_spread(some, subjects, models, "corr")
            values[over].append((each, plain.total[:2], less.total[:2]))
    return {over: np.array(one) for over, one in values.items()}


@pytest.mark.parametrize("over", ["both", "stimuli"])
def test_under_the_null_the_correction_is_right_and_the_bootstrap_too_wide(experiments, over):
    each, plain, less = experiments[over].transpose(1, 0, 2)
    truth = each.var()
    assert plain.mean() > 1.4 * truth
    assert less.mean() == pytest.approx(truth, rel=0.3)


def _replicates(variances):
    """Replicates of two models whose variances, over uncorrelated models, are given."""
    generator = np.random.default_rng(5)
    values = np.linalg.qr(generator.normal(size=(400, 4)))[0]
    values -= values.mean(axis=0)
    values = np.linalg.qr(values)[0] * np.sqrt(399)
    return Replicates(values[:, :2] * np.sqrt(variances), values[:, 2:])


def test_small_samples_widen_the_variance():
    """Of n stimuli the bootstrap's variance is (n - 1) / n of what it should be; of subjects too.

    The variances are so great that no bound of the analysis of variance is reached.
    """
    subjects, models = _vectors(0, 6), _vectors(1, 2)
    own = influences(subjects, models, "corr")
    pairs = np.array([variance_of_pairs(one, N) for one in (*own, own[0] - own[1])])
    in_all, in_common, _ = pairs.T
    stimuli, people, both = np.array([3.0, 5.0]), np.array([1.0, 2.0]), np.array([4.4, 7.6])
    found = {
        kind: _replicates(values)
        for kind, values in (("stimuli", stimuli), ("subjects", people), ("both", both))
    }
    stimuli, people, both = (np.r_[one, one.sum()] for one in (stimuli, people, both))
    alone = corrected_spread({"stimuli": found["stimuli"]}, subjects, models, "corr")
    np.testing.assert_allclose(alone.total, N / (N - 1) * (stimuli - 2 * in_all))
    joint = corrected_spread(found, subjects, models, "corr")
    of_stimuli, of_people = N / (N - 1), 6 / 5
    expected = of_people * people + of_stimuli * (stimuli - 2 * in_common)
    expected -= of_people * of_stimuli * (both - people - stimuli)
    np.testing.assert_allclose(joint.total, expected)


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0, 5.0])
def test_freedom_is_between_the_lesser_and_the_sum(part):
    found = _satterthwaite(np.array([1.0]), np.array([part]), 1, 6)[0]
    assert 1 <= found <= 7
    if part in (0.0, 1.0):
        assert found == (6 if part == 0 else 1)


def test_degrees_of_freedom_are_between_those_of_stimuli_and_of_both():
    subjects, models = _vectors(0, 6), _vectors(1, 2)
    found = bootstrap(subjects, models, "corr", ("stimuli",), *draws(N, 6, 50, 0))
    spread = corrected_spread(found, subjects, models, "corr")
    assert spread.freedom.tolist() == [N // 2 - 1] * 3
    assert spread.freedom_zero.tolist() == [N - 1] * 2
    kinds = ("both", "subjects", "stimuli")
    found = bootstrap(subjects, models, "corr", kinds, *draws(N, 6, 50, 0))
    joint = corrected_spread(found, subjects, models, "corr")
    assert ((joint.freedom >= 5) & (joint.freedom <= N // 2 - 1 + 5)).all()
    assert (joint.freedom_zero >= joint.freedom[:2]).all()
    assert (bootstrap_spread(found, N, 6).freedom == 5).all()
