"""What `linearity` finds in units whose growth with strength is known.

The published design: five strengths x fifteen identities, one presentation each, Gaussian noise;
the signal-to-noise ratio is the SD of the tuning over the SD of the noise of a presentation.
Identities differ in gain (SD 20 %) and in offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from neurofer.analyses.linearity import analysis as linearity
from neurofer.analyses.linearity.curvature import curvature_test
from neurofer.analyses.linearity.mixed import mixed_model
from neurofer.analyses.linearity.series import fit_series
from neurofer.analyses.statistics import false_discovery
from neurofer.simulation.neurons import coding_units, norm_referenced_units, simulated_faces
from neurofer.simulation.recovery import Recovered, mean, share

SUMMARY = "linear and saturating units, 5 strengths x 15 identities: errors, power, intervals"
DEFAULT_N = 4000
LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])
IDENTITIES, SNR, SLOPE, GAIN_SD, ALPHA = 15, 3.0, 10.0, 0.2, 0.05
STRENGTH, IDENTITY = np.tile(LEVELS, IDENTITIES), np.repeat(np.arange(IDENTITIES), len(LEVELS))
POPULATION = 50  # units that are corrected together
# Models that take a fit or a bootstrap each are simulated so many times less often.
SLOW = 16
LEVEL_GOAL, COVERAGE_GOAL = (0.04, 0.06), (0.93, 0.97)
Tuning = Callable[[np.ndarray], np.ndarray]


def line(strength: np.ndarray) -> np.ndarray:
    """Return activity that is linear in strength."""
    return SLOPE * strength


SATURATING: dict[str, Tuning] = {
    "naka-rushton": lambda s: SLOPE * s**2 / (s**2 + 0.3**2),
    "root": lambda s: SLOPE * np.sqrt(s),
    "early-sigmoid": lambda s: SLOPE / (1 + np.exp(-12 * (s - 0.4))),
    "sigmoid": lambda s: SLOPE / (1 + np.exp(-12 * (s - 0.5))),
}


def simulated(function: Tuning, units: int, generator: np.random.Generator) -> np.ndarray:
    """Return (75, units) activity.

    Args:
        function: of strength.
        units: number of units.
        generator: draws what is random.
    """
    tuning = function(LEVELS)
    gain = generator.normal(1, GAIN_SD, (IDENTITIES, units))
    offset = generator.normal(0, SLOPE / 4, (IDENTITIES, units))
    noise = tuning.std() / SNR * generator.normal(size=(len(STRENGTH), units))
    return offset[IDENTITY] + gain[IDENTITY] * function(STRENGTH)[:, None] + noise


def recover(n: int, seed: int = 0) -> Iterator[Recovered]:
    """Yield what is found in `n` units, populations or, of slow models, a sixteenth of `n`."""
    generator = np.random.default_rng(seed)
    yield from _linear(n, generator)
    yield from _people_differ(n, generator)
    yield from _choice(n, generator)
    yield from _corrected(n, generator)
    for name, function in SATURATING.items():
        yield from _power(name, simulated(function, n, generator))
    yield from _mixed(max(n // SLOW, 4), generator)
    yield from _median_slope(max(n // SLOW, 4), generator)


def _linear(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    activity = simulated(line, n, generator)
    found = curvature_test(STRENGTH, activity, IDENTITY, alpha=ALPHA)
    curved = ~np.isin(found["verdict"], ["linear", "flat"])
    what = "share of linear units called saturating or accelerating, uncorrected"
    yield share("linearity.linear.not_linear", what, curved, LEVEL_GOAL)
    for name in ("saturating", "accelerating"):
        what = f"share of linear units called {name} by the one-sided test, uncorrected"
        hits = found[f"{name}_p"] < ALPHA
        yield share(f"linearity.linear.one_sided.{name}", what, hits, LEVEL_GOAL)
    what = "share of linear units in which any shape but a line is found, uncorrected"
    hits = found["lack_of_fit_p"] < ALPHA
    yield share("linearity.linear.lack_of_fit", what, hits, LEVEL_GOAL)
    covered = (found["slope_low"] < SLOPE) & (found["slope_high"] > SLOPE)
    what = "share of a unit's 95 % intervals of the slope that hold it"
    yield share("linearity.slope.coverage", what, covered, COVERAGE_GOAL)
    what = "bias of a unit's slope, in parts of the slope"
    yield mean("linearity.slope.bias", what, found["slope"] / SLOPE - 1, (-0.05, 0.05))
    first = fit_series(LEVELS, activity[: len(LEVELS)])["r2"]
    what = "R2 of one series of five presentations, less that of endless many (0.9)"
    yield mean("linearity.r2.bias", what, first - SNR**2 / (1 + SNR**2))


def _people_differ(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Units without common tuning, whose slopes and curvatures differ between identities."""
    slopes, bends = generator.normal(size=(2, IDENTITIES, n))
    activity = slopes[IDENTITY] * STRENGTH[:, None] + bends[IDENTITY] * (STRENGTH**2)[:, None]
    activity += 0.5 * generator.normal(size=activity.shape)
    for over, goal in (("identities", LEVEL_GOAL), ("presentations", None)):
        found = curvature_test(STRENGTH, activity, IDENTITY, over=over)
        for test in ("slope", "curvature", "lack_of_fit"):
            what = f"share of units with {test}_p < 0.05, tested over {over}: no common tuning, "
            what += "but slopes and curvatures that differ between identities"
            hits = found[f"{test}_p"] < ALPHA
            yield share(f"linearity.people_differ.{over}.{test}", what, hits, goal)


