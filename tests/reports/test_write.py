from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from neurofer import leftovers
from neurofer.errors import NeuroferError
from neurofer.reports import Report, place, run_study
from neurofer.reports import figures as figures_module
from neurofer.reports.blocks import Figure
from neurofer.reports.figures import FigureError
from neurofer.reports.numbers import interval, measured
from neurofer.studies.run import compute_study, write_results
from tests.studies import lab
from tests.studies.test_run import assert_traces
from tests.test_leftovers import dead_process

FIGURE = """figures:
  - {name: by-head, title: Accuracy by head, analysis: transfer, caption: Bars are accuracies.}
"""
needs_chromium = pytest.mark.skipif(
    figures_module.find_browser() is None, reason="needs Chromium, which `make setup` installs"
)


@pytest.fixture
def report(folder: Path) -> Report:
    return run_study(folder / "toy.yaml", folder / "out")


def test_what_is_written(report: Report) -> None:
    assert report.complete
    names = {str(p.relative_to(report.folder)) for p in report.folder.rglob("*") if p.is_file()}
    assert names == {
        "report.html", "report.pdf", "summary.json", "provenance.json", "study.yaml",
        "manifest.json",
        "results/transfer.toy.good.nc", "results/transfer.toy.good.csv",
        "results/transfer.toy.bad.nc", "results/transfer.toy.bad.csv", "results/derived.csv",
        "sheets/toy.png",
    }  # fmt: skip


def test_every_number_of_the_tables_is_in_a_file(report: Report) -> None:
    page = (report.folder / "report.html").read_text()
    rows = {row["id"]: row for row in json.loads((report.folder / "summary.json").read_text())}
    for name, claim in report.outcome.claims.items():
        if claim.measured is None:
            continue
        assert_traces(report.folder, rows[name])
        assert f">{measured(claim)}<" in page, name
        if claim.low is not None:
            assert f">{interval(claim)}<" in page, name
        assert claim.file in page
    tables = re.findall(r"<table>.*?</table>", page, re.S)[:2]
    known = {measured(row) for row in report.outcome.claims.values()} | {
        f"{row.published:g}" for row in report.outcome.claims.values() if row.published is not None
    }
    known |= {str(row.n) for row in report.outcome.claims.values()} | {"–", "a"}
    known |= {interval(row) for row in report.outcome.claims.values()}
    for table in tables:
        for cell in re.findall(r'<td class="right[^"]*">(.*?)</td>', table):
            text = re.sub("<[^>]*>", "", cell)
            assert text in known or not re.search(r"\d", text), text


