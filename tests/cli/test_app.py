"""The command line as a whole: help, lists, signals, and what it lets through to a terminal."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from neurofer import reports
from neurofer.cli import app as cli
from neurofer.cli.study import _by_message, _Lines
from neurofer.studies.cell import Failure
from tests.studies import lab
from tests.studies.conftest import _own_cache, folder

__all__ = ["_own_cache", "folder"]


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["neurofer", *words])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize(
    "command",
    ["", "run", "report", "train", "recipes", "analyses", "studies", "validate", "subjects list",
     "weights add", "weights list", "stimuli check", "stimuli render", "neurons check"],
)  # fmt: skip
def test_h_is_help_everywhere(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, *command.split(), "-h") == 0
    said = capsys.readouterr().out
    assert "Usage:" in said
    assert "{[" not in said, "a metavar in braces reads as a choice"


@pytest.mark.parametrize("command", ["analyses", "studies", "recipes", "weights list"])
def test_lists_are_printed_and_are_json_where_asked(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, *command.split(), "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert call(monkeypatch, *command.split()) == 0
    said = capsys.readouterr().out
    assert rows
    assert all(row["name"] in said for row in rows)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_study_says_that_what_was_finished_is_kept(
    number: int,
    status: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    before = signal.getsignal(number)
    monkeypatch.setattr(reports, "run_study", lambda *_, **__: os.kill(os.getpid(), number))
    assert call(monkeypatch, "run", str(folder / "toy.yaml")) == status
    said = capsys.readouterr()
    assert said.err == ("neurofer: stopped; what was finished is kept, run it again to go on\n")
    assert signal.getsignal(number) == before


def test_codes_that_steer_a_terminal_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "run", "\x1b]0;pwned\x07.yaml") == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert r"\x1b]0;pwned" in said


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the studies that were run; none is."""
    names: list[str] = []

    def run_study(study, *_, **__):
        names.append(study.name)
        raise KeyError("enough")

    monkeypatch.setattr(reports, "run_study", run_study)
    return names


LACKING = lab.STUDY.replace("bad: {subject: counting,", "bad: {subject: vgg16-bsds,").replace(
    ", options: {wrong: 0.7}", ""
)


def test_missing_weights_are_told_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, ran: list[str]
) -> None:
    (folder / "toy.yaml").write_text(LACKING)
    assert call(monkeypatch, "run", str(folder / "toy.yaml")) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "weights are missing: vgg16-bsds (of bad; neurofer weights fetch vgg16-bsds)" in said
    assert "--fetch" in said
    assert "--no-fetch" in said
    assert ran == []


@pytest.mark.parametrize(("option", "fetched"), [("--fetch", ["vgg16-bsds"]), ("--no-fetch", [])])
def test_missing_weights_are_fetched_or_left(
    option: str, fetched: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, ran: list[str]
) -> None:
    from neurofer.subjects.weight_files import sources as weights

    (folder / "toy.yaml").write_text(LACKING)
    asked: list[str] = []
    monkeypatch.setattr(weights, "fetch", asked.append)
    with pytest.raises(KeyError, match="enough"):
        call(monkeypatch, "run", str(folder / "toy.yaml"), option)
    assert asked == fetched
    assert ran == ["toy"]


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ("{subject: pixels}", []),
        ("{subject: vgg16-untrained}", []),
        ("{subject: vgg16-bsds}", ["vgg16-bsds"]),
        ("{subject: md-nre}", ["vgg16-bsds"]),
        ("{subject: md-nre, options: {landmarks: ground-truth}}", []),
        ("{subject: mini-xception}", ["mini-xception"]),
    ],
)
def test_the_weights_that_a_study_lacks(folder: Path, options: str, lacking: list[str]) -> None:
    from neurofer.studies.reading import read_study
    from neurofer.studies.weights_needed import lacking_weights

    text = lab.STUDY.replace("{subject: counting, label: Good}", options)
    (folder / "toy.yaml").write_text(text)
    assert [*lacking_weights(read_study(folder / "toy.yaml"))] == lacking


def test_a_message_is_said_once_with_all_its_places() -> None:
    failures = [
        Failure("a", "lacks weights"),
        Failure("b", "broken"),
        Failure("c", "lacks weights"),
    ]
    assert _by_message(failures) == {"lacks weights": ["a", "c"], "broken": ["b"]}


def test_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    lines = _Lines()
    for done in range(100):
        now = float(done)
        lines("cells", done, 100)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"neurofer: {done} of 100, cells" for done in (30, 60, 90)]


def test_a_place_that_cannot_be_written_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (folder / "file").write_text("")
    out = str(folder / "file" / "out")
    assert call(monkeypatch, "run", str(folder / "toy.yaml"), "-o", out) == 2
    said = capsys.readouterr().err
    assert said.startswith("neurofer: --out ")
    assert said.count("\n") == 1
    assert lab.CALLS["made"] == 0


def test_what_no_analysis_uses_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    text = lab.STUDY.replace("subjects: [good, bad],", "subjects: good,").split("claims:")[0]
    (folder / "toy.yaml").write_text(text)
    out = str(folder / "out")
    words = ("run", str(folder / "toy.yaml"), "-q", "--out", out, "--executor", "serial")
    assert call(monkeypatch, *words) == 0
    assert capsys.readouterr().err == "neurofer: subjects that no analysis uses: bad\n"
