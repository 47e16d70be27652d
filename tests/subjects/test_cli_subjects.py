from __future__ import annotations

import pytest
from typer.testing import CliRunner

from neurofer.cli import app
from neurofer.errors import NeuroferError
from neurofer.subjects import list_subjects


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["subjects", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_subject_is_listed_with_what_it_is() -> None:
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in run("list").splitlines()}
    assert set(list_subjects()) <= set(lines)
    assert "Kubilius" in lines["cornet-s"]
    assert all(
        len(words) > 10 for name, words in lines.items() if name not in ("counting", "bright")
    )


def test_a_network_is_described_with_options_and_sites() -> None:
    said = run("describe", "cornet-s")
    assert "precision = 'float32'  [float32, bfloat16]" in said
    assert "IT.output-t1  region IT" in said
    assert "cornet-s-untrained-" in said
    assert "numbers in its network" in said


def test_what_must_learn_first_says_so() -> None:
    assert "its sites are not known before it is made" in run("describe", "md-nre")


def test_an_unknown_subject_is_answered_with_the_choices() -> None:
    with pytest.raises(NeuroferError, match=r"subject='cornet'.*did you mean 'cornet-s'"):
        CliRunner().invoke(app, ["subjects", "describe", "cornet"], catch_exceptions=False)