def test_the_page_loads_nothing(report: Report) -> None:
    page = (report.folder / "report.html").read_text()
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    loads = re.findall(r"""(?:src|data|action)\s*=\s*["']([^"']*)""", without_scripts)
    assert loads
    assert [url for url in loads if not url.startswith("data:image/png;base64,")] == []
    links = re.findall(r"""href\s*=\s*["']([^"'#][^"']*)""", without_scripts)
    assert "results/transfer.toy.good.csv" in links
    assert [link for link in links if not (report.folder / link).is_file()] == []
    style = re.findall(r"<style>(.*?)</style>", page, re.S)[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "<link" not in without_scripts


def test_the_page_says_what_a_reader_needs(report: Report) -> None:
    page = (report.folder / "report.html").read_text()
    for words in (
        "A toy study", "A. Author (2023)", "not measured here", "simulated noise",
        "Every one of 2 criteria holds", "wrong=0.7", "n_bootstrap=50",
        "over identities, these are the independent units", "no training images in this study",
        report.outcome.descriptions["toy"].identifier, "provenance.json",
    ):  # fmt: skip
        assert words in page, words
    for card in report.outcome.subjects.values():
        assert card.identifier in page


def test_what_does_not_hold_is_said(folder: Path) -> None:
    text = lab.STUDY.replace("holds: at least 95", "holds: at most 40")
    text = text.replace("clearly below", "clearly above")
    (folder / "toy.yaml").write_text(text)
    report = run_study(folder / "toy.yaml", folder / "out")
    assert report.complete, "a criterion that does not hold is a finding, no failure"
    page = (report.folder / "report.html").read_text()
    assert "2 of 2 criteria did not hold" in page
    assert "does not hold (at most 40)" in page
    assert "does not hold (not above Good)" in page


def test_names_cannot_break_the_reports(folder: Path) -> None:
    nasty = 'A & B <script>alert("x")</script> #set page(width: 1cm) $x$ @ref \\\\ `'
    text = lab.STUDY.replace("A toy study", "'" + nasty + "'").replace(
        "label: Bad,", "label: '" + nasty + "',"
    )
    (folder / "toy.yaml").write_text(text)
    report = run_study(folder / "toy.yaml", folder / "out")
    assert report.complete
    page = (report.folder / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_report_is_replaced_whole(report: Report, folder: Path) -> None:
    assert (report.folder / "results" / "transfer.toy.bad.csv").exists()
    text = lab.STUDY.replace("subjects: [good, bad],", "subjects: good,").split("claims:")[0]
    (folder / "toy.yaml").write_text(text)
    again = run_study(folder / "toy.yaml", folder / "out")
    assert again.folder == report.folder
    assert not (report.folder / "results" / "transfer.toy.bad.csv").exists()
    assert not list(folder.glob(".partial-*"))
    assert not list(folder.glob(".replaced-*"))


def test_a_second_run_leaves_the_users_own_files(report: Report, folder: Path) -> None:
    out = report.folder
    (out / "thesis.txt").write_text("years of work")
    (out / "results" / "mine.csv").write_text("1")
    (out / "notes" / "deep").mkdir(parents=True)
    (out / "notes" / "deep" / "n.md").write_text("2")
    (out / "empty").mkdir()
    (out / "link").symlink_to("thesis.txt")
    (out / "study.yaml").write_text("changed by hand")
    again = run_study(folder / "toy.yaml", out)
    assert again.kept == [Path("study.yours.yaml")]
    assert (out / "thesis.txt").read_text() == "years of work"
    assert (out / "results" / "mine.csv").read_text() == "1"
    assert (out / "notes" / "deep" / "n.md").read_text() == "2"
    assert (out / "empty").is_dir()
    assert (out / "link").is_symlink()
    assert (out / "study.yours.yaml").read_text() == "changed by hand"
    assert "name: toy" in (out / "study.yaml").read_text()
    assert run_study(folder / "toy.yaml", out).kept == [], "what is the user's is so once for all"
    assert sorted(p.name for p in out.glob("study*")) == ["study.yaml", "study.yours.yaml"]


def test_a_report_without_a_manifest_loses_nothing(report: Report, folder: Path) -> None:
    (report.folder / "manifest.json").unlink()
    (report.folder / "thesis.txt").write_text("years of work")
    again = run_study(folder / "toy.yaml", report.folder)
    assert (again.folder / "thesis.txt").read_text() == "years of work"
    assert again.kept == []


def test_a_run_that_was_killed_between_two_renames_is_mended(report: Report, folder: Path) -> None:
    left = folder / f".replaced-{leftovers._machine()}-{dead_process()}-abc"
    left.mkdir()
    report.folder.rename(left / "out")
    place.check_folder(folder / "out")
    assert (report.folder / "report.html").is_file()
    assert not left.exists()


def test_a_failing_run_leaves_the_report_that_is_there(report: Report, folder: Path) -> None:
    before = (report.folder / "report.html").read_bytes()
    (folder / "toy.yaml").write_text(lab.STUDY.replace("title: A toy", "titel: A toy"))
    with pytest.raises(NeuroferError, match="titel"):
        run_study(folder / "toy.yaml", folder / "out")
    assert (report.folder / "report.html").read_bytes() == before
    breaking = lab.STUDY.replace("options: {wrong: 0.7}", "options: {breaks_on: monkey}")
    (folder / "toy.yaml").write_text(breaking)
    partial = run_study(folder / "toy.yaml", folder / "out")
    assert not partial.complete
    assert partial.folder == folder / "out-incomplete"
    assert (report.folder / "report.html").read_bytes() == before
    page = (partial.folder / "report.html").read_text()
    assert "1 part of the study failed and was set aside" in page
    assert "cannot see monkey" in page
    assert "cannot see monkey" in (partial.folder / "failures.txt").read_text()
    (folder / "toy.yaml").write_text(lab.STUDY)
    (partial.folder / "mine.txt").write_text("1")
    assert run_study(folder / "toy.yaml", folder / "out").complete
    left = [path.name for path in partial.folder.iterdir()]
    assert left == ["mine.txt"], "a complete run takes the incomplete report away, and no more"


def test_a_folder_with_other_things_is_never_replaced(folder: Path) -> None:
    out = folder / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(NeuroferError, match=r"mine.*not a report"):
        run_study(folder / "toy.yaml", out)
    assert (out / "thesis.txt").read_text() == "years of work"
    assert lab.CALLS["shown"] == 0


@pytest.mark.parametrize(
    ("out", "words"),
    [("file/out", "file is a file"), ("file", "it is a file"), ("x" * 300, "file name too long")],
)
def test_the_place_is_tried_before_any_work(folder: Path, out: str, words: str) -> None:
    (folder / "file").write_text("")
    with pytest.raises(NeuroferError, match=words):
        run_study(folder / "toy.yaml", folder / out)
    assert lab.CALLS["made"] == 0


def test_without_a_browser_there_is_html_and_a_word_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures_module, "find_browser", lambda: None)
    (folder / "toy.yaml").write_text(lab.STUDY + FIGURE)
    report = run_study(folder / "toy.yaml", folder / "out")
    assert not report.complete
    assert "apt-get install chromium" in report.failures[0].message
    assert (report.folder / "report.html").is_file()
    assert (report.folder / "figures" / "by-head.html").is_file()
    assert not (report.folder / "report.pdf").exists()


def test_a_figure_may_show_several_analyses(folder: Path) -> None:
    again = "  - {name: again, analysis: transfer, stimuli: toy, subjects: bad}\nclaims:"
    figure = FIGURE.replace("caption", "subjects: good, beside: again, caption")
    (folder / "toy.yaml").write_text(lab.STUDY.replace("claims:", again, 1) + figure)
    made, failures = figures_module.make_figures(compute_study(folder / "toy.yaml"))
    assert not failures
    assert list(made[0].plot.data[0].x) == ["Good", "Bad"]
    assert "`results/transfer.toy.*.csv` and `results/again.toy.*.csv`" in made[0].caption


@needs_chromium
def test_figures_are_interactive_and_drawn_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "toy.yaml").write_text(lab.STUDY + FIGURE)
    report = run_study(folder / "toy.yaml", folder / "out")
    assert report.complete, report.failures
    page = (report.folder / "report.html").read_text()
    assert page.count("plotly.js v") == 1, "plotly.js is embedded once"
    assert 'id="figure-by-head"' in page
    assert "Bars are accuracies." in page
    assert "42 simulated images" in page
    svg = (report.folder / "figures" / "by-head.svg").read_bytes()
    assert b"<svg" in svg
    assert "plotly.min.js" in (report.folder / "figures" / "by-head.html").read_text()

    def no_browser(*_: object) -> None:
        raise FigureError("the cache should have had it")

    monkeypatch.setattr(figures_module, "_write_images", no_browser)
    again = run_study(folder / "toy.yaml", folder / "out")
    assert again.complete
    assert (again.folder / "figures" / "by-head.svg").read_bytes() == svg


