"""Recording against a bare loop and against Brain-Score's wrapper; early exit; bfloat16."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _turns import interleaved

ROUNDS = 3
IMAGES = 48
BATCH = 16


def benchmarks() -> list[dict[str, Any]]:
    """Return the rows of this file."""
    return [_loop(), _early_exit(), pytorchwrapper(), bf16()]


def pytorchwrapper(images: int = IMAGES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return `record.pytorchwrapper`: images per second of `record`, and of Brain-Score's wrapper.

    The same network, PNGs, pixels, batches and layers, 24,576 units in two of them; assemblies
    with the columns of the stimuli on both sides. What the wrapper would cache is computed anew.
    """
    from neurofer.brainscore import stimulus_set_to_brainscore  # also switches the caching off
    from neurofer.recording import record
    from neurofer.stimuli import load_stimuli, read_stimuli
    from neurofer.subjects import load_subject
    from neurofer.subjects.preprocess import network_input

    row: dict[str, Any] = {"id": "record.pytorchwrapper", "goal": 2.0, "unit": "images/s"}
    try:
        # The class imports no torchvision, which a CPU build of torch cannot load; only the
        # wrapper's own preprocessing would, and the subject's is used in its place.
        from brainscore_vision.model_helpers.activations.pytorch import PytorchWrapper, load_images
    except ImportError:
        nothing = {"ours": None, "peer": None, "ratio": None}
        return {**row, **nothing, "note": "Brain-Score is not installed"}

    # Narrow, so that the row is of the recording: with a wide network both sides wait for it.
    subject: Any = load_subject("resnet-18", weights="untrained", width=0.0625)
    layers = ["layer3", "layer4"]

    def seen(paths: list[Path]) -> np.ndarray:
        pixels = [network_input(np.asarray(image), subject.size) for image in load_images(paths)]
        return np.stack(pixels).astype(np.float32) / 127.5 - 1

    with tempfile.TemporaryDirectory() as folder:
        drawn = load_stimuli("bfs").take(range(images))
        theirs = stimulus_set_to_brainscore(drawn, Path(folder) / "set")
        theirs.identifier = None  # a name would be a key of its cache
        stimuli = read_stimuli(Path(folder) / "set")
        wrapper = PytorchWrapper(copy.deepcopy(subject.net), seen, batch_size=BATCH)
        found: dict[str, np.ndarray] = {}

        def ours() -> None:
            recording = record(subject, stimuli, sites=layers, batch_size=BATCH, progress=False)
            found["ours"] = recording.to_numpy()

        def peer() -> None:
            found["peer"] = wrapper(theirs, layers=layers).to_numpy()

        seconds = interleaved(rounds, ours, peer)
    difference = float(np.abs(found["ours"] - found["peer"]).max())
    made = _row(row["id"], [images / s for s in seconds], row["goal"])
    units = found["ours"].shape[1]
    note = f"resnet-18 of width 1/16, {units:,} units, equal to {difference:.0e}"
    return {**made, "note": note}


def bf16(images: int = BATCH, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return `record.bf16`: images per second of ResNet-50 in bfloat16, and in float32.

    The goal is of processors with AMX; others have slower instructions for the type, or none.
    """
    from neurofer.recording import record
    from neurofer.stimuli import load_stimuli
    from neurofer.subjects import load_subject

    stimuli = load_stimuli("bfs").take(range(images))

    def in_type(precision: str) -> Callable[[], object]:
        subject = load_subject("resnet-50", weights="untrained", precision=precision)
        return lambda: record(subject, stimuli, sites=["avgpool"], batch_size=BATCH, progress=False)

    seconds = interleaved(rounds, in_type("bfloat16"), in_type("float32"))
    flags = _processor_flags() & {"amx_bf16", "amx_tile", "avx512_bf16", "avx512f", "avx2"}
    applies = "amx_bf16" in flags
    row = _row("record.bf16", [images / s for s in seconds], 2.0 if applies else None)
    said = f"{', '.join(sorted(flags)) or 'unknown instructions'}"
    return {**row, "note": said + ("" if applies else "; the goal of 2 is of processors with AMX")}


def _processor_flags() -> set[str]:
    known = Path("/proc/cpuinfo")
    lines = known.read_text("utf-8").splitlines() if known.is_file() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


def _early_exit() -> dict[str, Any]:
    """Return `record.early_exit`: images per second of CORnet-S asked for V1, and for its end."""
    from neurofer.recording import record
    from neurofer.stimuli import load_stimuli
    from neurofer.subjects import load_subject

    subject, stimuli = (
        load_subject("cornet-s", weights="untrained"),
        load_stimuli("bfs").take(range(BATCH)),
    )

    def until(site: str) -> Callable[[], object]:
        return lambda: record(subject, stimuli, sites=[site], batch_size=BATCH, progress=False)

    seconds = interleaved(ROUNDS, until("V1.output"), until("decoder.linear"))
    row = _row("record.early_exit", [BATCH / s for s in seconds], 1.8)
    return {**row, "note": "CORnet-S, V1 against the last layer"}


def _loop() -> dict[str, Any]:
    """Return `record.loop`: images per second of `record`, and of the loop one would write."""
    import torch

    from neurofer.recording import record
    from neurofer.stimuli import load_stimuli, read_stimuli
    from neurofer.subjects import load_subject

    # The untrained trunk computes what the trained one computes, and needs no weights fetched.
    subject = load_subject("vgg16-untrained")
    with tempfile.TemporaryDirectory() as folder:
        load_stimuli("bfs").take(range(IMAGES)).save(Path(folder) / "set")
        stimuli = read_stimuli(Path(folder) / "set")
        paths = sorted((Path(folder) / "set" / "images").glob("*.png"))

        def ours() -> None:
            record(subject, stimuli, sites=["conv3_3"], batch_size=BATCH, progress=False)

        def bare() -> None:
            _bare_loop(subject, paths)

        with torch.no_grad():
            seconds = interleaved(ROUNDS, ours, bare)
    return _row("record.loop", [IMAGES / s for s in seconds], 0.95)


def _row(name: str, speeds: list[float], goal: float | None) -> dict[str, Any]:
    ratio = speeds[0] / speeds[1]
    shared = {"ours": speeds[0], "peer": speeds[1], "ratio": ratio, "goal": goal}
    return {"id": name, **shared, "unit": "images/s"}


def _bare_loop(subject: Any, paths: list[Path]) -> np.ndarray:
    """Decode ahead in threads, run the trunk, keep the layer."""
    from PIL import Image

    from neurofer.recording import Batch

    def decode(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))

    kept: list[np.ndarray] = []
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(decode, paths))
        for start in range(0, len(images), BATCH):
            batch = Batch(images[start : start + BATCH], None)  # type: ignore[arg-type]
            kept.append(subject.respond(batch, ["conv3_3"])["conv3_3"])
    return np.concatenate(kept)
