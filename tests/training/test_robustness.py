"""What goes wrong while a network is trained: each a clear error, and nothing lost."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from neurofer.cli import app as cli
from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.recording import record
from neurofer.stimuli import StimulusSet
from neurofer.subjects import load_subject
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.subjects.weight_files.trained_on import trained_on
from neurofer.training import images, make_recipe
from neurofer.training.batches import batch_positions
from neurofer.training.checkpoint import load_checkpoint
from neurofer.training.images import ImageData, divide
from neurofer.training.log import Log
from neurofer.training.tasks.supervised import Task
from neurofer.training.train import train
from tests.training.tasks.test_supervised import RECIPE, shades

STEPS, EVERY = 8, 2
LOSSES, EVALUATE = Task.losses, Task.evaluate


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "net.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hash of the weights of an uninterrupted run."""
    path = tmp_path_factory.mktemp("whole") / "net.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))
        train(make_recipe(stated()), path, threads=1, device="cpu", quiet=True)
    return sha256_file(path)


def stated(**changes: Any) -> dict[str, Any]:
    return {**RECIPE, "steps": STEPS, "checkpoint_every": EVERY, **changes}


def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    out: Path,
    *words: str,
    **changes: Any,
) -> tuple[int, str]:
    """Train on the command line; return exit status and what it said."""
    recipe = out.parent / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(stated(**changes)), "utf-8")
    command = ["neurofer", "train", str(recipe), "--out", str(out), "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [*command, "--device", "cpu", "--quiet", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0), capsys.readouterr().err


def at_step(number: int, act: Callable[[], None]) -> Callable[..., Iterator[Any]]:
    """Return losses that do something before those of one step."""

    def losses(self: Task, net: torch.nn.Module, step: int) -> Iterator[Any]:
        if step == number:
            act()
        return LOSSES(self, net, step)

    return losses


def checkpoint_step(out: Path) -> int:
    _, about = load_tensors(out.with_suffix(".checkpoint.safetensors"))
    return int(about["step"])


def goes_on(capsys, monkeypatch, out: Path, whole: str) -> None:  # type: ignore[no-untyped-def]
    """Nothing half-written lies there, and --resume ends as if nothing had happened."""
    assert not list(out.parent.glob(".partial-*"))
    monkeypatch.setattr(Task, "losses", LOSSES)
    monkeypatch.setattr(Task, "evaluate", EVALUATE)
    assert run(capsys, monkeypatch, out, "--resume")[0] == 0
    assert sha256_file(out) == whole
    found = sorted(path.name for path in out.parent.iterdir())
    assert found == ["net.json", "net.log.jsonl", "net.safetensors", "recipe.yaml"]


def test_a_loss_that_is_nan_names_its_batch_and_keeps_the_checkpoint_before(
    capsys, monkeypatch, out, whole
):
    def losses(self, net, step):
        for name, loss in LOSSES(self, net, step):
            yield name, loss * float("nan") if step == 5 else loss

    monkeypatch.setattr(Task, "losses", losses)
    status, said = run(capsys, monkeypatch, out)
    assert status == 2
    division = divide(ImageData(stimuli="made", size=24), 0, quiet=True)
    rows = batch_positions(len(division.train), 8, 0, 5)
    names = ", ".join(division.train.table["stimulus_id"].iloc[rows])
    assert f"the loss is nan in step 6 of recipe tiny, on the batch of 8 stimuli {names};" in said
    assert f"the last good checkpoint is kept: {out.with_suffix('.checkpoint.safetensors')}" in said
    assert not out.exists()
    assert checkpoint_step(out) == 4
    goes_on(capsys, monkeypatch, out, whole)


def test_a_rate_that_is_too_high_ends_in_a_clear_error(capsys, monkeypatch, out):
    optimiser = {"kind": "sgd", "learning_rate": 1e30, "warmup_steps": 0}
    status, said = run(capsys, monkeypatch, out, optimiser=optimiser)
    assert status == 2
    assert "lower optimiser.learning_rate=1e+30" in said
    assert "there is no checkpoint yet" in said


def test_weights_that_are_not_finite_are_never_a_checkpoint(monkeypatch, out):
    """A loss can be finite and its gradient not: the checkpoint of that step is not written."""

    def losses(self, net, step):
        for name, loss in LOSSES(self, net, step):
            # The square root of zero has an infinite slope.
            zero = (net.fc.bias * 0).sum().sqrt() if step == 3 else 0
            yield name, loss + zero

    monkeypatch.setattr(Task, "losses", losses)
    with pytest.raises(NeuroferError, match=r"not finite after step 4, .*the one before is kept"):
        train(make_recipe(stated()), out, threads=1, device="cpu", quiet=True)
    assert checkpoint_step(out) == 2


def test_a_label_outside_the_map_is_named_before_anything_is_learned(capsys, monkeypatch, out):
    table = shades().table
    table["split"] = np.where(table["identity"] == "9", "test", "train")
    table.loc[table.index[-1], "expression"] = "surprise"
    pixels = list(shades().images())
    odd = StimulusSet.from_arrays("made", table.drop(columns="image_sha256"), pixels)
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: odd)
    data = {**RECIPE["data"], "held_out": "split"}
    status, said = run(capsys, monkeypatch, out, data=data)
    assert status == 2
    assert "expression='surprise' is not in the labels that are trained on" in said
    assert repr(table["stimulus_id"].iloc[-1]) in said
    assert "it has neutral, happy, sad, fear" in said
    assert [path.name for path in out.parent.iterdir()] == ["recipe.yaml"]


