from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.stimuli import StimulusSet
from neurofer.subjects.networks.architectures import make_network
from neurofer.subjects.weight_files.tensors import load_tensors, save_tensors
from neurofer.training import images, make_recipe
from neurofer.training.tasks.autoencoder import AdversarialAutoencoder
from neurofer.training.tasks.supervised import Task, start_from
from neurofer.training.train import train
from neurofer.training.world import World
from tests.training.test_images import made

RECIPE = {
    "name": "tiny",
    "task": "supervised",
    "data": {"stimuli": "made", "size": 24},
    "target": {"kind": "category"},
    "network": {"name": "resnet-18", "options": {"width": 0.0625}},
    "augmentation": {"shift": 0.02, "zoom": 0.02, "roll": 1, "contrast": 0.1},
    "steps": 6,
    "batch_size": 8,
    "log_every": 1,
    "checkpoint_every": 4,
    "optimiser": {"learning_rate": 0.01, "warmup_steps": 1, "average": 0.5},
}


def shades(**parameters: object) -> StimulusSet:
    """Identities whose expressions are four shades of gray, with noise."""
    stimuli = made(identities=20)
    table = stimuli.table
    level = table["expression"].map({"neutral": 40, "happy": 100, "sad": 160, "fear": 220})
    noise = np.random.default_rng(1).integers(-30, 30, (len(table), 24, 24, 3))
    pixels = (level.to_numpy()[:, None, None, None] + noise).clip(0, 255).astype(np.uint8)
    return StimulusSet.from_arrays("made", table, pixels)


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))


def test_a_network_learns_and_is_scored_on_identities_that_it_never_saw(tmp_path: Path) -> None:
    recipe = make_recipe({**RECIPE, "steps": 60, "checkpoint_every": 100})
    result = train(recipe, tmp_path / "net.safetensors", threads=1, device="cpu")
    assert result.held_out["accuracy"] > 90
    assert {"accuracy", "accuracy_human", "accuracy_monkey"} == set(result.held_out)
    card = json.loads((tmp_path / "net.json").read_text("utf-8"))
    assert card["data"]["source"] == "simulated"
    assert card["data"]["outputs"] == ["neutral", "happy", "sad", "fear"]
    tensors, about = load_tensors(tmp_path / "net.safetensors")
    assert about["network"] == {
        "name": "resnet-18",
        "options": {"width": 0.0625},
        "size": 24,
    }
    net = make_network("resnet-18", 4, width=0.0625)
    net.load_state_dict({key: t.float() for key, t in tensors.items()}, strict=True)


def test_nothing_of_the_held_out_identities_is_trained_on() -> None:
    task = Task(make_recipe(RECIPE), World())
    train_set, test_set = task.division.train.table, task.division.test.table
    people = [set(table["head"] + table["identity"]) for table in (train_set, test_set)]
    assert people[0].isdisjoint(people[1])
    assert set(train_set["image_sha256"]).isdisjoint(test_set["image_sha256"])
    assert len(task.images) == len(train_set)


def test_the_contrastive_loss_is_added() -> None:
    plain, contrast = (
        Task(make_recipe({**RECIPE, "augmentation": None, **more}), World())
        for more in ({}, {"contrast": {"temperature": 0.5, "weight": 2.0}})
    )
    torch.manual_seed(0)
    net = plain.net().eval()
    (_, loss), (_, more) = (next(task.losses(net, 0)) for task in (plain, contrast))
    assert abs(more - loss) > 0.1
    with pytest.raises(NeuroferError, match="leave compile out"):
        make_recipe({**RECIPE, "contrast": {}, "compile": True})


def test_verification_refuses_people_that_were_trained_on() -> None:
    stated = {**RECIPE, "verification": {"stimuli": "made", "size": 24}}
    task = Task(make_recipe(stated), World())
    with pytest.raises(NeuroferError, match="identities were trained on"):
        task.evaluate(task.net().eval())