def test_a_figure_of_another_size_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    size = SimpleNamespace(width=None, height=None)
    drawn = Figure("one", "One", SimpleNamespace(to_json=lambda: "{}", layout=size))
    before = figures_module._key(drawn)
    monkeypatch.setattr(figures_module, "WIDTH", figures_module.WIDTH + 1)
    assert figures_module._key(drawn) != before


def test_a_figure_that_fails_is_set_aside(folder: Path) -> None:
    text = lab.STUDY + FIGURE.replace("caption: Bars", "options: {view: nonsense}, caption: Bars")
    (folder / "toy.yaml").write_text(text)
    report = run_study(folder / "toy.yaml", folder / "out")
    assert [failure.place for failure in report.failures] == ["figure by-head"]
    assert (report.folder / "report.pdf").is_file()


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="reads the PDF with pdftotext")
def test_the_pdf_holds_the_same_numbers(report: Report, tmp_path: Path) -> None:
    import subprocess

    text = subprocess.run(
        ["pdftotext", "-layout", str(report.folder / "report.pdf"), "-"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for claim in report.outcome.claims.values():
        if claim.measured is not None:
            assert measured(claim) in text
    assert re.match(r"\s*NEUROFER .*\s+A toy study\s", text), "no figure stands above the title"
    assert re.search(r"1 ?/ ?\d", text), "page numbers"


def test_no_cell_of_a_csv_file_is_a_formula(folder: Path) -> None:
    outcome = compute_study(folder / "toy.yaml")
    key = next(iter(outcome.results))
    result = outcome.results[key]
    heads = ["=1+2" if head == "human" else head for head in result["head"].to_numpy().tolist()]
    outcome.results[key] = result.assign_coords(head=("head", heads))
    write_results(outcome, folder / "written")
    table = pd.read_csv(folder / "written" / "results" / f"{key.stem}.csv")
    assert "'=1+2" in set(table["head"])
    assert "=1+2" not in set(table["head"])


def test_csv_files_are_plain(report: Report) -> None:
    table = pd.read_csv(report.folder / "results" / "transfer.toy.good.csv")
    assert {"variable", "head", "strength", "value", "low", "high", "n"} <= set(table)


def test_the_same_outcome_gives_the_same_page(report: Report) -> None:
    from neurofer.reports.document import make_document
    from neurofer.reports.html import render_html

    pages = [render_html(make_document(report.outcome, [], [], date="today")) for _ in range(2)]
    assert pages[0] == pages[1]
    assert "today" in pages[0]
    for name in ("summary.json", "provenance.json", "study.yaml"):
        assert not re.search(r"20\d\d-\d\d-\d\d", (report.folder / name).read_text()), name
