from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.subjects.networks.architectures import scale_pixels
from neurofer.subjects.preprocess import (
    Preprocessing,
    area_mean,
    cut_middle,
    gray,
    network_input,
    resize,
)


def test_gray_weighs_the_channels():
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, [0, 1, 2], [0, 1, 2]] = 100
    assert gray(image)[0] == pytest.approx([29.9, 58.7, 11.4], abs=1e-4)


def test_area_mean_of_a_whole_factor_is_the_block_mean():
    image = np.random.default_rng(0).uniform(0, 255, (224, 112)).astype(np.float32)
    expected = image.reshape(28, 8, 28, 4).mean((1, 3))
    np.testing.assert_allclose(area_mean(image, 28, 28), expected, rtol=1e-5)


@settings(max_examples=30)
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


def test_the_default_is_what_training_sees():
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    for colourless in (False, True):
        pixels = Preprocessing().pixels(image, 20, colourless=colourless)
        np.testing.assert_array_equal(pixels, network_input(image, 20, colourless=colourless))
        images = torch.from_numpy(pixels)[None]
        assert torch.equal(Preprocessing().scaled(images), scale_pixels(images))


def test_channels_are_ordered_scaled_and_centred():
    stated = {"order": "BGR", "scale": 2, "mean": [1, 2, 3], "deviation": [1, 2, 4]}
    images = torch.tensor([40, 20, 10], dtype=torch.uint8).view(1, 3, 1, 1)  # red, green, blue
    found = Preprocessing.stated(stated).scaled(images)
    assert found.flatten().tolist() == [10 / 2 - 1, (20 / 2 - 2) / 2, (40 / 2 - 3) / 4]


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30), st.integers(0, 20))
def test_the_middle_is_as_large_as_asked_and_in_the_middle(height, width, size, more):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 4, columns * 4, rows * 0], -1).astype(np.uint8)
    middle = cut_middle(image, size, size + more)
    assert middle.shape == (size, size, 3)
    side = min(height, width) / (size + more)  # of a pixel of the middle, in those of the image
    for axis, whole in enumerate((height, width)):
        expected = np.clip(whole - 1, 0, None) * 2
        assert abs(middle[..., axis].mean() - expected) <= 4 * side + 1.5


def test_an_image_of_the_size_that_is_asked_for_is_not_resampled():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cut_middle(image, 6, 8), image[1:7, 3:9])


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"order": "GRB"}, "order='GRB'"),
        ({"range": 255}, "preprocessing='range' is unknown; choose from order, scale"),
        ({"mean": [1, 2]}, r"mean=\(1, 2\); it has 1 or 3 values"),
        ({"deviation": [1, 0, 1]}, r"deviation=\(1, 0, 1\) must be above 0"),
        ({"scale": 0}, "scale=0"),
    ],
)
def test_what_no_image_can_be_shown_by_is_refused(stated, message):
    with pytest.raises(NeuroferError, match=message):
        Preprocessing.stated(stated)


def test_a_shorter_side_below_the_size_is_refused():
    with pytest.raises(NeuroferError, match="shorter_side=9 leaves no middle of 10 pixels"):
        Preprocessing(shorter_side=9).pixels(np.zeros((20, 20, 3), np.uint8), 10)
