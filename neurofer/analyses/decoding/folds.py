"""Folds of a probe: who or what is fitted to, tuned on and tested, no group in two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurofer.analyses.inputs import Responses
from neurofer.analyses.statistics import deal
from neurofer.errors import NeuroferError, unknown_choice

IDENTITY, IMAGE = "identity", "image"
# Into as many folds as are asked for; of other columns each fold holds one value.
DEALT = (IDENTITY, IMAGE)
INNER_FOLDS = 3


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes:
        name: the value that is held out, or the number of the fold.
        training: indices of the presentations that are fitted to.
        tested: indices of those that are answered.
        parts: (len(training),) the part of the training presentations, by which the penalty is
            chosen: each part is answered from the others.
        tuned_by: what keeps the parts apart.
    """

    name: str
    training: np.ndarray
    tested: np.ndarray
    parts: np.ndarray
    tuned_by: str


def make_folds(
    groups: dict[str, np.ndarray],
    by: str,
    *,
    folds: int = 5,
    seed: int = 0,
    images: np.ndarray | None = None,
) -> list[Fold]:
    """Return folds that keep the groups of one column apart, in training, tuning and testing.

    Where only one group is left to train with, its penalty is tuned between identities, or between
    images where it shows one identity; likewise where a picture stands in two groups (sessions),
    as it must not be both fitted to and tuned on.

    Args:
        groups: "identity", "image" and `by` -> (n,) names.
        by: "identity" and "image" are dealt into folds; other columns are left out value by value.
        folds: into how many parts "identity" or "image" are dealt; not more than there are.
        seed: of the dealing.
        images: (n,) names of the pictures: one that is tested is not trained with, wherever it
            stands a second time.

    Raises:
        NeuroferError: fewer than two folds or groups.
    """
    values, index = np.unique(groups[by], return_inverse=True)
    if len(values) < 2 or folds < 2:
        raise NeuroferError(
            f"a probe is fitted to one part and tested on another: {len(values)} values of "
            f"{by!r} and folds={folds} are too few (at least 2 and 2)"
        )
    dealt = by in DEALT
    fold_of = deal(groups[by], min(folds, len(values)), seed) if dealt else index.ravel()
    made = []
    for k in range(fold_of.max() + 1):
        tested = np.flatnonzero(fold_of == k)
        training = fold_of != k
        if images is not None:
            training &= ~np.isin(images, images[tested])
        name = str(k + 1) if dealt else str(values[k])
        made.append(_fold(name, np.flatnonzero(training), tested, groups, by, seed, images))
    return made


def _fold(
    name: str,
    training: np.ndarray,
    tested: np.ndarray,
    groups: dict[str, np.ndarray],
    by: str,
    seed: int,
    images: np.ndarray | None,
) -> Fold:
    if not len(training):
        raise NeuroferError(f"fold {name!r} of {by!r} has no image that is not tested to train on")
    pictures = None if images is None else images[training]
    tuned_by, apart = IMAGE, groups[IMAGE][training] if pictures is None else pictures
    for one in (by, IDENTITY):
        if _keeps_apart(groups[one][training], pictures):
            tuned_by, apart = one, groups[one][training]
            break
    return Fold(name, training, tested, inner_parts(apart, seed + 1), tuned_by)


def _keeps_apart(groups: np.ndarray, images: np.ndarray | None) -> bool:
    """Return whether there are several groups, and no picture is in two of them."""
    if len(np.unique(groups)) < 2:
        return False
    if images is None:
        return True
    shown = np.unique(images, return_inverse=True)[1].ravel()
    pairs = np.unique(np.stack([shown, np.unique(groups, return_inverse=True)[1].ravel()]), axis=1)
    return pairs.shape[1] == shown.max() + 1


def inner_parts(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return (n,) the part of each training presentation; at most three parts."""
    return deal(groups, min(INNER_FOLDS, len(np.unique(groups))), seed)


def check_classes(folds: list[Fold], classes: np.ndarray, target: str, by: str) -> None:
    """Refuse folds in which a class is tested that was not trained: no answer could be right.

    Args:
        folds: from `make_folds`.
        classes: (n,) the class of each presentation.
        target: the column that is read, for the message.
        by: the column that was split by, for the message.

    Raises:
        NeuroferError: names the fold and the classes.
    """
    for fold in folds:
        lacking = np.setdiff1d(classes[fold.tested], classes[fold.training])
        if len(lacking):
            shown = ", ".join(map(str, lacking[:3])) + (", ..." if len(lacking) > 3 else "")
            raise NeuroferError(
                f"fold {fold.name!r} of by={by!r} tests {target} {shown}, of which it has nothing "
                "to train with: split by another column, choose other folds or another seed, or "
                "leave these presentations out"
            )


def groups_of(responses: Responses, by: str) -> dict[str, np.ndarray]:
    """Return the groups that `make_folds` needs, by name.

    Raises:
        NeuroferError: there is no such column, or it has no value in some presentations.
    """
    groups = {IDENTITY: responses.identity, IMAGE: images_of(responses)}
    if by not in groups:
        if by in responses.mixed:
            raise NeuroferError(
                f"by={by!r} differs between trials of one stimulus, which are averaged here: use "
                "trials='keep', or another column"
            )
        if by not in responses.stimuli:
            raise unknown_choice("by", by, [*groups, *responses.stimuli.columns], "the recording")
        groups[by] = responses.column(by).astype(str)
        lacking = groups[by] == ""
        if lacking.any():
            raise NeuroferError(
                f"by={by!r}: {lacking.sum()} of {len(lacking)} presentations have no value there, "
                f"such as {responses.column('stimulus_id')[lacking][0]!r}; leave them out first"
            )
    return groups


def images_of(responses: Responses) -> np.ndarray:
    """Return (n,) names of the pictures: their hash, or the stimulus where that is not known."""
    stimulus = responses.column("stimulus_id")
    if "image_sha256" not in responses.stimuli:
        return stimulus
    hashes = responses.column("image_sha256")
    return np.where(hashes == "", stimulus, hashes)
