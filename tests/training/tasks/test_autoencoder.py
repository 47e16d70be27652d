from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.subjects.networks import prior_knowledge
from neurofer.subjects.networks.encoders import pk_encoder
from neurofer.subjects.networks.prior_knowledge import Encoder
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.training import images, make_recipe
from neurofer.training.tasks import autoencoder
from neurofer.training.tasks.autoencoder import AdversarialAutoencoder, Task, judged
from neurofer.training.train import train
from neurofer.training.world import World
from tests.training.test_images import made

RECIPE = {
    "name": "tiny",
    "task": "autoencoder",
    "data": {"stimuli": "made", "size": 96},
    "width": 0.125,
    "steps": 40,
    "batch_size": 8,
    "log_every": 1,
    "optimiser": {"kind": "adam", "learning_rate": 0.002, "betas": [0.5, 0.999], "warmup_steps": 1,
                  "average": 0.8},
}  # fmt: skip


def plain(**parameters: object) -> StimulusSet:
    """Images that are dark or bright all over."""
    table, random = made().table, np.random.default_rng(0)
    levels = random.choice([30, 225], (len(table), 1, 1, 1)) + random.integers(
        -9, 9, (len(table), 1, 1, 3)
    )
    return StimulusSet.from_arrays("made", table, np.tile(levels.astype(np.uint8), (1, 96, 96, 1)))


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: plain(**kw))


def test_it_learns_to_reconstruct_and_its_encoder_is_the_one_of_ciao(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The published weights start small, which suits full width; so narrow a net would learn slowly.
    monkeypatch.setattr(prior_knowledge, "initialise", lambda module: None)
    recipe = make_recipe(RECIPE)
    result = train(recipe, tmp_path / "net.safetensors", threads=1, device="cpu")
    assert 0 < result.held_out["reconstruction_error"] < 1
    log = [json.loads(line) for line in (tmp_path / "net.log.jsonl").read_text().splitlines()]
    losses = [line["loss_autoencoder"] for line in log if "loss_autoencoder" in line]
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:8])
    assert {"loss_critics", "loss_autoencoder"} <= set(log[0])
    tensors, _ = load_tensors(tmp_path / "net.safetensors")
    assert {key.split(".")[0] for key in tensors} == {"encoder", "generator"}
    start = "encoder.convolutions."
    encoder = {k.removeprefix(start): t.float() for k, t in tensors.items() if k.startswith(start)}
    pk_encoder(width=0.125).load_state_dict(encoder)


def test_each_turn_moves_its_own_networks_only() -> None:
    task = Task(make_recipe(RECIPE), World())
    torch.manual_seed(0)
    net = task.net()
    assert isinstance(net, AdversarialAutoencoder)
    learners = task.learners(net)
    turns = task.losses(net, 0)
    for name, other in (("critics", "autoencoder"), ("autoencoder", "critics")):
        found, loss = next(turns)
        assert found == name
        net.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in learners[name])
        if name == "critics":  # detached: deceiving is not its business
            assert all(parameter.grad is None for parameter in learners[other])
    own = {id(p) for p in learners["critics"]}
    assert own.isdisjoint(id(p) for p in learners["autoencoder"])


def test_the_cross_entropy_has_its_closed_form() -> None:
    logits = torch.tensor([0.3, -2.0])
    torch.testing.assert_close(judged(logits, True), -torch.sigmoid(logits).log().mean())
    torch.testing.assert_close(judged(logits, False), -(1 - torch.sigmoid(logits)).log().mean())


def test_identity_is_compared_by_a_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    from neurofer.subjects.trunk import Trunk, untrained_weights

    monkeypatch.setattr(
        autoencoder, "load_trunk", lambda name: Trunk(untrained_weights(width=2), "vgg16")
    )
    task = Task(make_recipe({**RECIPE, "weights": {"identity": 0.3}}), World())
    images = torch.rand(2, 3, 96, 96) * 2 - 1
    assert task._perceptual(images, images).item() == 0
    other = (images * 0.5).requires_grad_(True)
    difference = task._perceptual(images, other)
    difference.backward()
    assert difference > 0
    assert other.grad is not None
    assert other.grad.abs().max() > 0


def test_affect_is_asked_for_where_it_is_not_known() -> None:
    with pytest.raises(NeuroferError, match=r"weights.affect=0.1 needs the columns valence and"):
        Task(make_recipe({**RECIPE, "weights": {"affect": 0.1}}), World())


def test_encoder_features_do_not_depend_on_the_latent_layer() -> None:
    encoder = Encoder(width=0.0625)
    assert encoder.features(torch.zeros(1, 3, 96, 96)).shape == (1, 32, 6, 6)
