"""How often tuning curves are found for what they are: families, models, parameters, intervals.

    from neurofer.simulation.recovery.tuning import confusion
    found = confusion(strengths=[0, 50, 100], n_identities=8, snr=1.5)
    found["family_share"].to_pandas()

Model recovery, as Wilson & Collins 2019 (eLife 8:e49547) ask for before models are compared: units
of known tuning are simulated in a design, all models are fitted, and the shares are counted.
Families are found; five strengths do not tell a sigmoid from Naka-Rushton, nor always a power from
a threshold. Estimates of steepness (k, n, c50) are skewed: their medians are right, the means some
percent too great, for the most part by the unit in a hundred that shows a step, whose steepness
ends at its bound (`at_bound` of `tuning.run` names it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neurofer.simulation.curves import TRUTHS, Truth, Units, noisy_units, simulate
from neurofer.simulation.recovery import Recovered, mean, share

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SUMMARY = (
    "units of eight tuning curves at five strengths x fifteen identities, and of three in a space "
    "of three features, SNR 3: family and model found, bias and coverage of parameters"
)
DEFAULT_N = 1000
STRENGTHS, IDENTITIES, SNR, RESAMPLES = (0, 0.25, 0.5, 0.75, 1.0), 15, 3.0, 1000
SLOW = 40  # models of twenty dimensions are simulated so many times less often
# Curves that baselines of heads, left out of the fit, make look like lines.
BENT = {name: TRUTHS[name] for name in ("rectified", "sigmoid")}


def confusion(
    strengths: Sequence[float] = STRENGTHS,
    n_identities: int = IDENTITIES,
    snr: float = SNR,
    *,
    snr_of: str = "sd",
    n_units: int = 500,
    models: Sequence[str] | None = None,
    criterion: str = "bic",
    truths: Mapping[str, Truth] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Return how often simulated units of known tuning are found for what they are in a design.

    Args:
        strengths: shown of every identity, from 0 up, in any unit.
        n_identities: number of identities (or of repetitions, if they are independent).
        snr: signal-to-noise ratio of a presentation; flat units have noise of SD 1.
        snr_of: what is divided by the SD of the noise: "sd" of the tuning, or its "range".
        n_units: simulated units of each truth.
        models: that are compared; by default all of strength.
        criterion: "bic", "aicc" or "aic".
        truths: name -> parameters of units, at strengths as parts of the greatest; by default
            `TRUTHS`.
        seed: of parameters and noise.

    Returns:
        By truth and model model_share, by truth and families family_share: the parts of the units
        that are found to be this. By truth model_right and family_right, and family_low and
        family_high, its 95 % interval (Wilson).

    Raises:
        NeuroferError: strengths are negative, not finite or the same, or an option is unknown.
    """
    from neurofer.analyses.statistics import wilson_interval
    from neurofer.analyses.tuning.families import FAMILIES
    from neurofer.analyses.tuning.models import STRENGTH_MODELS

    names = tuple(STRENGTH_MODELS if models is None else models)
    truths = TRUTHS if truths is None else truths
    rows: dict[str, list[Any]] = {}
    for k, truth in enumerate(truths.values()):
        generator = np.random.default_rng((seed, k))
        units = simulate(truth, n_units, strengths, n_identities, snr, generator, snr_of=snr_of)
        best, family = found(units, names, criterion)
        right = float((family == units.family).sum())
        low, high = wilson_interval(right, n_units)
        for name, value in {
            "model_share": np.array([(best == one).mean() for one in names]),
            "family_share": np.array([(family == one).mean() for one in FAMILIES]),
            "model_right": float((best == truth.model).mean()),
            "family_right": right / n_units,
            "family_low": low,
            "family_high": high,
        }.items():
            rows.setdefault(name, []).append(value)
    dims = {"model_share": ("truth", "model"), "family_share": ("truth", "families")}
    stated = {"strengths": list(map(float, strengths)), "n_identities": n_identities, "snr": snr}
    return xr.Dataset(
        {name: (dims.get(name, ("truth",)), np.array(part)) for name, part in rows.items()},
        {"truth": list(truths), "model": list(names), "families": list(FAMILIES)},
        {"data": "simulated", "snr_of": snr_of, "n_units": n_units, "seed": seed}
        | {"criterion": criterion, **stated},
    )


