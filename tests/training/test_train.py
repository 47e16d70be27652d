from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.subjects.norm_referenced import heatmap
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.training import make_recipe
from neurofer.training.tasks import landmarks
from neurofer.training.tasks.heads import HeadArrays
from neurofer.training.train import train
from neurofer.training.world import World

RECIPE = {
    "name": "tiny",
    "task": "landmarks",
    "data": {"identities": 6, "held_out": 3, "images": 4},
    "channels": [4, 4, 4, 4],
    "steps": 12,
    "batch_size": 4,
    "log_every": 1,
    "checkpoint_every": 5,
    "optimiser": {"learning_rate": 0.01, "warmup_steps": 2, "average": 0.9},
}


def recipe(**changes):
    return make_recipe({**RECIPE, **changes})


def constellations(spec, *, quiet=False) -> HeadArrays:
    """Stand in for rendered heads: thirteen bright dots on gray, moved and scaled at random."""
    random = np.random.default_rng(spec.first_seed)
    count = spec.count * spec.images
    base = np.random.default_rng(0).uniform(60, 164, (13, 2))
    landmarks = (base - 112) * random.uniform(0.8, 1.2, (count, 1, 2)) + 112
    landmarks += random.uniform(-15, 15, (count, 1, 2))
    y, x = np.mgrid[:112, :112] * 2 + 0.5
    squared = (x - landmarks[..., 0, None, None]) ** 2 + (y - landmarks[..., 1, None, None]) ** 2
    images = 60 + 150 * np.exp(-squared / (2 * 4.0**2)).max(1)
    position = np.arange(count) // spec.images
    head = np.array(spec.heads)[position % len(spec.heads)]
    held_out = position >= spec.identities
    inputs = images.astype(np.uint8)
    return HeadArrays(inputs, landmarks, head, position, held_out, "dots", "none")


@pytest.fixture(autouse=True)
def _dots(monkeypatch):
    monkeypatch.setattr(landmarks, "rendered_heads", constellations)


def losses(path) -> dict[int, float]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture
def whole(tmp_path):
    out = tmp_path / "whole.safetensors"
    return out, train(recipe(), out, threads=1)


def test_training_decreases_the_error(tmp_path):
    data = {"heads": ["human"], "identities": 40, "held_out": 8, "images": 2}
    long = recipe(
        data=data,
        steps=80,
        channels=[4, 8, 8, 8],
        checkpoint_every=100,
        augmentation={"shift": 0.03, "zoom": 0.05},
    )
    task = landmarks.Task(long, World())
    torch.manual_seed(0)
    before = task.evaluate(task.net().eval())["all"]
    result = train(long, tmp_path / "net.safetensors", threads=1)
    history = losses(tmp_path / "net.log.jsonl")
    first, last = (np.mean([history[k] for k in r]) for r in (range(1, 11), range(71, 81)))
    assert last < 0.75 * first
    assert result.held_out["all"] < 0.5 * before


def test_what_is_written(whole):
    out, result = whole
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert result.finished
    assert card["sha256"] == sha256_file(out)
    assert card["held_out"] == result.held_out
    assert card["recipe"]["seed"] == 0
    assert card["data"] == {
        "source": "rendered",
        "sha256": "dots",
        "renderer": "none",
        "training_images": 24,
        "held_out_images": 12,
    }
    assert card["command"] == "neurofer train tiny --out whole.safetensors --threads 1"
    files = sorted(path.name for path in out.parent.iterdir())
    assert files == ["whole.json", "whole.log.jsonl", "whole.safetensors"]
    landmarks_found, _ = heatmap.load(out).predict([np.zeros((224, 224, 3), np.uint8)])
    assert landmarks_found.shape == (1, 13, 2)


def test_the_same_seed_gives_the_same_weights(whole, tmp_path):
    train(recipe(), tmp_path / "again.safetensors", threads=1)
    assert sha256_file(whole[0]) == sha256_file(tmp_path / "again.safetensors")
    train(recipe(seed=1), tmp_path / "other.safetensors", threads=1)
    assert sha256_file(whole[0]) != sha256_file(tmp_path / "other.safetensors")


@pytest.mark.parametrize("stop", [1, 5, 8])
def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(whole, tmp_path, monkeypatch, stop):
    out = tmp_path / "parts.safetensors"
    loss = landmarks.Task.losses

    def loss_and_sigterm(self, net, step):
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(self, net, step)

    monkeypatch.setattr(landmarks.Task, "losses", loss_and_sigterm)
    stopped = train(recipe(), out, threads=1)
    assert not stopped.finished
    assert stopped.steps == stop + 1
    assert not out.exists()
    monkeypatch.setattr(landmarks.Task, "losses", loss)
    assert train(recipe(), out, resume=True, threads=1).finished
    assert losses(out.with_suffix(".log.jsonl")) == losses(whole[0].with_suffix(".log.jsonl"))
    assert sha256_file(out) == sha256_file(whole[0])


def test_a_killed_run_goes_on_from_its_last_checkpoint(whole, tmp_path, monkeypatch):
    out = tmp_path / "killed.safetensors"
    loss = landmarks.Task.losses

    def loss_and_death(self, net, step):
        if step == 8:
            raise RuntimeError("the power failed")
        return loss(self, net, step)

    monkeypatch.setattr(landmarks.Task, "losses", loss_and_death)
    with pytest.raises(RuntimeError):
        train(recipe(), out, threads=1)
    monkeypatch.setattr(landmarks.Task, "losses", loss)
    _, about = load_tensors(out.with_suffix(".checkpoint.safetensors"))
    assert about["step"] == 5
    with pytest.raises(NeuroferError, match="go on with --resume"):
        train(recipe(), out, threads=1)
    train(recipe(), out, resume=True, threads=1)
    assert losses(out.with_suffix(".log.jsonl")) == losses(whole[0].with_suffix(".log.jsonl"))
    assert sha256_file(out) == sha256_file(whole[0])


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, monkeypatch):
    out = tmp_path / "net.safetensors"
    loss = landmarks.Task.losses

    def loss_and_sigterm(self, net, step):
        os.kill(os.getpid(), signal.SIGTERM)
        return loss(self, net, step)

    monkeypatch.setattr(landmarks.Task, "losses", loss_and_sigterm)
    train(recipe(), out, threads=1)
    with pytest.raises(NeuroferError, match="belongs to another recipe"):
        train(recipe(steps=13), out, resume=True, threads=1)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(
        landmarks.Task,
        "losses",
        lambda self, net, step: iter([("net", net.read.weight.sum() * float("nan"))]),
    )
    with pytest.raises(NeuroferError, match=r"nan in step 1 .* of 4 stimuli training image \d"):
        train(recipe(), tmp_path / "net.safetensors", threads=1)
    assert not (tmp_path / "net.safetensors").exists()


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(NeuroferError, match=r"must end in .safetensors"):
        train(recipe(), tmp_path / "net.pt")


def test_torch_is_left_as_it_was(whole):
    assert not torch.are_deterministic_algorithms_enabled()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
