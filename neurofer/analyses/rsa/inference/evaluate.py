"""Models against the RDMs of many subjects: variance over stimuli and subjects, and tests.

Tests are t tests, as those of Schuett et al. 2023 (eLife 12:e82566). Their variance is that of
`variance`, which by design is smaller than rsatoolbox's, or, on request
(`variance="bootstrap"`), rsatoolbox's own of its (dual) bootstrap; `variance` says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import xarray as xr

from neurofer.analyses.rsa.inference.resamples import bootstrap, draws
from neurofer.analyses.rsa.inference.variance import Spread, bootstrap_spread, corrected_spread
from neurofer.analyses.rsa.rdm.compare import (
    COMPARISONS,
    RANKED,
    TAUS,
    compare,
    constant,
    noise_ceiling,
    tied,
)
from neurofer.analyses.rsa.rdm.conditions import FEWEST_CONDITIONS
from neurofer.analyses.statistics import CONFIDENCE
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import MOST_RESAMPLES, Seed, checked, within

RESAMPLED = ("both", "stimuli", "subjects")
VARIANCES = ("corrected", "bootstrap")
CORRECTIONS = {
    "holm": "holm",
    "bonferroni": "bonferroni",
    "benjamini-hochberg": "fdr_bh",
    "none": None,
}
# Below, 95 % of t is more than 4.3 standard errors wide on either side.
FEW_FREEDOM = 2


@checked
def evaluate_models(
    rdms: np.ndarray,
    models: Mapping[str, np.ndarray],
    comparison: str = "corr",
    *,
    resample: str = "both",
    n_bootstrap: Annotated[int, within(2, MOST_RESAMPLES)] = 1000,
    correction: str = "holm",
    variance: str = "corrected",
    seed: Seed = 0,
    subjects: Sequence[str] | None = None,
) -> xr.Dataset:
    """Evaluate fixed models on the RDMs of subjects, for other subjects, stimuli or both.

    Args:
        rdms: (subjects, n, n), all of the same n conditions in the same order.
        models: name -> (n, n).
        comparison: one of `COMPARISONS`.
        resample: "both" (the conclusion is for other stimuli and other subjects), "stimuli" or
            "subjects". One subject has its stimuli drawn only.
        n_bootstrap: resamples of the bootstrap.
        correction: of p-values for several models or pairs of them: "holm", "bonferroni",
            "benjamini-hochberg" or "none".
        variance: "corrected", the bootstrap's without what it counts more than once
            (`variance`), or "bootstrap", rsatoolbox's, whose tests over stimuli are
            conservative: under the null they reject in 0 to 2 % instead of 5 %. Taus have the
            bootstrap's only, and over subjects alone nothing is to be corrected.
        seed: of the resampling.
        subjects: (subjects,) names, for messages.

    Returns:
        similarity (model), the mean over subjects, with `_low` and `_high` (95 %, t with the
        standard error, cut off at -1 and 1) and `_se`, and freedom (model); similarity_each
        (subject, model); p_zero (model), one-sided, and p_difference (model, other), two-sided,
        by t tests, each with `_corrected`; noise_ceiling_low and _high; n_subjects, n_stimuli.
        Not for cosines, which are above zero without any likeness: p_zero, and
        `attrs["p_zero"]` says so. With one subject there is no noise ceiling, and
        `attrs["noise_ceiling"]` says so. Models that are
        constant are left out: `attrs["left_out"]` names them, and `attrs["few"]` says where
        intervals rest on fewer than two degrees of freedom.

    Raises:
        NeuroferError: a choice is unknown, shapes do not fit, there are fewer than four
            conditions, an RDM or every model is constant, one is not finite, there is one subject
            for a resampling of subjects, or a model is constant in more than half of the
            resamples.
    """
    _check_choices(comparison, resample, correction, variance)
    data, predictions, left_out = _vectors(rdms, models, comparison)
    n, names, vectors = np.shape(rdms)[1], list(predictions), np.stack([*predictions.values()])
    if resample == "subjects" and len(data) < 2:
        raise NeuroferError("resample='subjects' needs two subjects at least: use 'stimuli'")
    kinds = RESAMPLED if resample == "both" and len(data) > 1 else (resample,)
    if len(data) == 1:
        kinds = ("stimuli",)
    each = compare(data, vectors, comparison, names=subjects, other_names=names)
    found = bootstrap(data, vectors, comparison, kinds, *draws(n, len(data), n_bootstrap, seed))
    short = len(found[kinds[0]].evaluations)
    _check_valid(short, n_bootstrap, n)
    if kinds == ("subjects",) or comparison in TAUS:
        variance = "bootstrap"
    if variance == "corrected":
        spread = corrected_spread(found, data, vectors, comparison)
    else:
        spread = bootstrap_spread(found, n, len(data))
    result = evaluated(names, each, spread, comparison, correction)
    result = result.assign(n_subjects=len(data), n_stimuli=n)
    result.attrs.update(
        comparison=comparison,
        resampled="stimuli and subjects" if kinds[0] == "both" else kinds[0],
        correction=correction,
        variance=variance,
        n_bootstrap=n_bootstrap,
        n_valid=short,
        seed=seed,
        left_out=left_out,
        noise_ceiling=f"over {len(data)} subjects",
    )
    if len(data) == 1:
        return result.assign_attrs(noise_ceiling="not computed: one subject")
    low, high = noise_ceiling(data, comparison)
    return result.assign(noise_ceiling_low=low, noise_ceiling_high=high)


def correct(p: np.ndarray, correction: str) -> np.ndarray:
    """Return p-values corrected for their number, by statsmodels.

    >>> correct(np.array([0.01, 0.04]), "holm").tolist()
    [0.02, 0.04]
    """
    from statsmodels.stats.multitest import multipletests

    if correction not in CORRECTIONS:
        raise unknown_choice("correction", correction, CORRECTIONS)
    method = CORRECTIONS[correction]
    return np.array(p) if method is None or len(p) < 2 else multipletests(p, method=method)[1]


def _check_valid(short: int, n_bootstrap: int, n: int) -> None:
    if short < max(n_bootstrap / 2, 2):
        raise NeuroferError(
            f"only {short} of {n_bootstrap} resamples of the {n} conditions have dissimilarities "
            "that vary in every model and subject: use more conditions, or leave out the models "
            "that are constant over most of them"
        )


def _check_choices(comparison: str, resample: str, correction: str, variance: str) -> None:
    for name, value, choices in (
        ("comparison", comparison, COMPARISONS),
        ("resample", resample, RESAMPLED),
        ("correction", correction, CORRECTIONS),
        ("variance", variance, VARIANCES),
    ):
        if value not in choices:
            raise unknown_choice(name, value, choices)


def _vectors(
    rdms: np.ndarray, models: Mapping[str, np.ndarray], comparison: str
) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """Return the vectors of the data and of the models, and which models are left out and why."""
    rdms = np.asarray(rdms, np.float64)
    if rdms.ndim != 3 or rdms.shape[1] != rdms.shape[2] or len(rdms) == 0:
        raise NeuroferError(f"rdms are (subjects, n, n), and these are {rdms.shape}")
    n = rdms.shape[1]
    if n < FEWEST_CONDITIONS:
        raise NeuroferError(
            f"{n} conditions are too few to be drawn again and again: at least "
            f"{FEWEST_CONDITIONS} are needed"
        )
    if not models:
        raise NeuroferError("models={} leaves nothing to evaluate: name at least one")
    pairs = np.triu_indices(n, 1)
    vectors = {}
    for name, model in models.items():
        if np.shape(model) != (n, n):
            raise NeuroferError(
                f"model {name!r} has the shape {np.shape(model)}, and the data are of {n} "
                f"conditions: give the model of the same ones, ({n}, {n})"
            )
        vectors[name] = np.asarray(model, np.float64)[pairs]
        if not np.isfinite(vectors[name]).all():
            raise NeuroferError(f"model {name!r} holds dissimilarities that are not finite")
    kept, left_out = without_constant(vectors, f"the {n} conditions", comparison)
    data = rdms[:, pairs[0], pairs[1]]
    if comparison in RANKED and np.isfinite(data).all():
        data, kept = tied(data), {name: tied(vector) for name, vector in kept.items()}
    return data, kept, left_out


def without_constant(
    vectors: Mapping[str, np.ndarray], over: str, comparison: str = "corr"
) -> tuple[dict[str, np.ndarray], str]:
    """Return the models that vary, and in words which do not.

    Args:
        vectors: name -> (pairs,) dissimilarities of a model.
        over: what they are constant over, for the words.
        comparison: one of `COMPARISONS`.

    Raises:
        NeuroferError: all of them are constant.
    """
    flat = [name for name, one in vectors.items() if constant(one, comparison)[0]]
    kept = {name: one for name, one in vectors.items() if name not in flat}
    if not kept:
        raise NeuroferError(
            f"model {', '.join(map(repr, flat))} is constant over {over}, so that nothing can be "
            "similar to it: name a model that varies"
        )
    said = f"{', '.join(flat)}: constant over {over}" if flat else ""
    return kept, said


def evaluated(
    names: list[str], each: np.ndarray, spread: Spread, comparison: str, correction: str
) -> xr.Dataset:
    """Return means over subjects with intervals, and t tests against zero and between models.

    Args:
        names: of the models.
        each: (subjects, models) similarities.
        spread: of their means, and of the differences of these.
        comparison: one of `COMPARISONS`.
        correction: one of `CORRECTIONS`.
    """
    from scipy.stats import t

    # The smallest variance is rsatoolbox's.
    error = np.sqrt(np.maximum(spread.total, np.finfo(float).eps))
    n = len(names)
    freedom = spread.freedom[:n]
    found = each.mean(axis=0)
    half = t.ppf(0.5 + CONFIDENCE / 2, freedom) * error[:n]
    # No similarity is beyond -1 or 1; of few subjects or stimuli, t reaches there.
    ends = np.clip([found - half, found + half], -1, 1)
    first, second = np.triu_indices(n, 1)
    p_pairs = 2 * t.sf(np.abs(found[first] - found[second]) / error[n:], spread.freedom[n:])
    result = xr.Dataset(
        {
            "similarity": ("model", found),
            "similarity_low": ("model", np.minimum(ends[0], found)),
            "similarity_high": ("model", np.maximum(ends[1], found)),
            "similarity_se": ("model", error[:n]),
            "similarity_each": (("subject", "model"), each),
            "freedom": ("model", freedom.astype(float)),
            "p_difference": (("model", "other"), _square(p_pairs, n)),
            "p_difference_corrected": (
                ("model", "other"),
                _square(correct(p_pairs, correction), n),
            ),
        },
        coords={"model": names, "other": names},
        attrs={"p_zero": "t test, one-sided", "few": _few(freedom)},
    )
    if comparison in ("cosine", "cosine_cov"):
        note = "not computed: a cosine of distances is above zero without any likeness"
        return result.assign_attrs(p_zero=note)
    zero = freedom if spread.freedom_zero is None else spread.freedom_zero
    p_zero = t.sf(found / error[:n], zero)
    return result.assign(
        p_zero=("model", p_zero), p_zero_corrected=("model", correct(p_zero, correction))
    )


def _few(freedom: np.ndarray) -> str:
    """Say where intervals rest on next to nothing."""
    if freedom.min() >= FEW_FREEDOM:
        return ""
    return (
        f"too few subjects or stimuli: intervals have {freedom.min():.2g} degrees of freedom "
        "and say next to nothing"
    )


def _square(upper: np.ndarray, n: int) -> np.ndarray:
    square = np.ones((n, n))
    square[np.triu_indices(n, 1)] = upper
    return np.minimum(square, square.T)
