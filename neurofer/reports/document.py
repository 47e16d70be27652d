"""Put a report together: what was found first, then how, then where every number stands."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurofer.closure import package_hash
from neurofer.labels import code, markdown
from neurofer.reports.blocks import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Facts,
    Figure,
    Notice,
    Paragraph,
    Picture,
    Section,
    Table,
    Tone,
)
from neurofer.reports.methods import methods_sections
from neurofer.reports.numbers import counted, interval, listed, measured, published
from neurofer.reports.tables import claim_table, trace_table
from neurofer.reports.words import images_words
from neurofer.studies.cell import Failure
from neurofer.studies.claims import ClaimRow
from neurofer.studies.descriptions import StimuliDescription
from neurofer.studies.run import StudyOutcome
from neurofer.versions import installed, versions

if TYPE_CHECKING:
    from neurofer.stimuli import StimulusSet

SHEET_CELL = 96  # pixels; with few rows, the labels can be read on half a page
_SHEET_ROWS = 6


def make_document(
    outcome: StudyOutcome,
    figures: Sequence[Figure],
    sheets: Sequence[Picture],
    *,
    failures: Sequence[Failure] | None = None,
    command: str = "",
    date: str = "",
    letters: str = "",
) -> Document:
    """Return the report of a study.

    Args:
        outcome: of `compute_study`.
        figures: of `make_figures`, with their SVG files for a PDF.
        sheets: of `write_sheets`.
        failures: all that failed; default: what failed in the outcome.
        command: with which the report was made.
        date: of the run; it stands in the provenance only.
        letters: those that no font has, for a PDF.
    """
    study = outcome.study
    all_failures = outcome.failures if failures is None else failures
    sections = [
        Section("Results", (*_boxes(letters), *_failed(all_failures), *_tables(outcome))),
        Section("What did not hold", _not_held(outcome)),
        Section("Figures", tuple(figures)),
        *methods_sections(outcome),
        Section("Stimulus sheets", tuple(sheets)),
        Section("Where every number stands", (trace_table(outcome), *_notes(outcome))),
        Section("Provenance", _provenance(outcome, command, date)),
    ]
    return Document(
        title=study.title,
        subtitle=study.paper,
        about=study.about,
        sections=tuple(section for section in sections if section.blocks),
        footer=f"neurofer {installed('neurofer')} · study {study.name}",
        highlights=tuple(_highlights(outcome)),
    )


def write_sheets(outcome: StudyOutcome, folder: Path) -> tuple[list[Picture], list[Failure]]:
    """Draw a contact sheet of each set of stimuli as PNG: identities, or one identity's strengths.

    A set whose sheet would show images that were shown before has none.
    """
    from PIL import Image

    from neurofer.stimuli.sheet import contact_sheet
    from neurofer.studies.cell import failure_of

    pictures: list[Picture] = []
    failures: list[Failure] = []
    seen: set[str] = set()
    folder.mkdir(parents=True, exist_ok=True)
    wanted = outcome.study.sheets or outcome.stimuli
    for name in (name for name in wanted if name in outcome.stimuli):
        stimuli = outcome.stimuli[name]
        shown = outcome.descriptions[name]
        try:
            part, rows, words = _sheet_part(stimuli, shown)
            if set(part.table["image_sha256"]) <= seen:
                continue
            seen |= set(part.table["image_sha256"])
            sheet = contact_sheet(part, rows=rows, cell=SHEET_CELL)
            path = folder / f"{name}.png"
            Image.fromarray(sheet).save(path, optimize=True)
        except Exception as error:
            failures.append(failure_of(f"sheet of {name}", error))
            continue
        caption = f"Stimuli: {words}{code(shown.identifier)}, {images_words(shown)}."
        pictures.append(Picture(name, path, caption, f"Contact sheet of {shown.identifier}"))
    return pictures, failures


def _sheet_part(stimuli: StimulusSet, shown: StimuliDescription) -> tuple[StimulusSet, str, str]:
    """Return what a sheet shows, the column of its rows, and what of the set it is."""
    head = str(shown.columns["head"][0])
    if shown.graded:
        # A sheet of identities would show their first strength only.
        part = stimuli.select(head=head, identity=shown.identities[head][0])
        return part, "strength", f"the first {head} identity of "
    part, words = stimuli, ""
    if len(shown.columns["view"]) > 1 and "frontal" in shown.columns["view"]:
        part, words = part.select(view="frontal"), "frontal views of "
    each = max(1, _SHEET_ROWS // len(shown.identities))
    if any(len(names) > each for names in shown.identities.values()):
        first = {head: names[:each] for head, names in shown.identities.items()}
        pairs = zip(part.table["head"], part.table["identity"], strict=True)
        part = part.take([k for k, (h, i) in enumerate(pairs) if str(i) in first[str(h)]])
        words += f"the first {counted(each, 'identity', 'identities')} of "
        words += "each head of " if len(first) > 1 else ""
    return part, "identity", words


def _highlights(outcome: StudyOutcome) -> list[tuple[str, str, Tone]]:
    cards: list[tuple[str, str, Tone]] = []
    for name in outcome.study.highlights:
        row = outcome.claims[name]
        words = row.label
        if row.published is not None:
            words += f"; published {published(row)}{_unit(row)}"
        tone: Tone = "plain" if row.holds is None else "good" if row.holds else "bad"
        cards.append((measured(row) + _unit(row), words, tone))
    judged = [row for row in outcome.claims.values() if row.holds is not None]
    if judged:
        held = sum(bool(row.holds) for row in judged)
        good: Tone = "good" if held == len(judged) else "bad"
        cards.append((f"{held} of {len(judged)}", "criteria hold", good))
    return cards


def _tables(outcome: StudyOutcome) -> list[Block]:
    return [claim_table(spec, outcome) for spec in outcome.study.tables]


def _not_held(outcome: StudyOutcome) -> tuple[Block, ...]:
    judged = [row for row in outcome.claims.values() if row.holds is not None]
    failed = [row for row in judged if not row.holds]
    unjudged = [row for row in outcome.claims.values() if row.holds is None and row.criterion]
    blocks: list[Block] = []
    if judged and not failed:
        blocks.append(
            Paragraph(f"Every one of {counted(len(judged), 'criterion', 'criteria')} holds.")
        )
    if failed:
        blocks.append(
            Paragraph(
                f"{len(failed)} of {counted(len(judged), 'criterion', 'criteria')} did not hold:"
            )
        )
        blocks.append(Bullets(tuple(_sentence(row) for row in failed)))
    if unjudged:
        blocks.append(Paragraph("Not judged, because a number is missing:"))
        blocks.append(Bullets(tuple(markdown(f"{r.label}: {r.verdict}.") for r in unjudged)))
    return tuple(blocks)


def _sentence(row: ClaimRow) -> str:
    bounds = f" (95 % interval {interval(row)})" if row.low is not None else ""
    n = f", n = {row.n}" if row.n is not None else ""
    said = f"{measured(row)}{_unit(row)}{bounds}{n}; {markdown(row.verdict)}."
    return f"**{markdown(row.label)}**: {said}"


def _unit(row: ClaimRow) -> str:
    return f" {row.unit}" if row.unit else ""


def _boxes(letters: str) -> list[Block]:
    if not letters:
        return []
    said = "They stand in report.html. To print them, install a font that has them and run again "
    said += "(Debian and Ubuntu: `sudo apt-get install fonts-noto-core fonts-noto-cjk`)."
    codes = ", ".join(f"U+{ord(letter):04X}" for letter in letters)
    return [Notice(f"Letters that no font here has are boxes: {codes}", (said,), "plain")]


def _failed(failures: Sequence[Failure]) -> list[Block]:
    if not failures:
        return []
    verb = "was" if len(failures) == 1 else "were"
    title = f"{counted(len(failures), 'part')} of the study failed and {verb} set aside"
    return [
        Notice(title, tuple(f"**{markdown(f.place)}**: {markdown(f.message)}" for f in failures))
    ]


def _notes(outcome: StudyOutcome) -> list[Block]:
    """Return what a reader of the accuracies must know besides: ties, undefined answers."""
    items = []
    for key, result in outcome.results.items():
        said = [
            f"{words} {markdown(result.attrs[name])}".strip()
            for name, words in (
                ("n_undefined", "answers undefined (a response is missing):"),
                ("n_ties", "answers tied, counted as wrong:"),
                ("never_answered", "shown but never a possible answer:"),
                ("untested_heads", "heads of which nothing was left to test:"),
                ("n_set_aside", "set aside:"),
                ("n_not_finite", "units set aside, because a response is not finite:"),
                ("n_constant", "units that never change:"),
                ("n_not_fitted", "units that could not be fitted:"),
                ("set_aside", "set aside:"),
                ("left_out", "left out:"),
                ("note", ""),
                ("notes", ""),
            )
            if result.attrs.get(name) not in (None, 0, "", "0", "none")
        ]
        if said:
            place = f"{outcome.study.label(key.subject)} on {key.stimuli} ({key.analysis})"
            items.append(f"**{markdown(place)}**: {'; '.join(said).rstrip('.')}.")
    return [Paragraph("Notes on single results:"), Bullets(tuple(items))] if items else []


def _provenance(outcome: StudyOutcome, command: str, date: str) -> tuple[Block, ...]:
    libraries = listed(f"{name} {version}" for name, version in versions().items())
    facts = [
        ("Made with", f"neurofer {installed('neurofer')}, source `{package_hash()[:16]}`"),
        ("Command", code(command) if command else ""),
        ("Date", date),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        ("Libraries", libraries),
        ("Seed", str(outcome.study.seed)),
        *((f"Stimuli {n}", code(s.identifier)) for n, s in outcome.descriptions.items()),
    ]
    files = Table(
        "files",
        "What lies beside this report.",
        (Column("File", share=1), Column("Holds", share=2)),
        tuple((Cell(code(f), link="" if "*" in f else f), Cell(words)) for f, words in FILES),
        small=True,
    )
    words = Paragraph(
        "An identifier ends in a hash of the content: of the pixels and the table of stimuli; of "
        "weights, options, preprocessing and training images of a subject. The identifiers of the "
        "subjects stand in the methods."
    )
    return (Facts(tuple((k, v) for k, v in facts if v)), words, files)


FILES = (
    (
        "summary.json",
        "one row per claim: published, measured, interval, n, whether it holds, the file",
    ),
    ("results/*.csv", "every result as a long table: variable, coordinates, value, low, high, n"),
    ("results/*.nc", "every result as netCDF, with its provenance; `xarray.open_dataset` reads it"),
    ("figures/*.html, *.svg", "every figure, interactive and as vector graphics"),
    ("sheets/*.png", "the stimuli"),
    ("study.yaml", "the study as it was run"),
    ("provenance.json", "identifiers, all options, versions, seed"),
    (
        "manifest.json",
        "the files of this report with their SHA-256; all others are left alone",
    ),
)
