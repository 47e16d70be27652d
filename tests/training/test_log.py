"""The log of a run that goes on: what came before stays, what is damaged is named."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from neurofer.training.log import Log

LINES = [json.dumps({"step": step, "loss": 1 / step}) for step in (1, 2, 3)]


def kept(out: Path, step: int) -> list[str]:
    return Log(out, step, True, False).path.read_text("utf-8").splitlines()


@pytest.mark.parametrize("last", [None, '{"step": 4, "loss": 0.', ""])
def test_lines_past_the_step_and_one_cut_short_are_dropped(
    tmp_path: Path, last: str | None
) -> None:
    ends = [json.dumps({"step": 2, "stopped": True}), json.dumps({"step": 2, "held_out": {}})]
    out = tmp_path / "x.safetensors"
    text = "\n".join([*LINES[:2], *ends, LINES[2], *([] if last is None else [last])])
    out.with_suffix(".log.jsonl").write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kept(out, 2) == LINES[:2]
    assert kept(out, 0) == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"step": 2, "lo\xff": 1}',
        b'{"st\xc3\xa9p": 2}',
        b'{"step" 2}',
        b"2}",
        b'{"stop": 2}',
        b'{"step": "2"}',
        b'[{"step": 2}',
    ],
)
def test_a_damaged_line_is_named_and_left_out(tmp_path: Path, line: bytes) -> None:
    out = tmp_path / "x.safetensors"
    lines = [LINES[0].encode(), line, LINES[2].encode()]
    out.with_suffix(".log.jsonl").write_bytes(b"\n".join(lines))
    with pytest.warns(UserWarning, match=r"x\.log\.jsonl: the line .* is damaged"):
        assert kept(out, 3) == [LINES[0], LINES[2]]
