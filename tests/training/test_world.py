"""The processes of a training, and how networks lie in their memory."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from neurofer.subjects.networks.architectures import make_network
from neurofer.training import images, make_recipe, train
from neurofer.training import world as world_module
from neurofer.training.checkpoint import Progress
from neurofer.training.tasks.supervised import Task
from neurofer.training.world import World, channels_last, spoils_memory
from tests.training.tasks.test_supervised import RECIPE, shades


@pytest.mark.parametrize(
    ("layer", "unsafe"),
    [
        (nn.Conv2d(8, 16, 1, stride=2), True),
        (nn.Conv2d(4, 16, 1, stride=(1, 2)), True),
        (nn.Conv2d(9, 16, 1, stride=2), False),
        (nn.Conv2d(8, 16, 1), False),
        (nn.Conv2d(8, 16, 3, stride=2), False),
        (nn.Linear(8, 2), False),
    ],
)
def test_where_torch_would_write_beyond_its_arrays(layer: nn.Module, unsafe: bool) -> None:
    assert spoils_memory(nn.Sequential(nn.ReLU(), layer)) == unsafe


@pytest.mark.parametrize(("width", "last"), [(0.0625, False), (0.125, False), (0.25, True)])
def test_narrow_networks_are_trained_channels_first(
    monkeypatch: pytest.MonkeyPatch, width: float, last: bool
) -> None:
    """Their first shortcut has four, eight and sixteen channels."""
    net = channels_last(make_network("resnet-18", 2, width=width))
    kernel = net.get_parameter("layer1.0.conv1.weight")
    assert kernel.is_contiguous(memory_format=torch.channels_last) == last
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))
    recipe: Any = make_recipe(
        {**RECIPE, "network": {"name": "resnet-18", "options": {"width": width}}}
    )
    task = Task(recipe, World())
    net, seen = task.net(), []
    net.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    next(task.losses(net, 0))
    assert seen[0].is_contiguous(memory_format=torch.channels_last) == last


def test_a_world_of_one_asks_nobody() -> None:
    world, rows = World(), torch.arange(3.0)
    assert world.agreed(0.25) == 0.25
    assert world.any(True)
    assert not world.any(False)
    assert torch.equal(world.gather(rows), rows)


def noise_of(world: World, step: int) -> float:
    """Return the first random number of torch in a step of one process."""
    drawn: list[float] = []

    class Draws:
        def losses(self, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
            drawn.append(torch.rand(()).item())
            return iter(())

    net = nn.Linear(1, 1)
    run: Any = SimpleNamespace(
        recipe=make_recipe(RECIPE), world=world, task=Draws(), net=net, module=net, mean=net,
        progress=Progress(),
    )  # fmt: skip
    train._step(run, step)
    return drawn[0]


def test_every_process_has_noise_of_its_own_and_one_alone_the_seeds() -> None:
    """Dropout would otherwise hide the same units in every share of a batch."""
    found = {(rank, step): noise_of(World(rank, 3), step) for rank in range(3) for step in range(4)}
    assert len(set(found.values())) == len(found)
    torch.manual_seed(RECIPE.get("seed", 0) * 1_000_003 + 2)  # type: ignore[operator]
    expected = torch.rand(()).item()
    assert noise_of(World(), 2) == expected


def test_scores_are_judged_by_the_first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two processes find other scores, both go by one."""
    sent: list[float] = []

    def broadcast(tensor: torch.Tensor, source: int) -> None:
        assert source == 0
        if sent:
            tensor.fill_(sent[0])
        else:
            sent.append(tensor.item())

    monkeypatch.setattr(world_module.distributed, "broadcast", broadcast)
    assert [World(rank, 2).agreed(value) for rank, value in ((0, 0.7), (1, 0.6))] == [0.7, 0.7]
