from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from neurofer.training.optimisers import Optimiser, learning_rate, make_optimiser


def test_the_cosine_warms_up_and_falls_to_zero() -> None:
    settings = Optimiser(learning_rate=0.01, warmup_steps=100)
    rates = [learning_rate(settings, step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01 / 100)
    assert max(rates) == pytest.approx(0.01 * 0.5 * (1 + math.cos(math.pi * 0.099)), rel=0.01)
    assert rates[500] == pytest.approx(0.005)
    assert rates[-1] < 1e-6


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"schedule": "constant"}, [1, 1, 1, 1, 1, 1]),
        ({"schedule": "step", "milestones": (2, 4)}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ({"schedule": "step", "milestones": (3,), "factor": 0.5}, [1, 1, 1, 0.5, 0.5, 0.5]),
        ({"schedule": "constant", "warmup_steps": 4}, [0.25, 0.5, 0.75, 1, 1, 1]),
    ],
)
def test_other_schedules(settings: dict[str, object], expected: list[float]) -> None:
    made = Optimiser.model_validate({"learning_rate": 1.0, "warmup_steps": 0, **settings})
    found = [learning_rate(made, step, 6) for step in range(6)]
    assert found == pytest.approx(expected)


def test_a_plateau_lowers_the_rate_once_a_drop() -> None:
    settings = Optimiser(learning_rate=1.0, warmup_steps=0, schedule="plateau", factor=0.2)
    found = [learning_rate(settings, 5, 10, drops) for drops in (0, 1, 2)]
    assert found == pytest.approx([1, 0.2, 0.04])


@pytest.mark.parametrize("kind", ["adamw", "adam", "adamax", "sgd"])
def test_every_optimiser_learns_and_leaves_what_is_frozen(kind: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    net[0].requires_grad_(False)
    before = [parameter.clone() for parameter in net.parameters()]
    settings = Optimiser.model_validate({"kind": kind, "learning_rate": 0.02})
    optimiser = make_optimiser(net.parameters(), settings)
    x, first = torch.randn(16, 2), None
    for _ in range(50):
        loss = (net(x) - x[:, :1] - 1).square().mean()
        first = loss.item() if first is None else first
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert first is not None
    assert loss.item() < 0.7 * first
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert moved == [False, False, True, True]
