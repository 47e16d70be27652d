"""A training on a disk that fails at each of its operations: --resume ends in the same bytes."""

from __future__ import annotations

import contextlib
import json
import warnings
from pathlib import Path

import pytest
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.training import images, make_recipe
from neurofer.training.places import kept
from neurofer.training.tasks.supervised import Task
from neurofer.training.train import train
from tests.faults import FAULTS, Disk, Killed
from tests.training.tasks.test_supervised import RECIPE, shades

STATED = {
    **RECIPE,
    "data": {**RECIPE["data"], "size": 16},  # type: ignore[dict-item]
    "augmentation": None,
    "steps": 3,
    "batch_size": 4,
    "checkpoint_every": 1,
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty milliseconds a run."""
    stimuli = shades()
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: stimuli)
    monkeypatch.setattr(
        Task,
        "net",
        lambda self: nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, 4)),
    )


def run(out: Path) -> None:
    """Train as a user does who goes on where there is a checkpoint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # checkpoints that were damaged are named
        train(make_recipe(STATED), out, resume=bool(kept(out)), threads=1, device="cpu", quiet=True)


def content(out: Path) -> tuple[bytes, dict[str, object], list[object]]:
    """Return the weights, what the card says but how long it took, and the losses of the log."""
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    lines = out.with_suffix(".log.jsonl").read_text("utf-8").splitlines()
    losses = [json.loads(line).get("loss") for line in lines]
    return out.read_bytes(), {k: v for k, v in card.items() if k != "seconds"}, losses


def says_so_or_is_whole(file: Path) -> None:
    try:
        load_tensors(file)
    except NeuroferError as error:
        assert file.name in str(error)  # noqa: PT017  (what is whole may be read)


@pytest.fixture
def expected(tmp_path: Path) -> tuple[bytes, dict[str, object], list[object]]:
    whole = tmp_path / "whole" / "net.safetensors"
    run(whole)
    return content(whole)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_training_goes_on_after_a_fault_at_every_operation(
    tmp_path: Path, expected: tuple[bytes, dict[str, object], list[object]], fault: str
) -> None:
    with Disk(tmp_path) as disk:
        run(tmp_path / "counted" / "net.safetensors")
    operations = disk.operations
    assert len(operations) > 35
    assert {"write .safetensors", "write .jsonl", "write .json", "rename"} <= set(operations)
    for at in range(1, len(operations) + 1):
        out = tmp_path / f"{fault}-{at}" / "net.safetensors"
        with Disk(tmp_path, at, fault), contextlib.suppress(Killed, OSError, NeuroferError):
            run(out)
        place = f"{fault} at {at}: {operations[at - 1]}"
        for file in kept(out):
            says_so_or_is_whole(file)
        assert not out.exists() or out.read_bytes() == expected[0], place
        if kept(out) or not out.exists():
            run(out)
        weights, card, losses = content(out)
        assert (weights, card) == expected[:2], place
        if fault == "lost":  # the log is not flushed: a power cut may take its first lines
            assert losses == expected[2][len(expected[2]) - len(losses) :], place
        else:
            assert losses == expected[2], place
        assert not kept(out), place
