"""Decoders: from the activity of a population to a label, one answer per presentation.

The fitted ones are linear and see features standardised on the training part; a feature that is
constant there is dropped. More features than training presentations are first rotated into the
space that the training part spans, which changes no answer: the weights of a decoder with an L2
penalty, and the means of a class, lie in that space.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice

TIE = "tie"
UNDEFINED = "undefined"


def largest_unit(activity: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (n,) answers: the label of the largest unit of each row.

    Units with the same label stand for one answer. Where units of different labels share the
    maximum the answer is "tie", and where a unit is NaN it is "undefined": both count as wrong.

    Args:
        activity: (n, units).
        labels: (units,) the answer that each unit stands for.

    >>> largest_unit(np.array([[0.0, 2.0], [1.0, 1.0], [np.nan, 1.0]]), np.array(["sad", "fear"]))
    array(['fear', 'tie', 'undefined'], dtype='<U9')
    """
    names, group = np.unique(labels, return_inverse=True)
    best = np.full((len(activity), len(names)), -np.inf)
    for k in range(len(names)):
        best[:, k] = activity[:, group == k].max(axis=1)
    maximum = best.max(axis=1, keepdims=True)
    answers = names[np.argmax(best, axis=1)].astype(object)
    answers[(best == maximum).sum(axis=1) > 1] = TIE
    answers[np.isnan(activity).any(axis=1)] = UNDEFINED
    return answers.astype(str)


def confusion_matrix(
    shown: np.ndarray, answers: np.ndarray, rows: list[str], columns: list[str]
) -> np.ndarray:
    """Return (rows, columns) counts of answers to what was shown.

    Args:
        shown: (n,) what was shown.
        answers: (n,) what was answered.
        rows: the names of what was shown, in order.
        columns: the names of answers, in order.

    >>> confusion_matrix(np.array(["sad", "sad"]), np.array(["sad", "fear"]), ["sad"],
    ...                  ["sad", "fear"])
    array([[1, 1]])
    """
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for expression, answer in zip(shown, answers, strict=True):
        counts[rows.index(expression), columns.index(answer)] += 1
    return counts


def fit_and_answer(
    train: np.ndarray, classes: np.ndarray, test: np.ndarray, decoder: str, penalty: float = 1.0
) -> np.ndarray:
    """Fit a decoder to one part and return (m,) answers for another.

    Args:
        train: (n, units) activity of the training part.
        classes: (n,) labels of the training part, at least two distinct.
        test: (m, units) activity to be decoded.
        decoder: one of `DECODERS`.
        penalty: weight of the squared norm of the weights; 1 / C of the logistic regression and
            of the support vector machine, of the identity that is added to the covariance, in
            units of its mean variance, for "lda"; ignored by "nearest-mean".

    Raises:
        NeuroferError: the decoder is unknown, there is one class only, or no unit varies.
    """
    if decoder not in DECODERS:
        raise unknown_choice("decoder", decoder, DECODERS)
    if len(np.unique(classes)) < 2:
        raise NeuroferError(
            f"decoder {decoder!r} needs at least two classes to be fitted; the training part shows "
            f"only {classes[0]!r}"
        )
    if penalty <= 0:
        raise NeuroferError(f"penalty={penalty} must be greater than 0")
    train, test = standardise(train, test)
    train, test = rotate(train, test)
    return DECODERS[decoder](train, np.asarray(classes), test, penalty).astype(str)


def standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both parts centred and scaled by mean and SD of the training part, in float64.

    Raises:
        NeuroferError: no unit varies over the training part.
    """
    train, test = np.asarray(train, np.float64), np.asarray(test, np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    # Rounding leaves a deviation of about 1e-16 of the mean in a constant unit.
    varies = deviation > 1e-12 * np.maximum(np.abs(mean), 1e-300)
    if not varies.any():
        raise NeuroferError("no unit varies over the training part: there is nothing to decode")
    mean, deviation = mean[varies], deviation[varies]
    return (train[:, varies] - mean) / deviation, (test[:, varies] - mean) / deviation


def rotate(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both parts in an orthonormal basis of the training part, where that is smaller."""
    if train.shape[1] <= train.shape[0]:
        return train, test
    basis = np.linalg.qr(train.T)[0]
    return train @ basis, test @ basis


def _ridge(train: np.ndarray, classes: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    from sklearn.linear_model import RidgeClassifier

    return np.asarray(RidgeClassifier(alpha=penalty).fit(train, classes).predict(test))


def _logistic(
    train: np.ndarray, classes: np.ndarray, test: np.ndarray, penalty: float
) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / penalty, max_iter=2000)
    return np.asarray(model.fit(train, classes).predict(test))


def _svm(train: np.ndarray, classes: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    from sklearn.svm import SVC

    return np.asarray(SVC(kernel="linear", C=1 / penalty).fit(train, classes).predict(test))


def _lda(train: np.ndarray, classes: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    # (1 - s) S + s m I is, but for its size, S + penalty m I with s = penalty / (1 + penalty).
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=penalty / (1 + penalty))
    return np.asarray(model.fit(train, classes).predict(test))


def _nearest_mean(
    train: np.ndarray, classes: np.ndarray, test: np.ndarray, penalty: float
) -> np.ndarray:
    names = np.unique(classes)
    means = np.stack([train[classes == name].mean(axis=0) for name in names])
    distance = (means**2).sum(axis=1) - 2 * test @ means.T
    return names[np.argmin(distance, axis=1)]


DECODERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]] = {
    "ridge": _ridge,
    "logistic": _logistic,
    "lda": _lda,
    "svm": _svm,
    "nearest-mean": _nearest_mean,
}
