from __future__ import annotations

import warnings

import numpy as np
import pytest
import rsatoolbox.inference.evaluate as reference
from rsatoolbox.model import ModelFixed, ModelWeighted
from rsatoolbox.model.fitter import fit_regress_nn
from rsatoolbox.rdm import RDMs
from scipy import stats

from neurofer.analyses.rsa.inference.evaluate import correct, evaluate_models, evaluated
from neurofer.analyses.rsa.inference.mixtures import crossvalidated_weighted, fit_weights
from neurofer.analyses.rsa.inference.resamples import bootstrap
from neurofer.analyses.rsa.inference.variance import subjects_spread
from neurofer.analyses.rsa.rdm.compare import COMPARISONS, compare
from neurofer.errors import NeuroferError

KINDS = ("both", "subjects", "stimuli")  # in rsatoolbox's order


def _matrices(vectors):
    return RDMs(np.atleast_2d(vectors)).get_matrices()


def _simulated(seed, *, n=12, subjects=6, models=3, shared=1.0, own=1.0):
    """(subjects, n, n) RDMs of patterns that share the first model's, and the models."""
    generator = np.random.default_rng(seed)
    patterns = generator.normal(size=(models, n, 10))

    def rdm(x):
        return ((x[:, None] - x[None]) ** 2).mean(axis=2)

    noise = generator.normal(size=(subjects, n, 10))
    data = np.stack([rdm(shared * patterns[0] + own * one) for one in noise])
    return data, {f"model {k}": rdm(one) for k, one in enumerate(patterns)}


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_a_dual_bootstrap_is_that_of_rsatoolbox_on_the_same_draws(comparison, monkeypatch):
    generator = np.random.default_rng(0)
    models = generator.random((3, 45))
    subjects = models[0] + generator.random((5, 45))
    drawn = []
    sample = reference.bootstrap_sample

    def spy(*args, **kwargs):
        drawn.append(sample(*args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr(reference, "bootstrap_sample", spy)
    monkeypatch.setattr(reference.tqdm, "trange", range)
    np.random.seed(0)  # noqa: NPY002 - rsatoolbox draws from the global state
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference.eval_dual_bootstrap(
            [ModelFixed(str(k), model) for k, model in enumerate(models)],
            RDMs(subjects),
            method=comparison,
            N=8,
        )
    stimuli, people = np.array([one[2] for one in drawn]), np.array([one[1] for one in drawn])
    found = bootstrap(subjects, models, comparison, KINDS, stimuli, people)
    for k, kind in enumerate(KINDS):
        own = found[kind]
        np.testing.assert_allclose(own.evaluations, expected.evaluations[:, :, 0, 0, k], atol=1e-12)
        np.testing.assert_allclose(own.ceilings.T, expected.noise_ceiling[:, :, 0, k], atol=1e-12)
    covariance = np.stack([found[kind].covariance() for kind in KINDS])
    np.testing.assert_allclose(covariance, expected.variances, atol=1e-14)


def test_the_errors_of_a_dual_bootstrap_are_rsatoolboxes(monkeypatch):
    """In distribution: other draws, the same standard errors up to their own sampling error."""
    data, models = _simulated(1)
    monkeypatch.setattr(reference.tqdm, "trange", range)
    np.random.seed(1)  # noqa: NPY002
    expected = reference.eval_dual_bootstrap(
        [ModelFixed(name, model) for name, model in models.items()],
        RDMs(data),
        method="corr",
        N=60,
    )
    found = evaluate_models(data, models, "corr", variance="bootstrap", n_bootstrap=2000)
    np.testing.assert_allclose(found["similarity_se"], expected.get_sem(), rtol=0.35)


def test_tests_are_t_tests_of_the_bootstraps_error():
    data, models = _simulated(2)
    result = evaluate_models(data, models, "corr", variance="bootstrap", n_bootstrap=300)
    t = result["similarity"] / result["similarity_se"]
    np.testing.assert_allclose(result["p_zero"], stats.t.sf(t, 5), atol=1e-12)
    half = stats.t.ppf(0.975, 5) * result["similarity_se"]
    np.testing.assert_allclose(result["similarity_high"] - result["similarity"], half, atol=1e-12)
    assert (result["p_difference"].to_numpy() == result["p_difference"].to_numpy().T).all()
    assert (np.diag(result["p_difference"]) == 1).all()
    assert (result["freedom"] == 5).all()


def test_tests_over_subjects_are_scipys_t_tests():
    each = np.random.default_rng(3).normal(0.2, 0.3, size=(7, 3))
    result = evaluated(["a", "b", "c"], each, subjects_spread(each), "corr", "none")
    for i in range(3):
        own = stats.ttest_1samp(each[:, i], 0, alternative="greater")
        assert float(result["p_zero"][i]) == pytest.approx(own.pvalue)
        interval = own._standard_error * stats.t.ppf(0.975, 6)
        assert float(result["similarity_se"][i]) == pytest.approx(own._standard_error)
        assert float(result["similarity_high"][i] - result["similarity"][i]) == pytest.approx(
            interval
        )
        for j in range(i):
            pair = stats.ttest_rel(each[:, i], each[:, j])
            assert float(result["p_difference"][i, j]) == pytest.approx(pair.pvalue)


@pytest.mark.parametrize(("subjects", "n"), [(2, 24), (2, 60), (2, 5), (9, 5), (3, 4), (1, 6)])
@pytest.mark.parametrize("comparison", ["corr", "spearman"])
def test_intervals_of_few_subjects_or_stimuli_stay_within_the_measure(subjects, n, comparison):
    for seed in range(3):
        data, models = _simulated(seed, n=n, subjects=subjects, models=2)
        result = evaluate_models(data, models, comparison, n_bootstrap=20)
        low, high = result["similarity_low"], result["similarity_high"]
        assert (low >= -1).all()
        assert (high <= 1).all()
        assert (low <= result["similarity"]).all()
        assert (result["similarity"] <= high).all()
        assert (result["freedom"] >= 1).all()
        few = float(result["freedom"].min()) < 2
        assert ("too few subjects or stimuli" in result.attrs["few"]) == few


def test_constant_models_are_left_out_and_subjects_are_named():
    data, models = _simulated(3, subjects=3)
    flat = {"flat": 1 - np.eye(12), "rounded": (1 - np.eye(12)) * (0.1 + 1e-17)}
    result = evaluate_models(data, {**flat, **models}, n_bootstrap=30)
    assert result["model"].to_numpy().tolist() == list(models)
    assert result.attrs["left_out"] == "flat, rounded: constant over the 12 conditions"
    data[1] = 1 - np.eye(12)
    with pytest.raises(NeuroferError, match="'bert', number 2 of 3 RDMs, is constant"):
        evaluate_models(data, models, subjects=["lupo", "bert", "ana"])


@pytest.mark.parametrize("resample", ["both", "stimuli", "subjects"])
def test_the_planted_model_wins(resample):
    data, models = _simulated(3, n=20, subjects=8)
    result = evaluate_models(data, models, "corr", resample=resample, n_bootstrap=300)
    assert int(result["similarity"].argmax()) == 0
    assert float(result["p_zero_corrected"][0]) < 0.01
    assert (result["p_difference_corrected"][0, 1:] < 0.05).all()
    assert float(result["noise_ceiling_low"]) < float(result["noise_ceiling_high"])


def test_one_subject_has_its_stimuli_drawn_and_no_ceiling():
    data, models = _simulated(4, subjects=1)
    result = evaluate_models(data, models, n_bootstrap=100)
    assert result.attrs["resampled"] == "stimuli"
    assert result.attrs["noise_ceiling"] == "not computed: one subject"
    assert "noise_ceiling_low" not in result
    assert np.isfinite(result["similarity_se"]).all()


def test_a_cosine_is_not_tested_against_zero():
    data, models = _simulated(5)
    result = evaluate_models(data, models, "cosine", n_bootstrap=50)
    assert "p_zero" not in result
    assert "above zero" in result.attrs["p_zero"]


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ("holm", [0.03, 0.04, 0.04]),
        ("benjamini-hochberg", [0.03, 0.03, 0.03]),
        ("bonferroni", [0.03, 0.09, 0.06]),
        ("none", [0.01, 0.03, 0.02]),
    ],
)
def test_corrections_by_hand(correction, expected):
    np.testing.assert_allclose(correct(np.array([0.01, 0.03, 0.02]), correction), expected)


