"""The base of the rivals: features of an image, and readouts learned on the training images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.options import at_least
from neurofer.recording.sites import Batch, Site
from neurofer.stimuli.stimulus_set import StimulusSet, in_order
from neurofer.subjects import readouts
from neurofer.subjects.face_crop import CROPS, crop_box, crop_faces
from neurofer.subjects.subject import Subject

READOUTS = ("linear", "svm", "nearest-mean", "dense-nre")


class FeatureSubject(Subject):
    """Features, and with training stimuli four readouts on one of the feature sites.

    Sites: those of the features; with training stimuli also `linear`, `svm`, `nearest-mean`,
    `dense-nre` and `decision`, with one unit an expression; the largest is the answer. `decision`
    is the readout that the option `readout` names.

    Options:
        crop: what is seen: the "frame", or a square round the face by the stimuli's ground-truth
            "landmarks" (the frame where a stimulus has none, as photographs).
        readout: which readout `decision` is.
        linear: "logistic" or "ridge", on standardised features.
        svm: the kernel, "linear" or "rbf".
        svm_standardise: whether the SVM sees standardised features.
        reference: of `dense-nre`: "head" or "identity" (a neutral image of each in training).
        head: of `dense-nre`: "nearest", recognised from the features, or "oracle", told.
        neutral_threshold: of `dense-nre`, as a part of each unit's activity in training.

    The defaults were chosen for the rivals' good on `bfs` with identities 11 to 15 and 21 to 25,
    none of which is reported: ridge above logistic regression; standardised features for the SVM
    (raw LBP answers "neutral" to everything, as in the paper; on VGG16 raw is slightly better); a
    threshold of 0.2. With `reference="identity"` a lower threshold (0.05) is better.
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        "crop": "frame",
        "readout": "linear",
        "linear": "ridge",
        "svm": "linear",
        "svm_standardise": True,
        "reference": "head",
        "head": "nearest",
        "neutral_threshold": 0.2,
    }
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {
        "crop": CROPS,
        "readout": READOUTS,
        "linear": readouts.LINEAR,
        "svm": readouts.KERNELS,
        "svm_standardise": (True, False),
        "reference": ("head", "identity"),
        "head": ("nearest", "oracle"),
    }
    allowed: ClassVar[Mapping[str, Any]] = {
        **Subject.allowed,
        "neutral_threshold": Annotated[float, at_least(0)],
    }

    further_sites: ClassVar[Mapping[str, Site]] = {}
    crop_width: ClassVar[float] = 2.15  # decimetres of the face: forehead to chin, with a margin
    crop_size: int = 224

    def _prepare(self, feature_sites: Mapping[str, Site], read_site: str) -> None:
        """Set the sites and fit the readouts on `read_site`; subclasses call it when made."""
        self._read_site = read_site
        self.sites = dict(feature_sites)
        self.default_sites: tuple[str, ...] = (read_site,)
        self._readouts: dict[str, readouts.Readout] = {}
        if self.training is not None:
            self._fit(self.training)
            for name in (*READOUTS, "decision"):
                self.sites[name] = Site(name, labels=self._classes)
            self.default_sites = ("decision",)

    @abstractmethod
    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the response of feature sites, (n, ...) float32, from one forward pass."""

    def _seen(
        self, images: Sequence[np.ndarray], landmarks: np.ndarray | None
    ) -> Sequence[np.ndarray]:
        if self.options["crop"] == "frame":
            return images
        return crop_faces(images, landmarks, self.crop_width, self.crop_size)

    def _boxes(self, batch: Batch, frame: np.ndarray) -> np.ndarray:
        """Return the part of each image that `_seen` shows, (n, 4); the frame without a crop."""
        if self.options["crop"] == "frame" or batch.landmarks is None:
            return np.tile(frame, (len(batch), 1))
        crops = [crop_box(face, self.crop_width) for face in batch.landmarks]
        return np.stack([frame if box is None else box for box in crops])

    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the response of every named site, (n, ...) float32, from one forward pass."""
        fitted = (*self._readouts, "dense-nre", "decision") if self._readouts else ()
        read = [site for site in sites if site in fitted]
        further = [site for site in sites if site in self.further_sites]
        wanted = [site for site in sites if site not in (*read, *further)]
        needed = dict.fromkeys([*wanted, self._read_site] if read else wanted)
        shown = self._seen(batch.images, batch.landmarks)
        found = self.features(shown, list(needed)) if needed else {}
        responses = {site: found[site] for site in wanted}
        if further:
            responses |= self.further(batch, further)
        if read:
            features = found[self._read_site].reshape(len(batch), -1)
            for site in read:
                name = self.options["readout"] if site == "decision" else site
                responses[site] = self._read(name, features, batch).astype(np.float32)
        return responses

    def further(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the response of `further_sites`, (n, ...) float32; a subject that has them does.

        Raises:
            NotImplementedError: this one has none.
        """
        raise NotImplementedError

    def _fit(self, training: StimulusSet) -> None:
        table = training.table
        labels = table["expression"].tolist()
        self._classes = tuple(name for name in in_order("expression", labels) if name)
        if "neutral" not in self._classes or len(self._classes) < 3:
            raise NeuroferError(
                f"subject {self.name!r} needs training images of neutral and of two expressions "
                f"or more, got {', '.join(self._classes) or 'none'}"
            )
        images = self._seen(list(training.images()), training.landmarks)
        features = self.features(images, [self._read_site])[self._read_site]
        features = features.reshape(len(images), -1).astype(np.float64)
        self._readouts = {
            "linear": readouts.fit_linear(features, labels, self._classes, self.options["linear"]),
            "svm": readouts.fit_svm(
                features,
                labels,
                self._classes,
                self.options["svm"],
                self.options["svm_standardise"],
            ),
            "nearest-mean": readouts.fit_nearest_mean(features, labels, self._classes),
        }
        heads, identities = table["head"].tolist(), table["identity"].tolist()
        expressions = self._classes[1:]
        self._nre = readouts.DenseNre.fit(features, labels, expressions, heads, identities)

    def _read(self, name: str, shown: np.ndarray, batch: Batch) -> np.ndarray:
        if name != "dense-nre":
            return self._readouts[name](shown.astype(np.float64))
        heads, identities = batch.table["head"].tolist(), batch.table["identity"].tolist()
        reference, head = self.options["reference"], self.options["head"]
        chosen = self._nre.choose_references(shown, heads, identities, reference, head)
        activity = self._nre.activity(shown, chosen)
        return self._nre.decide(activity, self.options["neutral_threshold"])
