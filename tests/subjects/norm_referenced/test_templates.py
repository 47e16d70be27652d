from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.subjects.norm_referenced.crops import window_round
from neurofer.subjects.norm_referenced.face_finder import WORST, sum_at_arms
from neurofer.subjects.norm_referenced.localisation import (
    localise,
    mean_place,
    quadratic_offset,
)
from neurofer.subjects.norm_referenced.templates import (
    TemplateBank,
    radial_activity,
    unit_features,
)

SIZE = 5


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    return unit_features(torch.rand((2, 6, 15, 17), generator=generator))


@pytest.fixture
def bank(features):
    places = np.array([[[4.0, 5.0], [11.3, 8.6]], [[6.0, 7.0], [9.0, 4.0]]])
    return TemplateBank.cut(features, places, SIZE, [0, 1])


def test_features_have_unit_length_where_there_is_activity(features):
    length = torch.linalg.vector_norm(features, dim=1)
    torch.testing.assert_close(length, torch.ones_like(length), atol=5e-3, rtol=0)


def test_distances_agree_with_patches_cut_one_by_one(features, bank):
    distance = bank.distances(features).numpy()
    half = SIZE // 2
    for image in range(2):
        for y, x in ((2, 2), (7, 9), (12, 14)):
            patch = features[image, :, y - half : y + half + 1, x - half : x + half + 1]
            for t, template in enumerate(bank.patches):
                expected = ((patch - template) ** 2).sum() / (template**2).sum()
                assert distance[image, t, y, x] == pytest.approx(float(expected), abs=1e-5)


def test_a_template_is_found_where_it_was_cut(features, bank):
    distance = bank.distances(features[:1])[0].numpy()
    centre = np.array([[4.0, 5.0], [11.3, 8.6]])
    found = localise(distance, bank, centre, 4.0, sources=[0])
    np.testing.assert_allclose(found.distance, 0.0, atol=1e-5)
    assert np.abs(found.place - centre).max() < 0.5


def test_nothing_is_looked_for_where_the_reference_is_missing(features, bank):
    distance = bank.distances(features[:1])[0].numpy()
    found = localise(distance, bank, np.array([[4.0, 5.0], [np.nan, np.nan]]), 4.0)
    assert np.isfinite(found.distance[0])
    assert np.isnan(found.place[1]).all()
    assert np.isinf(found.distance[1])
    with pytest.raises(NeuroferError, match="localiser='mean' is unknown"):
        localise(distance, bank, np.zeros((2, 2)), 4.0, localiser="mean")


@given(st.floats(-0.49, 0.49), st.floats(-0.49, 0.49), st.floats(0.1, 5), st.floats(0.1, 5))
def test_the_minimum_of_a_parabola_is_exact(dx, dy, bend_x, bend_y):
    y, x = np.indices((9, 9)).astype(float)
    values = bend_x * (x - 4 - dx) ** 2 + bend_y * (y - 5 - dy) ** 2
    cell = np.array([4, 5])
    np.testing.assert_allclose(quadratic_offset(values, cell), [dx, dy], atol=1e-6)


def test_the_offset_stays_within_a_cell_at_the_border():
    y, x = np.indices((6, 6)).astype(float)
    values = (x + 3) ** 2 + (y - 2) ** 2
    offset = quadratic_offset(values, np.array([0, 2]))
    assert offset[0] == pytest.approx(0.0)
    assert offset[1] == pytest.approx(0.0)


def test_mean_place_is_the_weighted_mean_of_the_most_active_template():
    distance = np.full((2, 7, 7), np.inf)
    distance[0, 3, 2] = 0.0
    distance[1, 3, 4] = 0.0
    np.testing.assert_allclose(mean_place(distance, np.zeros((2, 2))), [3.0, 3.0])
    shifted = mean_place(distance, np.array([[0.5, 0.0], [0.5, 0.0]]))
    np.testing.assert_allclose(shifted, [3.5, 3.0])
    assert np.isnan(mean_place(np.full((1, 7, 7), np.inf), np.zeros((1, 2)))).all()


def test_radial_activity():
    np.testing.assert_allclose(radial_activity(np.array([0.0, 0.32]), 0.4), [1.0, np.exp(-1.0)])


def test_star_sums_each_map_at_the_end_of_its_arm():
    random = np.random.default_rng(0)
    maps, arms = random.random((3, 8, 9)), np.array([[-2, 1], [2, 1], [0, -1]])
    total = sum_at_arms(maps, arms)
    for y in range(8):
        for x in range(9):
            expected = 0.0
            for values, (dx, dy) in zip(maps, arms, strict=True):
                inside = 0 <= y + dy < 8 and 0 <= x + dx < 9
                expected += values[y + dy, x + dx] if inside else WORST
            assert total[y, x] == pytest.approx(expected)


@given(st.floats(20, 200), st.floats(20, 200))
def test_window_coordinates_go_there_and_back(x, y):
    window = window_round(np.array([[60.0, 70.0], [160.0, 150.0]]), 24.0, 1.25, 4)
    points = np.array([[x, y]])
    np.testing.assert_allclose(window.to_frame(window.to_cells(points)), points, atol=1e-9)
