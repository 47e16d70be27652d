"""What `geometry` finds in patterns whose population is known.

The patterns of `HEADS` heads x `IDENTITIES` identities x seven expressions, one presentation each:
the mean of a head and of an expression, an expression's own part on every head, an identity, an
interaction of both, and noise, all Gaussian, so that what an infinite number of identities would
show is a closed form (of congruence: the mean over many identities drawn directly).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from neurofer.analyses.geometry.alignment import (
    alignment,
    chance_alignment,
    cross_cosines,
    defined_mean,
    tuning_products,
)
from neurofer.analyses.geometry.jackknife import Estimate, jackknifed, leave_one_out
from neurofer.analyses.geometry.measures import cka, congruence, participation_ratio
from neurofer.analyses.geometry.separation import distinguishing, mean_congruence, separation
from neurofer.analyses.geometry.site import shuffled
from neurofer.analyses.gram import pattern_gram
from neurofer.analyses.statistics import percentile_interval
from neurofer.simulation.recovery import Recovered, mean, share

SUMMARY = "3 heads x 5 identities x 7 expressions: congruence, alignment, CKA, dimension, intervals"
DEFAULT_N = 1000
HEADS, IDENTITIES, EXPRESSIONS, UNITS, OTHER_UNITS = 3, 5, 7, 60, 80
NOISE, INTERACTION = 0.5, 0.3
N_PERMUTATIONS, MANY = 200, 4000
HEAD = np.repeat(np.arange(HEADS), IDENTITIES)
CLUSTER = np.repeat(np.arange(len(HEAD)), EXPRESSIONS)
MEMBERS = (np.arange(HEADS)[:, None] == HEAD).astype(float)
EVERYONE = np.ones((1, len(HEAD)))
WITHOUT = np.asarray(leave_one_out(HEAD))
BALANCED = np.asarray(leave_one_out(HEAD, balanced=True))
COVERAGE_GOAL, COSINE_GOAL, ZERO_GOAL = (0.93, 0.97), (0.98, 1.02), (-0.02, 0.02)

# The bias that is allowed where an estimate is said to have none.
UNBIASED = {
    "congruence": ZERO_GOAL,
    "alignment_corrected": ZERO_GOAL,
    "cka_corrected": ZERO_GOAL,
    "participation_ratio_corrected": (-0.1, 0.1),
}
ROWS = {
    "congruence": "congruence",
    "alignment": "alignment.uncorrected",
    "alignment_corrected": "alignment",
    "cka_debiased": "cka.debiased",
    "cka_corrected": "cka",
    "participation_ratio": "dimension.uncorrected",
    "participation_ratio_corrected": "dimension",
}


@dataclass(frozen=True)
class Population:
    """A population of identities.

    Attributes:
        cells: (heads, expressions, units) mean patterns.
        spread: (units,) SD of identities.
        noise: SD of everything else.
    """

    cells: np.ndarray
    spread: np.ndarray
    noise: float

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Return (identities, expressions, units) patterns."""
        people = self.spread * generator.normal(size=(len(HEAD), 1, UNITS))
        noise = self.noise * generator.normal(size=(len(HEAD), EXPRESSIONS, UNITS))
        return self.cells[HEAD] + people + noise

    def covariance(self) -> np.ndarray:
        """Return the (units, units) covariance of all presentations of infinitely many people."""
        flat = self.cells.reshape(-1, UNITS)
        flat = flat - flat.mean(axis=0)
        return flat.T @ flat / len(flat) + np.diag(self.spread**2 + self.noise**2)

    def alignment(self) -> float:
        """Return the mean cosine of its tuning vectors over expressions and pairs of heads."""
        steps = self.cells[:, 1:] - self.cells[:, :1]
        steps = steps / np.linalg.norm(steps, axis=2, keepdims=True)
        cosine = np.einsum("aek,bek->ab", steps, steps) / steps.shape[1]
        return float(cosine[np.triu_indices(HEADS, 1)].mean())

    def congruence(self, generator: np.random.Generator) -> float:
        """Return the mean absolute congruence of its expressions with many of its people."""
        features = self.cells.mean(axis=0)
        spread = np.sqrt(self.spread**2 + self.noise**2 / EXPRESSIONS)
        people = spread * generator.normal(size=(MANY, UNITS))
        return float(np.abs(congruence(people, features - features.mean(axis=0))).mean())


