from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neurofer.errors import NeuroferError
from neurofer.faces import RECIPES, Light
from neurofer.stimuli.rendered.jitter import JITTERS, REST_UNITS, Jitter, draw, style_of

ACTORS = st.integers(0, 10**6)
EXPRESSIONS = st.sampled_from(sorted(RECIPES))
NAMES = st.sampled_from(sorted(JITTERS))


def within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


@settings(max_examples=150)
@given(NAMES, ACTORS, EXPRESSIONS, st.integers(0, 9), st.sampled_from([-90, 0, 45]))
def test_draws_stay_within_their_ranges(
    name: str, actor: int, expression: str, image: int, yaw: int
) -> None:
    jitter = JITTERS[name]
    drawn = draw(jitter, actor, expression, image, yaw=yaw)
    assert drawn == draw(jitter, actor, expression, image, yaw=yaw)
    if expression == "neutral":
        assert drawn.strength == 0
    else:
        assert within(drawn.strength, jitter.strength)
    camera, light, usual = drawn.camera, drawn.light, Light()
    assert abs(camera.yaw - yaw) <= jitter.yaw
    assert abs(camera.pitch) <= jitter.pitch
    assert abs(camera.roll) <= jitter.roll
    assert abs(camera.zoom - 1) <= jitter.zoom
    assert max(map(abs, camera.shift)) <= jitter.shift
    for key in ("azimuth", "elevation", "key"):
        limits = getattr(jitter, key) or (getattr(usual, key),) * 2
        assert within(getattr(light, key), limits)
    assert within(light.fill, (usual.fill * jitter.fill[0], usual.fill * jitter.fill[1]))
    assert within(
        light.ambient, (usual.ambient * jitter.ambient[0], usual.ambient * jitter.ambient[1])
    )
    assert (drawn.background is not None) == jitter.background


@settings(max_examples=150)
@given(NAMES, ACTORS, EXPRESSIONS, st.integers(0, 9))
def test_action_units_are_the_recipe_within_reach(
    name: str, actor: int, expression: str, image: int
) -> None:
    jitter = JITTERS[name]
    units = dict(draw(jitter, actor, expression, image).action_units)
    factor = (1 + jitter.style) * (1 + jitter.session)
    strongest = {unit: max(r.get(unit, 0) for r in RECIPES.values()) for unit in range(1, 65)}
    for unit, value in units.items():
        own = RECIPES[expression].get(unit, 0)
        most = jitter.strength[1] * (own * factor + jitter.blend * strongest[unit] * factor)
        most += jitter.rest * (unit in REST_UNITS) + jitter.gaze * (unit > 60)
        assert 0 <= value <= most + 1e-12
    for unit, weight in RECIPES[expression].items():
        least = jitter.strength[0] * (1 - jitter.blend)
        assert units[unit] >= least * weight * (1 - jitter.style) * (1 - jitter.session) - 1e-12
    assert len({61, 62} & set(units)) == len({63, 64} & set(units)) == (jitter.gaze > 0)


def test_without_variation_an_image_is_the_recipe() -> None:
    drawn = draw(JITTERS["A"], 7, "fear", 3)
    assert dict(drawn.action_units) == RECIPES["fear"]
    assert drawn == draw(JITTERS["A"], 8, "fear", 4)
    assert draw(JITTERS["A"], 7, "neutral", 0).action_units == ()


@given(ACTORS, EXPRESSIONS)
@settings(max_examples=30)
def test_an_actors_style_and_resting_face_are_the_same_over_images(
    actor: int, expression: str
) -> None:
    # With strength and session fixed, all that is left is the actor's own.
    own = JITTERS["R"].model_copy(update={"strength": (0.5, 0.5), "session": 0.0, "blend": 0.0})
    first, second = (draw(own, actor, expression, image) for image in (0, 1))
    assert first.action_units == second.action_units
    assert first.camera != second.camera
    assert first.light != second.light
    assert first.background != second.background
    rest = dict(draw(own, actor, "neutral", 0).action_units)
    shown = dict(first.action_units)
    for unit, weight in style_of(own, actor, expression).items():
        assert shown[unit] == pytest.approx(0.5 * weight + rest.get(unit, 0))


@given(ACTORS)
@settings(max_examples=30)
def test_images_and_actors_differ(actor: int) -> None:
    jitter = JITTERS["R"]
    draws = [draw(jitter, who, "happy", image) for who in (actor, actor + 1) for image in (0, 1)]
    assert len(set(draws)) == 4
    assert style_of(jitter, actor, "happy") != style_of(jitter, actor + 1, "happy")
    assert style_of(jitter, actor, "happy")[12] != style_of(jitter, actor, "happy")[6]


def test_draws_do_not_depend_on_the_platform() -> None:
    drawn = draw(JITTERS["R"], 100000, "happy", 0)
    assert drawn.strength == 0.5232151743003415


@pytest.mark.parametrize(
    "wrong", [{"yaw": 100}, {"style": -0.1}, {"rest": 2}, {"bland": 0.1}, {"strength": 1}]
)
def test_wrong_ranges_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Jitter.model_validate(wrong)


def test_an_unknown_expression_is_answered_with_the_choices() -> None:
    with pytest.raises(NeuroferError, match="did you mean 'happy'"):
        draw(JITTERS["A"], 1, "hapy", 0)
