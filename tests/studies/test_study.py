from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from neurofer.errors import NeuroferError
from neurofer.files import content_folder
from neurofer.studies.reading import dump_study, find_study, read_study
from tests.studies.lab import STUDY


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert old in STUDY
    return STUDY.replace(old, new, 1)


MISTAKES = {
    "unknown key at the top": (
        changed("paper:", "papper:"),
        ["key='papper'", "the top level", "title", "did you mean 'paper'?"],
    ),
    "unknown key of a subject": (
        changed("label: Bad", "lable: Bad"),
        ["key='lable'", "subjects.bad", "subject, label, training", "did you mean 'label'?"],
    ),
    "unknown key of stimuli": (
        changed("differs:", "difers:"),
        ["key='difers'", "stimuli.toy", "did you mean 'differs'?"],
    ),
    "unknown key of an analysis": (
        changed("stimuli: toy, subj", "stimulus: toy, stimuli: toy, subj"),
        ["key='stimulus'", "analyses[0]", "did you mean 'stimuli'?"],
    ),
    "unknown key of a claim": (
        changed("published: 100", "publishd: 100"),
        ["key='publishd'", "claims[0]", "did you mean 'published'?"],
    ),
    "unknown key of a table": (
        changed("columns: [all", "colums: [all"),
        ["key='colums'", "tables[1]", "did you mean 'columns'?"],
    ),
    "unknown key of a row": (
        changed(
            "{label: Good, claims: [good.accuracy, good",
            "{lable: Good, claims: [good.accuracy, good",
        ),
        ["key='lable'", "tables[1].rows[0]"],
    ),
    "unknown key of training": (
        changed("label: Good}", "training: {protocoll: nine}}"),
        ["key='protocoll'", "subjects.good.training", "did you mean 'protocol'?"],
    ),
    "missing key": (changed("title: A toy study\n", ""), ["the top level lacks the key 'title'"]),
    "wrong kind": (changed("published: 100", "published: all"), ["claims[0].published='all'"]),
    "published is not a number": (changed("published: 100", "published: .nan"), [".nan is not a"]),
    "seed below 0": (changed("title: A toy study", "title: A\nseed: -1"), ["seed=-1: must be at"]),
    "key given twice": (changed("  bad: {", "  good: {"), ["line 9", "'good'", "twice"]),
    "no YAML": (STUDY + "\n  - [", ["not valid YAML"]),
    "no mapping": ("- a\n- b\n", ["must hold a mapping", "a list"]),
    "empty file": ("", ["must hold a mapping", "nothing"]),
    "both set and folder": (
        changed("{folder: stimuli,", "{folder: stimuli, set: bfs,"),
        ["stimuli.toy must have either 'set' or 'folder'"],
    ),
    "unknown stimuli": (
        changed("stimuli: toy, subj", "stimuli: tou, subj"),
        ["stimuli='tou'", "analyses, 'transfer'", "did you mean 'toy'?"],
    ),
    "unknown subject": (
        changed("subjects: [good, bad]", "subjects: [good, bat]"),
        ["subject='bat'", "did you mean 'bad'?"],
    ),
    "unknown training stimuli": (
        changed("label: Good}", "training: {stimuli: tyo}}"),
        ["stimuli='tyo'", "subjects.good.training", "did you mean 'toy'?"],
    ),
    "no analyses": (
        yaml.safe_dump({**yaml.safe_load(STUDY), "analyses": [], "claims": [], "tables": []}),
        ["'analyses' is empty"],
    ),
    "analysis twice": (
        changed(
            "claims:\n",
            "  - {name: transfer, analysis: rsa, stimuli: toy, subjects: good}\nclaims:\n",
        ),
        ["analyses has 'transfer' twice"],
    ),
    "claim twice": (changed("id: good.human", "id: good.accuracy"), ["claims has 'good.accuracy'"]),
    "claim of an unknown analysis": (
        changed("analysis: transfer, subject: good", "analysis: transfr, subject: good"),
        ["analysis='transfr'", "'good.accuracy'", "did you mean 'transfer'?"],
    ),
    "claim of an unknown subject": (
        changed("analysis: transfer, subject: good", "analysis: transfer, subject: goud"),
        ["subject='goud'", "did you mean 'good'?"],
    ),
    "claim less an unknown subject": (
        changed("subject: good, value", "subject: good, minus: bat, value"),
        ["subject='bat'", "'good.accuracy'", "did you mean 'bad'?"],
    ),
    "claim without value": (changed("value: accuracy,\n     pub", "pub"), ["needs 'value'"]),
    "claim of nothing": (changed("published: 52.4, ", ""), ["claim 'other' has neither"]),
    "statistic without of": (changed("statistic: mean", "unit: x"), ["'of' needs a 'statistic'"]),
    "criterion that is none": (changed("at least 95", "about 95"), ["holds='about 95'"]),
    "criterion on an unknown claim": (
        changed("clearly below good.accuracy", "clearly below god.accuracy"),
        ["claim='god.accuracy'", "did you mean 'good.accuracy'?"],
    ),
    "table of unknown claims": (
        changed("claims: [good.accuracy, bad.accuracy, other", "claims: [good.accuracy, othr"),
        ["claim='othr'", "table 'all'", "did you mean 'other'?"],
    ),
    "row of the wrong length": (
        changed("columns: [all, human]", "columns: [all]"),
        ["2 claims for"],
    ),
    "sheet of no stimuli": (changed("highlights:", "sheets: tyo\nhighlights:"), ["sheets"]),
    "highlight of no claim": (changed("highlights: [good", "highlights: [god"), ["highlights"]),
    "name with a slash": (
        STUDY.replace("good:", "go/od:").replace("good", "go/od"),
        ["'go/od'", "cannot name a file"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_named(mistake: str, tmp_path: Path) -> None:
    text, words = MISTAKES[mistake]
    path = write(tmp_path, text)
    with pytest.raises(NeuroferError) as caught:
        read_study(path)
    for word in [str(path), *words]:
        assert word in str(caught.value), str(caught.value)


def test_several_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = STUDY.replace("paper:", "papper:").replace("lable", "label").replace("seed", "sead")
    path = write(tmp_path, text.replace("title: A toy study\n", ""))
    with pytest.raises(NeuroferError, match=r"(?s)title.*papper"):
        read_study(path)


def test_missing_study_names_the_packaged_ones(tmp_path: Path) -> None:
    with pytest.raises(NeuroferError, match=r"nothing.yaml.*quickstart"):
        read_study(tmp_path / "nothing.yaml")


def test_unreadable_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(NeuroferError, match=r"not in UTF-8 .*line 1"):
        read_study(path)


def test_packaged_studies_are_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = content_folder("analyses") / "quickstart.yaml"
    assert find_study("quickstart") == expected
    assert find_study("analyses/quickstart.yaml") == expected


@pytest.mark.parametrize(
    "path", sorted(content_folder("analyses").glob("*.yaml")), ids=lambda p: p.stem
)
def test_packaged_studies_are_valid(path: Path) -> None:
    from neurofer.studies.cell import plan_cells
    from neurofer.studies.checks import check_names

    study = read_study(path)
    assert study.name == path.stem
    check_names(study)
    assert plan_cells(study)
    shown = {name for table in study.tables for name in table.claims} | {
        claim for table in study.tables for row in table.rows for claim in row.claims
    }
    listed = {claim.id for claim in study.claims_like(tuple(shown))}
    assert {claim.id for claim in study.claims} == listed, "a claim stands in no table"


def test_a_claim_is_made_of_every_subject_and_set(tmp_path: Path) -> None:
    old = "  - {id: good.human"
    new = (
        '  - {id: "{stimuli}.{subject}.again", label: "{label} on {stimuli}", analysis: transfer,\n'
        "     stimuli: [toy], subject: [good, bad], value: accuracy}\n  - {id: good.human"
    )
    study = read_study(write(tmp_path, changed(old, new)))
    made = {claim.id: claim for claim in study.claims if claim.id.endswith("again")}
    assert list(made) == ["toy.good.again", "toy.bad.again"]
    assert made["toy.bad.again"].label == "Bad on toy"
    assert made["toy.bad.again"].subject == "bad"


def test_a_folder_is_relative_to_the_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert read_study(folder / "toy.yaml").stimuli["toy"].folder == folder / "stimuli"


def test_what_is_dumped_reads_back_as_it_was(folder: Path) -> None:
    study = read_study(folder / "toy.yaml")
    assert read_study(write(folder, dump_study(study))) == study


def test_the_example_of_the_manual_is_a_study(tmp_path: Path) -> None:
    from neurofer.studies.checks import check_names

    text = (content_folder("analyses") / "README.md").read_text(encoding="utf-8")
    study = read_study(write(tmp_path, text.split("```yaml\n")[1].split("```")[0]))
    check_names(study)
    assert [claim.id for claim in study.claims_like(("bfs.*",))] == [
        "bfs.md-nre.accuracy",
        "bfs.lbp.accuracy",
    ]
