from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.subjects.preprocess import area_mean, gray, resize


def test_gray_weighs_the_channels():
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, [0, 1, 2], [0, 1, 2]] = 100
    assert gray(image)[0] == pytest.approx([29.9, 58.7, 11.4], abs=1e-4)


def test_area_mean_of_a_whole_factor_is_the_block_mean():
    image = np.random.default_rng(0).uniform(0, 255, (224, 112)).astype(np.float32)
    expected = image.reshape(28, 8, 28, 4).mean((1, 3))
    np.testing.assert_allclose(area_mean(image, 28, 28), expected, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_area_mean_is_the_integral_over_each_cell(rows, columns, height, width):
    image = np.random.default_rng(rows * 41 + columns).uniform(0, 1, (rows, columns))
    # Each pixel repeated until the cells' borders fall between copies: plain block means.
    fine = np.repeat(np.repeat(image, height, 0), width, 1)
    expected = fine.reshape(height, rows, width, columns).mean((1, 3))
    found = area_mean(image.astype(np.float32), height, width)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_resize_keeps_what_has_the_size():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert resize(image, 4) is image
    assert resize(image, 2).shape == (2, 2, 3)
    assert abs(resize(image, 2).mean() - image.mean()) < 1
