"""Images that do not fit come from threads: the same bytes, bounded memory, named errors."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.stimuli import StimulusSet, read_stimuli
from neurofer.subjects.weight_files.tensors import load_tensors
from neurofer.training import images, make_recipe
from neurofer.training.batches import batch_positions
from neurofer.training.images import ImageData, ImageSource, divide
from neurofer.training.train import train
from tests.training.tasks.test_supervised import RECIPE, shades

from .test_images import made

SET = made()
HERE = ImageSource(SET, 16)
THERE = ImageSource(SET, 16, resident=False)
POSITIONS = st.lists(st.integers(0, len(SET) - 1), min_size=1, max_size=12)


@given(wanted=POSITIONS, ahead=st.lists(POSITIONS, max_size=3))
@settings(max_examples=50)
def test_whatever_was_prefetched_a_batch_has_the_resident_bytes(
    wanted: list[int], ahead: list[list[int]]
) -> None:
    for positions in ahead:  # asked for or not, once or several times
        THERE.prefetch(np.array(positions))
    assert torch.equal(THERE.batch(np.array(wanted)), HERE.batch(np.array(wanted)))


def test_all_streamed_batches_are_all_images_in_order() -> None:
    stimuli = made(identities=40)
    parts = list(ImageSource(stimuli, 24, resident=False).batches())
    assert len(parts) == 3
    assert torch.equal(torch.cat(parts), torch.cat(list(ImageSource(stimuli, 24).batches())))


def test_what_is_prefetched_and_never_asked_for_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound, each = 100_000, 3 * 64 * 64
    monkeypatch.setattr(images, "AHEAD_BYTES", bound)
    stimuli = made(identities=50, size=64)  # 200 images, 2.5 MB
    source = ImageSource(stimuli, 64, resident=False)
    tracemalloc.start()
    for start in range(0, 200, 8):
        source.prefetch(np.arange(start, start + 8))
    everything = source.batch(np.arange(200))  # more than the bound, and still all there
    assert torch.equal(everything, ImageSource(stimuli, 64).batch(np.arange(200)))
    del everything
    for start in range(0, 200, 8):
        source.prefetch(np.arange(start, start + 8))
    source._pool.shutdown(wait=True)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert bound / 2 < held < bound + 20 * each  # of 25 times the bound


def test_training_from_the_stream_is_training_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))
    outs = [tmp_path / f"{name}.safetensors" for name in ("memory", "stream")]
    for out, room in zip(outs, (images.RESIDENT_BYTES, 0), strict=True):
        monkeypatch.setattr(images, "RESIDENT_BYTES", room)
        train(make_recipe(RECIPE), out, threads=1, device="cpu", quiet=True)
    assert sha256_file(outs[0]) == sha256_file(outs[1])


def test_an_image_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stimuli: StimulusSet = read_stimuli(shades().save(tmp_path / "set"))
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: stimuli)
    monkeypatch.setattr(images, "RESIDENT_BYTES", 0)
    out = tmp_path / "net.safetensors"
    division = divide(ImageData(stimuli="made", size=24), 0, quiet=True)
    row = batch_positions(len(division.train), 8, 0, 5)[3]  # shown in the sixth step
    bad = tmp_path / "set" / "images" / f"{division.train.table['stimulus_id'][row]}.png"
    bad.write_bytes(bad.read_bytes()[:60])
    said = rf"the image of stimulus '{bad.stem}' cannot be read: {bad}"
    with pytest.raises(NeuroferError, match=said):
        train(make_recipe(RECIPE), out, threads=1, device="cpu", quiet=True)
    assert load_tensors(out.with_suffix(".checkpoint.safetensors"))[1]["step"] == 4
