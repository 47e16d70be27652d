"""Every kind of file that is written and read again: changed, cut and emptied, it is found out.

Each kind is a way to write it, the file that is damaged and a way to read it. Twenty single bytes
are changed, and the file is cut in four places and emptied. A file of a cache is then named, set
aside and made again; any other is refused by an error that names it. What is read in spite of a
change must be what was written, and for all but pictures no change goes unsaid.
"""

from __future__ import annotations

import json
import random
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import neurofer.training.tasks.heads as heads
from neurofer.errors import NeuroferError
from neurofer.recording import load_recording, record, save_recording
from neurofer.recording.store import RecordingStore
from neurofer.reports import figures, place
from neurofer.reports.blocks import Figure
from neurofer.sealed import LENGTH, cached
from neurofer.stimuli import StimulusSet, load_stimuli, read_stimuli
from neurofer.stimuli.layouts import write_layout
from neurofer.stimuli.licensed import copies
from neurofer.stimuli.licensed.remembered import remember, remembered
from neurofer.stimuli.rendered import drawing
from neurofer.stimuli.rendered.render_cache import RenderSpec, ensure_rendered
from neurofer.studies.descriptions import SubjectDescription, read_description, write_description
from neurofer.studies.results import read_result, write_result
from neurofer.subjects.weight_files import sources
from neurofer.subjects.weight_files.tensors import load_tensors, save_tensors
from neurofer.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from tests.stimuli.conftest import make_stimuli, renderer
from tests.stimuli.fake_layouts import fake_layout
from tests.studies import lab

__all__ = ["renderer"]
FLIPS, CUTS, SEED = 20, 4, 7
CHANGES = FLIPS + CUTS + 1


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        write: writes it, and all that belongs to it, below a folder.
        file: the pattern of its path below the folder; the first that fits is damaged.
        read: reads it; what it returns is compared.
        cached: it lies in a cache, where it is made again.
        told: how many of the changes are told at least. Some bits of a PNG say nothing of the
            pixels, nor does the end of a line say anything of a table.
    """

    write: Callable[[Path], Any]
    file: str
    read: Callable[[Path], Any]
    cached: bool = False
    told: int = CHANGES


# How each kind is written and read

SPEC = RenderSpec("human", 3, 1.0, "happy", 0.5, 1.0, 16)


def rendered(folder: Path) -> Any:
    (one,) = ensure_rendered([SPEC], folder, workers=0)
    return one.image.read(), one.parts.read(), one.landmarks


DRAWING = drawing.Drawing("lorelei", {}, {}, {}, {}, {}, (0, 0, 1, 1), 12)


def drawn(folder: Path) -> Any:
    (one,) = drawing.ensure_drawn([DRAWING], folder)
    return one.image.read(), one.landmarks


def stimulus_set(folder: Path) -> Any:
    made = read_stimuli(folder / "set")
    return list(made.images()), [made.parts(i) for i in range(len(made))], made.identifier


def licensed(folder: Path) -> Any:
    made = load_stimuli("ferg", path=folder / "copy", cache=folder / "index")
    return made.identifier, made.table, made.name


def copied(folder: Path) -> None:
    fake_layout("ferg", folder / "copy")
    licensed(folder)


def stand_in(folder: Path) -> None:
    table = pd.DataFrame({"stimulus_id": ["aia_joy_1", "aia_sadness_2"], "head": "aia"})
    table = table.assign(expression=["happy", "sad"], source="rendered")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    write_layout(StimulusSet.from_arrays("ferg-sim", table, pictures), "ferg", folder / "copy")


def recording() -> xr.DataArray:
    subject = lab.CountingSubject()
    return record(subject, lab.simulated_stimuli(1), sites=["decision"], progress=False)


def stored(folder: Path) -> xr.DataArray:
    store = RecordingStore(folder)
    return store.record(lab.CountingSubject(), lab.simulated_stimuli(1), progress=False)


def result() -> xr.Dataset:
    values = np.random.default_rng(1).normal(size=(2, 5))
    return xr.Dataset({"r": (("site", "unit"), values)}, {"site": ["a", "b"]}, {"unit": "none"})


def result_again(folder: Path) -> Any:
    path = folder / "r-0123.nc"
    found = cached(path, partial(read_result, named=True))
    if found is None:
        write_result(result(), path, named=True)
        found = read_result(path, named=True)
    return found


DESCRIPTION = SubjectDescription("vgg16", "vgg16-12", {"size": 64, "layers": ["a"]}, sites=("a",))


def described(folder: Path) -> Any:
    path = folder / "0123.json"
    found = cached(path, read_description)
    if found is None:
        write_description(DESCRIPTION, path)
        found = read_description(path)
    return found


def figure(folder: Path) -> bytes:
    size = SimpleNamespace(width=9, height=9)
    shown = SimpleNamespace(to_json=lambda: "{}", layout=size)
    (made,) = figures.write_svgs([Figure("one", "One", shown)], folder / "report")
    assert made.svg is not None
    return made.svg.read_bytes()


TENSORS = {
    "a.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "a.bias": torch.tensor([0.5, -1, 2], dtype=torch.bfloat16),
}


def converted(folder: Path) -> None:
    arrays = {name: tensor.float().numpy() for name, tensor in TENSORS.items()}
    sources._write(sources.SOURCES["vgg16-keras"], arrays)


def network() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return net, optimiser


def checkpoint(folder: Path) -> None:
    net, optimiser = network()
    about = {"steps": 3}
    save_checkpoint(
        folder / "x.checkpoint.safetensors", Progress(2), about, {"n": net}, {"o": optimiser}
    )


def resumed(folder: Path) -> Any:
    net, optimiser = network()
    path = folder / "x.checkpoint.safetensors"
    progress = load_checkpoint(path, {"steps": 3}, {"n": net}, {"o": optimiser})
    return progress, net.state_dict(), optimiser.state_dict()["state"]


def shards(folder: Path) -> Any:
    spec = heads.RenderedHeads(identities=1, held_out=3, images=1, size=112)
    found = heads.rendered_heads(spec, quiet=True)
    return found.inputs, found.landmarks, found.seed, found.sha256


def report(folder: Path) -> None:
    old = folder / "report"
    old.mkdir()
    (old / "provenance.json").write_text('{"failures": []}')
    (old / "table.csv").write_text("a,b")
    place.write_manifest(old)
    (old / "notes.txt").write_text("the user's own")


def carried(folder: Path) -> list[str]:
    """Return what of the user's own is in the report that follows, and is not lost."""
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    place.carry_over(folder / "report", new)
    return [path.name for path in new.rglob("notes.txt")]