@pytest.mark.parametrize("comparison", ["cosine", "corr"])
def test_weights_are_those_of_rsatoolbox(comparison):
    generator = np.random.default_rng(6)
    components = generator.random((4, 66))
    subjects = [1, 0.3, 0, 0.1] @ components + 0.1 * generator.random((5, 66))
    expected = fit_regress_nn(ModelWeighted("m", components), RDMs(subjects), method=comparison)
    found = fit_weights(subjects, components, comparison)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_mixture_is_tried_on_conditions_that_it_was_not_fitted_to():
    generator = np.random.default_rng(7)
    components = generator.random((4, 435))
    truth = [1, 0.5, 0, 0] @ components
    subjects = truth + 0.1 * generator.random((5, 435))
    found, weights = crossvalidated_weighted(subjects, components)
    assert weights.shape == (5, 4)
    np.testing.assert_allclose(weights, np.tile([0.894, 0.447, 0, 0], (5, 1)), atol=0.05)
    alone = compare(subjects, components[:1], "corr")[:, 0]
    assert (found > alone).all()
    # Components of chance resemble nothing on conditions that are left out.
    chance, _ = crossvalidated_weighted(
        generator.random((20, 435)), generator.random((12, 435)), n_folds=3
    )
    assert abs(chance.mean()) < 0.15


