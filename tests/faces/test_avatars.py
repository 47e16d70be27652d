from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import (
    AVATARS,
    HEADS,
    PARTS,
    RECIPES,
    FaceRenderer,
    Identity,
    make_avatar,
    make_identity,
)
from neurofer.faces.avatars import frame_of
from neurofer.faces.heads import HUMAN_STYLE, warp, warp_jacobian
from neurofer.faces.mesh import head_mesh
from neurofer.faces.sculpt import neutral_vertices, unwarped

OF_OTHERS = {"aia", "bonnie", "jules", "malcolm", "mery", "ray"}


def test_there_are_six_of_our_own() -> None:
    assert len(AVATARS) == 6
    assert not set(AVATARS) & (OF_OTHERS | set(HEADS))


@pytest.mark.parametrize("name", AVATARS)
def test_targets_and_style_exist(name: str) -> None:
    identity = make_avatar(name)
    mesh = head_mesh()
    assert identity.head == name
    assert all(mesh.has_target(target) for target, _ in identity.targets)
    assert {key for key, _ in identity.style} <= {*HUMAN_STYLE, "hair"}
    targets = dict(identity.targets)
    for target, weight in identity.targets:
        if "/l-" in target:
            assert targets[target.replace("/l-", "/r-")] == weight


@pytest.mark.parametrize("name", AVATARS)
def test_warp_folds_nowhere(name: str) -> None:
    identity = make_avatar(name)
    points, anatomy = unwarped(identity)
    jacobian = warp_jacobian(name, points, anatomy, dict(identity.style))
    assert np.linalg.det(jacobian).min() > 0.05


@pytest.mark.parametrize("parameter", HUMAN_STYLE)
def test_every_parameter_of_the_warp_moves_something(parameter: str) -> None:
    points, anatomy = unwarped(make_avatar("odo"))
    same = warp("odo", points, anatomy, {})
    assert np.abs(same - points).max() < 1e-12  # without parameters nothing moves
    moved = warp("odo", points, anatomy, {parameter: HUMAN_STYLE[parameter] + 0.1})
    assert np.abs(moved - points).max() > 0.005


def test_avatars_differ_more_than_the_cartoons_do() -> None:
    """In shape, by the mean distance of their vertices, and in the colour of skin or hair."""
    above = head_mesh().fine_rest[:, 1] > 6.2

    def distances(identities: list[Identity]) -> list[float]:
        shapes = [neutral_vertices(identity)[above] for identity in identities]
        return [
            float(np.sqrt(((one - other) ** 2).sum(axis=1).mean()))
            for one, other in combinations(shapes, 2)
        ]

    avatars = [make_avatar(name) for name in AVATARS]
    cartoons = [make_identity(seed, "cartoon") for seed in range(1, 7)]
    assert min(distances(avatars)) > 1.5 * max(distances(cartoons))
    for one, other in combinations([avatar.paint for avatar in avatars], 2):
        apart = np.abs(np.sqrt([one.skin, one.hair]) - np.sqrt([other.skin, other.hair]))
        assert apart.max() > 0.1


@pytest.mark.parametrize("name", AVATARS)
def test_displacements_are_those_of_the_other_heads(renderer: FaceRenderer, name: str) -> None:
    moved = []
    for identity in (make_avatar(name), make_identity(3, "human")):
        neutral, shown = (
            renderer.render(identity, e, size=16).vertices_3d for e in ("neutral", "fear")
        )
        assert neutral is not None
        assert shown is not None
        moved.append(shown - neutral)
    assert np.array_equal(moved[0], moved[1])


@pytest.mark.parametrize("name", AVATARS)
def test_all_expressions_can_be_drawn(renderer: FaceRenderer, name: str) -> None:
    identity = make_avatar(name)
    images = [renderer.render(identity, e, size=64) for e in RECIPES]
    for one, other in combinations(images, 2):
        assert (one.image != other.image).any()
    parts = images[0].parts
    assert parts is not None
    for part in ("skin", "left_eye", "right_eye", "eyebrows", "nose", "lips", "hair"):
        assert (parts == PARTS[part]).any(), part


def test_frames() -> None:
    for name in (*AVATARS, *HEADS):
        assert abs(frame_of(name).height) < 0.3
        assert -1.0 < frame_of(name).depth < -0.3


def test_unknown_name_is_refused() -> None:
    with pytest.raises(NeuroferError, match=r"avatar='bramm' .* did you mean 'bram'"):
        make_avatar("bramm")
