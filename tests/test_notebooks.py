"""Every notebook is stored as Markdown without outputs and runs from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurofer.files import content_folder

NOTEBOOKS = sorted(content_folder("notebooks").glob("*.md"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.weights
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path: Path, tmp_path: Path):
    jupytext = pytest.importorskip("jupytext")
    nbclient = pytest.importorskip("nbclient")
    notebook = jupytext.read(path)
    nbclient.NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    shown = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type in ("display_data", "execute_result")
    ]
    assert shown, "a notebook shows something"
