"""Ridge probes against scikit-learn's in the same folds, and the memory of a large one."""

from __future__ import annotations

from typing import Any

import numpy as np
from _memory import row as memory
from _turns import around

PEOPLE, IMAGES = 30, 14  # 420 presentations
UNITS = (25_000, 12_500)
CLASSES = 7


def benchmarks() -> list[dict[str, Any]]:
    """Return the rows of this file."""
    return [ridge(), memory("probe", {"ridge": {}})]


def ridge(units: tuple[int, ...] = UNITS) -> dict[str, Any]:
    """Return `probe.ridge`: probes a second, each one layer, fold, part and penalty fitted.

    Both sides choose the penalty of each of five folds by three parts of its training people, among
    thirteen, and answer the tested people; the peer by a loop over scikit-learn's `Ridge`, which
    is faster than its searches of grids.
    """
    from neurofer.analyses.decoding.folds import make_folds
    from neurofer.analyses.decoding.nested import nested_answers
    from neurofer.analyses.decoding.ridge import PENALTIES
    from neurofer.analyses.gram import gram_matrix

    rng = np.random.default_rng(0)
    people = np.repeat([f"p{k:02d}" for k in range(PEOPLE)], IMAGES)
    labels = np.arange(len(people)) % CLASSES
    layers = [_layer(rng, labels, n) for n in units]
    groups = {"identity": people, "image": np.arange(len(people))}
    folds = make_folds(groups, "identity")
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        answers = [nested_answers(gram_matrix(x), labels[None], folds)[0][0] for x in layers]
        found["ours"] = np.array(answers)

    def peer() -> None:
        found["peer"] = np.array([_peer(x, labels, folds, PENALTIES) for x in layers])

    seconds = around(ours, peer)
    fits = len(units) * len(folds) * (3 * len(PENALTIES) + 1)
    same = float((found["ours"] == found["peer"]).mean())
    speeds = [fits / s for s in seconds]
    layers_said = " and ".join(f"{n:,}" for n in units)
    return {
        "id": "probe.ridge", "ours": speeds[0], "peer": speeds[1], "ratio": speeds[0] / speeds[1],
        "goal": 50.0, "unit": "fits/s",
        "note": f"{len(labels)} images, layers of {layers_said} units, {100 * same:.1f} % of the "
        "answers equal",
    }  # fmt: skip


def _layer(rng: np.random.Generator, labels: np.ndarray, units: int) -> np.ndarray:
    means = rng.normal(size=(CLASSES, units), scale=0.1)
    return (means[labels] + rng.normal(size=(len(labels), units))).astype(np.float32)


def _peer(x: np.ndarray, labels: np.ndarray, folds: list[Any], penalties: np.ndarray) -> np.ndarray:
    """Return the answers of scikit-learn, to the same folds with the same rule of choice."""
    from sklearn.linear_model import Ridge

    x = x.astype(np.float64)
    targets, answers = np.eye(CLASSES)[labels], np.empty(len(labels), dtype=np.int64)

    def answered(fitted: np.ndarray, asked: np.ndarray, penalty: float, spread: float) -> Any:
        model = Ridge(alpha=penalty * spread).fit(x[fitted], targets[fitted])
        return model.predict(x[asked]).argmax(axis=1)

    for fold in folds:
        correct = np.zeros(len(penalties))
        for part in np.unique(fold.parts):
            fitted, asked = fold.training[fold.parts != part], fold.training[fold.parts == part]
            spread = _spread(x[fitted])
            for k, penalty in enumerate(penalties):
                correct[k] += (answered(fitted, asked, penalty, spread) == labels[asked]).sum()
        best = penalties[np.flatnonzero(correct == correct.max())[-1]]
        spread = _spread(x[fold.training])
        answers[fold.tested] = answered(fold.training, fold.tested, best, spread)
    return answers


def _spread(x: np.ndarray) -> float:
    return float(((x - x.mean(axis=0)) ** 2).sum())
