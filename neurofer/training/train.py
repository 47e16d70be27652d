"""The training loop, from a recipe to a weight file.

What is random in a step (the batch, its augmentation, dropout) follows from the recipe's seed and
the number of the step, so that a run which was stopped and resumed takes the same steps, bit for
bit, as one that was not.
"""

from __future__ import annotations

import copy
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

import neurofer
from neurofer.errors import NeuroferError
from neurofer.files import content_hash, sha256_file, write_json
from neurofer.stimuli.progress import progress_of
from neurofer.training.checkpoint import Progress, load_checkpoint, previous, save_checkpoint
from neurofer.training.log import Log
from neurofer.training.optimisers import learning_rate, make_optimiser
from neurofer.training.recipe import TASKS, Recipe
from neurofer.training.world import World, joined, share_statistics


class Task(Protocol):
    """What the loop needs to know of a task; each task's module has a class `Task` of this shape.

    `Task(recipe, world, quiet=...)` reads or makes the data and keeps them on `world.device`.
    """

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
            belong to the recipe, or the loss is no longer finite.
    """
    out = Path(out)
    if out.suffix != ".safetensors":
        raise NeuroferError(f"the weight file must end in .safetensors, got {out}")
    checkpoint = out.with_suffix(".checkpoint.safetensors")
    files = (checkpoint, previous(checkpoint))
    if any(file.exists() for file in files) and not resume:
        raise NeuroferError(f"{checkpoint} is there: go on with --resume, or delete it")
    began = time.monotonic()
    with joined(device) as world, _torch_settings(threads, world), _stop_on_sigterm() as stopped:
        task: Task = import_module(TASKS[recipe.task]).Task(recipe, world, quiet=quiet)
        about = {"recipe": recipe.model_dump(mode="json"), "data": task.data()}
        recipe_hash = content_hash(about)

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
            progress = load_checkpoint(checkpoint, recipe_hash, nets, optimisers)
        log = Log(out, progress.step, world.first, tensorboard)
        run: nn.Module = torch.compile(net) if recipe.compile else net  # type: ignore[assignment]
        bfloat16 = recipe.precision == "bfloat16"

        shown = False if quiet or not world.first else None
        with progress_of(f"training {recipe.name}", recipe.steps, shown) as advance:
            advance(progress.step)
            timed = time.monotonic(), progress.step
            for step in range(progress.step, recipe.steps):
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
                # Reading a loss waits for the device: on CUDA only where it is needed.
                if logged or kept or stop or world.device.type == "cpu":
                    _check_finite(found, step, recipe)
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
                enough = bool(recipe.patience) and progress.worse >= recipe.patience
                if (kept or stop) and world.first:
                    save_checkpoint(checkpoint, progress, recipe_hash, nets, optimisers)
                advance()
                if stop and not last:
                    log.write(step=progress.step, stopped=True)
                    return TrainingResult(out, False, progress.step, {}, world.first)
                if enough:
                    break

        held_out = task.evaluate(mean.eval())
        log.write(step=progress.step, held_out=held_out)
        if world.first:
            task.save(mean, out, about)
            card = _card(
                out, recipe, net, held_out, world, threads, round(time.monotonic() - began)
            )
            write_json(out.with_suffix(".json"), {**card, "steps": progress.step, **about})
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


def _check_finite(losses: dict[str, torch.Tensor], step: int, recipe: Recipe) -> None:
    for loss in losses.values():
        if not torch.isfinite(loss):
            raise NeuroferError(
                f"the loss is {loss.item()} at step {step} of recipe {recipe.name}; "
                f"lower optimiser.learning_rate={recipe.optimiser.learning_rate}; the last "
                "checkpoint, if there is one, is kept"
            )


def _named(losses: dict[str, float]) -> dict[str, float]:
    """Name the only loss "loss", and each of several after its optimiser."""
    if len(losses) == 1:
        return {"loss": next(iter(losses.values()))}
    return {f"loss_{name}": value for name, value in losses.items()}


def _card(
    out: Path,
    recipe: Recipe,
    net: nn.Module,
    held_out: dict[str, float],
    world: World,
    threads: int | None,
    seconds: int,
) -> dict[str, Any]:
    cuda = world.device.type == "cuda"
    return {
        "weights": out.name,
        "sha256": sha256_file(out),
        "command": f"neurofer train {recipe.name} --out {out.name}"
        + (f" --threads {threads}" if threads else ""),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "held_out": held_out,
        "seconds": seconds,
        "device": torch.cuda.get_device_name(world.device) if cuda else "cpu",
        "processes": world.size,
        "threads": threads or torch.get_num_threads(),
        "versions": {"neurofer": neurofer.__version__, "torch": torch.__version__},
    }


def _average(mean: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Move the running mean towards the net; early steps weigh more, so that the start fades."""
    decay = min(decay, (1 + step) / (10 + step))
    state = net.state_dict()
    with torch.no_grad():
        for key, value in mean.state_dict().items():
            if value.is_floating_point():
                value.lerp_(state[key], 1 - decay)
            else:
                value.copy_(state[key])


@contextmanager
def _torch_settings(threads: int | None, world: World) -> Iterator[None]:
    """Set the number of threads and, on the CPU, ask for deterministic kernels; put both back."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads or before[0])
    torch.use_deterministic_algorithms(world.device.type == "cpu")
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


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
