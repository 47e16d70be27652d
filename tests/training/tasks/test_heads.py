from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from neurofer import closure
from neurofer.errors import NeuroferError
from neurofer.faces import RECIPES
from neurofer.subjects.preprocess import area_mean, gray
from neurofer.training import list_recipes, read_recipe
from neurofer.training.tasks.heads import RenderedHeads, _key, draw, rendered_heads, strongest
from neurofer.workers import run_in_processes

SPEC = RenderedHeads(identities=9, held_out=3, images=2, size=112)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield rendered_heads(SPEC, quiet=True)


LANDMARK_RECIPES = [name for name in list_recipes() if read_recipe(name).task == "landmarks"]


@pytest.mark.parametrize("name", LANDMARK_RECIPES)
def test_no_identity_of_a_stimulus_set_is_learned_from(name):
    data = read_recipe(name).data
    # bfs has seeds below 100; where the simulated sets begin is tested beside their cards
    assert data.first_seed >= 1000
    assert data.first_seed + data.count <= 100_000
    with pytest.raises(ValidationError, match="belong to the simulated sets"):
        RenderedHeads(identities=9, first_seed=100_000 - 60)


def test_seeds_follow_on_and_the_last_are_held_out(heads):
    assert heads.seed.tolist() == [seed for seed in range(1000, 1012) for _ in range(2)]
    assert heads.head[:6].tolist() == ["human", "human", "monkey", "monkey", "cartoon", "cartoon"]
    assert not set(heads.seed[heads.held_out]) & set(heads.seed[~heads.held_out])
    assert heads.seed[heads.held_out].min() == 1009


def test_rendered_in_processes_as_drawn_here(heads):
    for number in (0, 9, 23):
        drawn = draw(SPEC, number // 2, number % 2)
        np.testing.assert_array_equal(heads.landmarks[number], drawn.landmarks)
        np.testing.assert_array_equal(
            heads.inputs[number], np.rint(area_mean(gray(drawn.image), 112, 112))
        )


def test_images_of_an_identity_differ(heads):
    assert np.abs(heads.landmarks[0] - heads.landmarks[1]).max() > 0.5


def test_action_units_stay_below_their_strongest_use():
    limit = strongest()
    for recipe in RECIPES.values():
        for unit, weight in recipe.items():
            assert limit[unit] >= 1.1 * weight
    for position in range(12):
        units = draw(SPEC, position, 0).action_units
        assert len(units) <= SPEC.units
        assert all(0.1 <= strength <= limit[unit] for unit, strength in units.items())


def test_the_cache_gives_the_same_again(heads, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path))
    small = SPEC.model_copy(update={"identities": 1, "held_out": 3})
    first = rendered_heads(small, quiet=True)
    monkeypatch.setattr("neurofer.training.tasks.heads.run_in_processes", None)
    assert rendered_heads(small, quiet=True).sha256 == first.sha256
    assert small.heads == SPEC.heads
    np.testing.assert_array_equal(first.inputs, heads.inputs[:8])


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ("training/tasks/heads.py", False),
        ("subjects/preprocess.py", False),
        ("training/tasks/landmarks.py", True),
        ("stimuli/packed.py", True),
    ],
)
def test_changed_code_renders_the_heads_again(monkeypatch, source, same):
    before = _key(SPEC)
    monkeypatch.setitem(closure._HASHES, str(closure.PACKAGE / source), "changed")
    assert (_key(SPEC) == before) == same


def test_a_process_that_fails_says_why():
    with pytest.raises(NeuroferError, match=r"neurofer.training.tasks.heads ended with status 1: "):
        run_in_processes(
            "neurofer.training.tasks.heads", ["not json", "nowhere"], [1, 2], lambda: None
        )
