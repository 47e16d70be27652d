from __future__ import annotations

import hashlib

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import make_background

SEEDS = range(60)


def test_golden_bytes() -> None:
    """They hold on every platform; look at the pictures before copying a new hash."""
    digest = hashlib.sha256()
    for seed in range(8):
        for size in (33, 96):
            digest.update(make_background(seed, size).tobytes())
    assert digest.hexdigest()[:16] == "815e09e363bdcb56"


@pytest.mark.parametrize("size", [8, 80, 144, 225])
def test_shape_type_and_repeatability(size: int) -> None:
    background = make_background(3, size)
    assert background.shape == (size, size, 3)
    assert background.dtype == np.uint8
    assert np.array_equal(background, make_background(3, size))
    assert not np.array_equal(background, make_background(4, size))


def test_scene_is_the_same_at_every_size() -> None:
    for seed in SEEDS:
        blocks = [
            make_background(seed, size).reshape(6, size // 6, 6, size // 6, 3).mean(axis=(1, 3))
            for size in (96, 192)
        ]
        assert np.abs(blocks[0] - blocks[1]).max() < 6


def test_backgrounds_are_smooth_and_muted() -> None:
    """Grain aside, neighbours are alike; few are gaudy."""
    chroma = []
    for seed in SEEDS:
        small = make_background(seed, 144).reshape(36, 4, 36, 4, 3).mean(axis=(1, 3))
        assert np.median(np.abs(np.diff(small, axis=1))) < 12
        chroma.append(np.ptp(small, axis=2).mean())
    assert np.median(chroma) < 50
    assert np.percentile(chroma, 90) < 100


def test_backgrounds_are_a_strong_nuisance_to_pixels() -> None:
    """They differ in brightness as a whole, and from place to place within one."""
    images = np.array([make_background(seed, 48).mean(axis=2) for seed in range(200)])
    assert images.std(axis=0).mean() > 40
    within = images - images.mean(axis=(1, 2), keepdims=True)
    assert within.std(axis=(1, 2)).mean() > 18


@pytest.mark.parametrize("size", [7, 4096])
def test_bad_sizes_are_refused(size: int) -> None:
    with pytest.raises(NeuroferError, match=f"size={size} .* from 8 to 2048"):
        make_background(1, size)
