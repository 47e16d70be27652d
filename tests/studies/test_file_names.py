from __future__ import annotations

from pathlib import Path

import pytest

from neurofer.errors import NeuroferError
from neurofer.studies.reading import read_study
from neurofer.studies.run import compute_study
from tests.studies import lab

FIGURE = "figures:\n  - {name: NAME, title: T, analysis: transfer}\n"
LONG = "x" * 99


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lab.STUDY + FIGURE.replace("NAME", "a/b"), "figure 'a/b' cannot name a file: it holds"),
        (lab.STUDY + FIGURE.replace("NAME", "../../up"), "figure '../../up' cannot"),
        (lab.STUDY + FIGURE.replace("NAME", "/tmp/x"), "figure '/tmp/x' cannot"),
        (lab.STUDY + FIGURE.replace("NAME", '"x<script>"'), "figure 'x<script>' cannot"),
        (lab.STUDY + FIGURE.replace("NAME", LONG * 3), "has 297 bytes"),
        (
            lab.STUDY + FIGURE.replace("NAME", "a") + FIGURE.replace("NAME", "A")[9:],
            "figure 'A' and 'a' would be one file",
        ),
        (lab.STUDY.replace("good", "../good"), "subject '../good' cannot name a file"),
        (lab.STUDY.replace("good:", "go.od:").replace("good,", "go.od,"), "may hold a dot"),
        (lab.STUDY.replace("transfer", "nul"), "analysis 'nul' .* Windows"),
        (lab.STUDY.replace(" toy", f" {LONG}").replace("bad", LONG + "y"), "bytes together"),
        (lab.STUDY.replace("name: toy", "name: con"), "study 'con' .* Windows"),
    ],
)
def test_names_that_cannot_be_files_are_refused_before_any_work(
    folder: Path, text: str, words: str
) -> None:
    (folder / "toy.yaml").write_text(text)
    with pytest.raises(NeuroferError, match=words):
        read_study(folder / "toy.yaml")


def test_a_study_made_in_python_is_checked_as_well(folder: Path) -> None:
    (folder / "toy.yaml").write_text(lab.STUDY + FIGURE)
    study = read_study(folder / "toy.yaml")
    figure = study.figures[0].model_copy(update={"name": "../up"})
    with pytest.raises(NeuroferError, match=r"figure '\.\./up' cannot name a file"):
        compute_study(study.model_copy(update={"figures": (figure,)}))
    assert lab.CALLS["made"] == 0


def test_letters_of_any_script_may_name_files(folder: Path) -> None:
    (folder / "toy.yaml").write_text(lab.STUDY + FIGURE.replace("NAME", "図-5"), encoding="utf-8")
    assert read_study(folder / "toy.yaml").figures[0].name == "図-5"