def _choice(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Units without a label, of which the expression that is tested is chosen among six."""
    faces = simulated_faces(heads=("human",), n_identities=IDENTITIES)
    moving, who = (
        faces.table["expression"].to_numpy(),
        faces.table["identity"].to_numpy().astype(int),
    )
    strength = faces.table["strength"].to_numpy()[:, None]
    noise = generator.normal(size=(len(strength), n))
    own = np.zeros_like(noise)
    for name in faces.direction:
        own += generator.normal(size=(IDENTITIES, n))[who - 1] * (moving == name)[:, None]
    flat = noise + own * strength
    driven = 3 * strength * (moving == "fear")[:, None]
    empty = coding_units(faces, "expression", n)
    found = {}
    for name, activity in (("flat", flat), ("rising", flat + driven), ("falling", flat - driven)):
        recording = empty.copy(data=activity.astype(np.float32))
        found[name] = linearity.run(recording, "coding", mixed="none", n_bootstrap=2)
    said = found["flat"]
    for test, goal in (("slope", (0.0, 0.06)), ("curvature", LEVEL_GOAL)):
        hits = said[f"{test}_p"].to_numpy() < ALPHA
        what = f"share of flat units with {test}_p < 0.05 where the expression of six that changes "
        what += "them most is tested; slopes differ between identities"
        yield share(f"linearity.choice.flat.{test}", what, hits, goal)
    for name, sign in (("rising", 1), ("falling", -1)):
        hits = found[name]["sign"].to_numpy() == sign
        what = f"share of units {name} with one of six expressions, without a label, called so"
        yield share(f"linearity.choice.{name}", what, hits)


def _corrected(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Correction over units: of linear populations, and of those of which half saturates."""
    half = POPULATION // 2
    any_found, false_part = np.zeros(n, bool), np.zeros(n)
    for k in range(n):
        linear = simulated(line, POPULATION, generator)
        bent = simulated(SATURATING["root"], half, generator)
        p = curvature_test(STRENGTH, np.hstack([linear, bent]), IDENTITY)["curvature_p"]
        any_found[k] = (false_discovery(p[:POPULATION]) < ALPHA).any()
        found = false_discovery(p[half:]) < ALPHA
        false_part[k] = found[:half].sum() / max(found.sum(), 1)
    what = f"share of populations of {POPULATION} linear units with any unit not linear, corrected"
    yield share("linearity.corrected.familywise", what, any_found, (0, 0.06))
    what = f"false part of the units called not linear, half of {POPULATION} being so, corrected"
    yield mean("linearity.corrected.false_discovery", what, false_part, (0, 0.05))


def _power(name: str, activity: np.ndarray) -> Iterator[Recovered]:
    found = curvature_test(STRENGTH, activity, IDENTITY, alpha=ALPHA)
    what = f"share of {name} units called saturating, uncorrected"
    yield share(f"linearity.power.{name}", what, found["verdict"] == "saturating")
    what = f"share of {name} units in which any shape but a line is found, uncorrected"
    yield share(f"linearity.power.{name}.lack_of_fit", what, found["lack_of_fit_p"] < ALPHA)


def _mixed(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    activity = simulated(line, n, generator)
    head = np.full(len(STRENGTH), "human")
    for random_slopes, goal in ((True, COVERAGE_GOAL), (False, None)):
        models = [
            mixed_model(unit, STRENGTH, head, IDENTITY, random_slopes=random_slopes)
            for unit in activity.T
        ]
        low, high = (
            np.array([one.terms[c]["strength"] for one in models]) for c in ("low", "high")
        )
        what = "share of mixed models' 95 % intervals of the slope that hold it, random "
        what += "intercepts and slopes" if random_slopes else "intercepts only: gains do differ"
        name = f"linearity.mixed.{'slopes' if random_slopes else 'intercepts'}.coverage"
        yield share(name, what, (low < SLOPE) & (high > SLOPE), goal)


def _median_slope(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Of recordings of one expression: the bootstrap over identities of the median slope."""
    faces = simulated_faces(
        heads=("human",), n_identities=IDENTITIES, expressions=("neutral", "happy")
    )
    noise = SLOPE * LEVELS.std() / SNR
    covered = np.zeros(n, bool)
    for k in range(n):
        seed = int(generator.integers(2**31))
        recording = norm_referenced_units(faces, slope=SLOPE, noise=noise, seed=seed)
        result = linearity.run(recording, mixed="none", n_bootstrap=1000, seed=k).sel(head="all")
        low, high = (float(result[f"median_slope_{end}"]) for end in ("low", "high"))
        covered[k] = low < SLOPE < high
    what = "share of 95 % intervals of the median slope (bootstrap over identities) that hold it"
    yield share("linearity.median_slope.coverage", what, covered, COVERAGE_GOAL)
