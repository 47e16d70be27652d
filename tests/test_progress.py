from __future__ import annotations

import pytest

from neurofer.progress import progress_of


@pytest.mark.parametrize("progress", [None, False])
def test_silent_where_there_is_no_terminal(
    capfd: pytest.CaptureFixture[str], progress: bool | None
) -> None:
    with progress_of("drawing", 3, progress) as advance:
        for _ in range(3):
            advance()
    assert capfd.readouterr() == ("", "")


def test_a_bar_that_is_asked_for_is_shown_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_of("drawing", 3, True) as advance:
        for _ in range(3):
            advance()
    out, err = capfd.readouterr()
    assert out == ""
    assert "drawing" in err
