from __future__ import annotations

from pathlib import Path

import pytest

from neurofer.cli import app as cli
from neurofer.studies import compute_study, write_results
from neurofer.studies.results import read_result, write_result
from tests.studies import lab
from tests.studies.conftest import _own_cache  # noqa: F401 - used without being named


def call(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["neurofer", *words])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(folder)
    assert call("run", "toy.yaml", "--executor", "serial", monkeypatch=monkeypatch) == 0
    said = capsys.readouterr()
    assert "reports/toy/report.html: 2 results, 2 of 2 criteria hold" in said.out
    assert said.err == ""
    assert (folder / "reports" / "toy" / "report.pdf").is_file()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lab.STUDY.replace("paper:", "papper:"), "did you mean 'paper'?"),
        (lab.STUDY.replace("folder: stimuli,", "folder: stimulii,"), "stimulii"),
        (lab.STUDY.replace("subject: counting", "subject: countin"), "did you mean 'counting'?"),
    ],
)
def test_bad_input_ends_in_one_line_and_status_2(
    text: str,
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    (folder / "toy.yaml").write_text(text)
    out = folder / "out"
    assert call("run", str(folder / "toy.yaml"), "--out", str(out), monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("neurofer: ")
    assert "Traceback" not in said
    assert not out.exists()


def test_missing_study(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    assert call("run", "quickstrt", monkeypatch=monkeypatch) == 2
    assert "quickstart" in capsys.readouterr().err


def test_a_failed_cell_is_told_and_ends_in_status_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    text = lab.STUDY.replace("options: {wrong: 0.7}", "options: {breaks_on: monkey}")
    (folder / "toy.yaml").write_text(text)
    out = str(folder / "out")
    words = ("run", str(folder / "toy.yaml"), "--out", out, "--executor", "serial")
    assert call(*words, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr()
    assert "bad on toy: cannot see monkey" in said.err
    assert "report.html: 1 result" in said.out


def test_replay_makes_a_result_again_and_says_what_differs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    outcome = compute_study("toy.yaml")
    write_results(outcome, Path("out"))
    file = "out/results/transfer.toy.good.nc"
    assert call("replay", file, "--out", "again.nc", monkeypatch=monkeypatch) == 0
    assert "has the same values" in capsys.readouterr().out
    made = read_result(Path("again.nc"))
    write_result(made.assign(accuracy=made["accuracy"] / 2), Path("again.nc"))
    assert call("replay", "again.nc", monkeypatch=monkeypatch) == 1
    assert "differs: accuracy" in capsys.readouterr().out
    Path(file).write_bytes(b"")
    assert call("replay", file, monkeypatch=monkeypatch) == 2
    assert "transfer.toy.good.nc" in capsys.readouterr().err
