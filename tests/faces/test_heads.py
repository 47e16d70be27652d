from __future__ import annotations

import numpy as np
import pytest

from neurofer.faces import HEADS, make_identity
from neurofer.faces.heads import STYLES, warp, warp_jacobian
from neurofer.faces.sculpt import neutral_vertices, unwarped

SEEDS = (1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 57)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_jacobian_is_positive_everywhere(head: str, spread: float) -> None:
    for seed in SEEDS:
        identity = make_identity(seed, head, spread=spread)
        points, anatomy = unwarped(identity)
        jacobian = warp_jacobian(head, points, anatomy, dict(identity.style))
        assert np.linalg.det(jacobian).min() > 0.02, f"{head} {seed} folds over"


@pytest.mark.parametrize("head", [head for head in HEADS if head != "human"])
def test_jacobian_is_positive_at_the_ends_of_every_parameter(head: str) -> None:
    points, anatomy = unwarped(make_identity(1, head, spread=0.0))
    mean = {name: (low + high) / 2 for name, (low, high) in STYLES[head].items()}
    for name, ends in STYLES[head].items():
        for end in ends:
            jacobian = warp_jacobian(head, points, anatomy, {**mean, name: end})
            assert np.linalg.det(jacobian).min() > 0.02, f"{name}={end} folds over"


@pytest.mark.parametrize("head", HEADS)
def test_jacobian_predicts_small_moves(head: str) -> None:
    identity = make_identity(1, head)
    points, anatomy = unwarped(identity)
    style = dict(identity.style)
    rng = np.random.default_rng(0)
    move = rng.normal(size=points.shape) * 1e-4
    expected = np.einsum("vij,vj->vi", warp_jacobian(head, points, anatomy, style), move)
    got = warp(head, points + move, anatomy, style) - warp(head, points, anatomy, style)
    assert np.abs(got - expected).max() < 1e-4 * 0.05


def test_human_is_not_warped() -> None:
    points, anatomy = unwarped(make_identity(1, "human"))
    assert np.array_equal(warp("human", points, anatomy, {}), points)


def test_heads_differ_as_meant() -> None:
    """A monkey has a muzzle and a low skull, a cartoon big eyes."""
    from neurofer.faces.landmarks import landmark_places
    from neurofer.faces.mesh import LEFT_EYE, head_mesh

    neutral = {h: neutral_vertices(make_identity(1, h, spread=0.0)) for h in HEADS}
    mouth = {h: landmark_places(v)[5] for h, v in neutral.items()}
    eyes = head_mesh().component == LEFT_EYE
    eye = {h: np.ptp(v[: len(eyes)][eyes][:, 0]) for h, v in neutral.items()}
    assert mouth["monkey"][2] > mouth["human"][2] + 0.3
    assert neutral["monkey"][:, 1].max() < neutral["human"][:, 1].max() - 0.2
    assert eye["cartoon"] > 1.3 * eye["human"]
