from __future__ import annotations

import numpy as np
import pytest

from neurofer.faces import HEADS, LANDMARKS, RECIPES, FaceRenderer, make_identity

from .conftest import needs_numba

SIZE = 160


def change(renderer: FaceRenderer, unit: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how much wrinkles change each pixel, (SIZE, SIZE), and the landmarks."""
    identity = make_identity(2, "human")
    off, on = (
        renderer.render(identity, action_units={unit: strength}, size=SIZE, wrinkles=w)
        for w in (False, True)
    )
    assert np.array_equal(off.landmarks, on.landmarks)
    return np.abs(on.image.astype(int) - off.image).sum(axis=2), on.landmarks


@pytest.mark.parametrize("head", HEADS)
def test_off_draws_the_same_pixels(renderer: FaceRenderer, head: str) -> None:
    identity = make_identity(1, head)
    for expression in ("neutral", "disgust"):
        plain = renderer.render(identity, expression, size=64)
        off = renderer.render(identity, expression, size=64, wrinkles=False)
        on = renderer.render(identity, expression, size=64, wrinkles=True)
        assert np.array_equal(plain.image, off.image)
        assert np.array_equal(off.image, on.image) == (expression == "neutral")


@pytest.mark.parametrize("expression", [e for e in RECIPES if e != "neutral"])
def test_every_expression_wrinkles(renderer: FaceRenderer, expression: str) -> None:
    identity = make_identity(2, "human")
    off, on = (renderer.render(identity, expression, size=96, wrinkles=w) for w in (False, True))
    assert (np.abs(on.image.astype(int) - off.image).max(axis=2) > 8).sum() > 20


@pytest.mark.parametrize(
    ("unit", "between", "above", "below"),
    [
        (1, ("left_eyebrow_int", "right_eyebrow_int"), None, "left_eyebrow_int"),
        (2, ("left_eyebrow_ext", "right_eyebrow_ext"), None, "left_eyebrow_int"),
        (4, ("left_eyebrow_int", "right_eyebrow_int"), None, "left_eyelid"),
        (6, (None, None), "left_eyebrow_ext", "top_mouth"),
        (9, ("left_eyebrow_ext", "right_eyebrow_ext"), "left_eyebrow_int", "down_mouth"),
        (12, ("left_eyebrow_ext", "right_eyebrow_ext"), "left_eyelid", None),
    ],
)
def test_wrinkles_lie_where_their_unit_makes_them(
    renderer: FaceRenderer,
    unit: int,
    between: tuple[str | None, str | None],
    above: str | None,
    below: str | None,
) -> None:
    """Nearly all of the change lies between, below and above landmarks."""
    changed, landmarks = change(renderer, unit, 1.2)
    places = dict(zip(LANDMARKS, landmarks, strict=False))
    margin = SIZE // 10
    left = 0 if between[0] is None else int(places[between[0]][0]) - margin
    right = SIZE if between[1] is None else int(places[between[1]][0]) + margin
    top = 0 if above is None else int(places[above][1]) - margin
    bottom = SIZE if below is None else int(places[below][1]) + margin // 2
    assert changed.sum() > 300
    assert changed[top:bottom, left:right].sum() > 0.97 * changed.sum()


@pytest.mark.parametrize("unit", [1, 2, 4, 6, 9, 10, 12])
def test_wrinkles_begin_late_and_deepen(renderer: FaceRenderer, unit: int) -> None:
    """They are not linear in strength: nothing at first, then more and more."""
    faint, weak, half, full = (
        change(renderer, unit, strength)[0].sum() for strength in (0.1, 0.25, 0.6, 1.3)
    )
    assert faint == 0
    assert weak < 0.2 * full
    assert half < 0.8 * full


@needs_numba
def test_backends_draw_the_same_wrinkles(renderers: dict[str, FaceRenderer]) -> None:
    images = [
        r.render(make_identity(3, "human"), "disgust", size=64, wrinkles=True).image
        for r in renderers.values()
    ]
    assert np.array_equal(*images)
