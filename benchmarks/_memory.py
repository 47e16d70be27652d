"""The most memory that an analysis of a large recording takes, in a process of its own.

`python benchmarks/_memory.py probe 2000 200000 '{"folds": 5}'` prints it in GiB, all counted: the
recording, simulated in place, the library and its imports.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BUDGET = 6.0  # GiB
PRESENTATIONS, UNITS = 2000, 200_000


def row(analysis: str, variants: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return `<analysis>.memory`: the budget, as peer, over the greatest peak, each in GiB.

    `variants` are the options of the analysis by what the note calls them.
    """
    peaks = {k: peak_of(analysis, PRESENTATIONS, UNITS, **one) for k, one in variants.items()}
    peak, size = max(peaks.values()), PRESENTATIONS * UNITS * 4 / 2**30
    parts = ", ".join(f"{name} {value:.2f}" for name, value in peaks.items())
    return {
        "id": f"{analysis}.memory", "ours": peak, "peer": BUDGET, "ratio": BUDGET / peak,
        "goal": 1.0, "unit": "GiB",
        "note": f"float32, {PRESENTATIONS:,} x {UNITS:,} ({size:.2f} GiB of it): {parts}; peer: "
        "the budget",
    }  # fmt: skip


def peak_of(analysis: str, presentations: int, units: int, **options: Any) -> float:
    """Return the peak resident memory in GiB of an analysis in a process of its own."""
    sizes = [str(presentations), str(units), json.dumps(options)]
    command = [sys.executable, str(Path(__file__).resolve()), analysis, *sizes]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _recording(presentations: int, units: int) -> Any:
    """Return simulated activity, in no order of ids: five expressions a person, in two sessions."""
    import numpy as np
    import xarray as xr

    from neurofer.stimuli.table import EXPRESSIONS

    rng = np.random.default_rng(0)
    shown = np.arange(presentations) // 2 % 5
    means = 0.01 * rng.standard_normal((5, units), dtype=np.float32)
    activity = np.empty((presentations, units), np.float32)
    for k, label in enumerate(shown):
        rng.standard_normal(out=activity[k], dtype=np.float32)
        activity[k] += means[label]
    columns = {
        "stimulus_id": [f"s{k:05d}" for k in rng.permutation(presentations)],
        "head": ["human"] * presentations,
        "identity": [f"p{k // 20:03d}" for k in range(presentations)],
        "expression": [EXPRESSIONS[label] for label in shown],
        "session": [f"day {k % 2}" for k in range(presentations)],
        "strength": (shown != 0).astype(float),
    }
    coords = {name: ("presentation", np.array(values)) for name, values in columns.items()}
    return xr.DataArray(activity, dims=("presentation", "neuroid"), coords=coords)


def _peak() -> float:
    """Return this process' peak; that of `getrusage` would start at its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    raise RuntimeError("no VmHWM in /proc/self/status: memory is measured on Linux only")


if __name__ == "__main__":
    from neurofer.analyses import analyse

    name, n, size, options = sys.argv[1:]
    analyse(name, _recording(int(n), int(size)), **json.loads(options))
    print(_peak())
