"""Splits: which images train, validate and test, such that no identity and no image is in two.

An identity belongs to a head: "1" of the humans and "1" of the monkeys are two. An image that
stands under two identities (the same pixels) stays where it tests and is taken out elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import content_hash
from neurofer.options import Seed, checked
from neurofer.stimuli.stimulus_set import StimulusSet, in_order

Fold = tuple[str, np.ndarray, np.ndarray, np.ndarray]  # name; where train, validation, test


class _People:
    """Who is shown: everyone's (head, identity), and for every row whose and which image it is.

    All is held as numbers as well: a set of thousands of people has thousands of folds.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        pairs = pd.Series(list(zip(table["head"], table["identity"], strict=True)))
        self.rows, names = pd.factorize(pairs)
        self.names: list[tuple[str, str]] = list(names)
        self.stated = np.array([identity != "" for _, identity in self.names])
        self.heads = pd.factorize(np.array([head for head, _ in self.names], dtype=object))[0]
        self.images = pd.factorize(table["image_sha256"])[0]


Folds = Callable[[pd.DataFrame, _People, int, int], Iterator[Fold]]


@dataclass(frozen=True)
class Split:
    """Positions of a stimulus set that train, validate and test; no image is in two of them.

    Attributes:
        name: "by-identity-1".
        validation: positions, (n,) int64, ascending; empty where the rule makes none. Read-only,
            as `train` and `test`.
        test: positions.
        others: positions that do not train.
        size: the number of images of the set.
        shares: what training and test have in common although one would keep it apart, because
            the rule cannot: ("identity",) where the same people are in both; "identity not
            stated" where the table does not say who is shown.
        set_aside: the `stimulus_id` of every image that was taken out because its pixels are
            those of an image that tests or validates.
    """

    name: str
    validation: np.ndarray
    test: np.ndarray
    others: np.ndarray = field(repr=False)
    size: int
    shares: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for positions in (self.validation, self.test, self.others):
            positions.flags.writeable = False

    @property
    def train(self) -> np.ndarray:
        """Positions that train, (n,) int64, ascending.

        Made when they are asked for: thousands of people, each left out in turn, would else be
        held thousands of times.
        """
        trains = np.ones(self.size, bool)
        trains[self.others] = False
        positions = np.flatnonzero(trains)
        positions.flags.writeable = False
        return positions


@dataclass(frozen=True)
class Rule:
    """A kind of split: how it is described and made.

    Attributes:
        says: one sentence.
        folds: from (table, people, number of folds, seed) to the folds.
        needs: the column that must have a value in every row.
        keeps_identities: whether an identity can never be in training and test.
        misses: the column of which a fold lacks a value on purpose.
    """

    says: str
    folds: Folds = field(repr=False)
    needs: str
    keeps_identities: bool = False
    misses: str = ""


@checked
def split(
    stimuli: StimulusSet,
    by: str,
    *,
    folds: int = 5,
    seed: Seed = 0,
    classes: str | None = "expression",
) -> list[Split]:
    """Split a stimulus set by a rule of `RULES`, one `Split` a fold.

    "by-identity" tests each of `folds` groups of identities once, validates with the next and
    trains with the rest (two folds: no validation). Its groups do not depend on the order of the
    rows or on the platform. The other rules hold out one value of a column after the other, or
    take the official split.

    "leave-one-expression-out" is ill-posed for classification: the expression that is tested was
    never trained, so no answer can be right. It is for what needs no label of the held-out
    expression: whether identity is read, a valence predicted, a representation kept or an image
    reconstructed on an expression that was never seen.

    Args:
        stimuli: the set.
        by: the rule.
        folds: of "by-identity".
        seed: of "by-identity", which identities share a group.
        classes: column of which training and test need every value that occurs; None: none.

    Raises:
        NeuroferError: the rule or a column is unknown; a row lacks the value that the rule goes
            by; there are fewer groups than folds; a fold lacks a class, or has no image to train
            or to test with.

    >>> [fold.name for fold in split(stimuli, "by-head")]  # doctest: +SKIP
    ['by-head-human', 'by-head-monkey', 'by-head-cartoon']
    """
    if by not in RULES:
        raise unknown_choice("by", by, RULES)
    rule, table = RULES[by], stimuli.table
    if classes is not None and classes not in table:
        raise unknown_choice("classes", classes, table.columns, f"stimulus set {stimuli.name!r}")
    _check_stated(table, rule.needs, by, stimuli.name)
    people = _People(table)
    made = [_finish(table, people, fold) for fold in rule.folds(table, people, folds, seed)]
    asked = "" if classes is None or classes == rule.misses else classes
    known = [value for value in in_order(asked, table[asked]) if value != ""] if asked else []
    values = pd.Categorical(table[asked] if asked else [""] * len(table), categories=known)
    for one in made:
        _check_fold(one, asked, values, stimuli.name)
    return made


def _by_identity(table: pd.DataFrame, people: _People, folds: int, seed: int) -> Iterator[Fold]:
    """Deal the identities of each head over the folds, in an order that the seed decides."""
    number = len(people.names)
    if not 2 <= folds <= number:
        raise NeuroferError(f"folds={folds}; give a whole number from 2 to {number} (identities)")
    hashes = [(head, content_hash(seed, head, identity)) for head, identity in people.names]
    group_of = np.empty(number, dtype=np.int64)
    group_of[sorted(range(number), key=hashes.__getitem__)] = np.arange(number) % folds
    groups = group_of[people.rows]
    for fold in range(folds):
        tests = groups == fold
        validates = groups == (fold + 1) % folds if folds > 2 else np.zeros_like(tests)
        yield f"by-identity-{fold + 1}", ~(tests | validates), validates, tests


