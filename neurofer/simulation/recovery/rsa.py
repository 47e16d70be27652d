"""What RSA finds where there is nothing, and where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from neurofer.simulation.recovery import Recovered, mean, share

SUMMARY = (
    "subjects' populations that do not encode a model, or two alike: how often tests reject. The "
    "goal of 4 to 6 % is for stimuli of eight Gaussian features and Pearson's r over ten subjects; "
    "where stimuli differ by categories or by two features tests are conservative, as the rows "
    "`.categories` and `.two_features` show, and other nulls are not simulated"
)
DEFAULT_N = 6000
# Of a poster: 24 faces, ten subjects of 40 units each.
STIMULI, SUBJECTS, UNITS = 24, 10, 40
FEATURES, OWN = 8, 4
CATEGORIES, FEW_FEATURES = 4, 2
RESAMPLES = 200
LEVEL, GOAL = 0.05, (0.04, 0.06)
KINDS = {"both": "stimuli and subjects", "stimuli": "stimuli", "subjects": "subjects"}
# Stimuli that are not eight Gaussian features.
NULLS = {
    "categories": f"stimuli are of {CATEGORIES} categories, the model of {CATEGORIES} others",
    "two_features": f"stimuli and model are of {FEW_FEATURES} Gaussian features each",
}
TESTS = {
    "zero": "a model that no unit encodes (one-sided)",
    "difference": "a difference of two models that are equally good",
}


def recover(n: int, seed: int = 0) -> Iterator[Recovered]:
    """Yield false positives of `evaluate_models`, the noise ceiling, and crossnobis of nothing.

    An experiment: every subject's units weigh the features of its stimuli at random, those that
    all subjects share and its own, plus trial noise; RDMs by correlation distance. Where subjects
    alone are drawn, what they share would resemble a model by chance, and every subject would
    show it: there they share nothing, or two models of which one is the other with its stimuli
    exchanged.
    """
    for test, what in TESTS.items():
        for kind, words in KINDS.items():
            what_p = f"share of experiments with p < {LEVEL} for {what}, for other {words}"
            found = [_experiment(test, kind, seed, i) for i in range(n)]
            p = np.array([_p(one, test) for one in found])
            yield share(f"rsa.false_positives.{test}.{kind}", what_p, p < LEVEL, GOAL)
            if kind == "both":
                some = range(max(n // 4, 2))
                plain = [_experiment(test, kind, seed, i, "bootstrap") for i in some]
                p = np.array([_p(one, test) for one in plain])
                name = f"rsa.false_positives.{test}.{kind}.bootstrap"
                yield share(name, f"{what_p}, with the variance of rsatoolbox", p < LEVEL)
            if (test, kind) == ("difference", "both"):
                yield _covered(found)
    for null, words in NULLS.items():
        found = [_experiment("zero", "both", seed, i, null=null) for i in range(max(n // 4, 2))]
        what = f"share of experiments with p < {LEVEL} for {TESTS['zero']}, for other "
        what += f"{KINDS['both']}; {words}"
        p = np.array([_p(one, "zero") for one in found])
        yield share(f"rsa.false_positives.zero.both.{null}", what, p < LEVEL)
    yield from _ceiling(max(n // 10, 2), seed)
    distances = np.array([_crossnobis(_generator(seed, 3, "", i)) for i in range(n)])
    yield mean(
        "rsa.crossnobis.equal",
        "mean crossnobis distance of equal patterns, in noise variances per unit",
        distances,
        (-0.002, 0.002),
    )


def _generator(seed: int, test: int, kind: str, i: int) -> np.random.Generator:
    return np.random.default_rng([seed, test, len(kind), i])


def _experiment(
    test: str, kind: str, seed: int, i: int, variance: str = "corrected", null: str = ""
) -> xr.Dataset:
    """Return what `evaluate_models` says of one experiment."""
    from neurofer.analyses.rsa.inference.evaluate import evaluate_models

    generator = _generator(seed, list(TESTS).index(test), kind, i)
    shared: np.ndarray | None
    if null:
        shared, model = _of_null(generator, null)
        models = {"model": model}
    elif test == "zero":
        shared = None if kind == "subjects" else generator.normal(size=(STIMULI, FEATURES))
        models = {"model": _squared(generator.normal(size=(STIMULI, FEATURES)))}
    else:
        first, second = generator.normal(size=(2, STIMULI, FEATURES // 2))
        if kind == "subjects":
            second = np.roll(first, STIMULI // 2, axis=0)
        models = {"first": _squared(first), "second": _squared(second)}
        shared = np.hstack([first, second])
    # One test an experiment: there is nothing to correct for.
    return evaluate_models(
        _subjects(generator, shared),
        models,
        resample=kind,
        n_bootstrap=RESAMPLES,
        correction="none",
        variance=variance,
        seed=i,
    )


def _of_null(generator: np.random.Generator, null: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the (stimuli, features) that subjects share, and a model of others of their kind."""
    if null == "two_features":
        shared, other = generator.normal(size=(2, STIMULI, FEW_FEATURES))
    else:
        category = np.eye(CATEGORIES)[np.arange(STIMULI) % CATEGORIES]
        shared, other = (generator.permutation(category) for _ in range(2))
    return shared, _squared(other)


