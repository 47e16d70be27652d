"""Recordings in files as subjects of a study: a laboratory's table, a recording of a model."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurofer.analyses import analyse
from neurofer.errors import NeuroferError
from neurofer.files import content_folder
from neurofer.recording import read_neurons, save_recording
from neurofer.reports.figures import make_figures
from neurofer.reports.methods import methods_sections
from neurofer.simulation import norm_referenced_units, simulated_faces
from neurofer.studies.cell import ResultKey
from neurofer.studies.checks import check_names
from neurofer.studies.reading import dump_study, read_study
from neurofer.studies.run import compute_study
from tests.studies import lab

FACES = simulated_faces(heads=("human",), n_identities=5, expressions=("neutral", "fear", "sad"))
TRUTH = norm_referenced_units(FACES, slope=20, intercept=5, noise=1.0)
OPTIONS = {"n_bootstrap": 20, "mixed": "none"}
STUDY = """
name: laboratory
title: Neurons beside a model
subjects:
  cells: {recording: rates.csv, stimuli: faces.csv, label: Cells of monkey M}
  units: {recording: units.nc}
  gone: {recording: gone.nwb}
analyses:
  - {name: linearity, analysis: linearity, subjects: [cells, units, gone],
     options: {n_bootstrap: 20, mixed: none}}
claims:
  - {id: "{subject}.r2", analysis: linearity, subject: [cells, units, gone], value: median_r2,
     holds: at least 0.5}
figures:
  - {name: tuning, title: Activity over strength, analysis: linearity}