def _official(table: pd.DataFrame, people: _People, folds: int, seed: int) -> Iterator[Fold]:
    parts = [(table["split"] == name).to_numpy() for name in ("train", "val", "test")]
    yield "official", parts[0], parts[1], parts[2]


def _leave_out(by: str, column: str) -> Folds:
    """Return the rule that tests one value of a column after the other."""

    def folds_of(table: pd.DataFrame, people: _People, folds: int, seed: int) -> Iterator[Fold]:
        for value in in_order(column, table[column]):
            tests = (table[column] == value).to_numpy()
            yield f"{by}-{value}", ~tests, np.zeros_like(tests), tests

    return folds_of


def _leave_subject_out(
    table: pd.DataFrame, people: _People, folds: int, seed: int
) -> Iterator[Fold]:
    several = len({identity for _, identity in people.names}) < len(people.names)
    for i, person in enumerate(people.names):
        tests = people.rows == i
        name = "-".join(person) if several else person[1]
        yield f"leave-one-subject-out-{name}", ~tests, np.zeros_like(tests), tests


RULES: dict[str, Rule] = {
    "by-identity": Rule("groups of identities are tested in turn", _by_identity, "identity", True),
    "leave-one-subject-out": Rule(
        "every identity is tested in turn", _leave_subject_out, "identity", True
    ),
    "by-head": Rule(
        "every head (avatar) is tested in turn", _leave_out("by-head", "head"), "head", True
    ),
    "by-session": Rule(
        "every session is tested in turn; the same people may be in all",
        _leave_out("by-session", "session"),
        "session",
    ),
    "by-view": Rule(
        "every view is tested in turn; the same people are in all",
        _leave_out("by-view", "view"),
        "view",
    ),
    "leave-one-expression-out": Rule(
        "every expression is tested in turn; ill-posed for classification",
        _leave_out("leave-one-expression-out", "expression"),
        "expression",
        misses="expression",
    ),
    "official": Rule("what the column `split` says", _official, "split"),
}
"""The kinds of split by name."""


def _finish(table: pd.DataFrame, people: _People, fold: Fold) -> Split:
    """Take images out whose pixels test or validate elsewhere, and say what is shared."""
    name, trains, validates, tests = fold
    twice = validates & _among(people.images, tests)
    validates = validates & ~twice
    twice |= trains & _among(people.images, tests | validates)
    trains = trains & ~twice
    return Split(
        name,
        np.flatnonzero(validates),
        np.flatnonzero(tests),
        np.flatnonzero(~trains),
        len(trains),
        _shared(people, trains | validates, tests),
        tuple(table["stimulus_id"][twice]) if twice.any() else (),
    )


def _shared(people: _People, learns: np.ndarray, tests: np.ndarray) -> tuple[str, ...]:
    """Return "identity" where a person is on both sides, and whether it cannot be told."""
    everyone = np.arange(len(people.names))
    learned, tested = np.isin(everyone, people.rows[learns]), np.isin(everyone, people.rows[tests])
    found = ["identity"] if (learned & tested & people.stated).any() else []
    heads = np.intersect1d(people.heads[learned], people.heads[tested])
    unstated = (learned | tested) & ~people.stated & np.isin(people.heads, heads)
    return (*found, "identity not stated") if unstated.any() else tuple(found)


def _among(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return where a row has the value of any row that is there; both (n,)."""
    seen = np.zeros(values.max() + 1, dtype=bool)
    seen[values[there]] = True
    return seen[values]


def _check_stated(table: pd.DataFrame, column: str, by: str, name: str) -> None:
    lacking = table["stimulus_id"][table[column] == ""]
    if len(lacking):
        raise NeuroferError(
            f"{by} goes by the column {column!r}, which {len(lacking)} stimuli of {name!r} lack, "
            f"such as {lacking.iloc[0]!r}; leave them out with `select`, or split by another rule"
        )


def _check_fold(one: Split, classes: str, values: pd.Categorical, name: str) -> None:
    for part, positions in (("train", one.train), ("test", one.test)):
        if not len(positions):
            raise NeuroferError(f"{one.name} of {name!r} has no image to {part} with")
        there = np.bincount(values.codes[positions] + 1, minlength=len(values.categories) + 1)[1:]
        if not there.all():
            said = ", ".join(str(value) for value in values.categories[there == 0])
            raise NeuroferError(
                f"{one.name} of {name!r} has no {classes} {said} to {part} with; choose fewer "
                f"folds, another seed or another rule, or pass classes=None to allow it"
            )


def shuffled(count: int, share: float) -> list[str]:
    """Return the split of each of some images, sorted by name: shuffled, test first, then val.

    Args:
        count: how many images.
        share: of them comes to test, and as much to val; the others are to train. The shuffle is
            that of numpy's RandomState(0), by which sets such as FERG are usually split.
    """
    held_out = round(count * share)
    order = np.arange(count)
    np.random.RandomState(0).shuffle(order)
    made = np.full(count, "train", dtype="<U5")
    made[order[:held_out]] = "test"
    made[order[held_out : 2 * held_out]] = "val"
    return made.tolist()
