"""Where a face lies in its frame, and the square round it that a face network expects.

Networks that were trained on faces were trained on crops. Here the crop follows known geometry: a
mean face is laid over the thirteen ground-truth landmarks, whichever way the head is turned, and
a square of a given width in decimetres is cut round the middle of the face.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurofer.errors import NeuroferError

CROPS = ("frame", "landmarks")

FEWEST = 6
"""Landmarks that must be known: fewer do not say how a head is turned."""

# The landmarks of the mean human face in decimetres, in the order of `neurofer.faces`.
_FACE = np.array(
    [
        (-0.51, 0.27, 0.01),
        (-0.11, 0.2, 0.26),
        (0.11, 0.2, 0.26),
        (0.51, 0.27, 0.01),
        (-0.22, -0.67, 0.2),
        (0.0, -0.57, 0.33),
        (0.22, -0.67, 0.2),
        (0.0, -0.79, 0.26),
        (-0.3, 0.02, 0.16),
        (0.3, 0.02, 0.16),
        (-0.29, 0.0, 0.15),
        (0.29, 0.0, 0.15),
        (0.0, -0.38, 0.43),
    ]
)
_CENTRE = np.array([0.0, -0.37, 0.15])  # behind the root of the nose's tip: the middle of the face


# Brows, lids and mouth move with the expression. Counted like the others they make the square 5 to
# 6 % larger or smaller from one expression to the next, which a decoder could read; so, 1.6 %.
_WEIGHTS = np.array(10 * [0.02] + 3 * [1.0])
_ROUNDS = 20


def face_place(landmarks: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Return the middle of a face (x, y) and the pixels of a decimetre; None if it is not known.

    The mean face is laid over the landmarks as a rigid body under a camera without perspective (a
    scaled orthographic one), so that turned heads and profiles are placed like frontal ones. The
    depth of the landmarks, which the image does not show, is taken from the fit before.

    Args:
        landmarks: (13, 2) in pixel-centre coordinates, NaN where unknown.
    """
    known = np.isfinite(landmarks).all(axis=1)
    if known.sum() < FEWEST:
        return None
    weights = _WEIGHTS[known] / _WEIGHTS[known].sum()
    body, points = _FACE[known] - _CENTRE, landmarks[known]
    middle, place = weights @ body, weights @ points
    root = np.sqrt(weights)[:, None]
    body, points = (body - middle) * root, (points - place) * root
    camera = np.linalg.lstsq(body, points, rcond=None)[0].T
    for _ in range(_ROUNDS):
        camera = _nearest_rigid(camera, body, points)
    scale = float(np.linalg.norm(camera[0]))
    return (place - camera @ middle, scale) if scale > 0 else None


def _nearest_rigid(camera: np.ndarray, body: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return a scaled rotation's first two rows, (2, 3), that brings body to points.

    The depth of the points is that of the body under `camera`, made rigid.
    """
    left, sizes, right = np.linalg.svd(camera, full_matrices=False)
    across = left @ right
    depth = sizes.mean() * (body @ np.cross(across[0], across[1]))
    # Orthogonal Procrustes (Schoenemann 1966), without reflections (Kabsch 1976).
    left, sizes, right = np.linalg.svd(body.T @ np.column_stack([points, depth]))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = ((left * signs) @ right).T
    scale: float = (sizes * signs).sum() / (body**2).sum()
    return scale * rotation[:2]


def crop_box(landmarks: np.ndarray | None, width: float) -> np.ndarray | None:
    """Return the square round a face: left, top, right, bottom; None where no face is known.

    Counted in pixels from the corner of the image's first pixel, as Pillow counts; landmarks are
    counted from its centre.

    Args:
        landmarks: (13, 2) ground truth, or None.
        width: in decimetres of the face.
    """
    place = None if landmarks is None else face_place(landmarks)
    if place is None:
        return None
    (x, y), scale = place
    half = width * scale / 2
    return np.array([x - half, y - half, x + half, y + half]) + 0.5


def crop_face(
    image: np.ndarray, landmarks: np.ndarray | None, width: float, size: int
) -> np.ndarray:
    """Return the square round a face, (size, size, 3) uint8; the frame where no face is known.

    Args:
        image: (H, W, 3) uint8; beyond its border the border's colour goes on.
        landmarks: (13, 2) ground truth, or None.
        width: of the square, in decimetres of the face; a face is about 1.2 wide and 1.8 high.
        size: of the result in pixels.
    """
    from PIL import Image

    box = crop_box(landmarks, width)
    if box is None:
        return image
    height, wide = image.shape[:2]
    beyond = max(-box[0], -box[1], box[2] - wide, box[3] - height, 0.0)
    if beyond > 4 * max(height, wide):
        raise NeuroferError(
            f"a face crop from {box.round().tolist()} lies far outside an image of {wide} x "
            f"{height} pixels: are the landmarks of another image? Use crop='frame'"
        )
    margin = int(np.ceil(beyond)) + 1
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    picture = Image.fromarray(padded).resize(
        (size, size), Image.Resampling.BILINEAR, box=tuple((box + margin).tolist())
    )
    return np.asarray(picture)


def square(image: np.ndarray) -> np.ndarray:
    """Return a whole image (H, W, 3) as a square; beyond its border the border's colour goes on.

    A photograph that is stretched to a square changes the shape of its face.
    """
    before, after = _borders(image.shape)
    if not before.any() and not after.any():
        return image
    return np.pad(image, (*zip(before, after, strict=True), (0, 0)), mode="edge")


def square_box(shape: Sequence[int]) -> np.ndarray:
    """Return the square round a whole image (H, W, ...): left, top, right, bottom in pixels."""
    (top, left), (bottom, right) = _borders(shape)
    return np.array([-left, -top, shape[1] + right, shape[0] + bottom], dtype=np.float64)


def middles(boxes: np.ndarray, size: int, shorter_side: int) -> np.ndarray:
    """Return what is left of boxes (n, 4) where the middle is cut out; see `preprocess.cut_middle`.

    Args:
        boxes: left, top, right and bottom of each.
        size: of the square that is cut out, in pixels.
        shorter_side: of a box before, in pixels.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = sides.min(axis=1, keepdims=True) * size / shorter_side
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.hstack([middle - kept / 2, middle + kept / 2])


def _borders(shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns that are added before and after an image (H, W, ...)."""
    lacking = max(shape[:2]) - np.array(shape[:2])
    return lacking // 2, lacking - lacking // 2


def crop_faces(
    images: Sequence[np.ndarray], landmarks: np.ndarray | None, width: float, size: int
) -> list[np.ndarray]:
    """Return every image cropped as by `crop_face`; `landmarks` is (n, 13, 2) or None.

    Args:
        images: (H, W, 3) uint8 each.
        landmarks: (n, 13, 2) pixels, or None.
        width: of the crop, as for `crop_face`.
        size: of the result, in pixels.
    """
    each = [None] * len(images) if landmarks is None else landmarks
    return [crop_face(image, face, width, size) for image, face in zip(images, each, strict=True)]
