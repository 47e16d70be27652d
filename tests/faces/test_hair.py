from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from neurofer.faces import HEADS, LANDMARKS, PARTS, FaceRenderer, Identity, make_identity
from neurofer.faces.hair import CUTS, HAIRSTYLES, NODES, Hair, grow, lock_axes
from neurofer.faces.materials import COVER
from neurofer.faces.mesh import head_mesh

from .conftest import needs_numba

SIZE = 112


def wearing(style: str, head: str = "human", seed: int = 2) -> Identity:
    identity = make_identity(seed, head)
    return replace(identity, paint=replace(identity.paint, hairstyle=style))


def hair_of(renderer: FaceRenderer, identity: Identity) -> Hair:
    sculpture = renderer._sculpture(identity)
    cover = sculpture.fields[: len(sculpture.neutral), COVER]
    return grow(identity, head_mesh(), sculpture.neutral, cover)


@pytest.mark.parametrize("style", HAIRSTYLES)
def test_a_style_grows_beyond_the_bald_head(renderer: FaceRenderer, style: str) -> None:
    bald, worn = (
        renderer.render(wearing(s), size=SIZE).parts == PARTS["hair"] for s in ("bald", style)
    )
    outside = renderer.render(wearing("bald"), size=SIZE).parts == PARTS["background"]
    assert not bald.any()
    if style != "bald":
        assert worn.sum() > 250
        assert (worn & outside).sum() > 25


def test_silhouettes_differ(renderer: FaceRenderer) -> None:
    masks = {
        style: renderer.render(wearing(style), size=SIZE).parts == PARTS["hair"]
        for style in HAIRSTYLES
        if style != "bald"
    }
    for one, other in combinations(masks, 2):
        common = (masks[one] & masks[other]).sum() / (masks[one] | masks[other]).sum()
        assert common < 0.93, f"{one} looks like {other}"


@pytest.mark.parametrize("head", ["human", "cartoon"])
@pytest.mark.parametrize("style", [style for style in HAIRSTYLES if style != "bald"])
def test_brows_and_landmarks_stay_free(renderer: FaceRenderer, head: str, style: str) -> None:
    """In frontal view no hair hangs before a brow, not even a raised one."""
    for seed in (2, 6):
        for expression in ("neutral", "surprise"):
            bald, worn = (
                renderer.render(wearing(s, head, seed), expression, size=SIZE)
                for s in ("bald", style)
            )
            assert bald.parts is not None
            assert worn.parts is not None
            brows = bald.parts == PARTS["eyebrows"]
            assert brows.sum() > 40
            assert not (brows & (worn.parts == PARTS["hair"])).any()
            x, y = np.rint(worn.landmarks[: len(LANDMARKS)]).astype(int).T
            assert not (worn.parts[y, x] == PARTS["hair"]).any()


def test_long_hair_hangs_behind_the_shoulders(renderer: FaceRenderer) -> None:
    vertices = hair_of(renderer, wearing("long")).vertices
    low = vertices[vertices[:, 1] < -1.4]
    assert len(low) > 100
    assert low[:, 2].max() < 0.0
    assert hair_of(renderer, wearing("crop")).vertices[:, 1].min() > -1.0


def test_locks_lie_outside_the_skull(renderer: FaceRenderer) -> None:
    """Above the ears nothing lies deeper than the scalp itself, up to its coarse table."""
    for style in ("crop", "parting", "bob"):
        identity = wearing(style)
        hair = hair_of(renderer, identity)
        scalp = renderer._sculpture(identity).neutral
        centre = np.array([0.0, 0.15, -0.8])
        directions = hair.vertices[hair.vertices[:, 1] > 0.4] - centre
        heads = scalp[scalp[:, 1] > 0.3] - centre
        lengths = np.linalg.norm(directions, axis=1)
        cosines = directions @ heads.T / lengths[:, None] / np.linalg.norm(heads, axis=1)
        nearest = np.linalg.norm(heads, axis=1)[cosines.argmax(axis=1)]
        assert (lengths > nearest - 0.04).mean() > 0.97


def test_locks_are_no_part_of_the_mesh(renderer: FaceRenderer) -> None:
    shown = renderer.render(wearing("curls"), size=32)
    assert shown.vertices_2d is not None
    assert shown.vertices_3d is not None
    assert len(shown.vertices_2d) == len(shown.vertices_3d) == len(head_mesh().fine_rest)


@needs_numba
@pytest.mark.parametrize("style", ["bun", "curls", "spikes"])
def test_backends_draw_the_same_hair(renderers: dict[str, FaceRenderer], style: str) -> None:
    images = [r.render(wearing(style, "cartoon"), size=40).image for r in renderers.values()]
    assert np.array_equal(*images)


def test_normals_of_locks_face_the_camera(renderer: FaceRenderer) -> None:
    hair = hair_of(renderer, wearing("parting"))
    normals, directions = lock_axes(hair.vertices)
    pairs = normals.reshape(-1, NODES, 2, 3).mean(axis=2)
    assert (pairs[..., 2] >= -1e-9).all()
    across = np.abs((pairs * directions.reshape(-1, NODES, 2, 3)[:, :, 0]).sum(axis=2))
    assert np.median(across) < 0.01


@pytest.mark.parametrize("head", HEADS)
def test_neighbouring_seeds_look_different(head: str) -> None:
    """No two of eight neighbours share hair and shirt, and none looks like the next one."""
    paints = [make_identity(seed, head).paint for seed in range(1, 41)]
    for first in range(33):
        few = paints[first : first + 8]
        assert len({(p.hairstyle, p.skin, p.hair) for p in few}) == 8
    if head != "monkey":
        styles = {p.hairstyle for p in paints}
        assert len(styles) >= 7
        assert styles <= set(CUTS)
    coats = [np.array(p.fur if head == "monkey" else p.hair + p.shirt) for p in paints]
    steps = [np.abs(a - b).max() for a, b in pairwise(coats)]
    assert min(steps) > 0.015


def test_styles_follow_sex() -> None:
    def male(seed: int) -> bool:
        targets = dict(make_identity(seed, "human").targets)
        return sum(w for n, w in targets.items() if "-male-y" in n and "macro/af" in n) > sum(
            w for n, w in targets.items() if "-female-y" in n and "macro/af" in n
        )

    for seed in range(1, 30):
        style = make_identity(seed, "human").paint.hairstyle
        assert style not in (("long", "bob", "bun") if male(seed) else ("bald", "receding"))
