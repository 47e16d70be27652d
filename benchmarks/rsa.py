"""Dissimilarities and their inference against rsatoolbox, on the same numbers."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _memory import row as memory_row
from _turns import interleaved

CONDITIONS, UNITS, FOLDS = 420, 25_000, 2
SUBJECTS, MODELS = 10, 5
RESAMPLES, TIMED = 512, 2


def benchmarks() -> list[dict[str, Any]]:
    """Return the rows of this file."""
    return [correlation(), crossnobis(), dual_bootstrap(), memory()]


def correlation(units: int = UNITS, rounds: int = 2) -> dict[str, Any]:
    """Return `rdm.correlation`: RDMs a second from float32 activity, against `calc_rdm`."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    from neurofer.analyses.rsa.rdm.distances import dissimilarities
    from neurofer.analyses.rsa.rdm.matrices import upper

    patterns = np.random.default_rng(0).normal(size=(CONDITIONS, units)).astype(np.float32)
    # In float64, as rsatoolbox's numbers are those of the type it is given.
    data = Dataset(patterns.astype(np.float64))
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        found["ours"] = upper(dissimilarities(patterns))

    def peer() -> None:
        found["peer"] = calc_rdm(data, method="correlation").dissimilarities[0]

    seconds = interleaved(rounds, ours, peer)
    return _row("rdm.correlation", seconds, 20, f"{CONDITIONS} x {units:,}, {_equal(found)}")


def crossnobis(units: int = UNITS, conditions: int = CONDITIONS) -> dict[str, Any]:
    """Return `rdm.crossnobis`: RDMs a second from two repeats, against `calc_rdm`, timed once."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    from neurofer.analyses.rsa.rdm.distances import crossnobis as ours_of
    from neurofer.analyses.rsa.rdm.matrices import upper

    activity = np.random.default_rng(1).normal(size=(FOLDS * conditions, units))
    activity = activity.astype(np.float32)
    condition = np.tile(np.arange(conditions), FOLDS)
    fold = np.repeat(np.arange(FOLDS), conditions)
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        found["ours"] = upper(ours_of(activity, condition, fold))

    def peer() -> None:
        columns = {"condition": condition, "fold": fold}
        data = Dataset(activity.astype(np.float64), obs_descriptors=columns)
        rdms = calc_rdm(data, "crossnobis", descriptor="condition", cv_descriptor="fold")
        found["peer"] = rdms.dissimilarities[0]

    seconds = [min(_seconds(ours) for _ in range(3)), _seconds(peer)]
    note = f"{conditions} x {units:,}, {FOLDS} folds, noise as the identity, {_equal(found)}"
    return _row("rdm.crossnobis", seconds, 30, note)


def dual_bootstrap(
    conditions: int = CONDITIONS, resamples: int = RESAMPLES, timed: int = TIMED
) -> dict[str, Any]:
    """Return `rsa.dual_bootstrap`: resamples a second of `bootstrap`, and of rsatoolbox.

    rsatoolbox is timed on a few resamples and its speed taken from those; both compute the three
    resamplings and the noise ceiling of each.
    """
    import rsatoolbox.inference.evaluate as reference
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    from neurofer.analyses.rsa.inference.resamples import bootstrap, draws

    pairs = conditions * (conditions - 1) // 2
    generator = np.random.default_rng(2)
    models = generator.random((MODELS, pairs))
    subjects = models[0] + generator.random((SUBJECTS, pairs))
    fixed = [ModelFixed(str(k), model) for k, model in enumerate(models)]
    drawn = draws(conditions, SUBJECTS, resamples, seed=0)

    def ours() -> None:
        bootstrap(subjects, models, "cosine", ("both", "subjects", "stimuli"), *drawn)

    def peer() -> None:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reference.eval_dual_bootstrap(fixed, RDMs(subjects), method="cosine", N=timed)

    seconds = [_seconds(ours) / resamples, _seconds(peer) / timed]
    note = (
        f"{SUBJECTS} subjects, {MODELS} models, {conditions} stimuli, cosine; ours over "
        f"{resamples} resamples, rsatoolbox over {timed}"
    )
    return _row("rsa.dual_bootstrap", seconds, 50, note)


def memory() -> dict[str, Any]:
    """Return `rsa.memory`: of the default distance, and of the one that takes trials and folds."""
    shared: dict[str, Any] = {"models": ["expression"], "n_bootstrap": 20}
    trials = {"average": ["head", "identity", "expression"], "folds": "session"}
    crossnobis = {"distance": "crossnobis", **trials, **shared}
    return memory_row("rsa", {"correlation": shared, "crossnobis": crossnobis})


def _seconds(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _equal(found: dict[str, np.ndarray]) -> str:
    difference = np.abs(found["ours"] - found["peer"]).max() / np.abs(found["peer"]).max()
    return f"equal to {difference:.0e}"


def _row(name: str, seconds: list[float], goal: float, note: str) -> dict[str, Any]:
    ours, peer = (1 / one for one in seconds)
    unit = "resamples/s" if "bootstrap" in name else "RDMs/s"
    numbers = {"ours": ours, "peer": peer, "ratio": ours / peer, "goal": goal}
    return {"id": name, **numbers, "unit": unit, "note": note}