KINDS: dict[str, Kind] = {
    "rendered image": Kind(rendered, "fake-renderer-00/*[!s].png", rendered, True, CHANGES - 3),
    "rendered parts": Kind(rendered, "fake-renderer-00/*.parts.png", rendered, True, CHANGES - 3),
    "rendered note": Kind(rendered, "fake-renderer-00/*.note", rendered, True),
    "drawn image": Kind(drawn, "*.png", drawn, True, CHANGES - 3),
    "drawn note": Kind(drawn, "*.note", drawn, True),
    "saved set": Kind(
        lambda folder: make_stimuli(12, 6).save(folder / "set"), "set/set.json", stimulus_set
    ),
    "saved table": Kind(
        lambda folder: make_stimuli(12, 6).save(folder / "set"),
        "set/table.csv",
        stimulus_set,
        told=CHANGES - 2,
    ),
    "saved landmarks": Kind(
        lambda folder: make_stimuli(12, 6).save(folder / "set"),
        "set/landmarks.csv",
        stimulus_set,
        told=CHANGES - 1,
    ),
    "saved image": Kind(
        lambda folder: make_stimuli(12, 6).save(folder / "set"),
        "set/images/*.png",
        stimulus_set,
        told=CHANGES - 3,
    ),
    "saved parts": Kind(
        lambda folder: make_stimuli(12, 6).save(folder / "set"),
        "set/parts/*.png",
        stimulus_set,
        told=CHANGES - 4,
    ),
    "index": Kind(copied, "index/*.npz", licensed, True),
    "remembered folders": Kind(
        lambda folder: remember("kdef", folder), "folders.json", lambda folder: remembered()
    ),
    "note of a stand-in": Kind(
        stand_in, f"copy/{copies.NOTE}", lambda f: copies.read_note(f / "copy" / copies.NOTE)
    ),
    "saved recording": Kind(
        lambda folder: save_recording(recording(), folder / "r.nc"),
        "r.nc",
        lambda folder: load_recording(folder / "r.nc"),
    ),
    "stored recording": Kind(stored, "*.nc", stored, True),
    "cached result": Kind(result_again, "*.nc", result_again, True),
    "written result": Kind(
        lambda folder: write_result(result(), folder / "r.nc"),
        "r.nc",
        lambda folder: read_result(folder / "r.nc"),
    ),
    "description": Kind(described, "0123.json", described, True),
    "figure": Kind(figure, "figures/*.svg", figure, True),
    "trained weights": Kind(
        lambda folder: save_tensors(folder / "w.safetensors", TENSORS, {"size": 3}),
        "w.safetensors",
        lambda folder: load_tensors(folder / "w.safetensors"),
    ),
    "converted weights": Kind(
        converted, "weights/*.safetensors", lambda folder: sources.load_weights("vgg16-keras")
    ),
    "checkpoint": Kind(checkpoint, "x.checkpoint.safetensors", resumed),
    "heads to train on": Kind(shards, "training/*/*.npz", shards, True),
    "manifest": Kind(report, "report/manifest.json", carried),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renderer: object) -> Path:
    """A cache, in which what takes long is made up."""
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path))
    image = np.random.default_rng(5).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    monkeypatch.setattr(drawing, "check_installed", lambda: None)
    monkeypatch.setattr(drawing, "_versions", lambda: {"drawing": 1})
    monkeypatch.setattr(drawing, "draw", lambda _: (image, np.full((13, 2), 0.5)))
    monkeypatch.setattr(figures, "find_browser", lambda: "a browser")
    monkeypatch.setattr(
        figures, "_write_images", lambda plots, files: [f.write_text("<svg/>" * 9) for f in files]
    )

    def here(module: str, arguments: list[str], work: Any, advance: Any, **_: Any) -> None:
        spec = heads.RenderedHeads(**json.loads(arguments[0]))
        for start in work:
            list(heads._render_shard(spec, Path(arguments[1]), start))

    shown = SimpleNamespace(image=np.zeros((112, 112, 3), np.uint8), landmarks=np.ones((13, 2)))
    monkeypatch.setattr(heads, "run_in_processes", here)
    monkeypatch.setattr(heads, "draw", lambda *_: shown)
    monkeypatch.setattr(heads, "heatmap_input", lambda pixels: pixels[..., 0])
    return tmp_path


