"""What a report says in words must be true of what was run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from neurofer.reports import methods, tables
from neurofer.reports.blocks import Bullets, Document, Paragraph, Section, Table, spans
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
