"""What every recipe that comes with the package keeps to; a new one is found by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from neurofer.stimuli import StimulusSet
from neurofer.stimuli.catalogue import list_stimuli, stimuli_card
from neurofer.subjects.networks.architectures import make_network
from neurofer.subjects.networks.siamese import SiameseNet
from neurofer.training import images, list_recipes, make_recipe, read_recipe, train
from neurofer.training.images import ImageData
from neurofer.training.recipe import recipe_summary
from neurofer.training.tasks.autoencoder import AdversarialAutoencoder
from neurofer.training.world import World

NAMES = pytest.mark.parametrize("name", list_recipes())
PUBLISHED = [
    name
    for name in list_recipes()
    if not name.endswith("-compact") and not name.startswith("heatmap")
]
_CIAO_VGG = (4608 + 1) * 500 + (500 + 1) * 8  # the decision layer, which the paper does not print
_CIAO_PK = (18432 + 1) * 500 + (500 + 1) * 8
_VGG, _PK = 14_714_688, 4_306_560  # "around 15 million", "a total of 4 million"
_MASK = {"vgg": 2_359_808 + 512, "pk": 3_277_312 + 512}
# Outputs, and parameters. CORnet-S without its decoder has 52,903,616; ResNet-50 without its last
# layer 23,508,032 and the small-stemmed ResNet-18 11,168,832 (He et al. 2016's block by block);
# Koch's Siamese network has 38,951,745; VGG16's 13 convolutions 14,714,688.
SIZES: dict[str, tuple[int, int]] = {
    "cornet-s": (8, 52_903_616 + 513 * 8),
    "resnet-50-identity": (8631, 23_508_032 + 2049 * 8631),
    "resnet-18-identity": (1503, 11_168_832 + 513 * 1503),
    "vgg-identity": (8631, _VGG + 4609 * 4096 + 4097 * 8631),
    # ResNet-50v2 and VGG19 of 1,000 classes have 25,568,360 and 143,667,240.
    "resnet-50v2": (8, 25_568_360 - 2049 * 992),
    "vgg19": (8, 143_667_240 - 4097 * 992),
    # Eleven convolutions, the last two of which are twins, their integration term and dense layers.
    "face-channel": (2, 9 * 307_264 + 1_792 + 2_560 + 256 + 4097 * 200 + 402),
    "siamese": (1, 38_951_745),
    "prior-knowledge": (0, _PK + 921_650),  # the encoder, with its latent layer
    "ciao-affectnet": (8, _VGG + _MASK["vgg"] + _CIAO_VGG),
    "ciao-affectnet-mse": (2, _VGG + _MASK["vgg"] + _CIAO_VGG - 6 * 501),
    "ciao-affectnet-ccc": (2, _VGG + _MASK["vgg"] + _CIAO_VGG - 6 * 501),
    "ciao-fer2013": (7, _VGG + _MASK["vgg"] + _CIAO_VGG - 501),
    "ciao-jaffe": (7, _VGG + _MASK["vgg"] + _CIAO_VGG - 501),
    "ciao-emoreact": (8, _VGG + _MASK["vgg"] + _CIAO_VGG),
    **{
        f"ciao-{encoder}-{scheme}{ciao}": (8, count + head + (_MASK[encoder] if ciao else 0))
        for encoder, count, head in (("vgg", _VGG, _CIAO_VGG), ("pk", _PK, _CIAO_PK))
        for scheme in ("full", "last-convolution", "decision")
        for ciao in ("", "-ciao")
    },
}


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def stated_data(recipe: Any) -> list[ImageData]:
    more = [*getattr(recipe, "tests", {}).values(), getattr(recipe, "verification", None)]
    return [data for data in (recipe.data, *more) if isinstance(data, ImageData)]


def network(name: str, outputs: int) -> nn.Module:
    recipe: Any = read_recipe(name)
    if recipe.task == "verification":
        return SiameseNet(width=recipe.width, embedding=recipe.embedding)
    if recipe.task == "autoencoder":
        return AdversarialAutoencoder(width=recipe.width).encoder
    return make_network(recipe.network.name, outputs, **recipe.network.options)


@NAMES
def test_a_recipe_says_in_a_line_what_it_is_for(name: str) -> None:
    assert 30 < len(recipe_summary(name)) <= 100
    assert recipe_summary(name).endswith((".", ":", ","))


@NAMES
def test_its_stimuli_are_registered_and_take_its_parameters(name: str) -> None:
    for data in stated_data(read_recipe(name)):
        assert data.stimuli in list_stimuli()
        card: Any = stimuli_card(data.stimuli)
        if card.kind == "licensed":
            assert set(data.parameters) <= set(card.parameters())
            assert {"subset", "rule"} & set(card.parameters()) <= {*data.parameters, "subset"}
            if "subset" in data.parameters:
                assert data.parameters["subset"] in card.subsets


@NAMES
def test_its_schedule_ends_within_its_steps(name: str) -> None:
    recipe = read_recipe(name)
    optimiser = recipe.optimiser
    assert optimiser.warmup_steps < recipe.steps
    assert bool(optimiser.milestones) == (optimiser.schedule == "step")
    assert list(optimiser.milestones) == sorted(set(optimiser.milestones))
    assert all(0 < milestone < recipe.steps for milestone in optimiser.milestones)
    if recipe.evaluate_every:
        assert recipe.evaluate_every * max(1, recipe.patience) < recipe.steps


def test_every_published_recipe_is_in_the_table() -> None:
    assert set(PUBLISHED) == set(SIZES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_its_network_has_the_published_parameters(name: str) -> None:
    outputs, count = SIZES[name]
    with torch.device("meta"):
        net = network(name, outputs)
    assert parameters(net) == count


def everything(**_: object) -> StimulusSet:
    """Noise with every kind of label that a recipe asks for."""
    random, n = np.random.default_rng(0), 48
    expressions = ["neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"]
    affects = ["curiosity", "uncertainty", "excitement", "happiness", "surprise", "disgust"]
    votes = random.dirichlet(np.ones(8), n)
    table = pd.DataFrame(
        {
            "head": "human",
            "identity": np.repeat(np.arange(12), 4).astype(str),
            "expression": [expressions[i % 8] for i in range(n)],
            "split": ["train", "train", "train", "val", "train", "test"] * 8,
            "source": "simulated",
            "session": [f"clip {number}" for number in range(n)],
            **{f"target_{name}": votes[:, i] for i, name in enumerate(expressions)},
            **{f"label_{name}": random.random(n) < 0.4 for name in affects},
            "valence": random.uniform(-1, 1, n),
            "arousal": random.uniform(-1, 1, n),
        }
    )
    pixels = random.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    return StimulusSet.from_arrays("made", table, pixels)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_step_of_it_can_be_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On noise and in a narrow network; the learners' gradients are finite and not all zero."""
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **_: everything())
    recipe = read_recipe(name).model_dump(mode="json")
    recipe |= {"precision": "float32", "batch_size": 8}
    if recipe["data"].get("validation"):
        recipe["data"]["validation"] = 0.34
    if recipe["task"] == "supervised":
        recipe["network"]["options"] |= {"width": 0.05}
        recipe["data"] |= {"share": 0.25, "people": None}
        if recipe["network"]["name"] not in ("vgg", "pk", "face-channel"):
            recipe["data"]["size"] = 32
    else:
        recipe["width"] = 0.05
    if recipe["task"] == "autoencoder":
        recipe["weights"]["identity"] = 0.0  # its trunk is fetched
    task: Any = train.import_module(train.TASKS[recipe["task"]]).Task(make_recipe(recipe), World())
    torch.manual_seed(0)
    net = task.net()
    learners = task.learners(net)
    for turn, loss in task.losses(net, 0):
        assert torch.isfinite(loss)
        net.zero_grad()
        loss.backward()
        moved = [p.grad.abs().max() for p in learners[turn] if p.grad is not None]
        assert max(moved) > 0
        assert torch.isfinite(torch.stack(moved)).all()
    assert all(np.isfinite(value) for value in task.evaluate(net.eval()).values())
