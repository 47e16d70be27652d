"""Nested cross-validation of a linear decoder, for the labels shown and for permuted ones at once.

Whatever the labels, a fold's parts and their decompositions are the same: a thousand permutations
cost a thousand products of matrices, each with a penalty that its own training part has chosen.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.random import Generator

from neurofer.analyses.decoding.decoders import DECODERS
from neurofer.analyses.decoding.folds import Fold
from neurofer.analyses.decoding.ridge import PENALTIES, RidgePath, span_coordinates
from neurofer.errors import unknown_choice

RIDGE = "ridge"
_COLUMNS = 1024  # of targets that are worked on at once


class _Path(Protocol):
    """A decoder between two parts: answers by penalty and labelling."""

    def answers(self, labels: np.ndarray, n_classes: int, penalties: np.ndarray) -> np.ndarray:
        """Return (penalties, labellings, tested) answers to (labellings, training) labels."""


class _Ridge:
    def __init__(self, gram: np.ndarray, training: np.ndarray, tested: np.ndarray) -> None:
        self._path = RidgePath(gram, training, tested)

    def answers(self, labels: np.ndarray, n_classes: int, penalties: np.ndarray) -> np.ndarray:
        size = max(1, _COLUMNS // n_classes)
        found = []
        for start in range(0, len(labels), size):
            some = labels[start : start + size]
            targets = (some.T[..., None] == np.arange(n_classes)).astype(np.float64)
            scores = self._path.scores(targets.reshape(len(targets), -1), penalties)
            by_class = scores.reshape(*scores.shape[:2], len(some), n_classes)
            found.append(by_class.argmax(axis=3).transpose(0, 2, 1))
        return np.concatenate(found, axis=1)


class _Library:
    """A decoder of scikit-learn on coordinates of the span of the training part."""

    def __init__(
        self, decoder: str, gram: np.ndarray, training: np.ndarray, tested: np.ndarray
    ) -> None:
        self._fit = DECODERS[decoder]
        self._train, self._test = span_coordinates(gram, training, tested)
        # Losses are summed over images: a penalty is relative to their number, as that of ridge.
        self._size = len(training) if decoder == "logistic" else 1

    def answers(self, labels: np.ndarray, n_classes: int, penalties: np.ndarray) -> np.ndarray:
        found = [[self._one(one, penalty) for one in labels] for penalty in penalties]
        return np.array(found, dtype=np.int64)

    def _one(self, labels: np.ndarray, penalty: float) -> np.ndarray:
        if (labels == labels[0]).all():
            return np.full(len(self._test), labels[0])
        return self._fit(self._train, labels, self._test, penalty * self._size)


# By decade, and from where logistic regression converges; scikit-learn fits each one by itself.
_FEWER = PENALTIES[::2]
PATHS = (RIDGE, "logistic", "lda")


def grid(decoder: str) -> np.ndarray:
    """Return the penalties that a decoder chooses from.

    Raises:
        NeuroferError: the decoder is unknown.
    """
    if decoder not in PATHS:
        raise unknown_choice("decoder", decoder, PATHS)
    return PENALTIES if decoder == RIDGE else _FEWER


def nested_answers(
    gram: np.ndarray, labels: np.ndarray, folds: list[Fold], decoder: str = RIDGE
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (labellings, n) answers to presentations, and the (labellings, folds) penalties.

    The penalty of a fold answers most of its training presentations correctly, each part answered
    from the others; the largest of equals. A class that a training part lacks is not answered.

    Args:
        gram: (n, n) inner products of presentations.
        labels: (labellings, n) whole numbers from 0: the classes, and permutations of them.
        folds: each presentation is tested in at most one; -1 is the answer where in none.
        decoder: one of `PATHS`.
    """
    penalties, n_classes = grid(decoder), int(labels.max()) + 1
    answers = np.full(labels.shape, -1, dtype=np.int64)
    chosen = np.empty((len(labels), len(folds)))
    for f, fold in enumerate(folds):
        correct = np.zeros((len(penalties), len(labels)))
        for part in np.unique(fold.parts):
            fitted, asked = fold.training[fold.parts != part], fold.training[fold.parts == part]
            if len(fitted) < 2:
                continue  # nothing can be fitted, so nothing tuned
            given = _path(decoder, gram, fitted, asked).answers(
                labels[:, fitted], n_classes, penalties
            )
            correct += (given == labels[:, asked]).sum(axis=2)
        # The last of equals, seen from the end.
        best = len(penalties) - 1 - correct[::-1].argmax(axis=0)
        chosen[:, f] = penalties[best]
        path = _path(decoder, gram, fold.training, fold.tested)
        for value in np.unique(best):
            rows = np.flatnonzero(best == value)
            asked = labels[np.ix_(rows, fold.training)]
            given = path.answers(asked, n_classes, penalties[[value]])[0]
            answers[np.ix_(rows, fold.tested)] = given
    return answers, chosen