@pytest.fixture
def small_disk() -> Iterator[Callable[[], None]]:
    """Yield a function after which no file can grow beyond 50 kB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def make_room() -> None:
    soft_is_hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft_is_hard, soft_is_hard))


def test_a_full_disk_at_a_checkpoint_leaves_the_one_before(
    capsys, monkeypatch, out, whole, small_disk
):
    monkeypatch.setattr(Task, "losses", at_step(5, small_disk))
    status, said = run(capsys, monkeypatch, out)
    make_room()
    assert status == 2
    assert "cannot be written" in said
    assert "Traceback" not in said
    assert checkpoint_step(out) == 4
    goes_on(capsys, monkeypatch, out, whole)


def test_a_full_disk_at_the_weights_leaves_the_last_step(
    capsys, monkeypatch, out, whole, small_disk
):
    monkeypatch.setattr(Task, "evaluate", lambda self, net: (small_disk(), EVALUATE(self, net))[1])
    status, said = run(capsys, monkeypatch, out)
    make_room()
    assert status == 2
    assert "cannot be written" in said
    assert not out.exists()
    assert checkpoint_step(out) == STEPS
    goes_on(capsys, monkeypatch, out, whole)


def test_a_full_disk_at_the_log_is_said(capsys, monkeypatch, out, whole):
    write = Log.write

    def full(self, *, step, **values):
        if step == 7:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        write(self, step=step, **values)

    monkeypatch.setattr(Log, "write", full)
    status, said = run(capsys, monkeypatch, out)
    assert status == 2
    assert f"{out.with_suffix('.log.jsonl')} cannot be written: No space left on device" in said
    monkeypatch.setattr(Log, "write", write)
    goes_on(capsys, monkeypatch, out, whole)


def test_a_folder_that_cannot_be_written_to_is_named_before_the_data_are_read(
    capsys, monkeypatch, out
):
    monkeypatch.setattr(images, "load_stimuli", None)  # would fail
    out.parent.joinpath("file").write_text("no folder")
    place = out.parent / "file" / "net.safetensors"
    recipe = out.parent / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(stated()), "utf-8")
    monkeypatch.setattr(sys, "argv", ["neurofer", "train", str(recipe), "--out", str(place)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert f"the folder {place.parent} cannot be written to" in capsys.readouterr().err


def test_a_checkpoint_of_another_recipe_says_what_differs(capsys, monkeypatch, out):
    monkeypatch.setattr(Task, "losses", at_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert run(capsys, monkeypatch, out)[0] == 143
    changed = {"seed": 1, "optimiser": {**RECIPE["optimiser"], "learning_rate": 0.02}}
    status, said = run(capsys, monkeypatch, out, "--resume", **changed)
    assert status == 2
    assert "recipe.seed is 0 there and 1 here" in said
    assert "recipe.optimiser.learning_rate is 0.01 there and 0.02 here" in said
    assert checkpoint_step(out) == 4


KILLED = """
import os, signal, sys
from pathlib import Path
from neurofer.training import images, make_recipe
from neurofer.training.train import train
from tests.training import test_robustness as here

