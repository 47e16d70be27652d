"""Readouts on features that are learned from a few labelled images: the rivals of MD-NRE.

Each `fit_*` takes the training features and returns a function from features (n, d) to evidence
(n, classes), whose argmax is the answer. Nothing but the training images enters a readout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice

Readout = Callable[[np.ndarray], np.ndarray]

LINEAR = ("logistic", "ridge")
KERNELS = ("linear", "rbf")


def fit_linear(
    features: np.ndarray, labels: Sequence[str], classes: Sequence[str], method: str = "logistic"
) -> Readout:
    """Fit multinomial logistic regression (L2, C = 1) or ridge regression (alpha = 1).

    Args:
        features: (n, d), standardised here by the mean and deviation of these n images.
        labels: the class of each image.
        classes: the order of the outputs.
        method: one of `LINEAR`; "ridge" regresses on -1 and 1 for each class.
    """
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if method not in LINEAR:
        raise unknown_choice("linear", method, LINEAR)
    model = LogisticRegression(max_iter=1000) if method == "logistic" else RidgeClassifier()
    pipeline = make_pipeline(StandardScaler(), model).fit(features, list(labels))
    order = [list(pipeline.classes_).index(name) for name in classes]
    return lambda shown: pipeline.decision_function(shown)[:, order]


def fit_svm(
    features: np.ndarray,
    labels: Sequence[str],
    classes: Sequence[str],
    kernel: str = "linear",
    standardise: bool = True,
) -> Readout:
    """Fit a support vector machine, one class against one, C = 1 (libsvm's habits).

    The outputs are the votes of the pairs, ties broken by their margins.

    Args:
        features: (n, d).
        labels: the class of each image.
        classes: the order of the outputs.
        kernel: one of `KERNELS`; "rbf" has gamma = 1 / (d * variance).
        standardise: by the mean and deviation of the training images.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if kernel not in KERNELS:
        raise unknown_choice("svm", kernel, KERNELS)
    scaler = StandardScaler(with_mean=standardise, with_std=standardise)
    model = SVC(kernel=kernel, decision_function_shape="ovr")
    pipeline = make_pipeline(scaler, model).fit(features, list(labels))
    order = [list(pipeline.classes_).index(name) for name in classes]
    return lambda shown: pipeline.decision_function(shown)[:, order]


def fit_nearest_mean(
    features: np.ndarray, labels: Sequence[str], classes: Sequence[str]
) -> Readout:
    """Fit class means; the outputs are negative Euclidean distances to them.

    Args:
        features: (n, d), not standardised: with one image per class it would change the metric.
        labels: the class of each image.
        classes: the order of the outputs.
    """
    own = np.asarray(labels)
    means = np.stack([features[own == name].mean(0) for name in classes])
    return lambda shown: -distances(shown, means)


@dataclass(frozen=True, eq=False)
class DenseNre:
    """Norm-referenced encoding on whole feature vectors: the control without landmarks.

    As Eq. 3 of Stettler et al. 2023 with the features x for the landmarks: unit m answers
    v_m = max(0, (x - r) . n_m), where r are the features of a neutral training image and n_m is
    the difference that expression m made in training, at unit length.

    Attributes:
        references: (k, d) features of the neutral training images.
        heads, identities: of those images.
        tuning_vectors: (m, d), unit length.
        training_activity: (m,), what each unit answered to its own training image.
    """

    references: np.ndarray
    heads: np.ndarray
    identities: np.ndarray
    tuning_vectors: np.ndarray
    training_activity: np.ndarray

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        labels: Sequence[str],
        classes: Sequence[str],
        heads: Sequence[str],
        identities: Sequence[str],
    ) -> DenseNre:
        """Learn references and tuning vectors.

        Args:
            features: (n, d) of the training images.
            labels: the class of each training image.
            classes: the classes but for neutral, in the order of the units.
            heads: the head of each training image.
            identities: the identity of each training image.

        Raises:
            NeuroferError: a head that shows an expression has no neutral image.
        """
        label, head, identity = (np.asarray(values) for values in (labels, heads, identities))
        neutral = np.flatnonzero(label == "neutral")
        differences = []
        for name in classes:
            shown = np.flatnonzero(label == name)
            own = [_neutral_of(i, neutral, head, identity) for i in shown]
            differences.append((features[shown] - features[own]).mean(0))
        norm = np.linalg.norm(differences, axis=1)
        return cls(
            references=features[neutral],
            heads=head[neutral],
            identities=identity[neutral],
            tuning_vectors=np.stack(differences) / np.maximum(norm, 1e-12)[:, None],
            training_activity=norm,
        )

    def choose_references(
        self,
        shown: np.ndarray,
        heads: Sequence[str],
        identities: Sequence[str],
        reference: str = "head",
        head: str = "nearest",
    ) -> np.ndarray:
        """Return the position of the reference of every image, (n,).

        Args:
            shown: (n, d) features.
            heads: the true head of every image; used only where `head` is "oracle".
            identities: the true identity of every image; likewise.
            reference: "head" takes the first neutral image of the head that was recognised,
                "identity" the recognised neutral image itself.
            head: "nearest" recognises the neutral image that is nearest in the features;
                "oracle" is told the head and the identity.

        Raises:
            NeuroferError: the oracle names a head without a neutral training image.
        """
        if head == "nearest":
            found = distances(shown, self.references).argmin(1)
        else:
            found = np.array(
                [self._oracle(h, i) for h, i in zip(heads, identities, strict=True)], dtype=int
            )
        if reference == "identity":
            return found
        first = {name: int(np.argmax(self.heads == name)) for name in set(self.heads)}
        return np.array([first[self.heads[position]] for position in found], dtype=int)

    def activity(self, shown: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return v_m of features (n, d) against their references (n,), (n, m)."""
        projection = (shown - self.references[chosen]) @ self.tuning_vectors.T
        return np.maximum(projection, 0)

    def decide(self, activity: np.ndarray, threshold: float) -> np.ndarray:
        """Return the evidence for neutral and the other classes, (n, 1 + m).

        A unit counts where it is over `threshold` times its training activity; the answer is
        neutral, with evidence 1, where none is.
        """
        counted = np.where(activity > threshold * self.training_activity, activity, 0)
        neutral = (counted == 0).all(1, keepdims=True)
        return np.concatenate([neutral, counted], axis=1)

    def _oracle(self, head: str, identity: str) -> int:
        same_head = self.heads == head
        if not same_head.any():
            raise unknown_choice("head", head, dict.fromkeys(self.heads), "the neutral images")
        same = same_head & (self.identities == identity)
        return int(np.argmax(same if same.any() else same_head))


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Euclidean distances between rows, (n, d) and (k, d) to (n, k)."""
    return np.stack([np.linalg.norm(a - row, axis=1) for row in b], axis=1)


def _neutral_of(i: int, neutral: np.ndarray, head: np.ndarray, identity: np.ndarray) -> int:
    """Return the neutral image of the same head, of the same identity if there is one."""
    same = neutral[head[neutral] == head[i]]
    if not len(same):
        raise NeuroferError(
            f"the training images have no neutral image of head {head[i]!r}, which shows an "
            "expression; norm-referenced encoding needs one"
        )
    own = same[identity[same] == identity[i]]
    return int(own[0] if len(own) else same[0])
