"""The subject that sees gray pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurofer.recording.sites import Site
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.facts import NONE_NEEDED, OWN_LICENCE, Facts
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.preprocess import area_mean, gray
from neurofer.subjects.registry import register

SIZE = 28


@register("pixels")
class Pixels(FeatureSubject):
    """Gray values, the mean over each cell of a 28 x 28 grid, 0 to 1.

    Site `pixels`: (n, 1, 28, 28); readouts as in `FeatureSubject`.
    """

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        self._prepare({"pixels": Site("pixels")}, "pixels")

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it."""
        return Facts(
            gray=True,
            preprocessing=f"the mean over each cell of a {SIZE} x {SIZE} grid, 0 to 1",
            parameters=0,
            sites=("pixels",),
            weights=NONE_NEEDED,
            licence=OWN_LICENCE,
        )

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of its site."""
        return {"pixels": (1, SIZE, SIZE)}

    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the gray values, (n, 1, 28, 28) float32."""
        cells = [area_mean(gray(image), SIZE, SIZE) / 255 for image in images]
        return {site: np.stack(cells)[:, None].astype(np.float32) for site in sites}
