"""Reader of clips: frames at a stated rate, with the labels of their clip."""

from __future__ import annotations

import csv
import os
import threading
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from neurofer.errors import NeuroferError
from neurofer.progress import progress_of
from neurofer.schema import Strict
from neurofer.stimuli.images import Stamp, ahead
from neurofer.stimuli.licensed.readers.lists import find
from neurofer.stimuli.licensed.readers.names import Base
from neurofer.stimuli.licensed.readers.rows import Rows
from neurofer.stimuli.licensed.readers.walk import Problem, Walk


class _Held(threading.local):
    """The clip that a thread decodes, and the frame that comes next."""

    of: Any = None
    clip: Any = None
    at: int = 0


_held = _Held()


class Part(Strict):
    """Clips of one split.

    Attributes:
        names: names of the file with one clip's name a line.
        labels: names of the file with the clips' labels, a line each, in the same order.
        clips: the folder of the clips.
        values: fields that all its clips share ({split: train}).
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    clips: str
    values: dict[str, str] = Field(default_factory=dict)


class Clips(Base):
    """Clips with a list of names and a list of labels for each split.

    Attributes:
        parts: the splits.
        columns: what the columns of the labels are.
        suffix: of the clips.
        rate: frames a second that are read; the first is that at time 0.
    """

    reader: Literal["clips"]
    parts: tuple[Part, ...]
    columns: tuple[str, ...]
    suffix: str = ".mp4"
    rate: float = Field(gt=0, le=1000)

    def read(self, files: Walk, progress: bool | None = None) -> Rows:
        """Read the lists and how long each clip is; an item is the number of a frame."""
        rows = Rows()
        video()
        clips = [clip for part in self.parts for clip in self._clips(part, files, rows)]
        measure = partial(_frames, os.fspath(files.root), self.rate)
        with progress_of("reading clips", len(clips), progress) as advance:
            measured = ahead(measure, [name for name, _ in clips])
            for (name, values), frames in zip(clips, measured, strict=True):
                if isinstance(frames, Problem):
                    rows.problems.append(frames)
                else:
                    for second, frame in frames:
                        rows.add(name, frame, {**values, "frame": str(frame), "second": second})
                advance()
        return rows

    def _clips(self, part: Part, files: Walk, rows: Rows) -> list[tuple[str, dict[str, str]]]:
        names = find(files.root, part.names).read_text(encoding="utf-8-sig").split("\n")
        names = [name.strip() for name in names if name.strip()]
        path = find(files.root, part.labels)
        with path.open(newline="", encoding="utf-8-sig") as file:
            labels = [[value.strip() for value in line] for line in csv.reader(file) if line]
        if len(labels) != len(names) or any(len(line) != len(self.columns) for line in labels):
            raise NeuroferError(
                f"{path} must have {len(names)} lines of {len(self.columns)} values, one for each "
                f"name of {part.names[0]}; it has {len(labels)}; copy both again from their source"
            )
        found = []
        for name, line in zip(names, labels, strict=True):
            clip = f"{part.clips}/{name.removesuffix(self.suffix)}{self.suffix}"
            if clip in files.position:
                values = dict(zip(self.columns, line, strict=True))
                found.append((clip, {**values, **part.values}))
            else:
                rows.problems.append(Problem(clip, "missing file", f"named in {part.names[0]}"))
        return found


class Frame(NamedTuple):
    """A `Picture` that is a frame of a clip."""

    path: str
    stamp: Stamp
    number: int

    def read(self, stimulus_id: str = "") -> np.ndarray:
        """Return the frame, (H, W, 3) uint8; raise a NeuroferError if it cannot be decoded.

        Frames are counted from the start, for jumps to a frame are exact in few formats. A thread
        goes on from the frame that it read last, so that a clip read in order is decoded once.
        """
        cv2 = video()
        now = Stamp.of(self.path)[:2] if os.path.isfile(self.path) else None
        if _held.of != (self.path, now) or _held.at > self.number:
            _held.of, _held.clip, _held.at = (self.path, now), cv2.VideoCapture(self.path), 0
        while _held.at < self.number and _held.clip.grab():
            _held.at += 1
        good, pixels = _held.clip.read() if _held.at == self.number else (False, None)
        _held.at += 1
        if not good or pixels is None:
            _held.of = None
            raise NeuroferError(
                f"the image of stimulus {stimulus_id!r} cannot be read: {self}; the clip is "
                "truncated: copy it again from its source"
            )
        return np.ascontiguousarray(pixels[:, :, ::-1])

    def unchanged(self) -> bool:
        """Compare size and time of change of the clip."""
        return self.stamp.holds(self.path)

    def __str__(self) -> str:
        return f"{self.path}, frame {self.number}"


def video() -> Any:
    """Return OpenCV, which decodes clips; raise a NeuroferError where it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise NeuroferError(
            "clips are decoded by OpenCV, which is not installed: pip install 'neurofer[clips]'"
        ) from error
    return cv2


def _frames(root: str, rate: float, name: str) -> list[tuple[str, int]] | Problem:
    """Return the time in seconds and the number of each frame that is read of a clip."""
    cv2 = video()
    clip = cv2.VideoCapture(os.path.join(root, name))
    try:
        speed, count = clip.get(cv2.CAP_PROP_FPS), int(clip.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        clip.release()
    if not speed > 0 or count < 1:
        return Problem(name, "no image", "it is not a clip that OpenCV can read")
    wanted = {round(k * speed / rate): k for k in reversed(range(int(count * rate / speed) + 1))}
    return [(f"{k / rate:.3f}", frame) for frame, k in sorted(wanted.items()) if frame < count]
