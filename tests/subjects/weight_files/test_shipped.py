from __future__ import annotations

import json

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.recording import record
from neurofer.stimuli import load_stimuli
from neurofer.subjects import load_subject
from neurofer.subjects.weight_files.shipped import FOLDER, list_shipped, weight_file
from neurofer.training import list_recipes, make_recipe, read_recipe

COMPACT = [name for name in list_shipped() if name.endswith("-compact")]
MEGABYTE = 2**20

# Weight file -> score on its card -> what it has to reach.
REACHED = {
    "cornet-s-compact": {"accuracy": 90.0},
    "resnet-50-identity-compact": {"accuracy": 95.0, "verification_auc": 0.95},
    "resnet-50-identity-1-compact": {"verification_auc": 0.95},
    "resnet-50-identity-3-compact": {"verification_auc": 0.95},
    "siamese-compact": {"verification_auc": 0.9},
}


def card(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def test_every_compact_recipe_is_shipped_and_small() -> None:
    assert [name for name in list_recipes() if name.endswith("-compact")] == COMPACT
    sizes = [weight_file(name).stat().st_size for name in COMPACT]
    assert max(sizes) <= 4 * MEGABYTE
    assert sum(sizes) <= 24 * MEGABYTE


@pytest.mark.parametrize("name", COMPACT)
def test_a_card_is_of_its_file_and_of_the_recipe_that_is_there(name: str) -> None:
    stated = card(name)
    assert stated["sha256"] == sha256_file(weight_file(name))
    assert make_recipe(stated["recipe"]) == read_recipe(name)  # keys that are newer are at rest
    assert stated["data"]["source"] == "rendered"
    assert name in stated["command"]
    assert stated["held_out"]
    table = (FOLDER / "README.md").read_text("utf-8")
    assert f"`{name}`" in table


@pytest.mark.parametrize(("name", "least"), REACHED.items())
def test_scores_on_cards_reach_what_was_asked(name: str, least: dict[str, float]) -> None:
    held_out = card(name)["held_out"]
    for score, limit in least.items():
        assert held_out[score] >= limit


@pytest.mark.parametrize("encoder", ["vgg", "pk"])
def test_ciao_on_a_decision_layer_is_above_the_decision_layer_alone(encoder: str) -> None:
    alone, ciao = (card(f"ciao-{encoder}-decision{kind}-compact") for kind in ("", "-ciao"))
    assert alone["data"]["held_out_content"] == ciao["data"]["held_out_content"]
    assert ciao["held_out"]["accuracy"] > alone["held_out"]["accuracy"]


def test_cornet_s_names_expressions_of_people_that_nobody_trained_on() -> None:
    unseen = load_stimuli(
        "identities-sim", identities=8, images=7, first_seed=350_000, size=112, progress=False
    )
    said = record(load_subject("cornet-s"), unseen, sites=["decoder.linear"])
    labels = np.array(load_subject("cornet-s").sites["decoder.linear"].labels)
    right = labels[said.values.argmax(1)] == unseen.table["expression"].to_numpy()
    assert right.mean() > 0.85
    assert not said["in_training"].values.any()


def test_weights_are_named_or_a_path() -> None:
    assert weight_file("heatmap") == FOLDER / "heatmap.safetensors"
    assert str(weight_file("mine/net.safetensors")) == "mine/net.safetensors"
    with pytest.raises(NeuroferError, match=r"weights='cornet'.*cornet-s-compact.*path"):
        weight_file("cornet")