def found(units: Units, models: Sequence[str], criterion: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (units,) the best model and its family.

    Args:
        units: simulated.
        models: that are compared.
        criterion: "bic", "aicc" or "aic".
    """
    from neurofer.analyses.tuning.families import families_of
    from neurofer.analyses.tuning.fitting import fit_all, predict
    from neurofer.analyses.tuning.selection import select

    fits = fit_all(units.x, units.responses, models)
    best = select(fits, criterion)
    levels = np.unique(units.x, axis=0)
    curve = np.full((len(levels), len(best)), np.nan)
    for name, one in fits.items():
        own = best == name
        if own.any():
            curve[:, own] = predict(name, levels, one.values[own])
    return best, families_of(levels, best, curve)


def figure(found: xr.Dataset) -> Figure:
    """Return the confusion matrices of families and of models, in percent of simulated units."""
    from neurofer.analyses.figures import add_confusion, grid, style

    drawn, places = grid(["family found", "model found"], columns=2)
    for k, (name, dim) in enumerate((("family_share", "families"), ("model_share", "model"))):
        percent = 100 * found[name].rename({dim: "answer"})
        add_confusion(drawn, percent, name, places[k], scale=k == 1)
        drawn.update_yaxes(autorange="reversed", row=1, col=1 + k)
    attrs = found.attrs
    strengths = ", ".join(f"{one:g}" for one in attrs["strengths"])
    size = "SD" if attrs["snr_of"] == "sd" else "range"
    note = (
        f"rows: simulated truth, {attrs['n_units']} units each, in percent; "
        f"best model by {attrs['criterion'].upper()}<br>strengths {strengths}; "
        f"{attrs['n_identities']} identities; SNR {attrs['snr']:g} ({size} of tuning / SD of noise)"
    )
    return style(drawn, title="What simulated tuning is found to be", note=note, height=520)


def recover(n: int, seed: int = 0) -> Iterator[Recovered]:
    """Yield how often families and models are found, and the bias and coverage of parameters."""
    yield from _families(n, seed)
    yield from _nulls(n, seed)
    yield from _baselines(n, seed)
    yield from _counts(n, seed)
    yield from _frames(max(n // SLOW, 5), seed)
    yield from _features(n, seed)
    yield from _parameters(n, seed)


def _families(n: int, seed: int) -> Iterator[Recovered]:
    from neurofer.analyses.tuning.models import STRENGTH_MODELS

    for size, kind in (("sd", "family"), ("range", "family_by_range")):
        for k, (name, truth) in enumerate(TRUTHS.items()):
            generator = np.random.default_rng((seed, k))
            units = simulate(truth, n, STRENGTHS, IDENTITIES, SNR, generator, snr_of=size)
            best, family = found(units, STRENGTH_MODELS, "bic")
            over = "SD" if size == "sd" else "peak-to-peak"
            what = (
                f"share of {name} units given their {{}} by BIC; {over} of tuning / SD of noise 3"
            )
            goal = (0.9, 1.0) if size == "sd" else None
            yield share(
                f"tuning.{kind}.{name}", what.format("family"), family == units.family, goal
            )
            if size == "sd":
                hits = best == truth.model
                yield share(f"tuning.model.{name}", what.format("exact model"), hits)


def _nulls(n: int, seed: int) -> Iterator[Recovered]:
    """Yield which part of units of pure noise each criterion calls tuned."""
    from neurofer.analyses.tuning.fitting import fit_all
    from neurofer.analyses.tuning.models import STRENGTH_MODELS
    from neurofer.analyses.tuning.resampling import cross_validate
    from neurofer.analyses.tuning.selection import select

    units = simulate(
        TRUTHS["flat"], n, STRENGTHS, IDENTITIES, SNR, np.random.default_rng((seed, 3))
    )
    fits = fit_all(units.x, units.responses, STRENGTH_MODELS)
    best = {name: select(fits, name) for name in ("bic", "aicc", "aic")}
    cross = [cross_validate(units.x, units.responses, units.identity, m) for m in STRENGTH_MODELS]
    best["cv"] = np.array(STRENGTH_MODELS)[np.argmax(cross, axis=0)]
    for name, found_best in best.items():
        goal = (0.0, 0.1) if name == "bic" else None
        what = f"share of units of pure noise that {name.upper()} calls tuned (any shape)"
        yield share(f"tuning.noise.{name}", what, found_best != "flat", goal)


def _baselines(n: int, seed: int) -> Iterator[Recovered]:
    """Yield how often curves are called linear where heads have baselines of their own."""
    from neurofer.analyses.tuning.fitting import fit_all
    from neurofer.analyses.tuning.models import STRENGTH_MODELS
    from neurofer.analyses.tuning.selection import select

    heads = np.repeat(np.arange(3), IDENTITIES // 3 * len(STRENGTHS))
    for k, (name, truth) in enumerate(BENT.items()):
        generator = np.random.default_rng((seed, k, 4))
        units = simulate(truth, n, STRENGTHS, IDENTITIES, SNR, generator)
        size = 3 * units.responses.reshape(IDENTITIES, len(STRENGTHS), n).mean(axis=0).std(axis=0)
        moved = units.responses + size * generator.normal(size=(3, n))[heads]
        for kind, baseline in (("head", heads), ("common", None)):
            best = select(fit_all(units.x, moved, STRENGTH_MODELS, baseline=baseline))
            what = (
                f"share of {name} units called linear or flat, with a baseline of {{}}; baselines "
            )
            what += "of heads differ by 3 SD of the tuning"
            said = "each head" if baseline is not None else "all heads"
            goal = (0.0, 0.1) if baseline is not None else None
            hits = np.isin(best, ["linear", "flat"])
            yield share(f"tuning.baseline.{kind}.{name}", what.format(said), hits, goal)


def _counts(n: int, seed: int) -> Iterator[Recovered]:
    """Yield how often saturating counts are called linear: of single trials, and of their means."""
    from neurofer.analyses.tuning.fitting import fit_all, predict
    from neurofer.analyses.tuning.selection import select

    n, trials = min(n, 400), 10
    generator = np.random.default_rng((seed, 5))
    x = np.tile(STRENGTHS, IDENTITIES)
    curve = predict("naka-rushton", x, np.array([[5.0, 6.0, 0.3, 2.0]]))
    single = generator.poisson(curve, size=(trials, len(x), n)).astype(float)
    mean = single.mean(axis=0)
    options: dict[str, Any] = {"likelihood": "poisson"}
    models = ("flat", "linear", "power", "naka-rushton")
    found = {
        "single": fit_all(np.tile(x, trials), single.reshape(-1, n), models, **options),
        "means": fit_all(x, mean, models, trials=np.full(len(x), trials), **options),
    }
    best = {name: select(fits) for name, fits in found.items()}
    for name, one in best.items():
        what = f"share of saturating Poisson cells called linear or flat, {name} of ten trials"
        yield share(f"tuning.counts.{name}", what, np.isin(one, ["linear", "flat"]), (0.0, 0.1))
    what = "share of cells for which means with their trials give the model of the single trials"
    yield share("tuning.counts.agree", what, best["single"] == best["means"], (0.99, 1.0))


def _frames(n: int, seed: int) -> Iterator[Recovered]:
    """Yield how often norm-referenced, axis and exemplar cells are found for what they are."""
    from neurofer.analyses.tuning.frames import ABSOLUTE, NORM, compare_frames
    from neurofer.simulation.populations import KINDS, cell_counts, shown_faces

    right = dict.fromkeys(KINDS, ABSOLUTE) | {"rising": NORM, "falling": NORM, "silent": "flat"}
    for n_heads in (1, 3):
        shown = shown_faces(n_heads, seed=seed)
        for k, kind in enumerate(KINDS):
            rates = cell_counts(shown, kind, n, seed=seed + k)
            one = compare_frames(shown.position, shown.norm, rates, shown.identity)
            hits = one["frame"].to_numpy() == right[kind]
            if kind in ("rising", "falling"):
                hits &= one["sign"].to_numpy() == (1 if kind == "rising" else -1)
            what = (
                f"share of {kind} cells in a space of 20 dimensions whose frame and sign are found"
            )
            label = f"tuning.frame.{kind}.{n_heads}_head{'s' if n_heads > 1 else ''}"
            # Counts fall from 16 by half of what they rise by, and not below 0: no goal for them.
            goal = None if kind == "falling" else (0.85, 1.0)
            yield share(label, f"{what}, {n_heads} head(s)", hits, goal)


def _features(n: int, seed: int) -> Iterator[Recovered]:
    """Yield how often models of features are found, and how flat units are across their axis.

    Faces lie at four strengths on 14 directions of a space of three features, and at its origin.
    """
    from neurofer.analyses.tuning.axis import orthogonal_tuning
    from neurofer.analyses.tuning.models import FEATURE_MODELS

    cube = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3).astype(float)
    sides = cube[np.isin(np.abs(cube).sum(axis=1), (1, 3))]
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    faces = np.concatenate([np.zeros((1, 3)), *(sides * one for one in STRENGTHS[1:])])
    for k, model in enumerate(FEATURE_MODELS[1:]):
        generator = np.random.default_rng((seed, k, 2))
        values = _feature_values(model, n, generator)
        units = noisy_units(model, faces, faces, values, IDENTITIES, SNR, generator)
        best, _ = found(units, FEATURE_MODELS, "bic")
        what = f"share of {model} units in a space of three features given their model by BIC"
        yield share(f"tuning.family.{model}", what, best == model, (0.9, 1.0))
        if model == "norm-direction":
            continue
        _, (low, high) = orthogonal_tuning(
            units.x, units.responses, units.identity, np.zeros(len(units.x)),
            n_bootstrap=RESAMPLES, seed=seed,
        )  # fmt: skip
        what = "share of 95 % intervals of tuning orthogonal to the axis that hold {}, {} units"
        if model == "axis":
            name, hits = "tuning.coverage.axis.orthogonal", (low <= 0) & (high >= 0)
            yield share(name, what.format(0, model), hits, (0.93, 0.97))
        else:
            yield share(f"tuning.orthogonal.{model}", what.format("only declines", model), high < 0)


def _feature_values(model: str, n: int, generator: np.random.Generator) -> np.ndarray:
    """Return (n, parameters): random directions; exemplars at half to full strength."""
    direction = generator.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    a, b, place, width, nu = generator.uniform((2, 5, 0.5, 0.3, 1), (8, 20, 1, 0.6, 3), (n, 5)).T[
        :, :, None
    ]
    if model == "axis":
        return np.hstack([a, b * direction])
    if model == "exemplar":
        return np.hstack([a, b, place * direction, width])
    return np.hstack([a, b, direction, nu])


def _parameters(n: int, seed: int) -> Iterator[Recovered]:
    from neurofer.analyses.tuning.fitting import fit
    from neurofer.analyses.tuning.models import MODELS
    from neurofer.analyses.tuning.resampling import bootstrap, intervals

    for k, (name, truth) in enumerate(TRUTHS.items()):
        generator = np.random.default_rng((seed, k, 1))
        units = simulate(truth, n, STRENGTHS, IDENTITIES, SNR, generator)
        one = np.zeros(len(units.x))
        estimate = fit(units.x, units.responses, truth.model).values
        replicates = bootstrap(
            units.x, units.responses, units.identity, one, truth.model,
            n_bootstrap=RESAMPLES, seed=seed,
        )  # fmt: skip
        low, high = intervals(replicates, units.identity, one)
        covered = (low <= units.values) & (units.values <= high)
        for j, parameter in enumerate(MODELS[truth.model].names()):
            label = f"{name}.{parameter}"
            error = estimate[:, j] / units.values[:, j] - 1
            bias = "{} of estimate / truth - 1 of " + f"{parameter}, {name} fitted to {name} units"
            yield mean(f"tuning.bias.{label}", bias.format("mean"), error, (-0.05, 0.05))
            yield _median(f"tuning.median_bias.{label}", bias.format("median"), error)
            what = f"share of 95 % intervals of {parameter} that hold the truth, {name} units"
            yield share(f"tuning.coverage.{label}", what, covered[:, j], (0.93, 0.97))


def _median(name: str, what: str, values: np.ndarray) -> Recovered:
    """Return the median with the interval of the sign test."""
    from scipy.stats import binom

    n, ordered = len(values), np.sort(values)
    least = int(binom.ppf(0.025, n, 0.5))
    low, high = ordered[max(least - 1, 0)], ordered[min(n - least, n - 1)]
    return Recovered(name, what, float(np.median(values)), float(low), float(high), n)
