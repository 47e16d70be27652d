"""What a report says in words must be true of what was run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest

from neurofer.analyses import ANALYSES
from neurofer.reports import figures, fonts, methods, tables
from neurofer.reports.blocks import Bullets, Document, Figure, Paragraph, Section, Table, spans
from neurofer.reports.document import _notes, make_document
from neurofer.reports.html import render_html
from neurofer.reports.words import (
    identities_words,
    images_words,
    recording_words,
    values_words,
    weights_words,
)
from neurofer.studies.claims import ClaimRow
from neurofer.studies.descriptions import StimuliDescription, SubjectDescription
from neurofer.studies.run import StudyOutcome, compute_study
from neurofer.studies.study import TableSpec
from tests.studies import lab


def shown(source: str, n: int = 84) -> StimuliDescription:
    columns = {"source": (source,), "head": ("",), "expression": ("happy",), "strength": (1.0,)}
    return StimuliDescription("mine-1a2b", n, columns, {"": ("a", "b")}, (10, 10))


@pytest.mark.parametrize(
    ("source", "n", "words"),
    [
        ("rendered", 84, "84 rendered images"),
        ("photograph", 1, "1 photograph image"),
        ("", 84, "84 images of which no source is stated"),
        ("", 1, "1 image of which no source is stated"),
        ("a*b", 2, r"2 a\*b images"),
    ],
)
def test_images_without_a_source_are_said_to_be_so(source: str, n: int, words: str) -> None:
    assert images_words(shown(source, n)) == words


@pytest.mark.parametrize(
    ("identities", "words"),
    [
        ({"human": ("a", "b"), "monkey": ("c",)}, "2 identities of human and 1 identity of monkey"),
        ({"": tuple("abcdefghijkl")}, "12 identities"),
        ({"": ("",)}, "identities not stated"),
        ({}, "identities not stated"),
    ],
)
def test_identities_without_heads(identities: dict, words: str) -> None:
    assert identities_words(identities) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["human", "monkey"], "human and monkey"),
        ([""], "not stated"),
        ([], "not stated"),
        ([0.0, 0.25, math.nan, math.nan], "0, 0.25 and not stated"),
        ([None, "a_b"], r"not stated and a\_b"),
    ],
)
def test_values_that_are_missing_are_said_to_be_so(values: list, words: str) -> None:
    assert values_words(values) == words


def test_a_recording_of_no_stated_kind_has_no_empty_brackets() -> None:
    said = {"neurons": 376832, "presentations": 84, "identities": 1, "kind": "", "stimuli": "s"}
    made = SubjectDescription("recorded", "r", {}, recorded=said)
    assert recording_words("R", made) == "R: 376832 units, 84 presentations of 1 identity, `s`"


@pytest.mark.parametrize(
    ("options", "registered", "words"),
    [
        ({"weights": "untrained"}, "cornet-s", "random weights"),
        ({"weights": "cornet-s-compact"}, "cornet-s", "weights `cornet-s-compact`"),
        ({}, "vgg16-untrained", "random weights"),
        ({}, "pixels", ""),
        ({}, "no-such-subject", ""),
    ],
)
def test_untrained_means_random_weights_only(options: dict, registered: str, words: str) -> None:
    made = SubjectDescription(registered, "x", options)
    assert weights_words(registered, made) == words


@pytest.fixture
def outcome(folder: Path) -> StudyOutcome:
    return compute_study(folder / "toy.yaml")


def analyses_table(outcome: StudyOutcome) -> Table:
    found = next(one for one in methods.methods_sections(outcome) if one.title == "Analyses")
    assert isinstance(found.blocks[0], Table)
    return found.blocks[0]


def test_every_subject_has_its_own_options(outcome: StudyOutcome) -> None:
    assert len(analyses_table(outcome).rows) == 1
    for key, site in zip(outcome.results, ("pixels", "lbp"), strict=True):
        options = json.loads(outcome.results[key].attrs["options"])
        outcome.results[key].attrs["options"] = json.dumps({**options, "site": site})
    rows = [[cell.text for cell in row] for row in analyses_table(outcome).rows]
    assert [(row[0], row[2]) for row in rows] == [("transfer", "Good"), ("", "Bad")]
    assert "`site=pixels`" in rows[0][-1]
    assert "`site=lbp`" in rows[1][-1]
    assert "pixels" not in rows[1][-1]


def text_of(sections: list[Section]) -> str:
    parts = []
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Paragraph):
                parts.append(block.text)
            elif isinstance(block, Bullets):
                parts += block.items
    return "\n".join(parts)


def test_what_no_analysis_uses_is_named(folder: Path) -> None:
    text = lab.STUDY.replace("subjects: [good, bad],", "subjects: good,")
    text = text.split("claims:")[0].replace("  toy: {", "  spare: {folder: stimuli}\n  toy: {")
    (folder / "toy.yaml").write_text(text)
    said = text_of(methods.methods_sections(compute_study(folder / "toy.yaml")))
    assert "used by no analysis: subjects `bad` and stimuli `spare`." in said
    assert "shows 1 set of stimuli to 1 subject" in said
    assert "**published**" not in said


def test_the_methods_say_how_intervals_were_made(outcome: StudyOutcome) -> None:
    assert "independent units" in text_of(methods.methods_sections(outcome))
    for key, result in outcome.results.items():
        outcome.results[key] = result.drop_vars(
            ["interval", "accuracy_by_expression_interval"]
        ).assign_attrs(interval="over trials")
    said = text_of(methods.methods_sections(outcome))
    assert "over trials: `transfer`" in said
    assert "identities of the same kind" not in said


def rows_table(*rows: ClaimRow, outcome: StudyOutcome) -> Table:
    outcome.claims = {row.id: row for row in rows}
    claims = tuple({"id": row.id, "published": 1.0} for row in rows)
    study = outcome.study.model_validate(
        {**outcome.study.model_dump(), "claims": claims, "highlights": (), "tables": ()}
    )
    outcome.study = study
    return tables.claim_table(TableSpec(name="t", title="T", claims=("*",)), outcome)


@pytest.mark.parametrize(
    ("units", "caption", "cells"),
    [
        (("%", "%"), "Values in %.", ["97.0", "99.0"]),
        (("%", ""), "", ["97.0 %", "99.000"]),
        (("%", "rad"), "", ["97.0 %", "99.000 rad"]),
        (("", ""), "", ["97.000", "99.000"]),
    ],
)
def test_a_unit_is_common_only_where_every_number_has_it(
    outcome: StudyOutcome, units: tuple[str, str], caption: str, cells: list[str]
) -> None:
    rows = [
        ClaimRow(name, name, measured=value, unit=unit)
        for name, value, unit in zip("ab", (97.0, 99.0), units, strict=True)
    ]
    table = rows_table(*rows, outcome=outcome)
    assert table.caption == caption
    assert [row[1].text for row in table.rows] == cells


def test_a_published_number_has_its_unit_and_its_paper(outcome: StudyOutcome) -> None:
    rows = [
        ClaimRow("a", "a", published=52.4, unit="%", source="Table 2"),
        ClaimRow("b", "b", published=0.5, measured=0.6, source="Smith (2020)"),
    ]
    table = rows_table(*rows, outcome=outcome)
    assert table.caption == "Published: Table 2 of the paper and Smith (2020)."
    assert [row[1].text for row in table.rows] == ["52.4 %", "0.5"]


def test_labels_are_printed_as_they_are(outcome: StudyOutcome) -> None:
    label = "a*b **c** `d` <b>e</b> \\*"
    table = rows_table(ClaimRow("a", label, measured=1.0), outcome=outcome)
    assert spans(table.rows[0][0].text) == [("text", label)]
    page = render_html(Document("t", "", "", (Section("S", (table,)),)))
    assert "a*b **c** `d` &lt;b&gt;e&lt;/b&gt; \\*" in page


@pytest.mark.parametrize(
    ("text", "lacking"),
    [("Gesichter ä é Ω Ж − ≤ 5", ""), ("顔 face 図 顔", "顔図"), ("\u200b🙂", "")],
)
def test_letters_that_no_font_has_are_found(
    text: str, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts.shutil, "which", lambda _: "fc-list")
    monkeypatch.setattr(fonts, "_has", lambda letter: letter == "ы")
    assert fonts.lacking_letters(text) == lacking
    monkeypatch.setattr(fonts.shutil, "which", lambda _: None)
    assert fonts.lacking_letters(text) == ""


def test_boxes_in_the_pdf_are_announced(outcome: StudyOutcome) -> None:
    page = render_html(make_document(outcome, [], [], letters="顔"))
    assert "Letters that no font here has are boxes: U+9854" in page
    assert "boxes" not in render_html(make_document(outcome, [], []))


HOSTILE = 'x"></div><script>alert(1)</script>'


def test_a_figures_name_and_labels_cannot_run_anything() -> None:
    plot = go.Figure(go.Bar(x=[HOSTILE], y=[1]), layout={"title": HOSTILE})
    section = Section("S", (Figure(HOSTILE, HOSTILE, plot, HOSTILE),))
    page = render_html(Document(HOSTILE, HOSTILE, HOSTILE, (section,)))
    assert "<script>alert" not in page
    assert 'href="x"' not in page


@pytest.fixture
def many(folder: Path) -> StudyOutcome:
    """A study with forty subjects, one of which has a label that plotly would read."""
    names = [f"s{k}" for k in range(40)]
    subjects = "\n".join(f"  {n}: {{subject: counting, label: 'A <b>{n}</b>'}}" for n in names)
    text = lab.STUDY.split("subjects:")[0] + f"subjects:\n{subjects}\nanalyses:\n"
    text += f"  - {{name: t, analysis: transfer, stimuli: toy, subjects: [{', '.join(names)}],"
    text += " options: {n_bootstrap: 20}}\n"
    text += "figures:\n  - {name: bars, title: Bars, analysis: t}\n"
    (folder / "toy.yaml").write_text(text)
    return compute_study(folder / "toy.yaml")


def test_forty_subjects_are_drawn_in_figures_that_can_be_read(many: StudyOutcome) -> None:
    made, failures = figures.make_figures(many)
    assert not failures
    assert [one.name for one in made] == ["bars-1", "bars-2", "bars-3", "bars-4"]
    assert made[0].title == "Bars (1 of 4)."
    drawn = [name for one in made for name in one.plot.data[0].x]
    assert drawn == [f"A &lt;b&gt;s{k}&lt;/b&gt;" for k in range(40)]


def test_a_tall_figure_is_made_of_fewer_subjects(
    many: StudyOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tall(results: dict, **_: object) -> go.Figure:
        return go.Figure(layout={"width": 900, "height": 220 + 340 * len(results)})

    monkeypatch.setitem(ANALYSES, "transfer", replace(ANALYSES["transfer"], figure=tall))
    made, failures = figures.make_figures(many)
    assert not failures
    assert all(one.plot.layout.height <= 900 * figures.MOST_RATIO for one in made)
    assert len(made) == 20


def test_a_damaged_drawing_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def write_images(plots: list, files: list[Path]) -> None:
        drawn.append(len(plots))
        for file in files:
            file.write_text("<svg>1</svg>")

    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(figures, "_write_images", write_images)
    monkeypatch.setattr(figures, "find_browser", lambda: "chromium")
    figure = Figure("f", "F", go.Figure(), "")
    made = figures.write_svgs([figure], tmp_path / "a")
    assert made[0].svg is not None
    assert made[0].svg.read_text() == "<svg>1</svg>"
    figures.write_svgs([figure], tmp_path / "b")
    assert drawn == [1]
    (cached,) = (tmp_path / "cache" / "figures").glob("*.svg")
    cached.write_bytes(cached.read_bytes().replace(b"1", b"2", 1))
    with pytest.warns(UserWarning, match="set aside|damaged"):
        again = figures.write_svgs([figure], tmp_path / "c")
    assert drawn == [1, 1]
    assert again[0].svg is not None
    assert again[0].svg.read_text() == "<svg>1</svg>"


@pytest.mark.parametrize(
    ("attrs", "said"),
    [
        ({"left_out": "none", "n_not_finite": 0}, None),
        ({"n_not_finite": 3}, "units set aside, because a response is not finite: 3."),
        ({"left_out": "head (one value)"}, "left out: head (one value)."),
        ({"note": "Over presentations."}, "Over presentations."),
    ],
)
def test_what_was_set_aside_stands_in_the_notes(
    outcome: StudyOutcome, attrs: dict, said: str | None
) -> None:
    for key, result in outcome.results.items():
        result.attrs = {"options": result.attrs["options"]} | attrs
        place = f"**{outcome.study.label(key.subject)} on toy (transfer)**"
    found = _notes(outcome)
    if said is None:
        assert found == []
    else:
        assert isinstance(found[1], Bullets)
        assert found[1].items[-1] == f"{place}: {said}"
