from __future__ import annotations

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.subjects.norm_referenced.dissection import (
    activity_thresholds,
    choose_channels,
    concept_masks,
    intersection_over_union,
)


def test_threshold_is_exceeded_at_the_given_share_of_places():
    activity = np.random.default_rng(0).normal(size=(4, 3, 50, 50)).astype(np.float32)
    thresholds = activity_thresholds(activity, 0.005)
    share = (activity > thresholds[None, :, None, None]).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(share, 0.005, atol=1e-4)


def test_iou_agrees_with_counting_at_the_size_of_the_map():
    random = np.random.default_rng(1)
    activity = random.random((3, 5, 12, 12), dtype=np.float32)
    masks = random.random((3, 2, 12, 12)) < 0.1
    on = activity >= activity_thresholds(activity, 0.05)[None, :, None, None]
    expected = [
        [
            (on[:, k] & masks[:, c]).sum() / (on[:, k] | masks[:, c]).sum()
            for c in range(masks.shape[1])
        ]
        for k in range(activity.shape[1])
    ]
    np.testing.assert_allclose(intersection_over_union(activity, masks, 0.05), expected, rtol=1e-6)


def test_a_channel_that_is_the_mask_has_iou_one_and_a_silent_one_none():
    masks = np.zeros((2, 1, 20, 20), dtype=bool)
    masks[:, 0, 5:7, 5] = True  # 0.5 % of all places
    activity = np.zeros((2, 2, 20, 20), dtype=np.float32)
    activity[:, 0][masks[:, 0]] = 1.0
    iou = intersection_over_union(activity, masks, 0.005)
    np.testing.assert_allclose(iou[:, 0], [1.0, 0.0])


@pytest.mark.parametrize(
    ("cut", "most", "expected"),
    [(0.04, None, [0, 2, 3]), (0.04, 1, [0, 3]), (0.3, None, [3]), (0.9, None, [])],
)
def test_choice(cut, most, expected):
    iou = np.array([[0.2, 0.0], [0.03, 0.01], [0.1, 0.05], [0.0, 0.4]])
    assert choose_channels(iou, cut, most).tolist() == expected


def test_concepts_join_their_parts():
    parts = np.array([[[0, 1], [2, 3]]])
    masks = concept_masks(parts, {"a": 1, "b": 2, "c": 3}, {"ab": ("a", "b"), "c": ("c",)})
    assert masks.tolist() == [[[[False, True], [True, False]], [[False, False], [False, True]]]]


def test_images_must_be_the_same():
    with pytest.raises(NeuroferError, match="of the same n images"):
        intersection_over_union(np.zeros((2, 3, 4, 4)), np.zeros((3, 1, 4, 4), dtype=bool))
