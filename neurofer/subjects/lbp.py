"""The subject that sees histograms of local binary patterns, the paper's LBP rival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from neurofer.recording.sites import Site
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.facts import NONE_NEEDED, OWN_LICENCE, Facts
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.preprocess import area_mean, gray
from neurofer.subjects.registry import register

SIZE = 224
GRID = 8
NEIGHBOURS = 8
TIE = 1e-6  # equal gray values, interpolated, differ by less
BINS = NEIGHBOURS * (NEIGHBOURS - 1) + 3  # 58 uniform patterns and one for all others


@register("lbp")
class LocalBinaryPatterns(FeatureSubject):
    """Histograms of 59 uniform local binary patterns in an 8 x 8 grid (Ahonen et al. 2006).

    Gray images of 224 x 224 (others are brought to it), 8 neighbours at a radius of one pixel.
    Site `lbp`: (n, 64 x 59), the histogram of each cell summing to 1; readouts as in
    `FeatureSubject`. The paper's SVM-LBP is
    `load_subject("lbp", training=protocol(stimuli, "nine"), readout="svm", svm_standardise=False)`.
    """

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        labels = tuple(f"cell{cell}.pattern{k}" for cell in range(GRID**2) for k in range(BINS))
        self._prepare({"lbp": Site("lbp", labels=labels)}, "lbp")

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it."""
        return Facts(
            size=SIZE,
            gray=True,
            preprocessing="gray values, 0 to 255, rounded",
            parameters=0,
            sites=("lbp",),
            weights=NONE_NEEDED,
            licence=OWN_LICENCE,
        )

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of its site."""
        return {"lbp": (GRID**2 * BINS,)}

    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the histograms, (n, 3776) float32."""
        histograms = []
        for image in images:
            pixels = gray(image)
            if pixels.shape != (SIZE, SIZE):
                pixels = area_mean(pixels, SIZE, SIZE)
            # Whole gray values, so that flat regions are flat whatever the arithmetic.
            histograms.append(pattern_histograms(uniform_patterns(np.rint(pixels))))
        return {site: np.stack(histograms).astype(np.float32) for site in sites}


def uniform_patterns(image: np.ndarray) -> np.ndarray:
    """Return each pixel's uniform local binary pattern, (H, W) gray to (H, W) of 0..58.

    Eight neighbours at radius 1, bilinear between pixels, zero outside the image; a bit is set
    where the neighbour is at least as bright (Ojala, Pietikainen and Maenpaa 2002). Patterns with
    at most two changes around the circle have bins of their own, in scikit-image's order
    ("nri_uniform"), and all others share bin 58.
    """
    pixels = np.asarray(image, dtype=np.float64)
    padded = np.pad(pixels, 2)
    code = np.zeros(pixels.shape, dtype=np.intp)
    for bit in range(NEIGHBOURS):
        angle = 2 * np.pi * bit / NEIGHBOURS
        row, column = round(-np.sin(angle), 5), round(np.cos(angle), 5)
        neighbour = _sample(padded, row, column, pixels.shape)
        code |= (neighbour >= pixels - TIE).astype(np.intp) << bit
    return _uniform_table()[code]


def pattern_histograms(patterns: np.ndarray) -> np.ndarray:
    """Return the histogram of each cell, (H, W) of 0..58 to (64 * 59,); each sums to 1."""
    height, width = patterns.shape
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    cell = rows[:, None] * GRID + columns[None, :]
    counts = np.bincount((cell * BINS + patterns).ravel(), minlength=GRID**2 * BINS)
    histograms = counts.reshape(GRID**2, BINS).astype(np.float64)
    return (histograms / histograms.sum(1, keepdims=True)).ravel()


def _sample(padded: np.ndarray, row: float, column: float, shape: tuple[int, ...]) -> np.ndarray:
    """Return the image moved by less than two pixels, bilinear between them."""
    top, left = int(np.floor(row)), int(np.floor(column))
    below, right = row - top, column - left

    def at(down: int, across: int) -> np.ndarray:
        start_row, start_column = 2 + top + down, 2 + left + across
        return padded[start_row : start_row + shape[0], start_column : start_column + shape[1]]

    upper = (1 - right) * at(0, 0) + right * at(0, 1)
    lower = (1 - right) * at(1, 0) + right * at(1, 1)
    return (1 - below) * upper + below * lower


@lru_cache(maxsize=1)
def _uniform_table() -> np.ndarray:
    """Return the bin of each of the 256 patterns: by number of ones, then by rotation."""
    table = np.empty(2**NEIGHBOURS, dtype=np.intp)
    for code in range(len(table)):
        bits = [code >> i & 1 for i in range(NEIGHBOURS)]
        changes = sum(bits[i] != bits[i - 1] for i in range(NEIGHBOURS))
        ones = sum(bits)
        if changes > 2:
            table[code] = BINS - 1
        elif ones in (0, NEIGHBOURS):
            table[code] = 0 if ones == 0 else BINS - 2
        else:
            first = bits.index(1)
            rotation = ones - bits.index(0) if first == 0 else NEIGHBOURS - first
            table[code] = 1 + (ones - 1) * NEIGHBOURS + rotation
    return table
