"""The training loop, from a recipe to a weight file.

What is random in a step (the batch, its augmentation, dropout) follows from the recipe's seed and
the number of the step, so that a run which was stopped and resumed takes the same steps, bit for
bit, as one that was not.
"""

from __future__ import annotations

import copy
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.files import write_json
from neurofer.progress import progress_of
from neurofer.subjects.weight_files.tensors import read_about
from neurofer.subjects.weight_files.trained_on import KEY as TRAINED_ON
from neurofer.subjects.weight_files.trained_on import pack_images
from neurofer.training.card import Command, card
from neurofer.training.checkpoint import Progress, load_checkpoint, previous, save_checkpoint
from neurofer.training.log import Log
from neurofer.training.optimisers import learning_rate, make_optimiser
from neurofer.training.places import check_place, checkpoint_of, disk_errors, kept, reserved
from neurofer.training.recipe import TASKS, Recipe
from neurofer.training.stopping import Stop, Stopped, stopping
from neurofer.training.tasks import Task
from neurofer.training.world import World, joined, share_statistics, torch_settings

_NAMED = 8  # stimuli of a bad batch
_LOOK_EVERY = 10  # steps after which several processes ask each other whether to stop


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended: `finished` is False where a signal stopped it after `steps` steps.

    `writes` is False in all processes of several but the one that wrote the files; `signal` is the
    number of the signal that stopped it, 0 where none did.
    """

    weights: Path
    finished: bool
    steps: int
    held_out: dict[str, float]
    writes: bool = True
    signal: int = 0


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    tensorboard: bool = False,
    quiet: bool = False,
    command: Command | None = None,
) -> TrainingResult:
    """Train what a recipe says and write the weights, a card beside them, and a log.

    With `out` = x.safetensors the card is x.json, the log x.log.jsonl (one JSON object a line) and
    the checkpoint, while there is one, x.checkpoint.safetensors. On SIGTERM and on Ctrl-C the loop
    writes a checkpoint and returns. Started by `torchrun`, the processes share every batch.

    Args:
        recipe: from `read_recipe`.
        out: the weight file, `.safetensors`.
        resume: go on from the checkpoint beside `out`; where there is none, that is said.
        overwrite: train anew where `out` is finished.
        device: "cpu", "cuda", or "auto".
        threads: for torch; the number may change the last bits of the result.
        tensorboard: write the log for TensorBoard as well, into the folder x.tensorboard.
        quiet: no progress bar.
        command: how the user asked for it, for the card.

    Raises:
        NeuroferError: `out` has another ending or is there, another training writes it, a
            checkpoint would be overwritten or does not belong to the recipe, the loss is no longer
            finite, or the disk is full.
    """
    out = Path(out)
    check_place(out, resume=resume, overwrite=overwrite)
    command = command or Command(recipe.name, device=device, threads=threads)
    with (
        ExitStack() as held,
        disk_errors(out),
        joined(device) as world,
        torch_settings(threads, world),
        stopping() as stop,
    ):
        if world.first:
            held.enter_context(reserved(out))
        try:
            run = _prepare(recipe, out, world, tensorboard=tensorboard, quiet=quiet)
            finished = _take_steps(run, stop)
            held_out = _finish(run, command) if finished else {}
        except Stopped:
            return TrainingResult(out, False, _steps_kept(out), {}, world.first, stop.signal)
    return TrainingResult(out, finished, run.progress.step, held_out, world.first, stop.signal)


@dataclass
class _Run:
    """A training in its course.

    Attributes:
        net, mean, best: what learns, the running mean of its weights, and, where the recipe stops
            early, that mean at the best validation score.
        module: `net`, compiled where the recipe says so.
        about: the recipe and the data, for checkpoints and the weight file.
        began: when it would have begun, had it never been stopped.
        unread: losses that have not been looked at, with their steps.
        timed: when the log was written last, and the step.
    """

    recipe: Recipe
    task: Task
    world: World
    out: Path
    about: dict[str, Any]
    net: nn.Module
    module: nn.Module
    mean: nn.Module
    best: nn.Module | None
    learners: dict[str, list[nn.Parameter]]
    optimisers: dict[str, torch.optim.Optimizer]
    progress: Progress
    log: Log
    quiet: bool
    began: float
    timed: tuple[float, int] = (0.0, 0)
    unread: list[tuple[int, torch.Tensor]] = field(default_factory=list)

    @property
    def nets(self) -> dict[str, nn.Module]:
        """What a checkpoint holds."""
        found = {"net": self.net, "mean": self.mean, "best": self.best}
        return {name: net for name, net in found.items() if net is not None}

    @property
    def shipped(self) -> nn.Module:
        """What is evaluated and written in the end: the best where the recipe stops early."""
        return self.mean if self.best is None else self.best


def _prepare(recipe: Recipe, out: Path, world: World, *, tensorboard: bool, quiet: bool) -> _Run:
    """Read the data, make the net and the optimisers, and go on where a checkpoint is."""
    began = time.monotonic()
    task: Task = import_module(TASKS[recipe.task]).Task(recipe, world, quiet=quiet)
    about = {"recipe": recipe.model_dump(mode="json"), "data": task.data()}
    torch.manual_seed(recipe.seed)
    net = task.net().to(world.device)
    if recipe.precision == "float64":
        net = net.double()
    mean = copy.deepcopy(net)
    best = copy.deepcopy(net) if recipe.patience else None
    share_statistics(net, world)
    fused = world.device.type == "cuda"
    learners = task.learners(net)
    optimisers = {
        name: make_optimiser(parameters, recipe.optimiser, fused=fused)
        for name, parameters in learners.items()
    }
    module: nn.Module = torch.compile(net) if recipe.compile else net  # type: ignore[assignment]
    progress = Progress()
    if kept(out):
        nets = {"net": net, "mean": mean} | ({"best": best} if best is not None else {})
        progress = load_checkpoint(checkpoint_of(out), about, nets, optimisers)
    log = Log(out, progress.step, world.first, tensorboard)
    # fmt: off
    return _Run(
        recipe, task, world, out, about, net, module, mean, best, learners, optimisers, progress,
        log, quiet, began - progress.seconds,
    )
    # fmt: on


def _take_steps(run: _Run, stop: Stop) -> bool:
    """Take all steps that are left; return whether they were, or a signal stopped them."""
    recipe, world, progress = run.recipe, run.world, run.progress
    alone, stopped = world.size == 1, False
    shown = False if run.quiet or not world.first else None
    with (
        progress_of(f"training {recipe.name}", recipe.steps, shown) as advance,
        stop.after_the_step(),
    ):
        advance(progress.step)
        run.timed = time.monotonic(), progress.step
        for step in range(progress.step, recipe.steps):
            if recipe.patience and progress.worse >= recipe.patience:
                break
            found, rate = _step(run, step)
            progress.step = step + 1
            last = progress.step == recipe.steps
            logged = progress.step % recipe.log_every == 0 or last
            due = progress.step % recipe.checkpoint_every == 0 or last
            if alone or logged or due or progress.step % _LOOK_EVERY == 0:
                stopped = world.any(stop.asked)
            run.unread += [(step, loss) for loss in found.values()]
            # Reading a loss waits for the device, or for other processes.
            if logged or due or stopped or (alone and world.device.type == "cpu"):
                _check_finite(run)
            if logged:
                _log_step(run, found, rate)
            if recipe.evaluate_every and (progress.step % recipe.evaluate_every == 0 or last):
                _validate(run)
            progress.seconds = time.monotonic() - run.began
            # After the last step too: what goes wrong in the end costs no training.
            if (due or stopped) and world.first:
                save_checkpoint(
                    checkpoint_of(run.out), progress, run.about, run.nets, run.optimisers
                )
            advance()
            if stopped and not last:
                run.log.write(step=progress.step, stopped=True)
                return False
    return True


def _step(run: _Run, step: int) -> tuple[dict[str, torch.Tensor], float]:
    """Take one step; return the losses by the names of their optimisers, and the learning rate."""
    recipe, world = run.recipe, run.world
    rate = learning_rate(recipe.optimiser, step, recipe.steps, run.progress.drops)
    # Every process has numbers of its own: dropout is not to hide the same units in each share.
    torch.manual_seed((recipe.seed * 1_000_003 + step) * world.size + world.rank)
    run.net.train()
    turns = run.task.losses(run.module, step)
    bfloat16 = recipe.precision == "bfloat16"
    found: dict[str, torch.Tensor] = {}
    while True:
        with torch.autocast(world.device.type, torch.bfloat16, enabled=bfloat16):
            name, loss = next(turns, ("", None))
        if loss is None:
            break
        found[name] = loss.detach()
        _learn(run, name, loss, rate)
    _average(run.mean, run.net, recipe.optimiser.average, step)
    return found, rate


def _learn(run: _Run, name: str, loss: torch.Tensor, rate: float) -> None:
    """Move the parameters of one optimiser down the gradient of its loss."""
    optimiser, parameters = run.optimisers[name], run.learners[name]
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    run.world.average_gradients(parameters)
    if run.recipe.optimiser.clip:
        nn.utils.clip_grad_norm_(parameters, run.recipe.optimiser.clip)
    optimiser.step()


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


def _check_finite(run: _Run) -> None:
    """Raise a NeuroferError that names the first batch whose loss is not finite."""
    losses, recipe = list(run.unread), run.recipe
    run.unread.clear()
    finite = torch.stack([loss.float() for _, loss in losses]).isfinite().tolist()
    if not run.world.any(not all(finite)):
        return
    # Where another process saw it, the last step is the one: the weights are spoilt in all.
    step, loss = losses[finite.index(False) if False in finite else -1]
    positions = run.task.positions(step)
    if run.task.division is None:
        names = [f"training image {position}" for position in positions]
    else:
        names = run.task.division.train.table["stimulus_id"].iloc[positions].tolist()
    some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    good = next(iter(kept(run.out)), None)
    raise NeuroferError(
        f"the loss is {loss.item()} in step {step + 1} of recipe {recipe.name}, on the batch of "
        f"{len(names)} stimuli {some}; their targets were finite when they were read: lower "
        f"optimiser.learning_rate={recipe.optimiser.learning_rate}, or set optimiser.clip; "
        + (f"the last good checkpoint is kept: {good}" if good else "there is no checkpoint yet")
    )


def _log_step(run: _Run, losses: dict[str, torch.Tensor], rate: float) -> None:
    values = {key: run.world.mean(value) for key, value in losses.items()}
    before, run.timed = run.timed, (time.monotonic(), run.progress.step)
    seconds, steps = (now - then for now, then in zip(run.timed, before, strict=True))
    speed = round(run.recipe.batch_size * steps / max(1e-9, seconds), 1)
    named = (
        {"loss": next(iter(values.values()))}
        if len(values) == 1
        else {f"loss_{name}": value for name, value in values.items()}
    )
    run.log.write(step=run.progress.step, **named, learning_rate=rate, images_per_second=speed)


def _validate(run: _Run) -> None:
    """Score the running mean on validation data; keep it where it is the best so far."""
    score = run.world.agreed(run.task.validate(run.mean.eval()))
    if run.progress.score(score, run.recipe.optimiser.patience) and run.best is not None:
        run.best.load_state_dict(run.mean.state_dict())
    run.log.write(step=run.progress.step, validation=score)


def _finish(run: _Run, command: Command) -> dict[str, float]:
    """Evaluate what is shipped, write the weights and the card; return the scores."""
    out, progress, task = run.out, run.progress, run.task
    held_out = task.evaluate(run.shipped.eval())
    run.log.write(step=progress.step, held_out=held_out)
    if not run.world.first:
        return held_out
    about, seen = dict(run.about), {}
    if task.division is not None:
        about["data"] = {**about["data"], **task.division.split()}
        seen[TRAINED_ON] = pack_images(task.division.seen())
    task.save(run.shipped, out, {**about, **seen})
    progress.seconds = time.monotonic() - run.began
    made = card(out, run.recipe, run.net, held_out, run.world, command, progress)
    write_json(out.with_suffix(".json"), {**made, **about})
    for file in (checkpoint_of(out), previous(checkpoint_of(out))):
        file.unlink(missing_ok=True)
    return held_out


def _steps_kept(out: Path) -> int:
    """Return after how many steps the last checkpoint was written, 0 where there is none."""
    for file in kept(out):
        try:
            return int(read_about(file)["step"])
        except NeuroferError:
            continue
    return 0
