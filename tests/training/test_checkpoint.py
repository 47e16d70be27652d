"""Checkpoints: what they hold, how it lies in memory afterwards, and that one is always there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.training import images, make_recipe
from neurofer.training.checkpoint import Progress, load_checkpoint, previous, save_checkpoint
from neurofer.training.optimisers import Optimiser, make_optimiser
from neurofer.training.tasks.supervised import Task
from neurofer.training.train import train
from tests.training.tasks.test_supervised import RECIPE, shades

KINDS = ["adamw", "adam", "adamax", "sgd"]


def convolutions() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten()
    net: nn.Module = nn.Sequential(*layers, nn.Linear(4 * 36, 2))
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def optimiser_of(net: nn.Module, kind: str, *, fused: bool) -> torch.optim.Optimizer:
    stated = Optimiser.model_validate({"kind": kind, "learning_rate": 0.05})
    return make_optimiser(net.parameters(), stated, fused=fused)


def learn(net: nn.Module, optimiser: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        seen = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
        optimiser.zero_grad()
        net(seen).square().mean().backward()
        optimiser.step()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_optimiser_is_laid_out_as_its_parameters_and_goes_on(
    tmp_path: Path, kind: str, fused: bool
) -> None:
    """Channels last, as fused kernels demand of both."""
    whole, net, again = convolutions(), convolutions(), convolutions()
    optimiser = optimiser_of(whole, kind, fused=fused)
    learn(whole, optimiser, range(6))
    parts = optimiser_of(net, kind, fused=fused)
    learn(net, parts, range(3))
    path = tmp_path / "x.checkpoint.safetensors"
    save_checkpoint(path, Progress(step=3), {}, {"net": net}, {"net": parts})
    resumed = optimiser_of(again, kind, fused=fused)
    assert load_checkpoint(path, {}, {"net": again}, {"net": resumed}).step == 3
    states = [
        (parameter, value)
        for parameter, state in resumed.state.items()
        for value in state.values()
        if value.shape == parameter.shape
    ]
    assert len(states) >= 6
    assert any(p.is_contiguous(memory_format=torch.channels_last) for p, _ in states if p.ndim == 4)
    assert [value.stride() for _, value in states] == [
        parameter.stride() for parameter, _ in states
    ]
    learn(again, resumed, range(3, 6))
    for ours, theirs in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))


@pytest.mark.parametrize("damage", ["cut", "emptied", "one byte", "missing"])
def test_the_checkpoint_before_the_last_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    recipe = make_recipe({**RECIPE, "steps": 8, "checkpoint_every": 2})
    whole, out = tmp_path / "whole.safetensors", tmp_path / "net.safetensors"
    train(recipe, whole, threads=1, device="cpu", quiet=True)
    losses = Task.losses

    def die(self: Task, net: nn.Module, step: int) -> object:
        if step == 7:
            raise RuntimeError("the power failed")
        return losses(self, net, step)

    monkeypatch.setattr(Task, "losses", die)
    with pytest.raises(RuntimeError):
        train(recipe, out, threads=1, device="cpu", quiet=True)
    monkeypatch.setattr(Task, "losses", losses)
    last = out.with_suffix(".checkpoint.safetensors")
    assert [load_tensors(file)[1]["step"] for file in (last, previous(last))] == [6, 4]
    content = bytearray(last.read_bytes())
    content[-5] ^= 1
    if damage == "missing":
        last.unlink()
    else:
        kept = {"cut": len(content) // 2, "emptied": 0, "one byte": len(content)}
        last.write_bytes(content[: kept[damage]])
    with pytest.warns(UserWarning, match=r"going on from .*checkpoint-before"):
        train(recipe, out, resume=True, threads=1, device="cpu", quiet=True)
    assert sha256_file(out) == sha256_file(whole)


def test_one_of_another_version_is_named(tmp_path: Path) -> None:
    path, net = tmp_path / "x.checkpoint.safetensors", convolutions()
    save_checkpoint(path, Progress(), {}, {"net": net}, {})
    with pytest.raises(NeuroferError, match="of another version of neurofer"):
        load_checkpoint(path, {}, {"net": net, "best": net}, {})
