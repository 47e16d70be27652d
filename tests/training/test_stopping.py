"""SIGTERM and Ctrl-C: the step is finished and kept; where none is taken, they act at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from neurofer.files import sha256_file
from neurofer.subjects.weight_files.tensors import read_about
from neurofer.training import images, make_recipe
from neurofer.training.stopping import SIGNALS, Stopped, stopping
from neurofer.training.tasks.supervised import Task
from neurofer.training.train import TrainingResult, train
from tests.training.tasks.test_supervised import RECIPE, shades

LOSSES, EVALUATE = Task.losses, Task.evaluate
BOTH = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))


def run(out: Path, **options: Any) -> TrainingResult:
    recipe = make_recipe({**RECIPE, "steps": 8, "checkpoint_every": 100})
    return train(recipe, out, threads=1, device="cpu", quiet=True, **options)


@BOTH
def test_a_signal_in_a_step_leaves_a_checkpoint_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = [signal.getsignal(one) for one in SIGNALS]
    whole, out = tmp_path / "whole.safetensors", tmp_path / "net.safetensors"
    run(whole)

    def losses(self: Task, net: torch.nn.Module, step: int) -> Any:
        if step == 4:
            os.kill(os.getpid(), number)
        return LOSSES(self, net, step)

    monkeypatch.setattr(Task, "losses", losses)
    result = run(out)
    assert (result.finished, result.steps, result.signal) == (False, 5, number)
    assert read_about(out.with_suffix(".checkpoint.safetensors"))["step"] == 5
    taken: list[int] = []

    def counted(self: Task, net: torch.nn.Module, step: int) -> Any:
        taken.append(step)
        return LOSSES(self, net, step)

    monkeypatch.setattr(Task, "losses", counted)
    assert run(out, resume=True).finished
    assert taken == [5, 6, 7]
    assert sha256_file(out) == sha256_file(whole)
    assert [signal.getsignal(one) for one in SIGNALS] == before


@BOTH
def test_a_signal_while_the_data_are_made_acts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    ended: list[float] = []

    def render(name: str, progress: object, **_: Any) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            ended.append(time.monotonic())
        raise AssertionError("the stimuli were rendered to the end")

    monkeypatch.setattr(images, "load_stimuli", render)
    result = run(tmp_path / "net.safetensors")
    assert (result.finished, result.steps, result.signal) == (False, 0, number)
    assert len(ended) == 1
    assert not list(tmp_path.iterdir())


@BOTH
def test_a_signal_in_the_last_evaluation_leaves_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    out = tmp_path / "net.safetensors"
    monkeypatch.setattr(Task, "evaluate", lambda self, net: os.kill(os.getpid(), number))
    result = run(out)
    assert (result.finished, result.steps, result.signal) == (False, 8, number)
    monkeypatch.setattr(Task, "evaluate", EVALUATE)
    monkeypatch.setattr(Task, "losses", None)
    assert run(out, resume=True).finished


def test_a_second_signal_does_not_wait() -> None:
    with stopping() as stop, stop.after_the_step():
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGINT)
