"""Linear probes: at chance where there is nothing to read, and as sure as they say they are.

People show seven expressions in several images. Units carry who is shown, a pattern of every
person's own for each expression (which tells nothing of other people), noise, and, where it is
said, a pattern of the expression that all people share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofer.analyses import analyse
from neurofer.analyses.decoding.error_consistency import error_consistency
from neurofer.simulation.recovery import Recovered, mean, share
from neurofer.stimuli.table import EXPRESSIONS

if TYPE_CHECKING:
    import xarray as xr

SUMMARY = "units with and without a code of expressions: chance, p, intervals, errors in common"
DEFAULT_N = 1000

SHOWN = len(EXPRESSIONS[:7])
CHANCE = 100 / SHOWN
UNITS = 20
PEOPLE, IMAGES = 12, 3
# People, images (views) of an expression of each, SD of the shared code, and which part of the n
# simulations is spent: intervals are hardest where people are few and accuracy is near chance.
COVERAGE = {
    "clear": (20, 2, 0.8, 2),
    "faint": (20, 2, 0.3, 2),
    "views": (20, 3, 0.3, 5),
    "twelve": (12, 2, 0.3, 2),
    "eight": (8, 2, 0.3, 2),
    "chance": (12, 2, 0.15, 2),
}
PERMUTATIONS = 39  # the least two of forty are 5 %


def recover(n: int, seed: int = 0) -> Iterator[Recovered]:
    """Yield what probes and error consistency find in `n` simulated recordings of each kind."""
    yield from _nothing_to_read(n, seed)
    for name, (people, images, code, part) in COVERAGE.items():
        yield from _coverage(max(n // part, 2), seed, name, people, images, code)
    yield from _leaks(max(n // 5, 2), seed)
    yield from _consistency(n, seed)


def population(
    rng: np.random.Generator,
    people: int = PEOPLE,
    images: int = IMAGES,
    *,
    code: float = 0.0,
    own: float = 1.0,
    person: float = 1.0,
    patterns: int | list[int] | None = None,
) -> xr.DataArray:
    """Return a recording of people x seven expressions x images, of 20 units with noise of SD 1.

    Args:
        rng: of everything.
        people: who are shown.
        images: of an expression of a person.
        code: SD of the expressions' patterns, shared by all people.
        own: SD of the patterns of one person's expression.
        person: SD of the patterns of persons.
        patterns: seed of the expressions' patterns, for other people of one population.
    """
    identity, expression, _ = np.indices((people, SHOWN, images)).reshape(3, -1)
    shared = rng if patterns is None else np.random.default_rng(patterns)
    activity = code * shared.normal(size=(SHOWN, UNITS))[expression]
    activity += own * rng.normal(size=(people, SHOWN, UNITS))[identity, expression]
    activity += person * rng.normal(size=(people, UNITS))[identity]
    return recorded(activity + rng.normal(size=activity.shape), identity, expression)


def recorded(
    activity: np.ndarray, identity: np.ndarray, expression: np.ndarray, **columns: np.ndarray
) -> xr.DataArray:
    """Return (n, units) activity to (n,) numbers of people and expressions as a recording.

    Args:
        activity: (n, units).
        identity: (n,) numbers of people.
        expression: (n,) numbers of expressions.
        columns: (n,) further columns of the stimuli.
    """
    import xarray as xr

    n = len(activity)
    made: dict[str, Any] = {
        "stimulus_id": [f"{k:05d}" for k in range(n)],
        "head": ["human"] * n,
        "identity": [f"{k:04d}" for k in identity],
        "expression": np.array(EXPRESSIONS)[expression],
        "strength": (expression > 0).astype(float),
        "source": ["simulated"] * n,
        **columns,
    }
    coords = {name: ("presentation", np.asarray(column)) for name, column in made.items()}
    return xr.DataArray(activity.astype(np.float32), coords, ("presentation", "neuroid"))


def _probe(recording: xr.DataArray, **options: Any) -> xr.Dataset:
    return analyse("probe", recording, **{"n_bootstrap": 20, **options}).isel(site=0)


def _accuracy(result: xr.Dataset) -> float:
    return float(result["accuracy"].sel(view="all"))


def _nothing_to_read(n: int, seed: int) -> Iterator[Recovered]:
    """Yield chance and the false positives of the permutation test."""
    p, chance, shuffled = np.empty(n), np.empty(n), []
    for k in range(n):
        result = _probe(
            population(np.random.default_rng([seed, 1, k]), images=4),
            folds=2, n_permutations=PERMUTATIONS, seed=k,
        )  # fmt: skip
        p[k], chance[k] = float(result["p"]), float(result["chance"])
    for k in range(max(n // 5, 2)):
        rng = np.random.default_rng([seed, 2, k])
        recording = shuffled_within(population(rng, images=2, code=1.0), rng)
        shuffled.append(_accuracy(_probe(recording, seed=k)) - CHANCE)
    yield mean(
        "probe.shuffled",
        "accuracy less chance, in percentage points: readable expressions of unseen people, labels "
        "shuffled within each person",
        np.array(shuffled),
        (-1.0, 1.0),
    )
    yield mean(
        "probe.chance",
        "chance by permutation less 100 / 7, in percentage points: no common code, labels of a "
        "person's expressions exchanged",
        chance - CHANCE,
        (-1.0, 1.0),
    )
    yield share(
        "probe.false_positives",
        "share of recordings without a common code whose permutation test says p <= 0.05; every "
        "person has patterns of their own",
        p <= 0.05 + 1e-12,
        (0.04, 0.06),
    )


def shuffled_within(recording: xr.DataArray, rng: np.random.Generator) -> xr.DataArray:
    """Return the recording, the expressions of each identity in a random order."""
    expression, identity = (recording[name].to_numpy() for name in ("expression", "identity"))
    drawn = expression.copy()
    for one in np.unique(identity):
        rows = np.flatnonzero(identity == one)
        drawn[rows] = rng.permutation(expression[rows])
    return recording.assign_coords(expression=("presentation", drawn))


def _coverage(
    n: int, seed: int, name: str, people: int, images: int, code: float
) -> Iterator[Recovered]:
    """Yield how often the interval of an accuracy holds that of all people."""
    codes: dict[str, Any] = {"code": code, "own": 0.4, "patterns": [seed, 7]}
    trainings = range(max(n // 10, 2))
    truth = np.mean([_of_all_people(people, images, codes, [seed, 3, k]) for k in trainings])
    held, value = np.empty(n, bool), np.empty(n)
    for k in range(n):
        rng = np.random.default_rng([seed, 4, k])
        result = _probe(population(rng, people, images, **codes), seed=k)
        cell = result.sel(view="all")
        held[k] = float(cell["accuracy_low"]) <= truth <= float(cell["accuracy_high"])
        value[k] = float(cell["accuracy"]) - truth
    of_all = "that of a large test population"
    said = f"{people} people, {images} images of each expression, read to {truth:.0f} %"
    yield mean(
        f"probe.accuracy.{name}",
        f"accuracy less {of_all}, in percentage points: {said}",
        value,
        (-1.0, 1.0),
    )
    yield share(
        f"probe.interval.{name}",
        f"share of 95 % intervals over identities that hold {of_all}: {said}",
        held,
        (0.93, 0.97),
    )


def _of_all_people(people: int, images: int, codes: dict[str, Any], seed: list[int]) -> float:
    """Return percent correct in 100 people by a probe of one training part of five folds."""
    from neurofer.analyses.decoding.folds import Fold, inner_parts
    from neurofer.analyses.decoding.nested import nested_answers
    from neurofer.analyses.gram import gram_matrix

    trained, asked = people - people // 5, 100
    recording = population(np.random.default_rng(seed), trained + asked, images, **codes)
    person = np.repeat(np.arange(trained + asked), SHOWN * images)
    labels = np.unique(recording["expression"].to_numpy(), return_inverse=True)[1]
    training, tested = np.flatnonzero(person < trained), np.flatnonzero(person >= trained)
    parts = inner_parts(person[training], seed[-1])
    fold = Fold("all people", training, tested, parts, "identity")
    answers, _ = nested_answers(gram_matrix(recording.to_numpy()), labels[None], [fold])
    return 100 * float((answers[0] == labels)[tested].mean())


def _leaks(n: int, seed: int) -> Iterator[Recovered]:
    """Yield what is read where only known people's expressions follow from who they are."""
    unseen, known = np.empty(n), np.empty(n)
    for k in range(n):
        recording = one_expression_each(np.random.default_rng([seed, 5, k]))
        by_fold = _probe(recording, by="role", seed=k)["accuracy_by_fold"]
        unseen[k] = float(by_fold.sel(fold="unseen")) - CHANCE
        rows = recording["role"].to_numpy() == "known"
        known[k] = _accuracy(_probe(recording.isel(presentation=rows), by="image", seed=k))
    yield mean(
        "probe.leak",
        "accuracy less chance, in percentage points: people who show all expressions, by a probe "
        "trained on people who show one each; units code persons",
        unseen,
        (-1.0, 1.0),
    )
    yield mean(
        "probe.leak.known",
        "accuracy in percent in other images of the people trained on, who show one each: what a "
        "split by image takes for a code of expressions",
        known,
    )


