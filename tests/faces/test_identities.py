from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.faces import HEADS, make_identity
from neurofer.faces.identities import _CARTOON_TARGETS, _local_axes
from neurofer.faces.mesh import head_mesh
from neurofer.faces.sculpt import neutral_vertices


@pytest.mark.parametrize("head", HEADS)
def test_spread_zero_gives_one_shape_and_many_colours(head: str) -> None:
    identities = [make_identity(seed, head, spread=0.0) for seed in range(1, 9)]
    shapes = [neutral_vertices(identity) for identity in identities[:3]]
    assert np.array_equal(shapes[0], shapes[1])
    assert np.array_equal(shapes[0], shapes[2])
    assert len({identity.paint.skin for identity in identities}) == len(identities)


@pytest.mark.parametrize("head", HEADS)
def test_spread_scales_shape_about_the_mean(head: str) -> None:
    """Style parameters are linear in spread; vertices nearly so (macro shares multiply)."""
    mean, half, full = (make_identity(3, head, spread=s) for s in (0.0, 0.5, 1.0))
    for (name, a), (_, b), (_, c) in zip(mean.style, half.style, full.style, strict=True):
        assert b == pytest.approx((a + c) / 2), name
    vertices = [neutral_vertices(identity) for identity in (mean, half, full)]
    near, far = (np.abs(v - vertices[0]).max() for v in vertices[1:])
    assert 0.3 * far < near < 0.7 * far
    assert mean.paint == full.paint


def test_seeds_give_different_shapes_and_colours() -> None:
    for head in HEADS:
        identities = [make_identity(seed, head) for seed in range(1, 31)]
        assert len({identity.targets for identity in identities}) == 30
        # The prototype's colours repeated with seed % 5.
        assert len({identity.paint.skin for identity in identities}) == 30
        assert len({identity.paint.iris for identity in identities}) == 30


def test_local_targets_add_to_the_style_of_the_cartoon() -> None:
    mean = dict(make_identity(1, "cartoon", spread=0.0).targets)
    for name, weight in _CARTOON_TARGETS.items():
        assert mean[name] == weight
    seeds = range(1, 40)
    drawn = [dict(make_identity(seed, "cartoon").targets) for seed in seeds]
    name = "nose/nose-volume-decr"
    values = {targets[name] for targets in drawn}
    assert len(values) > 3
    assert all(abs(value - 0.8) <= 0.55 for value in values)


def test_targets_exist_and_sides_agree() -> None:
    mesh = head_mesh()
    for head in HEADS:
        targets = dict(make_identity(5, head).targets)
        assert all(mesh.has_target(name) for name in targets)
        for name, weight in targets.items():
            if "/l-" in name:
                assert targets[name.replace("/l-", "/r-")] == weight


def test_local_axes_pair_opposites() -> None:
    axes = dict(_local_axes())
    assert axes["nose/nose-width1-incr"] == "nose/nose-width1-decr"
    assert axes["nose/nose-point-up"] == "nose/nose-point-down"
    assert axes["chin/chin-triangle"] == ""
    assert not set(axes) & set(axes.values())


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from(HEADS), st.floats(0, 1))
def test_any_seed_works_and_is_repeatable(seed: int, head: str, spread: float) -> None:
    identity = make_identity(seed, head, spread=spread)
    assert identity == make_identity(seed, head, spread=spread)
    assert all(0 <= c <= 1 for c in identity.paint.skin + identity.paint.hair)
    shares = [w for n, w in identity.targets if n.startswith(("macro/af", "macro/as", "macro/ca"))]
    assert sum(shares) == pytest.approx(1)


def test_parameters_are_json() -> None:
    parameters = make_identity(2, "cartoon", spread=0.35).parameters()
    again = json.loads(json.dumps(parameters))
    assert again == parameters
    assert again["head"] == "cartoon"
    assert again["paint"]["skin"] == list(make_identity(2, "cartoon").paint.skin)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"head": "monky"}, "head='monky' .* human, monkey, cartoon; did you mean 'monkey'"),
        ({"head": "human", "spread": -0.1}, "spread=-0.1 .* from 0 to 2"),
        ({"head": "human", "spread": float("nan")}, "spread=nan"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        make_identity(1, **arguments)