def population(
    generator: np.random.Generator, *, own: float = 1.0, shared: float = 1.0, noise: float = NOISE
) -> Population:
    """Return a population.

    Args:
        generator: of the mean patterns.
        own: length of the part of an expression that is a head's own, relative to the noise.
        shared: of the part that all heads share.
        noise: SD of presentations, beside the interaction of identity and expression.
    """
    head = 2 * generator.normal(size=(HEADS, 1, UNITS))
    expression = shared * generator.normal(size=(1, EXPRESSIONS, UNITS))
    on_head = own * generator.normal(size=(HEADS, EXPRESSIONS, UNITS))
    spread = 2 / np.sqrt(1 + np.arange(UNITS))
    return Population(head + expression + on_head, spread, float(np.hypot(noise, INTERACTION)))


def recover(n: int, seed: int = 0) -> Iterator[Recovered]:
    """Yield what is found in `n` data sets of each kind."""
    generator = np.random.default_rng(seed)
    yield from _partly_aligned(n, generator)
    yield from _equal_directions(n, generator)
    yield from _other_directions(n, generator)
    yield from _unrelated(n, generator)


def _partly_aligned(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Every measure where half of an expression is a head's own: intervals and bias."""
    errors: dict[str, list[float]] = {}
    covered: dict[str, list[bool]] = {}
    for _ in range(n):
        made = population(generator)
        weights = (
            generator.normal(size=(UNITS, OTHER_UNITS)) * (np.arange(UNITS) < UNITS // 2)[:, None]
        )
        truth = _truth(made, weights, generator)
        for name, (value, low, high) in _measured(made.draw(generator), weights).items():
            errors.setdefault(name, []).append(value - truth[name])
            covered.setdefault(name, []).append(low <= truth[name] <= high)
    people = f"{IDENTITIES} identities per head"
    for name in errors:
        row, goal = f"geometry.{ROWS[name]}", UNBIASED.get(name)
        if goal:
            what = f"share of 95 % intervals of {name} that hold the population's; {people}"
            yield share(f"{row}.coverage", what, np.array(covered[name]), COVERAGE_GOAL)
        what = f"error of {name}; {people}"
        yield mean(f"{row}.bias", what, np.array(errors[name]), goal)


def _truth(
    made: Population, weights: np.ndarray, generator: np.random.Generator
) -> dict[str, float]:
    """Return what infinitely many identities show, of the units and of (units, other) sums."""
    covariance = made.covariance()
    second = weights.T @ covariance @ weights
    norms = [float(np.linalg.norm(one)) for one in (covariance, covariance @ weights, second)]
    similar, directions = norms[1] ** 2 / (norms[0] * norms[2]), made.alignment()
    dimension = float(np.trace(covariance)) ** 2 / norms[0] ** 2
    return {
        "congruence": made.congruence(generator),
        "alignment": directions,
        "alignment_corrected": directions,
        "cka_debiased": similar,
        "cka_corrected": similar,
        "participation_ratio": dimension,
        "participation_ratio_corrected": dimension,
    }


def _measured(shown: np.ndarray, weights: np.ndarray) -> dict[str, Estimate]:
    """Return what a sample of (identities, expressions, units) shows."""
    flat = shown.reshape(-1, UNITS)
    gram, other = pattern_gram(flat)[0], pattern_gram(flat @ weights)[0]
    cells = _cells(gram)
    moves = tuning_products(cells, 0)
    point, left = (alignment(moves, w[:, None] * MEMBERS) for w in (EVERYONE, WITHOUT))
    similarity = partial(cka, gram, other, debiased=True, cluster=CLUSTER)
    values = {
        "congruence": [separation(cells, HEAD, w).congruence for w in (EVERYONE, WITHOUT)],
        "alignment": [defined_mean(one.aligned, 1) for one in (point, left)],
        "alignment_corrected": [defined_mean(one.corrected, 1) for one in (point, left)],
        "cka": [similarity(counts=w) for w in (EVERYONE, BALANCED)],
        "participation_ratio": [
            participation_ratio(gram, cluster=CLUSTER, counts=w) for w in (EVERYONE, BALANCED)
        ],
    }
    found: dict[str, Estimate] = {}
    for name, (value, without) in values.items():
        estimate = partial(jackknifed, float(value[0]), without, HEAD, (-np.inf, np.inf))
        if name == "cka":
            found["cka_debiased"] = estimate()
        else:
            found[name] = estimate()
        if name in ("cka", "participation_ratio"):
            found[f"{name}_corrected"] = estimate(corrected=True)
    return found


def _equal_directions(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Identical truth: alignment reaches its ceiling."""
    over, corrected = [], []
    for _ in range(n):
        shown = population(generator, own=0.0).draw(generator)
        cells = _cells(pattern_gram(shown.reshape(-1, UNITS))[0])
        found = alignment(tuning_products(cells, 0), MEMBERS[None])
        over.append(float((found.aligned - found.ceiling).mean()))
        corrected.append(float(found.corrected.mean()))
    what = "alignment less its ceiling, tuning vectors equal on all heads"
    yield mean("geometry.alignment.equal.below_ceiling", what, np.array(over), ZERO_GOAL)
    what = "corrected alignment, tuning vectors equal on all heads (truth 1)"
    yield mean("geometry.alignment.equal.corrected", what, np.array(corrected), COSINE_GOAL)


def _other_directions(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Unrelated truth: alignment and congruence are as chance has them."""
    inside: dict[str, list[bool]] = {"alignment": [], "congruence": []}
    for _ in range(n):
        shown = population(generator, shared=0.0).draw(generator)
        cells = _cells(pattern_gram(shown.reshape(-1, UNITS))[0])
        moves = tuning_products(cells, 0)
        value = float(alignment(moves, MEMBERS[None]).aligned.mean())
        chance = chance_alignment(cross_cosines(moves, MEMBERS), N_PERMUTATIONS, generator)
        low, high = percentile_interval(chance.mean(axis=1))
        inside["alignment"].append(low <= value <= high)
        # Cells without structure: neither identities nor expressions.
        cells = _cells(pattern_gram(generator.normal(size=(len(CLUSTER), UNITS)))[0])
        by_chance = [_congruence(shuffled(cells, HEAD, generator)) for _ in range(N_PERMUTATIONS)]
        low, high = percentile_interval(np.array(by_chance))
        inside["congruence"].append(low <= _congruence(cells) <= high)
    for name, why in (
        ("alignment", "tuning vectors of every head at random"),
        ("congruence", "patterns at random"),
    ):
        what = f"share of {name} within the central 95 % of chance, {why}"
        yield share(f"geometry.{name}.chance", what, np.array(inside[name]), COVERAGE_GOAL)


def _unrelated(n: int, generator: np.random.Generator) -> Iterator[Recovered]:
    """Unrelated patterns of few stimuli: CKA as it is usually computed is far from 0."""
    found = np.empty((2, n))
    for k in range(n):
        first, second = (
            pattern_gram(generator.normal(size=(len(HEAD), units)))[0]
            for units in (UNITS, OTHER_UNITS)
        )
        for row, debiased in zip(found, (False, True), strict=True):
            row[k] = cka(first, second, debiased=debiased)[0]
    what = f"CKA of unrelated patterns of {len(HEAD)} stimuli"
    yield mean("geometry.cka.unrelated", what, found[0])
    yield mean("geometry.cka.unrelated.debiased", f"debiased {what}", found[1], ZERO_GOAL)


def _cells(gram: np.ndarray) -> np.ndarray:
    """Return (identities, expressions, identities, expressions) inner products."""
    return gram.reshape(len(HEAD), EXPRESSIONS, len(HEAD), EXPRESSIONS)


def _congruence(cells: np.ndarray) -> float:
    """Return the mean absolute congruence of all identities with all expressions."""
    features = distinguishing(cells, HEAD, EVERYONE)
    return float(mean_congruence(features, HEAD[:, None] == HEAD, 0.0)[0][0])
