"""Details of the face: teeth and gums, lashes, the forehead, and exposure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurofer.faces import HEADS, PARTS, FaceRenderer, make_identity, teeth
from neurofer.faces.mesh import LASHES, head_mesh
from neurofer.faces.paint import exposure, luminance
from neurofer.faces.relief import brow_smoother


@pytest.mark.parametrize(("head", "expression"), [("human", "happy"), ("human", "fear"),
                                                  ("monkey", "fear")])  # fmt: skip
def test_gums_show(monkeypatch: pytest.MonkeyPatch, head: str, expression: str) -> None:
    """Without gums the mouth is paler, and nothing else changes."""
    identity = make_identity(2, head)
    with_gums = FaceRenderer().render(identity, expression)
    monkeypatch.setattr(teeth, "_UPPER_GUM", 9.0)
    monkeypatch.setattr(teeth, "_LOWER_GUM", 0.0)
    without = FaceRenderer().render(identity, expression)
    assert with_gums.parts is not None
    pinker = (with_gums.image.astype(int) - without.image)[:, :, 1] < -15
    assert pinker.sum() >= 8
    mouth = np.isin(with_gums.parts, (PARTS["mouth"], PARTS["lips"]))
    assert (pinker & mouth).sum() > 0.9 * pinker.sum()


def test_teeth_are_white_with_grooves_and_gums_pink() -> None:
    x = np.linspace(-0.2, 0.2, 401)
    place = (x, np.full(401, 6.65), np.full(401, 1.48))
    enamel = (np.ones(401), np.ones(401), np.ones(401))
    _, white, *_ = teeth.teeth(place, enamel, 0.1, np.full(401, -0.05), 7)
    _, pink, *_ = teeth.teeth(place, enamel, 0.1, np.full(401, 0.05), 7)
    assert np.median(white[1]) == 1.0
    assert 0.6 < white[1].min() < 0.8
    grooves = (np.diff(np.sign(white[1] - 0.9)) < 0).sum()
    assert 4 <= grooves <= 6
    assert (pink[0] > 1.8 * pink[1]).all()


def test_lashes_are_single_hairs_of_the_upper_lid() -> None:
    mesh = head_mesh()
    lashes = mesh.triangles[mesh.triangle_component == LASHES]
    tips, uses = np.unique(lashes[np.isin(lashes, mesh.lash_tips)], return_counts=True)
    assert len(tips) == 48
    assert (uses == 1).all()
    assert len(mesh.lash_roots) == len(mesh.lash_tips) == 50


def test_lash_length_moves_tips_only(renderer: FaceRenderer) -> None:
    identity = make_identity(1, "human")
    mesh = head_mesh()
    long = replace(identity, paint=replace(identity.paint, lashes=2.2))
    a, b = (renderer._sculpture(i).neutral for i in (identity, long))
    moved = np.flatnonzero((a != b).any(axis=1))
    assert set(moved) <= set(mesh.lash_tips.tolist())
    lengths = [
        np.linalg.norm(v[mesh.lash_tips] - v[mesh.lash_roots], axis=1).mean() for v in (a, b)
    ]
    assert lengths[1] > 1.5 * lengths[0]


@pytest.mark.parametrize("head", HEADS)
def test_lids_meet_when_moved_locally(renderer: FaceRenderer, head: str) -> None:
    for seed in (1, 2, 3, 4):
        shown = renderer.render(
            make_identity(seed, head), action_units={43: 1.0}, size=128, transport="local"
        )
        eyes = np.isin(shown.parts, (PARTS["left_eye"], PARTS["right_eye"]))
        assert eyes.sum() <= 2


def test_forehead_has_no_ridge() -> None:
    """A ridge one vertex wide in the normals is spread; what is smooth stays."""
    mesh = head_mesh()
    smoother = brow_smoother(mesh)
    assert smoother.weights.sum(axis=0) == pytest.approx(np.ones((len(smoother.zone), 1)))
    x = mesh.fine_rest[:, 0]
    ridge = np.stack([np.clip(x / 0.02, -1, 1) * 0.3, 0 * x, np.ones(len(x))], axis=1)
    ridge = ridge / np.linalg.norm(ridge, axis=1, keepdims=True)
    after = ridge.copy()
    after[smoother.zone] = smoother.smooth(ridge)
    beside = smoother.zone[
        (np.abs(x[smoother.zone]) > 0.015)
        & (np.abs(x[smoother.zone]) < 0.06)
        & (mesh.fine_rest[smoother.zone, 1] > 7.6)
    ]
    assert len(beside) > 10
    assert np.median(np.abs(after[beside, 0])) < 0.4 * np.median(np.abs(ridge[beside, 0]))
    flat = np.tile([0.0, 0.6, 0.8], (len(x), 1))
    assert smoother.smooth(flat) == pytest.approx(flat[smoother.zone])


def test_exposure_lifts_dark_skin_and_leaves_light_skin(renderer: FaceRenderer) -> None:
    light, dark = (0.78, 0.56, 0.45), (0.24, 0.14, 0.09)
    assert exposure(light) == 1.0
    assert 1.3 < exposure(dark) <= 1.6
    identity = make_identity(2, "human")
    medians = []
    for skin in (light, dark):
        painted = replace(identity, paint=replace(identity.paint, skin=skin))
        shown = renderer.render(painted, size=64)
        assert shown.parts is not None
        medians.append(np.median(shown.image[shown.parts == PARTS["skin"]]))
    assert 0.5 < medians[1] / medians[0] < 0.9  # readable, and still dark
    assert luminance(dark) / luminance(light) < 0.3
