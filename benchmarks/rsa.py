"""Dissimilarities and their inference against rsatoolbox, on the same numbers."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _turns import interleaved

CONDITIONS, UNITS, FOLDS = 420, 25_000, 2
SUBJECTS, MODELS = 10, 5
RESAMPLES, TIMED = 512, 2
# A recording of 1.5 GiB, and what its analysis may take in all, the recording included.
PRESENTATIONS, MANY_UNITS, BUDGET = 2000, 200_000, 6.0


def benchmarks() -> list[dict[str, Any]]:
    """Return the rows of this file."""
    return [correlation(), crossnobis(), dual_bootstrap(), memory()]


def correlation(units: int = UNITS, rounds: int = 2) -> dict[str, Any]:
    """Return `rdm.correlation`: RDMs a second from float32 activity, against `calc_rdm`."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    from neurofer.analyses.dissimilarity import upper
    from neurofer.analyses.rdm import dissimilarities

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

    from neurofer.analyses.dissimilarity import upper
    from neurofer.analyses.rdm import crossnobis as ours_of

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

    from neurofer.analyses.rsa_resamples import bootstrap, draws

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


def memory(
    presentations: int = PRESENTATIONS, units: int = MANY_UNITS, budget: float = BUDGET
) -> dict[str, Any]:
    """Return `rsa.memory`: the budget over the greatest memory of `rsa.run` in a fresh process.

    The recording is float32 and made there, and counts with the rest of the process.
    """
    peaks = {}
    for distance in ("correlation", "crossnobis"):
        command = [sys.executable, __file__, distance, str(presentations), str(units)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[distance] = float(done.stdout)
    peak = max(peaks.values())
    parts = ", ".join(f"{name} {value:.2f}" for name, value in peaks.items())
    size = presentations * units * 4 / 2**30
    return {
        "id": "rsa.memory",
        "ours": peak,
        "peer": budget,
        "ratio": budget / peak,
        "goal": 1,
        "unit": "GiB",
        "note": f"{presentations:,} x {units:,} float32 ({size:.2f} GiB): {parts}; the peer is "
        "the budget",
    }


def peak_memory(distance: str, presentations: int, units: int) -> float:
    """Return this process's greatest memory in GiB after `rsa.run` on noise."""
    from neurofer.analyses import rsa

    options: dict[str, Any] = {"models": ["expression"], "n_bootstrap": 20}
    if distance == "crossnobis":
        options |= {"average": ["head", "identity", "expression"], "folds": "session"}
    rsa.run(_noise(presentations, units), distance=distance, **options)
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage's, it is not that of the process which started this one.
        (line,) = [one for one in status.read_text().splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30


def _noise(presentations: int, units: int) -> Any:
    """Return a recording of noise: two sessions of ten expressions of as many identities as fit."""
    import xarray as xr

    activity = np.random.default_rng(3).standard_normal((presentations, units), np.float32)
    k = np.arange(presentations)
    columns = {
        "stimulus_id": [f"face-{i:05d}" for i in k],
        "head": ["human" if i // 20 % 2 else "monkey" for i in k],
        "identity": [f"{i // 20}" for i in k],
        "expression": [f"expression {i // 2 % 10}" for i in k],
        "session": [f"day {i % 2}" for i in k],
        "strength": np.ones(presentations),
    }
    return xr.DataArray(
        activity,
        dims=("presentation", "neuroid"),
        coords={name: ("presentation", values) for name, values in columns.items()},
    )


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


if __name__ == "__main__":
    print(peak_memory(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
