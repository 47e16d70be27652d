"""Bad input at the command line: one line that names it, status 2, nothing half-written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from neurofer.cli import app as cli
from neurofer.stimuli import StimulusSet

STUDY = {
    "name": "small",
    "title": "A small study",
    "stimuli": {"mine": {"folder": "mine"}},
    "subjects": {"pixels": {"subject": "pixels"}},
    "analyses": [
        {
            "name": "similarity",
            "analysis": "rsa",
            "stimuli": "mine",
            "subjects": "pixels",
            "options": {"site": "pixels", "models": ["expression", "identity"]},
        }
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # A cache of its own: what an earlier run computed of the same images must not answer.
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    expressions = ["neutral", "happy", "sad", "angry"]
    table = pd.DataFrame(
        [
            {
                "stimulus_id": f"{identity}-{expression}",
                "head": "human",
                "identity": identity,
                "expression": expression,
                "strength": float(expression != "neutral"),
                "source": "simulated",
            }
            for identity in ("a", "b", "c")
            for expression in expressions
        ]
    )
    images = generator.integers(0, 256, (len(table), 32, 32, 3), dtype=np.uint8)
    StimulusSet.from_arrays("mine", table, images).save(tmp_path / "mine")
    return tmp_path


def run(capsys, monkeypatch, *words: str) -> tuple[int, str]:
    """Return exit status and stderr of the command line."""
    monkeypatch.setattr(sys, "argv", ["neurofer", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    code = stopped.value.code
    return (code if isinstance(code, int) else int(code is not None)), capsys.readouterr().err


def write_study(folder: Path, **changes) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}))
    return path


def truncate(folder: Path) -> None:
    image = folder / "mine" / "images" / "b-happy.png"
    image.write_bytes(image.read_bytes()[:200])


def not_an_image(folder: Path) -> None:
    (folder / "mine" / "images" / "b-happy.png").write_text("no picture")


def empty(folder: Path) -> None:
    table = folder / "mine" / "table.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    (folder / "mine" / "set.json").unlink()


@pytest.mark.parametrize(
    ("damage", "named"), [(truncate, "b-happy.png"), (not_an_image, "b-happy.png"), (empty, "mine")]
)
def test_damaged_stimuli(folder, capsys, monkeypatch, damage, named):
    damage(folder)
    status, said = run(capsys, monkeypatch, "run", str(write_study(folder)), "--out", "out")
    assert status == 2
    assert named in said
    assert "Traceback" not in said
    assert not list(folder.glob("out/results/*pixels*"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": {}}, "subject"),
        ({"stimuli": {"mine": {"set": "bsf"}}}, "did you mean 'bfs'?"),
        ({"subjects": {"pixels": {"subject": "pixel"}}}, "did you mean 'pixels'?"),
        ({"stimuli": {"mine": {"folder": "mine", "select": {"expression": "angri"}}}}, "'angry'?"),
        ({"stimuli": {"mine": {"folder": "mine", "select": {"head": "humn"}}}}, "'human'?"),
        ({"stimuli": {"mine": {"folder": "nowhere"}}}, "nowhere"),
        (
            {"analyses": [{**STUDY["analyses"][0], "options": {"site": "pixles"}}]},  # type: ignore
            "pixels",
        ),
    ],
)
def test_a_study_that_names_what_is_not_there(folder, capsys, monkeypatch, changes, expected):
    path = write_study(folder, **changes)
    status, said = run(capsys, monkeypatch, "run", str(path), "--out", "out")
    assert status == 2
    assert expected in said
    assert "Traceback" not in said
    assert not list(folder.rglob(".partial-*"))


def test_the_same_study_unharmed_runs(folder, capsys, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["neurofer", "run", str(write_study(folder)), "--out", "out", "--quiet"]
    )
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    assert (folder / "out" / "report.html").is_file()
    assert (folder / "out" / "summary.json").is_file()


def test_missing_and_wrong_weights(folder, capsys, monkeypatch):
    study = write_study(
        folder,
        subjects={"pixels": {"subject": "vgg16-bsds"}},
        analyses=[{**STUDY["analyses"][0], "options": {"site": "pooled"}}],  # type: ignore
    )
    status, said = run(capsys, monkeypatch, "run", str(study), "--out", "out")
    assert status == 2
    assert "neurofer weights fetch vgg16-bsds" in said

    from neurofer.subjects.weight_files.sources import weights_path

    weights_path("vgg16-bsds").parent.mkdir(parents=True, exist_ok=True)
    weights_path("vgg16-bsds").write_bytes(b"not weights")
    status, said = run(capsys, monkeypatch, "run", str(study), "--out", "out")
    assert status == 2
    assert "weights" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("stimuli", "render", "bsf", "out"), "did you mean 'bfs'?"),
        (("stimuli", "sheet", "bfs", "--seeds", "1,two"), "whole numbers"),
        (("weights", "fetch", "vgg61"), "vgg16-bsds"),
        (("run", "nosuch.yaml"), "quickstart"),
        (("train", "nosuch", "--out", "w.safetensors"), "heatmap"),
    ],
)
def test_wrong_words(folder, capsys, monkeypatch, words, expected):
    before = [path for path in folder.rglob("*") if path.is_file()]
    status, said = run(capsys, monkeypatch, *words)
    assert status == 2
    assert expected in said
    assert [path for path in folder.rglob("*") if path.is_file()] == before
