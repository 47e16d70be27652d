from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.subjects.networks.siamese import SiameseNet
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.training import images, make_recipe
from neurofer.training.tasks.pairs import Task, draw_pairs
from neurofer.training.train import train
from neurofer.training.world import World

RECIPE = {
    "name": "tiny",
    "task": "verification",
    "data": {"stimuli": "made", "size": 105, "share": 0.3},
    "width": 0.0625,
    "embedding": 16,
    "augmentation": None,
    "steps": 40,
    "batch_size": 16,
    "optimiser": {"learning_rate": 0.003, "warmup_steps": 5, "average": 0.8},
}


def stripes(**parameters: object) -> StimulusSet:
    """People who differ in the pitch of their stripes; images differ in phase and noise."""
    random = np.random.default_rng(0)
    people, count = 20, 6
    x = np.arange(105)
    drawn = []
    for person in range(people):
        for _ in range(count):
            wave = np.sin(x * (0.1 + 0.03 * person) + random.uniform(0, 6.3))
            drawn.append(128 + 90 * wave[None, :, None] + random.normal(0, 5, (105, 105, 1)))
    table = pd.DataFrame(
        {
            "head": "human",
            "identity": np.repeat([str(n) for n in range(people)], count),
            "expression": "neutral",
            "source": "simulated",
        }
    )
    pixels = np.repeat(np.clip(drawn, 0, 255).astype(np.uint8), 3, axis=3)
    return StimulusSet.from_arrays("made", table, pixels)


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: stripes(**kw))


def test_pairs_are_half_of_one_person_and_never_an_image_with_itself() -> None:
    people = [np.arange(5 * n, 5 * n + 5) for n in range(4)]
    first, second, same = draw_pairs(people, 400, np.random.default_rng(0))
    assert same.mean() == 0.5
    np.testing.assert_array_equal(first // 5 == second // 5, same)
    assert (first != second).all()
    assert set(first) == set(second) == set(range(20))
    with pytest.raises(NeuroferError, match="two people or more"):
        draw_pairs(people[:1], 4, np.random.default_rng(0))


def test_the_network_learns_to_tell_people_whom_it_never_saw(tmp_path: Path) -> None:
    result = train(make_recipe(RECIPE), tmp_path / "net.safetensors", threads=1, device="cpu")
    assert result.held_out["verification_auc"] > 0.75
    tensors, about = load_tensors(tmp_path / "net.safetensors")
    options = about["network"]["options"]
    SiameseNet(**options).load_state_dict({key: t.float() for key, t in tensors.items()})


def test_training_and_test_have_no_person_in_common() -> None:
    task = Task(make_recipe(RECIPE), World())
    assert set(task.division.train.table["identity"]).isdisjoint(
        task.division.test.table["identity"]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"stimuli": "made", "size": 100}}, "data.size=100"),
        ({"batch_size": 7}, "batch_size=7"),
    ],
)
def test_what_cannot_be_is_said(change: dict[str, object], message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        Task(make_recipe({**RECIPE, **change}), World())
