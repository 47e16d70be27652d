from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
    ReduceLROnPlateau,
)

from neurofer.training.checkpoint import Progress
from neurofer.training.optimisers import Optimiser, learning_rate, make_optimiser
from neurofer.training.train import _average as average


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


@pytest.mark.parametrize(
    ("stated", "peer"),
    [
        ({"schedule": "cosine"}, lambda o: CosineAnnealingLR(o, 40)),
        (
            {"schedule": "step", "milestones": (7, 19), "factor": 0.3},
            lambda o: MultiStepLR(o, [7, 19], 0.3),
        ),
        ({"schedule": "constant", "warmup_steps": 9}, lambda o: LinearLR(o, 1 / 9, 1.0, 8)),
    ],
)
def test_schedules_are_torchs(stated: dict[str, object], peer: Callable[..., Any]) -> None:
    made = Optimiser.model_validate({"learning_rate": 0.4, "warmup_steps": 0, **stated})
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    schedule = peer(theirs)
    for step in range(40):
        expected = theirs.param_groups[0]["lr"]
        assert learning_rate(made, step, 40) == pytest.approx(expected, abs=1e-12)
        theirs.step()
        schedule.step()


@given(scores=st.lists(st.integers(0, 5), min_size=1, max_size=30), patience=st.integers(1, 4))
def test_a_plateau_is_torchs(scores: list[int], patience: int) -> None:
    """The rate falls with the `patience`th score that is no better; torch waits for one more."""
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = ReduceLROnPlateau(
        theirs, "max", factor=0.5, patience=patience - 1, threshold=0, min_lr=0, eps=0
    )
    made = Optimiser(learning_rate=1.0, warmup_steps=0, schedule="plateau", factor=0.5)
    progress = Progress()
    for score in scores:
        progress.score(score, patience)
        schedule.step(score)
        found = learning_rate(made, 0, 1, progress.drops)
        assert found == pytest.approx(theirs.param_groups[0]["lr"])
    best = max(scores)
    assert progress.best == best
    assert progress.worse == len(scores) - 1 - scores.index(best)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_running_mean_has_its_closed_form(decay: float) -> None:
    """After steps 0 to n it is the sum of w_i d_i+1 ... d_n (1 - d_i), d_i = min(decay, ...)."""
    weights = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    net, mean = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    start = mean.weight.detach().clone()
    for step, values in enumerate(weights):
        net.weight.data.copy_(values)
        net.num_batches_tracked += 1
        average(mean, net, decay, step)
    decays = [min(decay, (1 + step) / (10 + step)) for step in range(8)]
    expected = start * math.prod(decays)
    for step, values in enumerate(weights):
        expected = expected + values * (1 - decays[step]) * math.prod(decays[step + 1 :])
    torch.testing.assert_close(mean.weight.detach(), expected)
    assert int(mean.num_batches_tracked) == 8  # whole numbers are copied


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
        for frozen in net[0].parameters():  # left from before it was frozen
            frozen.grad = torch.ones_like(frozen)
        optimiser.step()
    assert first is not None
    assert loss.item() < 0.7 * first
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert moved == [False, False, True, True]