def test_cross_validation_is_that_of_rsatoolbox():
    """On the same folds, with the same fitter; theirs is of the RDMs' mean over test pairs."""
    generator = np.random.default_rng(8)
    components = generator.random((3, 105))
    subjects = [1, 0.5, 0] @ components + 0.3 * generator.random((4, 105))
    found, _ = crossvalidated_weighted(subjects, components, n_folds=3, seed=2)
    fold = np.random.default_rng(2).permutation(np.arange(15) % 3)
    rdms = RDMs(subjects)
    parts = [(np.flatnonzero(fold != k).tolist(), np.flatnonzero(fold == k)) for k in range(3)]
    train, test = (
        [(rdms.subset_pattern("index", part[side]), np.array(part[side])) for part in parts]
        for side in (0, 1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference.crossval(
            [ModelWeighted("m", components)],
            rdms,
            train,
            test,
            method="corr",
            fitter=[fit_regress_nn],
            calc_noise_ceil=False,
        )
    assert found.mean() == pytest.approx(expected.evaluations.mean(), abs=1e-10)


def test_draws_of_one_condition_are_left_out():
    """Of four conditions, one resample in 64 holds one of them only, which has no pairs."""
    stimuli = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1], [3, 1, 1, 2]])
    vectors = DATA[:, *np.triu_indices(4, 1)]
    for comparison in ("corr", "spearman", "tau-a", "cosine_cov"):
        found = bootstrap(vectors, vectors[:1], comparison, KINDS, stimuli, stimuli % 3)
        assert len(found["both"].evaluations) == 2
        assert np.isfinite(found["both"].ceilings).all()


DATA, MODELS = _simulated(8, n=4, subjects=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate_models(DATA[:, :3, :3], {}), "3 conditions are too few"),
        (lambda: evaluate_models(DATA, {}), "leaves nothing to evaluate"),
        (lambda: evaluate_models(DATA[0], MODELS), r"rdms are \(subjects, n, n\)"),
        (lambda: evaluate_models(DATA, {"a": np.eye(3)}), r"model 'a' has the shape \(3, 3\)"),
        (lambda: evaluate_models(DATA, {"a": DATA[0] * np.nan}), "model 'a' holds"),
        (lambda: evaluate_models(DATA * np.nan, MODELS), "not finite"),
        (lambda: evaluate_models(DATA, {"a": np.ones((4, 4))}), "is constant"),
        (lambda: evaluate_models(DATA, MODELS, "pearson"), "comparison='pearson' is unknown"),
        (lambda: evaluate_models(DATA, MODELS, resample="all"), "resample='all' is unknown"),
        (lambda: evaluate_models(DATA, MODELS, correction="bonf"), "correction='bonf' is unknown"),
        (lambda: evaluate_models(DATA[:1], MODELS, resample="subjects"), "two subjects at least"),
        (lambda: evaluate_models(DATA, MODELS, variance="jack"), "variance='jack' is unknown"),
        (
            lambda: evaluate_models(
                DATA,
                {"a": np.eye(4)[[0, 1, 3, 2]] + np.eye(4)},
                variance="bootstrap",
                n_bootstrap=400,
            ),
            "resamples of the 4 conditions",
        ),
        (lambda: crossvalidated_weighted(np.eye(6), np.eye(6)), "4 conditions cannot be split"),
        (
            lambda: fit_weights(-np.ones((1, 6)), np.ones((1, 6)), "cosine"),
            "no component resembles",
        ),
        (lambda: fit_weights(np.eye(6), np.eye(6), "spearman"), "it has cosine, corr"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(NeuroferError, match=message):
        call()