def permuted(
    labels: np.ndarray,
    identity: np.ndarray,
    domain: np.ndarray,
    n: int,
    seed: int,
    images: np.ndarray | None = None,
) -> tuple[np.ndarray, str]:
    """Return (n, len(labels)) permutations that keep what is not asked, and in words which.

    What is exchanged is what would be if nothing were coded in common:

    - Labels that vary within identities are shuffled there. Where the split keeps identities
      apart, the images of an identity that share a label (its views, its strengths) go together:
      a pattern of one person's own, alike in all of them, makes errors come in series, and more
      images make more of one error. Labels change places with those that as many images share;
      single images do where most images have none to change with.
    - Identities themselves are shuffled within the values of the column that splits; where each of
      those shows one identity alone (a split by image), between them.
    - Labels that belong to an identity as a whole (its head) are shuffled between identities.

    Trials of one image keep one label. Where all of that leaves every label in its place (one
    identity, say), the permutations equal the labels: `p` must then not be read from them.

    Args:
        labels: (n,) whole numbers.
        identity: (n,) names.
        domain: (n,) values of the column that splits.
        n: number of permutations.
        seed: of the shuffling.
        images: (n,) names of the pictures, where some are there more than once.
    """
    columns = [np.unique(one, return_inverse=True)[1].ravel() for one in (identity, domain)]
    first = back = np.arange(len(labels))
    if images is not None and len(np.unique(images)) < len(images):
        shown = np.unique(images, return_inverse=True)[1].ravel()
        _, first, back = np.unique(
            np.stack([shown, labels, *columns]), axis=1, return_index=True, return_inverse=True
        )
    person, blocks = (np.unique(one[first], return_inverse=True)[1].ravel() for one in columns)
    shuffled, how = _shuffled(labels[first], person, blocks, n, np.random.default_rng(seed))
    return shuffled[:, back.ravel()], how


def _shuffled(
    labels: np.ndarray, person: np.ndarray, blocks: np.ndarray, n: int, generator: Generator
) -> tuple[np.ndarray, str]:
    people = person.max() + 1
    if _pairs(person, labels) > people:
        names, rows = _together(labels, person, n, generator)
        if _pairs(person, blocks) == people and rows.mean() > 0.5:
            return names[:, person, labels], "within identities, images of a value together"
        return _within(labels, person, n, generator), "within identities"
    if len(np.unique(labels)) == people:
        if _pairs(blocks, labels) > blocks.max() + 1:
            return _within(labels, blocks, n, generator), "within the values of the split"
        return _between(labels, blocks, n, generator), "between the values of the split"
    return _between(labels, person, n, generator), "between identities"


def _between(labels: np.ndarray, groups: np.ndarray, n: int, generator: Generator) -> np.ndarray:
    """Return (n, len(labels)): each group, which has one label, gets that of another."""
    first = np.unique(groups, return_index=True)[1]
    return generator.permuted(np.tile(labels[first], (n, 1)), axis=1)[:, groups]


def _pairs(one: np.ndarray, other: np.ndarray) -> int:
    return len(np.unique(np.stack([one, other]), axis=1).T)


def _together(
    labels: np.ndarray, person: np.ndarray, n: int, generator: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, people, labels) new names of each person's labels, and (rows,) which can change.

    Labels change places with those of as many images of the person.
    """
    counts = np.zeros((person.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(counts, (person, labels), 1)
    names = np.tile(np.arange(counts.shape[1]), (n, len(counts), 1))
    change = np.zeros(counts.shape, bool)
    for one, own in enumerate(counts):
        for size in np.unique(own[own > 0]):
            alike = np.flatnonzero(own == size)
            names[:, one, alike] = generator.permuted(np.tile(alike, (n, 1)), axis=1)
            change[one, alike] = len(alike) > 1
    return names, change[person, labels]


def _within(labels: np.ndarray, blocks: np.ndarray, n: int, generator: Generator) -> np.ndarray:
    places = np.argsort(blocks, kind="stable")
    drawn = np.argsort(blocks + generator.random((n, len(blocks))), axis=1)
    shuffled = np.empty((n, len(labels)), dtype=labels.dtype)
    shuffled[:, places] = labels[drawn]
    return shuffled


def _path(decoder: str, gram: np.ndarray, training: np.ndarray, tested: np.ndarray) -> _Path:
    if decoder == RIDGE:
        return _Ridge(gram, training, tested)
    return _Library(decoder, gram, training, tested)
