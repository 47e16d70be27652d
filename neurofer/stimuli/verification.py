"""Verification: pairs of images of one identity and of two, in lists like those of LFW."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from neurofer.errors import NeuroferError
from neurofer.faces.random import Random
from neurofer.stimuli.stimulus_set import StimulusSet

FOLDS = 10
# How many pairs of each kind LFW's lists have: a fold of `pairs`, and the whole of the others.
MOST = {"pairs": 300, "pairsDevTrain": 1100, "pairsDevTest": 500}
# 4,038 of LFW's 5,749 people are in its development training list.
_TRAIN_SHARE = 4038 / 5749

Person = tuple[str, str]  # head and identity
People = dict[Person, list[str]]  # with the stimuli of each


def verification_pairs(stimuli: StimulusSet, seed: int = 0) -> pd.DataFrame:
    """Draw pairs of images: are they of one identity?

    As in LFW there are three lists: `pairsDevTrain` and `pairsDevTest`, which share no identity, to
    develop, and `pairs`, ten folds that share no identity, to report. A list has as many pairs of
    one identity as of two, and as many as LFW's (1,100; 500; 300 a fold) unless the set is too
    small for so many different pairs.

    Args:
        stimuli: with at least 20 identities of two images or more; others are left out.
        seed: of the draw.

    Returns:
        One row per pair: `list`, `fold` (from 0 on), `first` and `second` (stimulus_id), `same`
        (truth value).

    Raises:
        NeuroferError: there are too few identities with two images.
    """
    people = {name: images for name, images in _people(stimuli).items() if len(images) > 1}
    if len(people) < 2 * FOLDS:
        raise NeuroferError(
            f"stimulus set {stimuli.name!r} has {len(people)} identities of two images or more; "
            f"pairs in {FOLDS} folds need at least {2 * FOLDS}"
        )
    random = Random(seed, "pairs")
    rows = []
    for name, folds in _lists(random.sample(list(people), len(people))).items():
        parts = [{person: people[person] for person in sorted(fold)} for fold in folds]
        count = min(MOST[name], *(_possible(part) for part in parts))
        for fold, part in enumerate(parts):
            for same, pairs in ((True, _same), (False, _different)):
                for first, second in pairs(part, count, random):
                    rows.append((name, fold, first, second, same))
    return pd.DataFrame(rows, columns=["list", "fold", "first", "second", "same"])


def _lists(names: Sequence[Person]) -> dict[str, list[Sequence[Person]]]:
    """Return who is in the folds of each list."""
    half = round(_TRAIN_SHARE * len(names))
    return {
        "pairsDevTrain": [names[:half]],
        "pairsDevTest": [names[half:]],
        "pairs": [names[fold::FOLDS] for fold in range(FOLDS)],
    }


def _people(stimuli: StimulusSet) -> People:
    table = stimuli.table
    people: People = {}
    rows = zip(table["head"], table["identity"], table["stimulus_id"], strict=True)
    for head, identity, stimulus in rows:
        people.setdefault((head, identity), []).append(stimulus)
    return people


def _possible(people: People) -> int:
    """Return how many pairs of each kind there are to draw; of two, half, to find them quickly."""
    counts = [len(images) for images in people.values()]
    same = sum(n * (n - 1) // 2 for n in counts)
    different = (sum(counts) ** 2 - sum(n * n for n in counts)) // 2
    return min(same, different // 2)


def _same(people: People, count: int, random: Random) -> Sequence[tuple[str, str]]:
    pairs = [pair for images in people.values() for pair in combinations(images, 2)]
    return random.sample(pairs, count)


def _different(people: People, count: int, random: Random) -> Sequence[tuple[str, str]]:
    names = list(people)
    found: dict[tuple[str, str], None] = {}
    while len(found) < count:
        one, two = sorted(random.sample(range(len(names)), 2))
        pair = random.choice(people[names[one]]), random.choice(people[names[two]])
        found[pair] = None
    return list(found)