def one_expression_each(rng: np.random.Generator) -> xr.DataArray:
    """Return 60 units that code persons: 21 "known", of one expression each, 20 "unseen", of all.

    Units are more than persons, so that a linear decoder can tell the persons apart.
    """
    known, unseen, images = 3 * SHOWN, 20, 6
    identity = np.concatenate(
        [np.repeat(np.arange(known), images), known + np.repeat(np.arange(unseen), SHOWN)]
    )
    expression = np.concatenate(
        [np.repeat(np.arange(known) % SHOWN, images), np.tile(np.arange(SHOWN), unseen)]
    )
    activity = 2 * rng.normal(size=(known + unseen, 3 * UNITS))[identity]
    activity += rng.normal(size=activity.shape)
    role = np.where(identity < known, "known", "unseen")
    return recorded(activity, identity, expression, role=role)


def _consistency(n: int, seed: int) -> Iterator[Recovered]:
    """Yield kappa of observers of whom one copies the other's answers now and then."""
    copied, a, b = 0.4, 4.0, 2.0
    truth = copied_kappa(copied, a, b)
    error, held = np.empty(n), np.empty(n, bool)
    for k in range(n):
        pair = observers(np.random.default_rng([seed, 6, k]), copied, a, b)
        found = error_consistency(*pair, n_bootstrap=500, seed=k)
        error[k] = float(found["kappa"]) - truth
        held[k] = float(found["kappa_low"]) <= truth <= float(found["kappa_high"])
    what = f"observers of whom one copies {copied:.0%} of answers, people of unlike difficulty"
    yield mean("errors.kappa", f"kappa less its closed form: {what}", error, (-0.01, 0.01))
    yield share(
        "errors.interval",
        f"share of 95 % intervals over identities that hold the closed form of kappa: {what}",
        held,
        (0.93, 0.97),
    )


