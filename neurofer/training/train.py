"""The training loop, from a recipe to a weight file.

What is random in a step (the batch, its augmentation, dropout) follows from the recipe's seed and
the number of the step, so that a run which was stopped and resumed takes the same steps, bit for
bit, as one that was not.
"""

from __future__ import annotations

import copy
import errno
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.files import write_json
from neurofer.stimuli.progress import progress_of
from neurofer.subjects.trained_on import KEY as TRAINED_ON
from neurofer.subjects.trained_on import pack_images
from neurofer.training.card import card
from neurofer.training.checkpoint import Progress, load_checkpoint, previous, save_checkpoint
from neurofer.training.images import Division
from neurofer.training.log import Log
from neurofer.training.optimisers import learning_rate, make_optimiser
from neurofer.training.recipe import TASKS, Recipe
from neurofer.training.world import World, joined, share_statistics

_NAMED = 8  # stimuli of a bad batch
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)


class Task(Protocol):
    """What the loop needs to know of a task; each task's module has a class `Task` of this shape.

    `Task(recipe, world, quiet=...)` reads or makes the data and keeps them on `world.device`.

    Attributes:
        division: the stimuli that are trained on and held out; None where they are of no set.
    """

    division: Division | None

    def positions(self, step: int) -> np.ndarray:
        """Return which training images the batch of a step holds, in all processes together."""

    def data(self) -> dict[str, Any]:
        """Describe the data: what went into it, how much, and its hash."""

    def net(self) -> nn.Module:
        """Return a new net; its random numbers are torch's, which the loop has seeded."""

    def learners(self, net: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of each optimiser, by its name; most tasks have one."""

    def losses(self, net: nn.Module, step: int) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield an optimiser's name and its loss, turn by turn; it steps before the next turn.

        The loss is that of this process's share of the step's batch; its random numbers follow
        from seed and step.
        """

    def validate(self, net: nn.Module) -> float:
        """Return the score on validation data, higher is better."""

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Return the scores on held-out data."""

    def save(self, net: nn.Module, path: Path, about: dict[str, Any]) -> None:
        """Write the weights, whole or not at all."""


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended: `finished` is False where SIGTERM stopped it after `steps` steps.

    `writes` is False in all processes of several but the one that wrote the files.
    """

    weights: Path
    finished: bool
    steps: int
    held_out: dict[str, float]
    writes: bool = True


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    tensorboard: bool = False,
    quiet: bool = False,
) -> TrainingResult:
    """Train what a recipe says and write the weights, a card beside them, and a log.

    With `out` = x.safetensors the card is x.json, the log x.log.jsonl (one JSON object a line) and
    the checkpoint, while there is one, x.checkpoint.safetensors. On SIGTERM the loop writes a
    checkpoint and returns. Started by `torchrun`, the processes share every batch.

    Args:
        recipe: from `read_recipe`.
        out: the weight file, `.safetensors`.
        resume: go on from the checkpoint beside `out`, or start where there is none.
        device: "cpu", "cuda", or "auto".
        threads: for torch; the number may change the last bits of the result.
        tensorboard: write the log for TensorBoard as well, into the folder x.tensorboard.
        quiet: no progress bar.

    Raises:
        NeuroferError: `out` has another ending, a checkpoint would be overwritten or does not
            belong to the recipe, the loss is no longer finite, or the disk is full.
    """
    out = Path(out)
    if out.suffix != ".safetensors":
        raise NeuroferError(f"the weight file must end in .safetensors, got {out}")
    checkpoint = out.with_suffix(".checkpoint.safetensors")
    files = (checkpoint, previous(checkpoint))
    if any(file.exists() for file in files) and not resume:
        raise NeuroferError(f"{checkpoint} is there: go on with --resume, or delete it")
    with (
        _disk_errors(out),
        joined(device) as world,
        _torch_settings(threads, world),
        _stop_on_sigterm() as stopped,
    ):
        if world.first:
            _try_folder(out.parent)
        began = time.monotonic()
        task: Task = import_module(TASKS[recipe.task]).Task(recipe, world, quiet=quiet)
        about = {"recipe": recipe.model_dump(mode="json"), "data": task.data()}

        torch.manual_seed(recipe.seed)
        net = task.net().to(world.device)
        if recipe.precision == "float64":
            net = net.double()
        mean = copy.deepcopy(net)
        share_statistics(net, world)
        fused = world.device.type == "cuda"
        learners = task.learners(net)
        optimisers = {
            name: make_optimiser(parameters, recipe.optimiser, fused=fused)
            for name, parameters in learners.items()
        }
        nets, progress = {"net": net, "mean": mean}, Progress()
        if any(file.exists() for file in files):
            progress = load_checkpoint(checkpoint, about, nets, optimisers)
            began -= progress.seconds
        log = Log(out, progress.step, world.first, tensorboard)
        run: nn.Module = torch.compile(net) if recipe.compile else net  # type: ignore[assignment]
        bfloat16 = recipe.precision == "bfloat16"
        unread: list[tuple[int, torch.Tensor]] = []

        shown = False if quiet or not world.first else None
        with progress_of(f"training {recipe.name}", recipe.steps, shown) as advance:
            advance(progress.step)
            timed = time.monotonic(), progress.step
            for step in range(progress.step, recipe.steps):
                if recipe.patience and progress.worse >= recipe.patience:
                    break
                rate = learning_rate(recipe.optimiser, step, recipe.steps, progress.drops)
                torch.manual_seed(recipe.seed * 1_000_003 + step)
                net.train()
                turns = task.losses(run, step)
                found: dict[str, torch.Tensor] = {}
                while True:
                    with torch.autocast(world.device.type, torch.bfloat16, enabled=bfloat16):
                        name, loss = next(turns, ("", None))
                    if loss is None:
                        break
                    found[name] = loss.detach()
                    _take_step(optimisers[name], loss, rate, learners[name], recipe, world)
                _average(mean, net, recipe.optimiser.average, step)

                progress.step = step + 1
                last = progress.step == recipe.steps
                logged = progress.step % recipe.log_every == 0 or last
                kept = progress.step % recipe.checkpoint_every == 0
                stop = world.any(stopped())
                unread += [(step, loss) for loss in found.values()]
                # Reading a loss waits for the device: on CUDA only where it is needed.
                if logged or kept or stop or world.device.type == "cpu":
                    _check_finite(unread, task, recipe, world, checkpoint)
                    unread.clear()
                if logged:
                    values = {key: world.mean(value) for key, value in found.items()}
                    now = time.monotonic(), progress.step
                    speed = recipe.batch_size * (now[1] - timed[1]) / max(1e-9, now[0] - timed[0])
                    timed = now
                    about_step = {"learning_rate": rate, "images_per_second": round(speed, 1)}
                    log.write(step=progress.step, **_named(values), **about_step)
                if recipe.evaluate_every and progress.step % recipe.evaluate_every == 0:
                    score = task.validate(mean.eval())
                    progress.score(score, recipe.optimiser.patience)
                    log.write(step=progress.step, validation=score)
                progress.seconds = time.monotonic() - began
                # After the last step too: what goes wrong in the end costs no training.
                if (kept or stop or last) and world.first:
                    save_checkpoint(checkpoint, progress, about, nets, optimisers)
                advance()
                if stop and not last:
                    log.write(step=progress.step, stopped=True)
                    return TrainingResult(out, False, progress.step, {}, world.first)

        held_out = task.evaluate(mean.eval())
        log.write(step=progress.step, held_out=held_out)
        if world.first:
            seen = {}
            if task.division is not None:
                about["data"] = {**about["data"], **task.division.split()}
                seen[TRAINED_ON] = pack_images(task.division.seen())
            task.save(mean, out, {**about, **seen})
            progress.seconds = time.monotonic() - began
            made = card(out, recipe, net, held_out, world, threads, progress)
            write_json(out.with_suffix(".json"), {**made, **about})
            for file in files:
                file.unlink(missing_ok=True)
    return TrainingResult(out, True, progress.step, held_out, world.first)


