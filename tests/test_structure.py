"""Files that fit in a head: how long modules and functions may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from neurofer.closure import PACKAGE

MOST_OF_A_MODULE, MOST_OF_A_FUNCTION = 400, 60  # lines; of a function without its docstring
MODULES = sorted(PACKAGE.rglob("*.py"))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines from `def` to the end, without the docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_are_short(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_OF_A_MODULE
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {one.name: code_lines(one) for one in functions if code_lines(one) > MOST_OF_A_FUNCTION}
    assert not long