def _p(result: xr.Dataset, test: str) -> float:
    return float(result["p_zero"][0] if test == "zero" else result["p_difference"][0, 1])


def _covered(found: list[xr.Dataset]) -> Recovered:
    """Return how many intervals of the first model hold its mean over all experiments."""
    low, value, high = (
        np.array([float(one[f"similarity{end}"][0]) for one in found])
        for end in ("_low", "", "_high")
    )
    what = f"share of 95 % intervals that hold a model's true similarity ({value.mean():.2f}), for "
    what += f"other {KINDS['both']}"
    truth = value.mean()
    return share("rsa.interval.both", what, (low <= truth) & (truth <= high), (0.93, 0.97))


def _ceiling(n: int, seed: int) -> Iterator[Recovered]:
    """Yield whether the true model lies between the noise ceilings on average, and how far."""
    from neurofer.analyses.rsa.rdm.compare import compare, noise_ceiling
    from neurofer.analyses.rsa.rdm.matrices import upper

    above, below = [], []
    for i in range(n):
        generator = _generator(seed, 2, "", i)
        shared = generator.normal(size=(STIMULI, FEATURES))
        vectors = np.stack([upper(one) for one in _subjects(generator, shared)])
        # The mean of so many subjects that nothing of one is left in it.
        truth = np.mean([upper(one) for one in _subjects(generator, shared, 5 * SUBJECTS)], axis=0)
        low, high = noise_ceiling(vectors, "corr")
        found = float(compare(vectors, truth, "corr").mean())
        above.append(found - low)
        below.append(high - found)
    for name, what, values in (
        ("lower", "the true model's similarity less the lower noise ceiling", above),
        ("upper", "the upper noise ceiling less the true model's similarity", below),
    ):
        what += " (mean Pearson's r; above 0: the ceiling contains it)"
        yield mean(f"rsa.ceiling.{name}", what, np.array(values), (0.0, 0.2))


def _crossnobis(generator: np.random.Generator) -> float:
    from neurofer.analyses.rsa.rdm.distances import crossnobis
    from neurofer.analyses.rsa.rdm.matrices import upper

    conditions, folds, units = 8, 3, 10 * UNITS
    # All conditions have the same pattern; noise of variance 1.
    activity = generator.normal(size=units) + generator.normal(size=(conditions * folds, units))
    condition, fold = np.tile(np.arange(conditions), folds), np.repeat(np.arange(folds), conditions)
    return float(upper(crossnobis(activity, condition, fold)).mean())


def _subjects(
    generator: np.random.Generator, shared: np.ndarray | None, number: int = SUBJECTS
) -> np.ndarray:
    """Return (subjects, stimuli, stimuli) RDMs of populations, with noise as great as signal."""
    from neurofer.analyses.rsa.rdm.distances import dissimilarities

    rdms = []
    for _ in range(number):
        patterns = generator.normal(size=(STIMULI, UNITS))
        own = generator.normal(size=(STIMULI, OWN))
        for features in (own,) if shared is None else (own, shared):
            # Orthonormal, so that no feature is stronger than another in any subject.
            weights = np.linalg.qr(generator.normal(size=(UNITS, features.shape[1])))[0]
            patterns += features @ weights.T * np.sqrt(UNITS / features.shape[1])
        rdms.append(dissimilarities(patterns))
    return np.stack(rdms)


def _squared(features: np.ndarray) -> np.ndarray:
    """Return the squared distances of (stimuli, features), exactly symmetric."""
    return np.asarray(((features[:, None] - features[None]) ** 2).sum(axis=2))