def same(one: Any, two: Any) -> bool:
    """Whether two values are equal to the last bit."""
    if isinstance(one, (xr.DataArray, xr.Dataset)):
        return bool(one.identical(two))
    if isinstance(one, pd.DataFrame):
        return bool(one.equals(two))
    if isinstance(one, (np.ndarray, torch.Tensor)):
        return one.shape == two.shape and bytes(np.asarray(one)) == bytes(np.asarray(two))
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


def changes(content: bytes) -> list[tuple[str, bytes]]:
    """Return what may become of a file, each change with its name."""
    generator, found = random.Random(SEED), []
    for place_ in generator.sample(range(len(content)), FLIPS):
        flipped = bytearray(content)
        flipped[place_] ^= generator.randrange(1, 256)
        found.append((f"byte {place_} of {len(content)}", bytes(flipped)))
    for kept in (1, len(content) // 3, len(content) - LENGTH, len(content) - 1):
        found.append((f"cut to {kept} of {len(content)}", content[:kept]))
    return [*found, ("emptied", b"")]


def restore(folder: Path, before: dict[Path, bytes]) -> None:
    for path, content in before.items():
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


def reading(kind: Kind, folder: Path) -> tuple[Any, str]:
    """Return what is read, None where it is refused, and what is said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            value, said = kind.read(folder), ""
        except NeuroferError as error:
            value, said = None, str(error)
    return value, "\n".join([said, *(str(one.message) for one in caught)]).strip()


@pytest.mark.parametrize("name", KINDS)
def test_no_change_of_a_file_is_used_in_silence(name: str, folder: Path) -> None:
    kind = KINDS[name]
    kind.write(folder)
    path = sorted(folder.glob(kind.file))[0]
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        right = kind.read(folder)
    silent = []
    for change, content in changes(before[path]):
        restore(folder, before)
        path.write_bytes(content)
        value, told = reading(kind, folder)
        if value is None:
            assert not kind.cached, f"{name}, {change}: not made again: {told}"
        else:
            assert same(value, right), f"{name}, {change}: another value is read"
        if path.name not in told:
            silent.append(change)
        elif kind.cached:
            assert any((path.parent / ".damaged").iterdir())
            assert reading(kind, folder)[1] == ""
    assert len(silent) <= CHANGES - kind.told, f"{name}: nothing was said of {silent}"


def test_a_report_whose_provenance_was_changed_is_taken_for_complete(tmp_path: Path) -> None:
    report(tmp_path)
    old = tmp_path / "report"
    for content in ('{"failures": ["one"]}', '{"failu', ""):
        (old / "provenance.json").write_text(content)
        with pytest.warns(UserWarning, match=r"provenance.json cannot be read .* stays"):
            assert place.target_folder(old, ["a failure"]).name == "report-incomplete"
