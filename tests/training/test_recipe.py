from __future__ import annotations

import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import HEADS
from neurofer.training import list_recipes, make_recipe, read_recipe

GOOD = {"name": "x", "task": "landmarks", "steps": 3, "data": {"identities": 2}}


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_can_be_read_and_has_its_own_name(name):
    assert read_recipe(name).name == name


def test_the_shipped_nets_have_recipes():
    assert {"heatmap", "heatmap-human"} <= set(list_recipes())
    assert read_recipe("heatmap").data.heads == HEADS
    assert read_recipe("heatmap-human").data.heads == ("human",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "key='epochs' is unknown; choose from name, task, seed"),
        (
            {"optimiser": {"averag": 0.5}},
            r"key='averag' is not in the recipe's optimiser; .*did you mean 'average'",
        ),
        (
            {"data": {"identities": 2, "head": "human"}},
            "key='head' is not in the recipe's data; it",
        ),
        ({"data": {"identities": 2, "heads": ["robot"]}}, "choose from human, monkey, cartoon"),
        (
            {"data": {"identities": 2, "first_seed": 5}},
            "data.first_seed=5: .*greater than or equal",
        ),
        ({"data": {"identities": 2, "held_out": 2}}, "data.held_out=2: .*of each of 3 heads"),
        ({"steps": 0}, "steps=0: "),
        (
            {"task": "landmark"},
            "task='landmark' is not in recipe; it has landmarks, .*; did you mean 'landmarks'",
        ),
        ({"precision": "float16"}, "precision='float16': "),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said(change, message):
    with pytest.raises(NeuroferError, match=message):
        make_recipe({**GOOD, **change})


def test_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntask: landmarks\nsteps: 3\ndata: {identities: 2}\n")
    assert read_recipe(path).steps == 3
    path.write_text("- a list")
    with pytest.raises(NeuroferError, match="must be a mapping"):
        read_recipe(path)
    path.write_text("a: [")
    with pytest.raises(NeuroferError, match="is not YAML"):
        read_recipe(path)
    with pytest.raises(NeuroferError, match="recipe='heatmop' is unknown; choose from heatmap"):
        read_recipe("heatmop")
