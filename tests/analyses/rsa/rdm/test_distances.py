from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import calc_rdm
from sklearn.covariance import ledoit_wolf

from neurofer.analyses import gram
from neurofer.analyses.rsa.rdm import noise as noise_module
from neurofer.analyses.rsa.rdm.distances import condition_residuals, crossnobis, dissimilarities
from neurofer.analyses.rsa.rdm.noise import shrunk_noise
from neurofer.errors import NeuroferError

PATTERNS = np.random.default_rng(0).gamma(2.0, size=(12, 40))
RESIDUALS = np.random.default_rng(1).normal(size=(30, 40)) @ np.random.default_rng(2).normal(
    size=(40, 40)
)
ESTIMATORS = {"diagonal": "shrinkage_diag", "identity": "shrinkage_eye"}
OF_PATTERNS = ("correlation", "centred-correlation", "euclidean", "poisson")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Blocks of 16 units, so that every test adds up several."""
    monkeypatch.setattr(gram, "BLOCK", 1)


def _close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def _reference(patterns, method, **options):
    return calc_rdm(Dataset(patterns), method=method, **options).get_matrices()[0]


@pytest.mark.parametrize("distance", ["correlation", "euclidean", "poisson"])
def test_distances_are_those_of_rsatoolbox(distance):
    _close(dissimilarities(PATTERNS, distance), _reference(PATTERNS, distance))


def test_centred_correlation_subtracts_the_mean_pattern():
    expected = 1 - np.corrcoef(PATTERNS - PATTERNS.mean(axis=0))
    _close(dissimilarities(PATTERNS, "centred-correlation"), expected)


@pytest.mark.parametrize("shrinkage", list(ESTIMATORS))
@pytest.mark.parametrize("freedom", [None, 20])
def test_noise_is_that_of_rsatoolbox(shrinkage, freedom):
    precision = prec_from_residuals(RESIDUALS, method=ESTIMATORS[shrinkage], dof=freedom)
    noise = shrunk_noise(RESIDUALS, shrinkage, freedom=freedom)
    _close(noise.precision(), precision)
    expected = _reference(PATTERNS, "mahalanobis", noise=precision)
    _close(dissimilarities(PATTERNS, "mahalanobis", noise=noise), expected)


def test_shrinkage_to_the_identity_is_ledoit_and_wolfs():
    _, part = ledoit_wolf(RESIDUALS)
    assert shrunk_noise(RESIDUALS, "identity").shrinkage == pytest.approx(part, abs=1e-12)


@pytest.mark.parametrize("folds", [2, 3])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("with_noise", [True, False])
def test_crossnobis_is_that_of_rsatoolbox(folds, balanced, with_noise):
    condition, fold = np.tile(np.arange(12), folds), np.repeat(np.arange(folds), 12)
    if not balanced:
        condition, fold = np.r_[condition, 0, 3, 3], np.r_[fold, 0, 1, 1]
    noise = np.random.default_rng(3).normal(size=(len(condition), 40))
    activity = PATTERNS[condition] + noise
    precision = prec_from_residuals(RESIDUALS, method="shrinkage_diag")
    data = Dataset(activity, obs_descriptors={"condition": condition, "fold": fold})
    expected = calc_rdm(
        data,
        method="crossnobis",
        descriptor="condition",
        cv_descriptor="fold",
        noise=precision if with_noise else None,
    ).get_matrices()[0]
    given = shrunk_noise(RESIDUALS) if with_noise else None
    _close(crossnobis(activity, condition, fold, noise=given), expected)


def test_crossnobis_of_equal_patterns_is_zero_on_average():
    generator = np.random.default_rng(4)
    condition, fold = np.tile(np.arange(5), 4), np.repeat(np.arange(4), 5)
    rdms = [crossnobis(generator.normal(size=(20, 60)), condition, fold) for _ in range(200)]
    pairs = np.array(rdms)[:, *np.triu_indices(5, 1)]
    error = pairs.mean(axis=1).std() / np.sqrt(200)
    assert abs(pairs.mean()) < 4 * error
    assert (pairs < 0).any()


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(OF_PATTERNS))
def test_invariances(seed, distance):
    generator = np.random.default_rng(seed)
    patterns = generator.gamma(2.0, size=(7, 20))
    rdm = dissimilarities(patterns, distance)
    assert (rdm == rdm.T).all()
    assert (np.diag(rdm) == 0).all()
    assert (rdm >= 0).all()
    _close(dissimilarities(patterns[:, generator.permutation(20)], distance), rdm)
    order = generator.permutation(7)
    _close(dissimilarities(patterns[order], distance), rdm[np.ix_(order, order)])
    if distance != "poisson":
        expected = rdm if "correlation" in distance else 9 * rdm
        _close(dissimilarities(3 * patterns, distance), expected)
    if distance == "correlation":
        _close(dissimilarities(patterns + generator.normal(size=(7, 1)), distance), rdm)
    if distance == "euclidean":
        rotation = np.linalg.qr(generator.normal(size=(20, 20)))[0]
        _close(dissimilarities(patterns @ rotation + 5, distance), rdm)


def test_float32_activity_is_read_in_float64():
    patterns = (1e3 + PATTERNS).astype(np.float32)
    _close(dissimilarities(patterns), 1 - np.corrcoef(patterns.astype(np.float64)))


def test_residuals_are_from_the_mean_of_a_condition():
    activity, condition = PATTERNS[:6], np.array([0, 0, 1, 2, 2, 2])
    residuals, freedom = condition_residuals(activity, condition)
    assert freedom == 3
    assert residuals.shape == (5, 40)
    _close(residuals[:, :][:2], activity[:2] - activity[:2].mean(axis=0))
    _close(residuals[:, :][2:], activity[3:] - activity[3:].mean(axis=0))


def test_a_covariance_as_a_matrix_has_a_limit(monkeypatch):
    monkeypatch.setattr(noise_module, "MOST_UNITS", 39)
    with pytest.raises(NeuroferError, match="inverse covariance of 40 units"):
        shrunk_noise(RESIDUALS).precision()


def _with(value, at=(1, 3)):
    patterns = PATTERNS.copy()
    patterns[at] = value
    return patterns


@pytest.mark.parametrize(
    ("patterns", "options", "message"),
    [
        (PATTERNS, {"distance": "euclidian"}, "did you mean 'euclidean'"),
        (PATTERNS, {"distance": "mahalanobis"}, r"needs noise=shrunk_noise\(residuals\)"),
        (PATTERNS, {"noise": shrunk_noise(RESIDUALS)}, "takes no noise"),
        (_with(-1), {"distance": "poisson"}, r"takes rates.*\(b\)"),
        (_with(7.0, (1, slice(None))), {}, r"1 of 12 patterns are constant.*\(b\)"),
        (PATTERNS[:, :1], {}, "at least two units"),
        (PATTERNS[0], {}, r"these are \(40,\)"),
        (np.repeat(PATTERNS[:1], 4, 0), {"distance": "centred-correlation"}, "all patterns are"),
    ],
)  # fmt: skip
def test_bad_patterns_are_named(patterns, options, message):
    with pytest.raises(NeuroferError, match=message):
        dissimilarities(patterns, names="abcdefghijkl"[: len(patterns)], **options)


@pytest.mark.parametrize("distance", OF_PATTERNS)
def test_activity_that_is_not_finite_is_named(distance):
    with pytest.raises(NeuroferError, match=r"1 patterns hold .* in 1 units \(b\)"):
        dissimilarities(_with(np.nan), distance, "abcdefghijkl")


@pytest.mark.parametrize(
    ("condition", "fold", "message"),
    [
        ([0, 1, 0, 1], [0, 0, 0, 0], "all presentations are of fold 0"),
        ([0, 1, 0, 0], [0, 0, 1, 1], "condition b is missing in fold '1'"),
    ],
)
def test_folds_that_do_not_cross_are_named(condition, fold, message):
    with pytest.raises(NeuroferError, match=message):
        crossnobis(PATTERNS[:4], condition, fold, names="ab")


@pytest.mark.parametrize(
    ("residuals", "message"),
    [
        (np.where(np.arange(40) == 3, 0, RESIDUALS), "1 units have residuals that do not vary"),
        (np.where(np.arange(40) == 3, np.nan, RESIDUALS), r"1 units .* not finite \(number 4\)"),
        (RESIDUALS[:1], "1 residuals with 0 degrees"),
    ],
)
def test_bad_residuals_are_named(residuals, message):
    with pytest.raises(NeuroferError, match=message):
        shrunk_noise(residuals)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_units_that_are_constant_but_for_rounding_are_named(value):
    activity = np.random.default_rng(4).normal(size=(30, 6))
    activity[:, [1, 4]] = value
    residuals, freedom = condition_residuals(activity, np.repeat(np.arange(10), 3))
    with pytest.raises(NeuroferError, match=r"2 units .* \(b, e\): leave those units out"):
        shrunk_noise(residuals, freedom=freedom, names="abcdef")


def _plane(generator):
    return 1e3 * generator.normal(size=(40, 2))


def _collinear(generator):
    return generator.uniform(1, 3, (40, 1)) * generator.normal(size=9)


def _of_two_kinds(generator):
    kinds = generator.normal(size=(2, 30))
    return kinds[0] + 1e-5 * kinds[generator.integers(0, 2, 40)]


@pytest.mark.parametrize(
    ("patterns", "distance", "levels"),
    [
        (_plane, "correlation", [0, 2]),
        (_collinear, "correlation", [0]),
        (_collinear, "centred-correlation", [0, 2]),
        (_of_two_kinds, "correlation", [0, 0]),  # of which one is about 1e-10
    ],
)
def test_correlations_that_are_equal_but_for_rounding_are_equal(patterns, distance, levels):
    found = np.unique(dissimilarities(patterns(np.random.default_rng(3)), distance))
    np.testing.assert_allclose(found, levels, atol=1e-9)


def test_once_is_no_noise():
    with pytest.raises(NeuroferError, match="no condition was presented twice"):
        condition_residuals(PATTERNS, np.arange(12))
