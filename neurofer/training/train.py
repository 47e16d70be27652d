"""The training loop, from a recipe to a weight file.

What is random in a step (the batch, its augmentation, dropout) follows from the recipe's seed and
the number of the step, so that a run which was stopped and resumed takes the same steps, bit for
bit, as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
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
from neurofer.training.checkpoint import load_checkpoint, save_checkpoint
from neurofer.training.recipe import TASKS, Recipe


class Task(Protocol):
    """What the loop needs to know of a task; each task's module has a class `Task` of this shape.

    `Task(recipe, quiet=...)` reads or makes the data.
    """

    def data(self) -> dict[str, Any]:
        """Describe the data: what went into it, how much, and its hash."""

    def net(self) -> nn.Module:
        """Return a new net; its random numbers are torch's, which the loop has seeded."""

    def loss(self, net: nn.Module, step: int) -> torch.Tensor:
        """Return the loss of a step's batch; its random numbers follow from seed and step."""

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """Return the errors on held-out data."""

    def save(self, net: nn.Module, path: Path, about: dict[str, Any]) -> None:
        """Write the weights, whole or not at all."""


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended: `finished` is False where SIGTERM stopped it after `steps` steps."""

    weights: Path
    finished: bool
    steps: int
    held_out: dict[str, float]


def train(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    threads: int | None = None,
    quiet: bool = False,
) -> TrainingResult:
    """Train what a recipe says and write the weights, a card beside them, and a log.

    With `out` = x.safetensors the card is x.json, the log x.log.jsonl (one JSON object a line) and
    the checkpoint, while there is one, x.checkpoint.safetensors. On SIGTERM the loop writes a
    checkpoint and returns.

    Args:
        recipe: from `read_recipe`.
        out: the weight file, `.safetensors`.
        resume: go on from the checkpoint beside `out`, or start where there is none.
        threads: for torch; the number may change the last bits of the result.
        quiet: no progress bar.

    Raises:
        NeuroferError: `out` has another ending, a checkpoint would be overwritten or does not
            belong to the recipe, or the loss is no longer finite.
    """
    out = Path(out)
    if out.suffix != ".safetensors":
        raise NeuroferError(f"the weight file must end in .safetensors, got {out}")
    checkpoint = out.with_suffix(".checkpoint.safetensors")
    if checkpoint.exists() and not resume:
        raise NeuroferError(f"{checkpoint} is there: go on with --resume, or delete it")
    began = time.monotonic()
    task: Task = import_module(TASKS[recipe.task]).Task(recipe, quiet=quiet)
    about = {"recipe": recipe.model_dump(mode="json"), "data": task.data()}
    recipe_hash = content_hash(about)

    with _torch_settings(threads), _stop_on_sigterm() as stopped:
        torch.manual_seed(recipe.seed)
        net = task.net()
        mean = copy.deepcopy(net)
        optimiser = torch.optim.AdamW(net.parameters(), weight_decay=recipe.optimiser.weight_decay)
        nets = {"net": net, "mean": mean}
        first = (
            load_checkpoint(checkpoint, recipe_hash, nets, optimiser) if checkpoint.exists() else 0
        )
        log = _Log(out.with_suffix(".log.jsonl"), first)

        text = f"training {recipe.name}"
        with progress_of(text, recipe.steps, False if quiet else None) as advance:
            advance(first)
            for step in range(first, recipe.steps):
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(recipe, step)
                torch.manual_seed(recipe.seed * 1_000_003 + step)
                net.train()
                with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                    loss = task.loss(net, step)
                if not torch.isfinite(loss):
                    raise NeuroferError(
                        f"the loss is {loss.item()} at step {step} of recipe {recipe.name}; "
                        f"lower optimiser.learning_rate={recipe.optimiser.learning_rate}"
                    )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                _average(mean, net, recipe.optimiser.average, step)

                done = step + 1
                advance()
                if done % recipe.log_every == 0 or done == recipe.steps:
                    log.write(step=done, loss=loss.item(), learning_rate=group["lr"])
                stop = stopped()
                if stop or done % recipe.checkpoint_every == 0:
                    save_checkpoint(checkpoint, done, recipe_hash, nets, optimiser)
                if stop:
                    log.write(step=done, stopped=True)
                    return TrainingResult(out, finished=False, steps=done, held_out={})

        held_out = task.evaluate(mean.eval())
        log.write(step=recipe.steps, held_out=held_out)
        task.save(mean, out, about)
    card = {
        "weights": out.name,
        "sha256": sha256_file(out),
        "command": f"neurofer train {recipe.name} --out {out.name}"
        + (f" --threads {threads}" if threads else ""),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "held_out": held_out,
        "seconds": round(time.monotonic() - began),
        "threads": threads or torch.get_num_threads(),
        "versions": {"neurofer": neurofer.__version__, "torch": torch.__version__},
        **about,
    }
    write_json(out.with_suffix(".json"), card)
    checkpoint.unlink(missing_ok=True)
    return TrainingResult(out, finished=True, steps=recipe.steps, held_out=held_out)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the rate of a step, from 0: a linear warm-up, then half a cosine down to zero."""
    settings = recipe.optimiser
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


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


class _Log:
    """A file of one JSON object a line; lines past the step where a run goes on are dropped."""

    def __init__(self, path: Path, first_step: int) -> None:
        self.path = path
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        # A line that a crash cut short has no closing brace.
        whole = [line for line in lines if line.endswith("}")]
        kept = [line for line in whole if first_step and json.loads(line)["step"] <= first_step]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in kept), "utf-8")

    def write(self, **values: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


@contextmanager
def _torch_settings(threads: int | None) -> Iterator[None]:
    """Set the number of threads and ask for deterministic kernels; put both back afterwards."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads or before[0])
    torch.use_deterministic_algorithms(True)
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
