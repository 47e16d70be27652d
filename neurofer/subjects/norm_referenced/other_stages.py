"""Landmark stages beside the template stage: a trained net, and the ground truth."""

from __future__ import annotations

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.files import content_hash
from neurofer.subjects.norm_referenced.heatmap import LandmarkNet
from neurofer.subjects.norm_referenced.landmark_stage import Sight, TemplateStage, Truth
from neurofer.subjects.norm_referenced.lessons import Lessons
from neurofer.subjects.preprocess import image_tensor


class HeatmapStage:
    """Landmarks from a trained heatmap net, the head from the FR pathway of the template stage.

    Args:
        net: which net.
        templates: whose FR pathway says which head (and identity) it is.
        min_confidence: landmarks below it are missing.
    """

    def __init__(self, net: LandmarkNet, templates: TemplateStage, min_confidence: float) -> None:
        self.net, self.templates, self.min_confidence = net, templates, min_confidence
        self.identifier = content_hash("heatmap", net.sha256, templates.identifier, min_confidence)

    def see(self, image: np.ndarray, truth: Truth, *, maps: bool = False) -> Sight:
        """Return what is seen in one image; the truth is not looked at, and there are no maps.

        Args:
            image: (size, size, 3) uint8, at the working size.
            truth: what the stimuli say of it.
            maps: without effect.
        """
        del truth, maps
        pixels = image_tensor([image])
        look = self.templates.finder.look(pixels)
        face, cost = look.face, look.cost
        if self.templates.options.by_identity:
            closer = self.templates.look_closer(pixels, look)
            face, cost = closer.face, 1.0 - closer.evidence
        points, confidence = self.net.predict([image])
        unsure = confidence[0][:, None] < self.min_confidence
        return Sight(
            points=np.where(unsure, np.nan, points[0]),
            confidence=confidence[0].astype(np.float64),
            face=face,
            evidence=np.clip(1.0 - cost, 0.0, 1.0),
        )


class GroundTruthStage:
    """Landmarks, head and identity from the stimuli: the bound of what a readout can do."""

    def __init__(self, lessons: Lessons) -> None:
        self.lessons = lessons
        self.identifier = content_hash("ground-truth", lessons.landmarks, lessons.images)

    def see(self, image: np.ndarray, truth: Truth, *, maps: bool = False) -> Sight:
        """Return what the stimuli say of one image.

        Args:
            image: (size, size, 3) uint8, at the working size.
            truth: what the stimuli say of it.
            maps: without effect.

        Raises:
            NeuroferError: they know no landmarks, or the head is not one of the training stimuli.
        """
        del image, maps
        if truth.landmarks is None:
            raise NeuroferError(
                "landmarks='ground-truth' needs stimuli with landmarks; photographs have none: use "
                "landmarks='template' or 'heatmap'"
            )
        if truth.head not in self.lessons.heads:
            raise NeuroferError(
                f"head={truth.head!r} is not in the training stimuli; they have "
                f"{', '.join(self.lessons.heads)}"
            )
        known = self.lessons.faces_of(self.lessons.heads.index(truth.head))
        same = [face for face in known if self.lessons.faces[face].identity == truth.identity]
        face = (same or known)[0]
        evidence = np.zeros(len(self.lessons.faces))
        evidence[face] = 1.0
        seen = ~np.isnan(truth.landmarks).any(axis=-1)
        return Sight(truth.landmarks, seen.astype(np.float64), face, evidence)