def _take_step(
    optimiser: torch.optim.Optimizer,
    loss: torch.Tensor,
    rate: float,
    parameters: list[nn.Parameter],
    recipe: Recipe,
    world: World,
) -> None:
    """Move the parameters of one optimiser down the gradient of its loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    world.average_gradients(parameters)
    if recipe.optimiser.clip:
        nn.utils.clip_grad_norm_(parameters, recipe.optimiser.clip)
    optimiser.step()


def _check_finite(
    losses: list[tuple[int, torch.Tensor]],
    task: Task,
    recipe: Recipe,
    world: World,
    checkpoint: Path,
) -> None:
    """Raise a NeuroferError that names the first batch whose loss is not finite."""
    finite = torch.stack([loss.float() for _, loss in losses]).isfinite().tolist()
    if not world.any(not all(finite)):
        return
    # Where another process saw it, the last step is the one: the weights are spoilt in all.
    step, loss = losses[finite.index(False) if False in finite else -1]
    positions = task.positions(step)
    if task.division is None:
        names = [f"training image {position}" for position in positions]
    else:
        names = task.division.train.table["stimulus_id"].iloc[positions].tolist()
    some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    kept = next((file for file in (checkpoint, previous(checkpoint)) if file.exists()), None)
    raise NeuroferError(
        f"the loss is {loss.item()} in step {step + 1} of recipe {recipe.name}, on the batch of "
        f"{len(names)} stimuli {some}; their targets were finite when they were read: lower "
        f"optimiser.learning_rate={recipe.optimiser.learning_rate}, or set optimiser.clip; "
        + (f"the last good checkpoint is kept: {kept}" if kept else "there is no checkpoint yet")
    )


def _named(losses: dict[str, float]) -> dict[str, float]:
    """Name the only loss "loss", and each of several after its optimiser."""
    if len(losses) == 1:
        return {"loss": next(iter(losses.values()))}
    return {f"loss_{name}": value for name, value in losses.items()}


def _average(mean: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Move the running mean towards the net; early steps weigh more, so that the start fades."""
    decay = min(decay, (1 + step) / (10 + step))
    ours, theirs = list(mean.state_dict().values()), list(net.state_dict().values())
    real = [number for number, value in enumerate(ours) if value.is_floating_point()]
    with torch.no_grad():
        # All at once: one by one, a GPU would wait for hundreds of small calls.
        torch._foreach_lerp_([ours[i] for i in real], [theirs[i] for i in real], 1 - decay)
        for number in set(range(len(ours))) - set(real):
            ours[number].copy_(theirs[number])


@contextmanager
def _torch_settings(threads: int | None, world: World) -> Iterator[None]:
    """Set threads; ask for deterministic kernels on the CPU, the fastest on CUDA; put all back."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    tried = torch.backends.cudnn.benchmark
    torch.set_num_threads(threads or before[0])
    torch.use_deterministic_algorithms(world.device.type == "cpu")
    torch.backends.cudnn.benchmark = world.device.type == "cuda"  # batches are all of one shape
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = tried


def _try_folder(folder: Path) -> None:
    """Make a folder and write into it, so that a run does not find out at its end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NeuroferError(
            f"the folder {folder} cannot be written to: {error.strerror}; choose another --out"
        ) from error


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Turn what a disk says (full, read-only, not allowed) into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise NeuroferError(
            f"{error.filename or out.parent} cannot be written: {error.strerror}; a checkpoint "
            "that was written before is kept: make room or choose another --out, then --resume"
        ) from error


@contextmanager
def _stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether SIGTERM has come, as clusters send it before a kill."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event.is_set  # only the main thread may handle signals
        return
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
