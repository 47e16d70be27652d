"""The loop against a plain one: its random numbers, its running mean, and what it ships."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.training import images, make_recipe
from neurofer.training.recipe import TASKS as TASK_MODULES
from neurofer.training.tasks import landmarks, pairs
from neurofer.training.tasks.supervised import Task
from neurofer.training.train import TrainingResult, train
from neurofer.training.world import World
from tests.training.tasks.test_autoencoder import RECIPE as AUTOENCODER
from tests.training.tasks.test_pairs import RECIPE as PAIRS
from tests.training.tasks.test_supervised import RECIPE, shades

from .test_images import made
from .test_train import RECIPE as LANDMARKS
from .test_train import constellations

LOSSES = Task.losses


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))


def run(out: Path, **changes: Any) -> TrainingResult:
    recipe = make_recipe({**RECIPE, "store": "float32", **changes})
    return train(recipe, out, threads=1, device="cpu", quiet=True)


def drawn(monkeypatch: pytest.MonkeyPatch, out: Path, **changes: Any) -> list[np.ndarray]:
    """Return torch's first random numbers in every step."""
    found: list[np.ndarray] = []

    def losses(self: Task, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        found.append(torch.rand(4).numpy())
        return LOSSES(self, net, step)

    monkeypatch.setattr(Task, "losses", losses)
    run(out, **changes)
    return found


def test_every_step_has_its_own_noise_and_every_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, again, other = (
        np.array(drawn(monkeypatch, tmp_path / f"{name}.safetensors", seed=seed))
        for name, seed in (("one", 3), ("again", 3), ("other", 4))
    )
    assert len(np.unique(one, axis=0)) == RECIPE["steps"]
    np.testing.assert_array_equal(one, again)
    assert not (one == other).any()


TASKS: dict[str, dict[str, Any]] = {
    "supervised": RECIPE,
    "landmarks": LANDMARKS,
    "verification": {**PAIRS, "augmentation": {}},
    "autoencoder": AUTOENCODER,
    "autoencoder, augmented": {**AUTOENCODER, "augmentation": {}},
}


@pytest.mark.parametrize("name", TASKS)
def test_every_step_draws_otherwise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One net and one batch: only what is drawn at random in a step can change the losses."""
    size = 105 if name == "verification" else 96
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: made(size=size))
    monkeypatch.setattr(landmarks, "rendered_heads", constellations)
    recipe = make_recipe(TASKS[name])
    task: Any = import_module(TASK_MODULES[recipe.task]).Task(recipe, World())
    monkeypatch.setattr(task, "positions", lambda step: np.arange(4))
    rows = np.arange(recipe.batch_size)
    monkeypatch.setattr(pairs, "draw_pairs", lambda *_: (rows, rows[::-1], rows % 2 == 0))
    torch.manual_seed(0)
    net = task.net().eval()
    one, two, again = (
        torch.stack([loss.detach() for _, loss in task.losses(net, step)]) for step in (0, 1, 1)
    )
    assert not torch.equal(one, two)
    assert torch.equal(two, again)


def replayed(recipe: Any) -> nn.Module:
    """The running mean of plain steps, with weights min(decay, (1 + n) / (10 + n)) for the old."""
    task = Task(recipe, World())
    torch.manual_seed(recipe.seed)
    net = task.net()
    mean = copy.deepcopy(net)
    stated = recipe.optimiser
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=stated.weight_decay)
    for step in range(recipe.steps):
        warm = min(1.0, (step + 1) / stated.warmup_steps)
        falling = 0.5 * (1 + np.cos(np.pi * step / recipe.steps))
        optimiser.param_groups[0]["lr"] = stated.learning_rate * warm * falling
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        net.train()
        for _, loss in task.losses(net, step):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        old = min(stated.average, (1 + step) / (10 + step))
        for ours, theirs in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
            if ours.is_floating_point():
                ours.mul_(old).add_(theirs, alpha=1 - old)
    return mean


@pytest.mark.parametrize("decay", [0.0, 0.2, 0.998])
def test_what_is_shipped_is_the_running_mean_whose_start_fades(
    tmp_path: Path, decay: float
) -> None:
    optimiser = {**RECIPE["optimiser"], "average": decay}  # type: ignore[dict-item]
    recipe = make_recipe({**RECIPE, "store": "float32", "optimiser": optimiser})
    run(tmp_path / "net.safetensors", optimiser=optimiser)
    found, _ = load_tensors(tmp_path / "net.safetensors")
    for name, value in replayed(recipe).state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


SCORES = (10.0, 30.0, 20.0, 25.0, 30.0, 5.0)


@pytest.mark.parametrize(("patience", "taken", "best"), [(2, 4, 2), (4, 6, 2), (9, 6, 2)])
def test_early_stopping_ships_the_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int, taken: int, best: int
) -> None:
    validated: list[dict[str, torch.Tensor]] = []

    def validate(self: Task, net: nn.Module) -> float:
        validated.append({key: value.clone() for key, value in net.state_dict().items()})
        return SCORES[len(validated) - 1]

    monkeypatch.setattr(Task, "validate", validate)
    evaluated: list[nn.Module] = []

    def evaluate(self: Task, net: nn.Module) -> dict[str, float]:
        evaluated.append(net)
        return {}

    monkeypatch.setattr(Task, "evaluate", evaluate)
    out = tmp_path / "net.safetensors"
    assert run(out, evaluate_every=1, patience=patience).steps == taken
    found, _ = load_tensors(out)
    for name, value in validated[best - 1].items():
        assert torch.equal(found[name].to(value.dtype), value)
        assert torch.equal(evaluated[0].state_dict()[name], value)
    assert json.loads(out.with_suffix(".json").read_text("utf-8"))["best_step"] == best


def test_a_stopped_run_remembers_the_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter(SCORES[:4] + SCORES[:4])
    monkeypatch.setattr(Task, "validate", lambda self, net: next(scores))
    options = {"evaluate_every": 1, "patience": 2, "checkpoint_every": 1}
    run(tmp_path / "whole.safetensors", **options)

    def losses(self: Task, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        if step == 3:
            raise RuntimeError("the power failed")
        return LOSSES(self, net, step)

    parts = tmp_path / "parts.safetensors"
    monkeypatch.setattr(Task, "losses", losses)
    with pytest.raises(RuntimeError):
        run(parts, **options)
    monkeypatch.setattr(Task, "losses", LOSSES)
    recipe = make_recipe({**RECIPE, "store": "float32", **options})
    train(recipe, parts, resume=True, threads=1, device="cpu", quiet=True)
    one, two = (load_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_without_patience_the_last_weights_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "validate", lambda self, net: 0.0)
    data = {"stimuli": "made", "size": 24, "validation": 0}
    run(tmp_path / "one.safetensors", data=data)
    run(tmp_path / "two.safetensors", data=data, evaluate_every=2)
    one, two = (load_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
