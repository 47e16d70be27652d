"""What was presented and recorded, as fits take it: levels, trials, missing values, baselines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neurofer.analyses.inputs import CONSTANT, IS_CONSTANT, NOT_FINITE, OK
from neurofer.analyses.tuning.models import Model
from neurofer.errors import NeuroferError

NEGATIVE, NOT_COUNTS = "negative", "not counts"
# A mean count times its trials misses a whole number by what float32 rounds, not by more.
WHOLE, WHOLE_PART = 1e-3, 1e-6


@dataclass(frozen=True)
class Levels:
    """Presentations by what was shown and, where baselines differ, by whose baseline they have.

    Attributes:
        x: (levels,) or (levels, dimensions), distinct within a baseline.
        index: (n,) level of each presentation.
        baseline: (levels,) number of the baseline, or None for one.
    """

    x: np.ndarray
    index: np.ndarray
    baseline: np.ndarray | None = None

    @property
    def count(self) -> np.ndarray:
        """(levels,) number of presentations."""
        return np.bincount(self.index, minlength=len(self.x))

    @property
    def groups(self) -> torch.Tensor | None:
        """(baselines, levels) of 0 and 1, as `solve` takes them."""
        if self.baseline is None:
            return None
        numbers = np.arange(self.baseline.max() + 1)[:, None]
        return torch.from_numpy((self.baseline == numbers).astype(float))

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return (levels, units) sums of (n, units)."""
        sums = np.zeros((len(self.x), values.shape[1]))
        np.add.at(sums, self.index, values)
        return sums

    def mean(self, responses: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Return (levels, units) means of (n, units), 0 where nothing has weight."""
        weight = weight_of(responses) if weight is None else weight
        sums = self.total(np.where(weight > 0, responses * weight, 0.0))
        return sums / np.maximum(self.total(weight), 1e-300)


def by_level(x: np.ndarray, baseline: np.ndarray | None = None) -> Levels:
    """Return presentations by their distinct x and, if given, (n,) numbers of their baseline."""
    distinct, index = np.unique(x, axis=0, return_inverse=True)
    index = index.ravel()
    if baseline is None:
        return Levels(distinct, index)
    cells, index = np.unique(baseline * len(distinct) + index, return_inverse=True)
    return Levels(distinct[cells % len(distinct)], index.ravel(), cells // len(distinct))


def weight_of(responses: np.ndarray, trials: np.ndarray | None = None) -> np.ndarray:
    """Return (n, 1) or (n, units) what a response weighs: its trials, and 0 where it is missing.

    Args:
        responses: (n, units); NaN where a unit was not recorded.
        trials: (n,) or (n, units) trials that each is a mean of; None: one.
    """
    weight = np.ones((len(responses), 1)) if trials is None else np.asarray(trials, float)
    weight = weight[:, None] if weight.ndim == 1 else weight
    missing = np.isnan(responses)
    return np.where(missing, 0.0, weight) if missing.any() else weight


def check_trials(trials: np.ndarray | None, responses: np.ndarray) -> np.ndarray | None:
    """Return trials as (n, 1) or (n, units), or say what is wrong with them."""
    if trials is None:
        return None
    found = np.asarray(trials, float)
    found = found[:, None] if found.ndim == 1 else found
    if found.shape not in ((len(responses), 1), responses.shape):
        raise NeuroferError(
            f"trials has shape {np.shape(trials)}; it must be ({len(responses)},) or "
            f"{responses.shape}: how many trials each response is the mean of"
        )
    used = np.broadcast_to(found, responses.shape)[~np.isnan(responses)]
    if not (np.isfinite(used).all() and (used > 0).all()):
        raise NeuroferError(
            "trials holds values that are not positive, of responses that are not missing; give "
            "how many trials each response is the mean of"
        )
    return found


def baseline_of(baseline: np.ndarray | None, n: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Return (n,) numbers and names of baselines; None where all share one."""
    if baseline is None:
        return None, np.array([], str)
    if np.shape(baseline) != (n,):
        raise NeuroferError(f"baseline has shape {np.shape(baseline)}; it must be ({n},)")
    names, index = np.unique(np.asarray(baseline).astype(str), return_inverse=True)
    if len(names) < 2:
        return None, np.array([], str)
    return index.ravel(), names


def is_balanced(x: np.ndarray, baseline: np.ndarray, responses: np.ndarray) -> bool:
    """Return whether every baseline was shown every x equally often, and nothing is missing.

    Args:
        x: (n,) or (n, dimensions).
        baseline: (n,) numbers of baselines.
        responses: (n, units), NaN where missing.
    """
    if np.isnan(responses).any():
        return False
    index = by_level(x).index
    counts = np.zeros((baseline.max() + 1, index.max() + 1), np.int64)
    np.add.at(counts, (baseline, index), 1)
    return bool((counts == counts[0]).all())


def less_own_mean(responses: np.ndarray, baseline: np.ndarray | None) -> np.ndarray:
    """Return (n, units) responses less the mean of their baseline; what is missing stays so."""
    groups = np.zeros(len(responses), np.intp) if baseline is None else baseline
    levels = Levels(np.arange(groups.max() + 1), groups)
    return responses - levels.mean(responses)[groups]


def check_arrays(
    x: np.ndarray, responses: np.ndarray, model: Model
) -> tuple[np.ndarray, np.ndarray]:
    """Return x and (n, units) responses as float64, or say what is wrong with them.

    Args:
        x: (n,) or (n, dimensions).
        responses: (n,) or (n, units).
        model: says how many dimensions x has.
    """
    x, responses = np.asarray(x, np.float64), np.asarray(responses, np.float64)
    responses = responses[:, None] if responses.ndim == 1 else responses
    if responses.ndim != 2 or x.ndim not in (1, 2) or len(x) != len(responses):
        raise NeuroferError(
            f"x has shape {x.shape} and responses {responses.shape}; x must be (n,) or "
            "(n, dimensions) and responses (n, units) of the same n"
        )
    if (model.features and x.ndim == 1) or (not model.features and x.ndim == 2 and model.linear):
        wanted = "feature vectors (n, dimensions)" if model.features else "strengths (n,)"
        raise NeuroferError(f"model {model.name!r} takes {wanted}; x has shape {x.shape}")
    if not np.isfinite(x).all():
        raise NeuroferError(f"x holds {int((~np.isfinite(x)).sum())} values that are not finite")
    if len(x) == 0 or (x == x[0]).all():
        raise NeuroferError(f"all {len(x)} presentations show the same x: there is no tuning to it")
    return x, responses


def status_of(
    responses: np.ndarray,
    likelihood: str,
    trials: np.ndarray | None = None,
    baseline: np.ndarray | None = None,
) -> np.ndarray:
    """Return (units,) what can be done with each unit.

    Args:
        responses: (n, units); NaN is a response that is missing, and does no harm.
        likelihood: "gaussian", or "poisson": then a response times its trials is a count.
        trials: (n, 1) or (n, units), or None: one each.
        baseline: (n,) numbers, or None.
    """
    shown = ~np.isnan(responses)
    infinite = np.isinf(responses).any(axis=0) | ~shown.any(axis=0)
    filled = np.where(shown & np.isfinite(responses), responses, 0.0)
    rest = less_own_mean(np.where(np.isinf(responses), np.nan, responses), baseline)
    rest = np.where(np.isnan(rest), 0.0, rest)
    # Each baseline's own mean is within its extent, so that the two differ by at most a factor 2.
    constant = np.ptp(rest, axis=0) <= CONSTANT * np.abs(filled).max(axis=0)
    poisson = likelihood == "poisson"
    negative = poisson & (filled < 0).any(axis=0)
    total = filled if trials is None else filled * np.where(shown, trials, 1.0)
    off = np.abs(total - np.round(total)) > np.maximum(WHOLE, WHOLE_PART * np.abs(total))
    conditions = [infinite, negative, poisson & off.any(axis=0), constant]
    return np.select(conditions, [NOT_FINITE, NEGATIVE, NOT_COUNTS, IS_CONSTANT], OK)
