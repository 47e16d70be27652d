"""The table of what the analyses find: its statistics, and the command that writes it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from neurofer.cli.app import app
from neurofer.errors import NeuroferError
from neurofer.simulation import recovery
from neurofer.simulation.recovery import Recovered


@pytest.fixture
def one_analysis(monkeypatch):
    """An analysis "made-up" whose rows are known, in the place of those of the folder."""

    class MadeUp:
        SUMMARY = "Made-up units"
        DEFAULT_N = 40

        @staticmethod
        def recover(n, seed):
            yield recovery.share("made-up.right", "share of units", np.arange(n) < n - 1, (0.9, 1))
            yield Recovered("made-up.bias", "bias | parts", seed, seed - 1, seed + 1, n, (-1, 1))

    monkeypatch.setattr(recovery, "names", lambda: ["made-up"])
    monkeypatch.setattr(recovery, "import_module", lambda name: MadeUp)


@pytest.mark.parametrize(
    ("measured", "low", "high", "status"),
    [(0.95, 0.94, 0.96, "in"), (0.92, 0.91, 0.935, "unclear"), (0.9, 0.89, 0.91, "out")],
)
def test_status_is_that_of_the_interval(measured, low, high, status):
    assert Recovered("a", "b", measured, low, high, 10, (0.93, 0.97)).status == status
    assert Recovered("a", "b", measured, low, high, 10).status == ""


def test_mean_is_students():
    from scipy.stats import ttest_1samp

    values = np.random.default_rng(0).normal(1, 2, 12)
    row = recovery.mean("a", "b", values)
    reference = ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose((row.low, row.high), reference, rtol=1e-12)


def test_there_are_modules_and_a_wrong_name_lists_them():
    for name in recovery.names():
        assert recovery.module(name).SUMMARY
    with pytest.raises(NeuroferError, match="validation='tunning'"):
        recovery.module("tunning")


def test_status_1_says_that_a_goal_is_missed(one_analysis):
    good = CliRunner().invoke(app, ["validate"])
    assert good.exit_code == 0
    assert "2 truths, 2 with a goal, 0 missed" in good.output
    assert CliRunner().invoke(app, ["validate", "--seed", "3"]).exit_code == 1


def test_table_is_written_as_csv_and_as_markdown(one_analysis, tmp_path):
    for name in ("found.csv", "found.md"):
        out = tmp_path / name
        result = CliRunner().invoke(app, ["validate", "made-up", "--n", "20", "--out", str(out)])
        assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "found.csv")
    assert frame["measured"].tolist() == [0.95, 0]
    assert frame["status"].tolist() == ["in", "in"]
    text = (tmp_path / "found.md").read_text()
    assert "| made-up.right | share of units | 0.95 |" in text
    rows = [line for line in text.splitlines() if line.startswith("| made-up")]
    assert len({line.replace(r"\|", "").count("|") for line in rows}) == 1


def test_other_kinds_of_files_are_refused_before_anything_runs(one_analysis, tmp_path):
    result = CliRunner().invoke(app, ["validate", "--out", str(tmp_path / "found.xlsx")])
    assert isinstance(result.exception, NeuroferError)