def test_early_stopping_and_the_plateau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "validate", lambda self, net: 50.0)  # never better than at first
    stated = {
        **RECIPE,
        "steps": 100,
        "evaluate_every": 2,
        "patience": 3,
        "optimiser": {**RECIPE["optimiser"], "schedule": "plateau", "patience": 2},  # type: ignore[dict-item]
    }
    result = train(make_recipe(stated), tmp_path / "net.safetensors", threads=1, device="cpu")
    assert result.steps == 8  # the first score, then three that were no better
    lines = (tmp_path / "net.log.jsonl").read_text("utf-8").splitlines()
    rates = [line["learning_rate"] for line in map(json.loads, lines) if "learning_rate" in line]
    assert rates[-1] == pytest.approx(0.1 * rates[1])
    with pytest.raises(NeuroferError, match="need evaluate_every"):
        make_recipe({**stated, "evaluate_every": 0})


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe({**RECIPE, "steps": 10, "checkpoint_every": 2})
    whole = tmp_path / "whole.safetensors"
    train(recipe, whole, threads=1, device="cpu")
    out, losses = tmp_path / "net.safetensors", Task.losses

    def die(self: Task, net: torch.nn.Module, step: int):  # type: ignore[no-untyped-def]
        if step == 7:
            raise RuntimeError("the power failed")
        return losses(self, net, step)

    monkeypatch.setattr(Task, "losses", die)
    with pytest.raises(RuntimeError):
        train(recipe, out, threads=1, device="cpu")
    monkeypatch.setattr(Task, "losses", losses)
    checkpoint = out.with_suffix(".checkpoint.safetensors")
    content = bytearray(checkpoint.read_bytes())
    content[-9] ^= 1
    checkpoint.write_bytes(content)
    with pytest.warns(UserWarning, match=r"wrong content.*going on from .*checkpoint-before"):
        train(recipe, out, resume=True, threads=1, device="cpu")
    assert sha256_file(out) == sha256_file(whole)


def test_starting_weights_are_taken_where_they_fit(tmp_path: Path) -> None:
    one, two = (make_network("resnet-18", outputs, width=0.0625) for outputs in (3, 5))
    save_tensors(tmp_path / "one.safetensors", one.state_dict(), {})
    start_from(two, tmp_path / "one.safetensors")
    torch.testing.assert_close(two.state_dict()["conv1.weight"], one.state_dict()["conv1.weight"])
    assert two.state_dict()["fc.weight"].shape == (5, 32)
    with pytest.raises(NeuroferError, match="no tensor in common"):
        start_from(torch.nn.Linear(2, 2), tmp_path / "one.safetensors")


def test_an_encoder_starts_both_convolutions_of_ciao(tmp_path: Path) -> None:
    encoder = make_network("vgg", 5, width=0.0625, hidden=4)
    save_tensors(tmp_path / "vgg.safetensors", encoder.state_dict(), {})
    net = make_network("vgg", 3, width=0.0625, hidden=8, scheme="decision", ciao=True)
    copied = start_from(net, tmp_path / "vgg.safetensors")
    last = encoder.get_submodule("encoder.conv5_3").weight
    for twin in ("excitatory", "inhibitory"):
        start = net.get_submodule(f"encoder.conv5_3.{twin}").weight
        torch.testing.assert_close(start, last)
    assert copied == 2 * (13 + 1)  # weights and biases, the last convolution's twice


def test_the_encoder_of_an_autoencoder_is_found(tmp_path: Path) -> None:
    autoencoder = AdversarialAutoencoder(width=0.0625)
    save_tensors(tmp_path / "pk.safetensors", autoencoder.state_dict(), {})
    net = make_network("pk", 3, width=0.0625, hidden=8)
    assert start_from(net, tmp_path / "pk.safetensors") == 2 * 4
    found = net.get_submodule("encoder.conv4").weight
    torch.testing.assert_close(
        found, autoencoder.encoder.get_submodule("convolutions.conv4").weight
    )


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """The same global batch, with batch normalisation and the contrastive loss over all of it."""
    stated = {
        **RECIPE,
        "data": {"stimuli": "bfs", "parameters": {"size": 48}, "size": 32},
        "contrast": {"temperature": 0.5},
        "steps": 3,
        "batch_size": 16,
        "store": "float32",
        "precision": "float64",
        "optimiser": {"kind": "sgd", "learning_rate": 0.02, "warmup_steps": 0, "average": 0},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(stated), "utf-8")
    common = ["-m", "neurofer", "train", str(tmp_path / "recipe.yaml"), "--device", "cpu"]
    common += ["--threads", "1", "--quiet", "--out"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([sys.executable, *common, str(tmp_path / "one.safetensors")], check=True)
    subprocess.run(
        [sys.executable, *launch, *common, str(tmp_path / "two.safetensors")], check=True
    )
    one, two = (load_tensors(tmp_path / f"{name}.safetensors")[0] for name in ("one", "two"))
    for key, values in one.items():
        torch.testing.assert_close(two[key], values, atol=1e-5, rtol=1e-5)
    torch.manual_seed(0)
    start = make_network("resnet-18", 7, width=0.0625).state_dict()
    moved = max((one[key] - start[key]).abs().max() for key in one if "running" not in key)
    assert moved > 2e-3  # two hundred times what is allowed to differ
    card = json.loads((tmp_path / "two.json").read_text("utf-8"))
    assert card["processes"] == 2
    logs = [(tmp_path / f"{name}.log.jsonl").read_text("utf-8") for name in ("one", "two")]
    first = [json.loads(log.splitlines()[0])["loss"] for log in logs]
    assert first[0] == pytest.approx(first[1], abs=1e-5)