images.load_stimuli = lambda name, progress, **kw: here.shades(**kw)
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
here.Task.losses = here.at_step(6, kill)
train(make_recipe(here.stated(checkpoint_every=4)), Path(sys.argv[1]), threads=1, device="cpu")
"""


def test_a_process_killed_between_checkpoints_goes_on_bit_for_bit(monkeypatch, out, tmp_path):
    """SIGKILL in the seventh step: in the first epoch of eight, two steps after a checkpoint."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(out)], cwd=Path(cli.__file__).parents[2]
    )
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint_step(out) == 4
    recipe = make_recipe(stated(checkpoint_every=4))
    train(recipe, out, resume=True, threads=1, device="cpu", quiet=True)
    other = tmp_path / "other.safetensors"
    train(recipe, other, threads=1, device="cpu", quiet=True)
    assert sha256_file(out) == sha256_file(other)
    logs = [path.with_suffix(".log.jsonl").read_text("utf-8").splitlines() for path in (out, other)]
    one, two = ([json.loads(line).get("loss") for line in log] for log in logs)
    assert one == two
    assert len(one) == STEPS + 1


def test_a_run_that_stopped_early_does_not_go_on_learning(monkeypatch, out):
    """Killed after its last step, it is only evaluated."""
    monkeypatch.setattr(Task, "validate", lambda self, net: 50.0)
    recipe = make_recipe(stated(steps=40, evaluate_every=2, patience=2))

    def die(self, net):
        raise RuntimeError("the power failed")

    monkeypatch.setattr(Task, "evaluate", die)
    with pytest.raises(RuntimeError):
        train(recipe, out, threads=1, device="cpu", quiet=True)
    monkeypatch.setattr(Task, "evaluate", EVALUATE)
    monkeypatch.setattr(Task, "losses", None)
    assert train(recipe, out, resume=True, threads=1, device="cpu", quiet=True).steps == 6


def test_both_checkpoints_damaged_is_an_error(out):
    for name in (".checkpoint.safetensors", ".checkpoint-before.safetensors"):
        out.with_suffix(name).write_bytes(b"nothing")
    with (
        pytest.raises(NeuroferError, match=r"checkpoint-before.safetensors is not a safetensors"),
        pytest.warns(UserWarning, match="going on from"),
    ):
        load_checkpoint(out.with_suffix(".checkpoint.safetensors"), {}, {}, {})


def test_the_card_says_what_was_held_out_and_the_subject_what_it_has_seen(out):
    train(make_recipe(stated(steps=1)), out, threads=1, device="cpu", quiet=True)
    card = json.loads(out.with_suffix(".json").read_text("utf-8"))
    division = divide(ImageData(stimuli="made", size=24), 0, quiet=True)
    data = card["data"]
    assert (data["training_images"], data["held_out_images"]) == (64, 16)
    assert (data["training_identities"], data["held_out_identities"]) == (16, 4)
    assert data["training_content"] == division.train.content
    assert data["held_out_content"] == division.test.content
    assert card["recipe"]["seed"] == 0
    assert card["sha256"] == sha256_file(out)
    assert card.keys() >= {"held_out", "seconds", "device", "versions", "steps", "command"}
    assert "trained_on" not in card

    subject = load_subject("resnet-18", weights=str(out))
    recording = record(subject, shades(), sites=["fc"], progress=False)
    known = set(division.train.table["image_sha256"])
    expected = shades().table["image_sha256"].isin(known)
    np.testing.assert_array_equal(recording["in_training"].values, expected)
    assert expected.sum() == 64


def test_what_the_starting_weights_saw_counts(out, tmp_path):
    train(make_recipe(stated(steps=1)), out, threads=1, device="cpu", quiet=True)
    start = {**RECIPE["network"], "start": str(out)}
    other = tmp_path / "other.safetensors"
    changes = {"network": start, "seed": 1, "steps": 1}
    train(make_recipe(stated(**changes)), other, threads=1, device="cpu", quiet=True)
    first, second = (trained_on(load_tensors(path)[1]) for path in (out, other))
    assert first < second
    data = json.loads(other.with_suffix(".json").read_text("utf-8"))["data"]
    test = divide(ImageData(stimuli="made", size=24), 1, quiet=True).test.table["image_sha256"]
    assert data["held_out_images_seen_by_start"] == sum(value[:16] in first for value in test) > 0
