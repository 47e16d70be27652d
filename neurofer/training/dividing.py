"""Which images of a set are held out: whole identities, images of each, folds, or its own split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet

if TYPE_CHECKING:
    from neurofer.training.images import ImageData


def held_out(stimuli: StimulusSet, data: ImageData, seed: int) -> np.ndarray:
    """Return which stimuli are held out, (n,) bool; an identity belongs to a head.

    Args:
        stimuli: to divide.
        data: says which part is held out.
        seed: of the choice.

    Raises:
        NeuroferError: the set is too small to be divided so.
    """
    table = stimuli.table
    if data.held_out == "split":
        others = (table["split"] != "train").to_numpy()
        if others.all() or not others.any():
            raise NeuroferError(
                f"{data.named} is all {', '.join(sorted(set(table['split'])))}: its own split "
                "holds nothing out; choose held_out out of identities, images"
            )
        return others
    random = np.random.default_rng((seed, 2))
    people = people_of(table).to_numpy(str)
    if data.folds:
        return _folds(people, data, random) == data.fold
    if data.held_out == "identities":
        return _some_people(people, data.share, random, data.named)
    return _some_images(people, data.share, random, data.named)


def _folds(people: np.ndarray, data: ImageData, random: np.random.Generator) -> np.ndarray:
    """Return the fold of every image, (n,) int; identities of a head are dealt in turn."""
    fold: dict[str, int] = {}
    for some in _by_head(np.unique(people), random):
        fold.update({name: number % data.folds for number, name in enumerate(some)})
    if len(fold) < data.folds:
        raise NeuroferError(
            f"folds={data.folds}, but {data.named} has {len(fold)} identities to deal"
        )
    return np.array([fold[name] for name in people])


def _by_head(names: np.ndarray, random: np.random.Generator) -> list[list[str]]:
    """Return the identities of each head in a random order."""
    heads = np.array([name.split("/")[0] for name in names])
    return [random.permutation(names[heads == head]).tolist() for head in np.unique(heads)]


def _some_people(
    people: np.ndarray, share: float, random: np.random.Generator, what: str
) -> np.ndarray:
    """Return which images are of the chosen identities, a part of every head's.

    Heads are not to be absent from either side by chance.
    """
    names = np.unique(people)
    if max(1, round(share * len(names))) >= len(names):
        raise NeuroferError(f"{what} has {len(names)} identities, too few to hold some out")
    chosen: list[str] = []
    for some in _by_head(names, random):
        chosen += some[: round(share * len(some))]
    if not chosen:
        raise NeuroferError(
            f"{what} has {len(names)} identities; a part of {share} rounds to none of any "
            "head: choose a larger part"
        )
    return np.isin(people, chosen)


def _some_images(
    people: np.ndarray, share: float, random: np.random.Generator, what: str
) -> np.ndarray:
    """Return which images are chosen, a part of every identity's."""
    out = np.zeros(len(people), bool)
    for rows in pd.Series(people).groupby(people).indices.values():  # in the order of their names
        rows = random.permutation(rows)
        out[rows[: round(share * len(rows))]] = True
    if not out.any() or not np.isin(people, people[~out]).all():
        raise NeuroferError(f"{what} has too few images per identity to hold some out")
    return out


def validating(
    stimuli: StimulusSet, out: np.ndarray, data: ImageData, seed: int
) -> np.ndarray | None:
    """Return which stimuli are validated on while training, (n,) bool, apart from the tested ones.

    Args:
        stimuli: all of a recipe.
        out: (n,) which are held out, of `held_out`; those of "val" among others are taken away.
        data: of the recipe.
        seed: of the recipe.

    Returns:
        None where the recipe takes the held-out images themselves.

    Raises:
        NeuroferError: the set is too small to be divided so.
    """
    table = stimuli.table
    if data.validation == 0:
        return None
    own = out & (table["split"] == "val").to_numpy()
    if data.held_out == "split" and own.any() and (own != out).any():
        return own
    random = np.random.default_rng((seed, 4))
    people = people_of(table).to_numpy(str)
    if data.folds:
        folds = _folds(people, data, np.random.default_rng((seed, 2)))
        return folds == (data.fold + 1) % data.folds
    rest = np.flatnonzero(~out)
    what = f"what is trained on of {data.named}"
    if data.held_out == "split":
        chosen = _some_groups(table.iloc[rest], data.validation, random)
    elif data.held_out == "images":
        chosen = _some_images(people[rest], data.validation, random, what)
    else:
        chosen = _some_people(people[rest], data.validation, random, what)
    found = np.zeros(len(table), bool)
    found[rest[chosen]] = True
    return found


def _some_groups(table: pd.DataFrame, share: float, random: np.random.Generator) -> np.ndarray:
    """Return a part of a set's own training images: of whole people, or whole clips, if known."""
    for groups in (people_of(table).to_numpy(str), table["session"].to_numpy(str)):
        names = np.unique(groups)
        if len(names) * share >= 1 and len(names) > 2:
            return np.isin(groups, random.permutation(names)[: round(share * len(names))])
    return random.permutation(len(table)) < max(1, round(share * len(table)))


def people_of(table: pd.DataFrame) -> pd.Series:
    """Return who is shown; an identity belongs to a head."""
    return table["head"] + "/" + table["identity"]
