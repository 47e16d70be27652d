from __future__ import annotations

import numpy as np

from neurofer.subjects import load_subject


def test_pixels_are_block_means_of_the_luma():
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    luma = image @ np.array([0.299, 0.587, 0.114])
    expected = luma.reshape(28, 8, 28, 8).mean((1, 3)) / 255
    found = load_subject("pixels").features([image, image[::2, ::2]], ["pixels"])["pixels"]
    assert found.shape == (2, 1, 28, 28)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)
    half = luma[::2, ::2].reshape(28, 4, 28, 4).mean((1, 3)) / 255
    np.testing.assert_allclose(found[1, 0], half, atol=1e-5)
