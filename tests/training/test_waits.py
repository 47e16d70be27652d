"""A training step never waits for the device: checked on a device that only pretends to be far."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from neurofer.stimuli import StimulusSet
from neurofer.stimuli.table import EXPRESSIONS
from neurofer.training import augmentation, images, make_recipe
from neurofer.training import train as module
from neurofer.training.checkpoint import Progress, save_checkpoint
from neurofer.training.optimisers import make_optimiser
from neurofer.training.tasks import autoencoder, landmarks, pairs, supervised
from neurofer.training.world import World
from tests.training.tasks.test_autoencoder import RECIPE as AUTOENCODER
from tests.training.tasks.test_pairs import RECIPE as PAIRS
from tests.training.tasks.test_supervised import RECIPE as SUPERVISED

from .far import FAR, Far, Waits, far_away, moved, sent
from .test_train import RECIPE as LANDMARKS
from .test_train import constellations

CIAO = {"name": "vgg", "options": {"hidden": 8, "scheme": "full", "ciao": True, "width": 0.05}}
AUGMENTED = {"mirror": 0.5, "gray": 0.5, "cover": 0.5}
CASES: dict[str, dict[str, Any]] = {
    "landmarks": {**LANDMARKS, "augmentation": {"cover": 0.5}},
    "category": {**SUPERVISED, "target": {"kind": "category", "balanced": True, "smoothing": 0.1}},
    "augmented": {**SUPERVISED, "augmentation": AUGMENTED},
    "distribution": {**SUPERVISED, "target": {"kind": "distribution"}},
    "mse": {**SUPERVISED, "target": {"kind": "affect"}},
    "ccc": {**SUPERVISED, "target": {"kind": "affect", "error": "ccc"}},
    "labels": {**SUPERVISED, "target": {"kind": "labels"}},
    **{
        f"contrast of {kind}, {negatives}": {
            **SUPERVISED,
            "target": {"kind": kind},
            "network": CIAO,
            "data": {"stimuli": "made", "size": 96},
            "contrast": {"negatives": negatives},
        }
        for kind, negatives in (
            ("category", "other"),
            ("labels", "all"),
            ("affect", "literal"),
            ("distribution", "other"),
        )
    },
    "pairs": {**PAIRS, "augmentation": AUGMENTED},
    "autoencoder": AUTOENCODER,
    "clipped": {**SUPERVISED, "optimiser": {"clip": 0.1, "kind": "sgd"}},
    "normalised": {**SUPERVISED, "network": {**SUPERVISED["network"], "normalise": True}},  # type: ignore[dict-item]
}


def labelled(size: int = 105, **_: object) -> StimulusSet:
    """Noise with every kind of label."""
    random, n = np.random.default_rng(0), 64
    table = pd.DataFrame(
        {
            "head": "human",
            "identity": [f"p{number % 16}" for number in range(n)],
            "expression": [EXPRESSIONS[number // 16] for number in range(n)],
            "source": "simulated",
            "valence": random.uniform(-1, 1, n),
            "arousal": random.uniform(-1, 1, n),
            **{f"votes_{name}": random.random(n) for name in ("happy", "sad", "fear")},
            **{f"label_{name}": (random.random(n) < 0.4).astype(float) for name in "abc"},
        }
    )
    pixels = random.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return StimulusSet.from_arrays("made", table, pixels)


@pytest.fixture
def far_task(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Any]:
    """Return a function that makes the task of a recipe, its data on the far device."""
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: labelled())
    monkeypatch.setattr(landmarks, "rendered_heads", constellations)

    def make(stated: dict[str, Any]) -> Any:
        recipe: Any = make_recipe(stated)
        task: Any = module.import_module(module.TASKS[recipe.task]).Task(recipe, World(device=FAR))
        for user in (augmentation, autoencoder, images, landmarks, pairs, supervised):
            monkeypatch.setattr(user, "sent", sent)
        if hasattr(task, "images"):
            task.images._resident = Far(task.images._resident)
        for name in ("inputs", "cells", "affect", "weights"):
            if isinstance(getattr(task, name, None), torch.Tensor):
                setattr(task, name, Far(getattr(task, name)))
        return task

    return make


def run_of(task: Any) -> Any:
    """Return a training whose networks lie on the far device."""
    torch.manual_seed(0)
    net = task.net()
    mean = moved(copy.deepcopy(net))
    net = moved(net)
    learners = task.learners(net)
    optimisers = {
        name: make_optimiser(parameters, task.recipe.optimiser)
        for name, parameters in learners.items()
    }
    return module._Run(
        task.recipe, task, task.world, Path("x"), {}, net, net, mean, None, learners, optimisers,
        Progress(), None, True, 0.0,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_no_step_waits(case: str, far_task: Callable[[dict[str, Any]], Any]) -> None:
    run = run_of(far_task(CASES[case]))
    before = [parameter.near.clone() for parameter in run.net.parameters()]
    with far_away():
        for step in range(2):
            found, _ = module._step(run, step)
    assert all(isinstance(loss, Far) and torch.isfinite(loss.near) for loss in found.values())
    after = [parameter.near for parameter in run.net.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


WAITING: dict[str, Callable[[torch.Tensor, torch.Tensor], Any]] = {
    "item": lambda far, near: far.sum().item(),
    "truth": lambda far, near: bool((far > 0).all()),
    "a float": lambda far, near: float(far[0]),
    "mask": lambda far, near: far[far > 0],
    "where": lambda far, near: torch.where(far > 0),
    "assigning by a mask": lambda far, near: far.__setitem__(far > 0, 1.0),
    "unique": lambda far, near: far.unique(),
    "to the host": lambda far, near: far.cpu(),
    "to the host by name": lambda far, near: far.to("cpu"),
    "numpy": lambda far, near: far.numpy(),
    "a list": lambda far, near: far.tolist(),
    "mixed": lambda far, near: far + near,
    "sent": lambda far, near: near.to(FAR),
    "sent to its like": lambda far, near: near.to(far.device),
    "made of a list": lambda far, near: torch.tensor([1.0, 2.0], device=far.device),
    "made like": lambda far, near: far.new_tensor([1.0, 2.0]),
    "an index": lambda far, near: far[np.array([0, 1])],
    "indices": lambda far, near: far[[0, 2]],
    "an index of the host": lambda far, near: far[torch.tensor([0, 1])],
    "inverse": lambda far, near: torch.linalg.inv(far[:4].view(2, 2)),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_is_found(name: str) -> None:
    far, near = Far(torch.tensor([1.0, 2.0, -1.0, 5.0])), torch.ones(4)
    with far_away(), pytest.raises((Waits, TypeError)):
        WAITING[name](far, near)


def test_what_does_not_wait_is_computed() -> None:
    far = Far(torch.tensor([1.0, -2.0, 3.0], requires_grad=False))
    net = moved(nn.Linear(3, 2))
    with far_away():
        made = torch.zeros(3, device=far.device) + far.new_ones(3) + torch.arange(3, device=FAR)
        loss = net(torch.where(far > 0, far, 0.0) * made).square().sum()
        loss.backward()
    assert isinstance(loss, Far)
    assert made.near.tolist() == [1.0, 2.0, 3.0]  # type: ignore[attr-defined]


def test_a_checkpoint_is_copied_once_for_each_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And asked once whether it is finite, not once for each tensor."""
    torch.manual_seed(0)
    near = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3))
    near = near.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    far = moved(copy.deepcopy(near))
    copies: list[torch.dtype] = []
    asked: list[int] = []

    def cpu(tensor: Far) -> torch.Tensor:
        copies.append(tensor.dtype)
        return tensor.near

    def tolist(tensor: Far) -> list[Any]:
        asked.append(tensor.numel())
        return tensor.near.tolist()  # type: ignore[no-any-return]

    monkeypatch.setattr(Far, "cpu", cpu, raising=False)
    monkeypatch.setattr(Far, "tolist", tolist, raising=False)
    one, two = tmp_path / "near.safetensors", tmp_path / "far.safetensors"
    save_checkpoint(one, Progress(), {}, {"net": near}, {})
    save_checkpoint(two, Progress(), {}, {"net": far}, {})
    assert sorted(map(str, copies)) == ["torch.float32", "torch.int64"]
    assert asked == [len(near.state_dict())]
    assert one.read_bytes() == two.read_bytes()
