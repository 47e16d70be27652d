"""Every notebook is stored as Markdown without outputs and runs from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neurofer.files import content_folder

NOTEBOOKS = sorted(content_folder("notebooks").glob("*.md"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_jupytext_reads_the_header(path: Path):
    jupytext = pytest.importorskip("jupytext")
    notebook = jupytext.read(path)
    assert notebook.cells[0].cell_type == "markdown"  # a header it does not know is a raw cell
    assert notebook.metadata["kernelspec"]["name"] == "python3"


def test_no_two_notebooks_write_the_same_file():
    call = re.compile(r"\.(?:to_csv|to_netcdf|save)\(\s*f?\"([^\"]+)")
    written = [set(call.findall(path.read_text())) for path in NOTEBOOKS]
    assert sum(map(len, written)) == len(set().union(*written)) > 1


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