def copied_kappa(copied: float, a: float, b: float) -> float:
    """Return the kappa of `observers`: c + (1 - c) / (a + b + 1).

    Without copying, agreement beyond chance is that two observers find the same people hard:
    Var(p) / (P (1 - P)), which is 1 / (a + b + 1) where p is Beta(a, b) with the mean P.

    Args:
        copied: the share of answers that are the other observer's.
        a: of the beta distribution.
        b: of the beta distribution.
    """
    return copied + (1 - copied) / (a + b + 1)


def observers(
    rng: np.random.Generator,
    copied: float,
    a: float,
    b: float,
    people: int = 30,
    images: int = 14,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return two observers' results: right with a person's own probability, drawn from Beta(a, b).

    The second gives the first one's answer to a share of the images.

    Args:
        rng: draws what is random.
        copied: the share of images at which the second answers as the first.
        a: of the beta distribution.
        b: of the beta distribution.
        people: number of people shown.
        images: number of images of each.
    """
    import xarray as xr

    identity = np.repeat([f"{k:03d}" for k in range(people)], images)
    n = len(identity)
    probability = np.repeat(rng.beta(a, b, size=people), images)
    one, other = rng.random((2, n)) < probability
    other = np.where(rng.random(n) < copied, one, other)
    coords = {
        "site": ["simulated"],
        "stimulus_id": ("presentation", [f"{k:05d}" for k in range(n)]),
        "identity": ("presentation", identity),
        "head": ("presentation", ["human"] * n),
    }
    said = {"stimuli": "simulated", "data": "simulated", "target": "expression"}
    attrs = {**said, "n_identities": people}
    first, second = (
        xr.Dataset({"correct": (("site", "presentation"), right[None])}, coords, attrs)
        for right in (one, other)
    )
    return first, second
