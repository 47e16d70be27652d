"""What `saliency` finds in shares whose means are known.

`IDENTITIES` people with seven images each. The mean shares of people differ and those of their
images differ again (Dirichlet, so that the mean over many people is the truth). Of a pair of
subjects the second has the same truth but for `SHIFT` of every map, which lies on the mouth; half
of each map is common to both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.saliency import analysis as saliency
from neurofer.recording.saliency import GROUPS
from neurofer.simulation.neurons import simulated_faces
from neurofer.simulation.recovery import Recovered, mean, share
from neurofer.simulation.saliency import AREAS, recorded_shares

SUMMARY = "15 people x 7 images: density of saliency, paired differences, their intervals"
DEFAULT_N = 1000
IDENTITIES, PRECISION, SHIFT, N_BOOTSTRAP = 15, 50.0, 0.02, 500
MOUTH = list(GROUPS).index("mouth")
BIAS_GOAL, COVERAGE_GOAL, FALSE_GOAL = (-0.02, 0.02), (0.93, 0.97), (0.03, 0.07)


def recover(n: int, seed: int = 0) -> Iterator[Recovered]:
    """Yield bias and coverage of densities and differences in n simulated data sets."""
    faces = simulated_faces(heads=("human",), n_identities=IDENTITIES, strengths=(1.0,), seed=seed)
    density = 1.0  # the mean share of every part is its area
    shift = SHIFT * (1 - AREAS[MOUTH]) / AREAS[MOUTH]
    found: dict[str, list[float]] = {}
    for generator in map(np.random.default_rng, np.random.SeedSequence(seed).spawn(n)):
        one, equal, other = (
            saliency.run(recording, n_bootstrap=N_BOOTSTRAP)
            for recording in subjects(faces.table, faces.identifier, generator)
        )
        cell = one.sel(head="all", answers="all", part="mouth")
        apart = other.sel(head="all", answers="all", part="mouth")
        shifted, none = (
            saliency.difference(two, one).sel(head="all", part="mouth") for two in (other, equal)
        )
        widths = [float(each["density_high"] - each["density_low"]) for each in (cell, apart)]
        for name, value in {
            "bias": float(cell["density"]) / density - 1,
            "coverage": _holds(cell, density),
            "difference.bias": float(shifted["density"]) / shift - 1,
            "difference.coverage": _holds(shifted, shift),
            "difference.false": not _holds(none, 0.0),
            "difference.width": float(shifted["density_high"] - shifted["density_low"])
            / float(np.hypot(widths[0], widths[1])),
        }.items():
            found.setdefault(name, []).append(value)
    values = {name: np.array(each) for name, each in found.items()}
    yield mean("saliency.bias", "density over the true one, less 1", values["bias"], BIAS_GOAL)
    yield share(
        "saliency.coverage",
        "95 % intervals of density that hold the true one",
        values["coverage"],
        COVERAGE_GOAL,
    )
    yield mean(
        "saliency.difference.bias",
        "paired difference of density over the true one, less 1",
        values["difference.bias"],
        BIAS_GOAL,
    )
    yield share(
        "saliency.difference.coverage",
        "95 % intervals of a paired difference of density that hold the true one",
        values["difference.coverage"],
        COVERAGE_GOAL,
    )
    yield share(
        "saliency.difference.false",
        "equal subjects whose paired difference excludes 0",
        values["difference.false"],
        FALSE_GOAL,
    )
    yield mean(
        "saliency.difference.width",
        "width of a paired interval over that of two independent subjects",
        values["difference.width"],
    )


def subjects(
    table: pd.DataFrame, stimuli: str, generator: np.random.Generator
) -> list[xr.DataArray]:
    """Return recordings of three subjects: one, an equal one, and one shifted to the mouth.

    Args:
        table: of the stimuli.
        stimuli: their identifier.
        generator: draws what is random.
    """
    person = pd.factorize(table["identity"])[0]
    people = generator.dirichlet(PRECISION * AREAS, IDENTITIES)[person]
    common, *own = (
        np.stack([generator.dirichlet(PRECISION * each + 1e-9) for each in people])
        for _ in range(4)
    )
    maps = [(common + each) / 2 for each in own]
    maps[2] = (1 - SHIFT) * maps[2] + SHIFT * np.eye(len(AREAS))[MOUTH]
    spread, correct = np.full(len(table), 0.3), np.full(len(table), np.nan)
    return [recorded_shares(table, stimuli, each, spread, correct) for each in maps]


def _holds(cell: xr.Dataset, truth: float) -> bool:
    return bool(cell["density_low"] <= truth <= cell["density_high"])