"""


def changed(old: str, new: str, text: str = STUDY) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    """Simulated neurons as a table, with a line that cannot be used, and as netCDF."""
    columns = ["stimulus_id", "head", "identity", "expression", "strength", "source"]
    FACES.table[columns].to_csv(tmp_path / "faces.csv", index=False)
    rates = pd.DataFrame(TRUTH.to_numpy(), columns=["cell a", "cell b"])
    rates.insert(0, "stimulus_id", TRUTH["stimulus_id"].to_numpy())
    rates = pd.concat([rates, rates.iloc[[0]].assign(stimulus_id="no-such-face")])
    rates.to_csv(tmp_path / "rates.csv", index=False)
    save_recording(TRUTH, tmp_path / "units.nc")
    (tmp_path / "laboratory.yaml").write_text(STUDY)
    return tmp_path


def test_recordings_are_analysed_on_what_they_were_shown(laboratory: Path) -> None:
    outcome = compute_study(laboratory / "laboratory.yaml")
    assert [(f.place, f.message) for f in outcome.failures] == [
        ("gone on recorded", f"there is no file {laboratory / 'gone.nwb'}")
    ]
    assert set(outcome.results) == {
        ResultKey("linearity", "recorded", name) for name in ("cells", "units")
    }
    cells = outcome.results[ResultKey("linearity", "recorded", "cells")]
    neurons = read_neurons(laboratory / "rates.csv", laboratory / "faces.csv")
    xr.testing.assert_equal(cells, analyse("linearity", neurons, site=None, seed=0, **OPTIONS))
    assert cells.attrs["data"] == "simulated"
    assert outcome.claims["cells.r2"].holds is True
    assert outcome.claims["units.r2"].measured is not None
    assert "failed" in outcome.claims["gone.r2"].verdict


def test_the_report_says_what_was_read_and_what_was_set_aside(laboratory: Path) -> None:
    outcome = compute_study(laboratory / "laboratory.yaml")
    text = str(methods_sections(outcome))
    for words in (
        "Cells of monkey M**: 2 units (simulated), 45 presentations of 5 identities",
        "file `rates.csv` with stimulus table `faces.csv`",
        "set aside: 1 (stimulus 'no-such-face': not in the stimulus table).",
        "reads 3 recordings",
        "trials: not stated",  # of the model's
    ):
        assert words in text
    figures, failures = make_figures(outcome)
    assert not failures
    assert "2 units (simulated)" in figures[0].caption
    assert "`results/linearity.recorded.*.csv`" in figures[0].caption
    # The site of the cells has no labels, that of the model has: a figure drops nobody silently.
    title = figures[0].plot.layout.title.text
    assert "without labelled units, and so not drawn: Cells of monkey M" in title
    assert "(simulated)" in title


def test_what_is_computed_again_follows_the_files(laboratory: Path) -> None:
    def run(**options) -> int:
        return compute_study(laboratory / "laboratory.yaml", **options).analysed

    assert run() == 2
    assert run() == 0
    assert run(executor="processes") == 0
    file = laboratory / "rates.csv"
    (laboratory / "laboratory.yaml").write_text(changed("label: Cells", "label: Neurons"))
    assert run() == 0
    file.write_text(file.read_text().replace("human-1-neutral-0,", "human-1-neutral-0,1"))
    assert run(executor="processes") == 1
    table = laboratory / "faces.csv"
    table.write_text(table.read_text().replace("human-1-fear-1,", "human-1-fear-9,"))
    assert run() == 1
    options = changed("label: Cells", "options: {incomplete: drop}, label: Cells")
    (laboratory / "laboratory.yaml").write_text(options)
    assert run() == 1


def test_a_file_that_cannot_be_read_is_named(laboratory: Path) -> None:
    (laboratory / "rates.csv").write_text("stimulus_id\nhuman-1-neutral-0\n")
    (laboratory / "units.nc").write_bytes(b"no netCDF")
    text = changed("subjects: [cells, units, gone]", "subjects: [cells, units]")
    text = changed("subject: [cells, units, gone]", "subject: [cells, units]", text)
    (laboratory / "laboratory.yaml").write_text(text)
    with pytest.raises(NeuroferError, match=r"no column of numbers.*units on recorded: .*units.nc"):
        compute_study(laboratory / "laboratory.yaml")


def test_a_recording_stands_beside_models_in_one_analysis(folder: Path, laboratory: Path) -> None:
    """The site of the models is not that of neurons; figures and claims show both."""
    lab.simulated_stimuli(identities=1, strengths=(0.5, 1.0)).save(folder / "graded")
    text = changed("subjects:\n", "stimuli: {toy: {folder: graded}}\nsubjects:\n")
    text = changed("  gone: {recording: gone.nwb}", "  good: {subject: counting}", text)
    text = changed(
        "subjects: [cells, units, gone],", "stimuli: toy, subjects: [cells, good],", text
    )
    text = changed("subject: [cells, units, gone]", "stimuli: toy, subject: [cells, good]", text)
    (folder / "both.yaml").write_text(text)
    outcome = compute_study(folder / "both.yaml")
    assert not outcome.failures
    assert {str(key) for key in outcome.results} == {
        "linearity of cells on recorded", "linearity of good on toy",
    }  # fmt: skip
    assert outcome.claims["cells.r2"].file == "results/linearity.recorded.cells.csv"
    assert outcome.claims["good.r2"].measured == pytest.approx(1)
    (figure,), failures = make_figures(outcome)
    assert not failures
    assert "39 simulated images" in figure.caption
    assert "2 units (simulated)" in figure.caption
    overview = str(methods_sections(outcome)[0])
    assert "shows 1 set of stimuli to 1 subject and reads 1 recording" in overview


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{recording: units.nc}", "{label: none}", "subjects.units must have either 'subject' or"),
        ("{recording: units.nc}", "{recording: units.nc, subject: pixels}", "must have either"),
        ("{recording: units.nc}", "{subject: pixels}", "'linearity' lacks the key 'stimuli'"),
        ("{recording: units.nc}", "{recording: units.nc, training: {}}", "which has no 'training'"),
        ("{recording: units.nc}", "{subject: pixels, stimuli: a.csv}", "the stimulus table of a"),
        (
            "subjects:\n",
            "stimuli: {recorded: {set: bfs}}\nsubjects:\n",
            "what recordings were shown",
        ),
        ("units.nc}", "units.nc, options: {trial: mean}}", "did you mean 'trials'"),
        ("n_bootstrap: 20", "n_bootstrap: -3", "'linearity': n_bootstrap=-3: give a whole number"),
        ("n_bootstrap: 20", "seed: 1.5", "'linearity': seed=1.5: give a whole number"),
        ("mixed: none", "mixed: non", "did you mean 'none'"),
    ],
)
def test_mistakes_are_named(laboratory: Path, old: str, new: str, words: str) -> None:
    (laboratory / "laboratory.yaml").write_text(changed(old, new))
    with pytest.raises(NeuroferError) as said:
        check_names(read_study(laboratory / "laboratory.yaml"))
    assert words in str(said.value)


def test_the_study_as_it_was_run_finds_its_files_from_anywhere(laboratory: Path) -> None:
    study = read_study(laboratory / "laboratory.yaml")
    again = laboratory / "elsewhere" / "study.yaml"
    again.parent.mkdir()
    again.write_text(dump_study(study))
    assert read_study(again) == study
    assert np.isfinite(read_neurons(study.subjects["units"].recording)).all()


def test_the_example_of_the_manual_is_a_study(tmp_path: Path) -> None:
    text = (content_folder("analyses") / "README.md").read_text(encoding="utf-8")
    example = textwrap.dedent(text.split("```yaml\n")[2].split("```")[0])
    (tmp_path / "study.yaml").write_text("name: mine\ntitle: Mine\n" + example)
    study = read_study(tmp_path / "study.yaml")
    check_names(study)
    assert {one.recording for one in study.subjects.values()} == {
        tmp_path / "rates.csv", tmp_path / "session.nwb",
    }  # fmt: skip
