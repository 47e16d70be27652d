"""The log of a training run: one JSON object a line, and TensorBoard's files on request."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError
from neurofer.files import write_whole


class Log:
    """A file of one JSON object a line; lines past the step where a run goes on are dropped.

    Args:
        out: the weight file; the log lies beside it.
        first_step: where the run goes on.
        writes: False in all processes but the first.
        tensorboard: whether to write TensorBoard's event files as well.

    Raises:
        NeuroferError: TensorBoard is asked for and not installed.
    """

    def __init__(self, out: Path, first_step: int, writes: bool, tensorboard: bool) -> None:
        self.path = out.with_suffix(".log.jsonl")
        self._writes = writes
        self._board: Any = None
        if not writes:
            return
        lines = self.path.read_text("utf-8", "replace").splitlines() if self.path.is_file() else []
        kept = [line for line in lines if first_step and _goes_before(line, first_step, self.path)]
        with write_whole(self.path) as partial:
            partial.write_text("".join(line + "\n" for line in kept), "utf-8")
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise NeuroferError(
                    "--tensorboard needs the package tensorboard; pip install tensorboard"
                ) from error
            self._board = SummaryWriter(str(out.with_suffix(".tensorboard")))  # type: ignore[no-untyped-call]

    def write(self, *, step: int, **values: Any) -> None:
        """Write one line of the first process."""
        if not self._writes:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, step)
            self._board.flush()


def _goes_before(line: str, step: int, path: Path) -> bool:
    """Return whether a line is of a step up to this one; what ends a run is written again."""
    try:
        values = json.loads(line.encode("utf-8").decode("ascii"))  # as `json.dumps` writes it
        return bool(values["step"] <= step and not values.keys() & {"held_out", "stopped"})
    except (ValueError, KeyError, TypeError, AttributeError):
        if line.endswith("}"):  # one without a closing brace was cut short by a crash
            warnings.warn(f"{path}: the line {line[:60]!r} is damaged and left out", stacklevel=4)
        return False
