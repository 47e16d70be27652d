"""Network dissection: which channels of a layer follow which part of a face.

Bau et al. 2017, as the original uses it (Stettler et al. 2023, supplement): a channel's mask is
where its activity, brought to the size of the image, exceeds the threshold that it exceeds at 0.5 %
of all places; its intersection over union with the masks of a part, counted over the whole data
set, says how well it follows the part. Channels above 0.04 are kept. Here the part masks come
with the rendered training images, and nothing else is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as functional

from neurofer.errors import NeuroferError

QUANTILE = 0.005
CUT = 0.04

# Parts of `neurofer.faces.PARTS` that make up a concept, by pathway. FR: facial recognition, which
# finds face and head; FER: facial expression recognition.
FR_CONCEPTS: Mapping[str, tuple[str, ...]] = {
    "eyes": ("left_eye", "right_eye"),
    "nose": ("nose",),
}
FER_CONCEPTS: Mapping[str, tuple[str, ...]] = {
    "eyebrows": ("eyebrows",),
    "lips": ("lips", "mouth"),
}


def concept_masks(
    parts: np.ndarray, labels: Mapping[str, int], concepts: Mapping[str, Sequence[str]]
) -> np.ndarray:
    """Return the mask of every concept, (n, concepts, H, W) bool.

    Args:
        parts: (n, H, W) a label of each pixel.
        labels: part -> label.
        concepts: concept -> its parts.
    """
    masks = [np.isin(parts, [labels[part] for part in members]) for members in concepts.values()]
    return np.stack(masks, axis=1)


def activity_thresholds(activity: np.ndarray, quantile: float = QUANTILE) -> np.ndarray:
    """Return T_k, which channel k exceeds at a share `quantile` of all places, (channels,).

    Args:
        activity: (n, channels, h, w).
        quantile: a share of all places.
    """
    places = activity.transpose(1, 0, 2, 3).reshape(activity.shape[1], -1)
    return np.quantile(places, 1.0 - quantile, axis=1).astype(activity.dtype)


def intersection_over_union(
    activity: np.ndarray, masks: np.ndarray, quantile: float = QUANTILE
) -> np.ndarray:
    """Return the data-set-wide IoU of each channel with each concept, (channels, concepts).

    Args:
        activity: (n, channels, h, w), float32.
        masks: (n, concepts, H, W) bool; activity is brought to H x W bilinearly.
        quantile: see `activity_thresholds`.

    Raises:
        NeuroferError: activity and masks are not of the same images.
    """
    if activity.ndim != 4 or masks.ndim != 4 or len(activity) != len(masks):
        raise NeuroferError(
            f"activity {activity.shape} and masks {masks.shape} must be (n, channels, h, w) and "
            "(n, concepts, H, W) of the same n images"
        )
    thresholds = torch.from_numpy(activity_thresholds(activity, quantile)).view(1, -1, 1, 1)
    common = np.zeros((activity.shape[1], masks.shape[1]))
    active = np.zeros(activity.shape[1])
    size = masks.shape[2:]
    for maps, mask in zip(activity, masks, strict=True):
        large = functional.interpolate(
            torch.from_numpy(maps[None]), size=size, mode="bilinear", align_corners=False
        )
        # Where a channel is silent nearly everywhere its threshold is 0, and silence is not a mask.
        on = ((large >= thresholds) & (large > 0))[0].flatten(1).to(torch.float32)
        inside = torch.from_numpy(mask.reshape(mask.shape[0], -1).astype(np.float32))
        common += (on @ inside.T).numpy()
        active += on.sum(dim=1).numpy()
    union = active[:, None] + masks.sum(axis=(0, 2, 3))[None] - common
    return common / np.maximum(union, 1.0)


def choose_channels(iou: np.ndarray, cut: float = CUT, most: int | None = None) -> np.ndarray:
    """Return the channels whose IoU with any concept reaches the cut, sorted, (k,) int64.

    Args:
        iou: (channels, concepts).
        cut: least IoU.
        most: keep at most this many channels of each concept, the best first.
    """
    chosen: set[int] = set()
    for column in iou.T:
        order = np.argsort(-column, kind="stable")
        kept = order[column[order] >= cut][:most]
        chosen.update(int(channel) for channel in kept)
    return np.array(sorted(chosen), dtype=np.int64)
