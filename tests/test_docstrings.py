"""Public functions name and describe their arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import click
import pytest
from typer.main import get_command

from neurofer.cli.app import app
from neurofer.files import PACKAGE

SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:", "Attributes:")
# Commands of the command line describe each option in its `help`, as their docstring is what
# `--help` prints.
FILES = sorted(PACKAGE.rglob("*.py"))
LIBRARY = [file for file in FILES if PACKAGE / "cli" not in file.parents]


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield every function and method with its full name; none that stands in a function."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from walk(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                yield f"{prefix}{node.name}", node
            elif isinstance(node, (ast.If, ast.Try)):
                yield from walk(node.body, prefix)

    yield from walk(tree.body, "")


def is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split("."))


def parameters(function: ast.FunctionDef) -> list[str]:
    """Return the names of all parameters but `self` and `cls`."""
    args = function.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    names = [one.arg for one in every if one is not None]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def described(docstring: str) -> dict[str, str] | None:
    """Return name -> description of the section `Args:`, or None where there is none.

    A name stands four spaces in, what goes on eight or more.
    """
    lines = docstring.splitlines()
    if "Args:" not in lines:
        return None
    found: dict[str, str] = {}
    for line in lines[lines.index("Args:") + 1 :]:
        if line in SECTIONS or (line and not line.startswith(" ")):
            break
        match = re.match(r" {4}\*{0,2}(\w+):(?: (.*))?$", line)
        if match:
            found[match[1]] = match[2] or ""
        elif line.strip() and found:
            found[list(found)[-1]] += line.strip()
    return found


def faults(source: str) -> list[str]:
    """Return what is wrong with the descriptions of arguments in a module."""
    wrong = []
    for name, function in functions(ast.parse(source)):
        there = parameters(function)
        said = described(ast.get_docstring(function) or "")
        if said is None:
            if is_public(name) and len(there) > 2:
                wrong.append(f"{name}: Args: is missing")
            continue
        wrong += [f"{name}: {one} is not described" for one in there if not said.get(one)]
        wrong += [f"{name}: there is no {one}" for one in said if one not in there]
    return wrong


@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_functions_of_three_parameters_describe_each(file):
    assert not faults(file.read_text(encoding="utf-8"))


DOCUMENTED = '''
class Thing:
    def method(self, a, b, *, c=1):
        """Do it.

        Args:
            a: one.
            b: two,
                on two lines.
            c: three: with a colon.

        Raises:
            d: nothing.
        """
'''


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", ""),
        ("a: one", "e: one", "Thing.method: a is not described"),
        ("c: three: with a colon.", "c:", "Thing.method: c is not described"),
        ("b, *", "*", "Thing.method: there is no b"),
        ("Args:", "Arguments:", "Thing.method: Args: is missing"),
        ("b, *, c=1", "*b, **c", ""),
        ("Thing", "_Thing", ""),
        ("Args:\n            a: one.", "", "Thing.method: Args: is missing"),
    ],
)
def test_what_is_missing_is_found(old, new, fault):
    found = faults(DOCUMENTED.replace(old, new) if old else DOCUMENTED)
    assert found[:1] == ([fault] if fault else [])


def test_private_functions_and_those_of_two_parameters_need_no_description():
    assert not faults("def f(a, b): ...\ndef _f(a, b, c): ...\nclass _C:\n def f(self, a, b, c): 0")
    assert faults("def f(a, b, *c): ...") == faults("def f(a, b, **c): ...")
    assert faults("def f(a, b, *c): ...") == ["f: Args: is missing"]


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for key, one in command.commands.items():
            yield from _commands(one, f"{name} {key}")
    else:
        yield name, command


COMMANDS = dict(_commands(get_command(app), "neurofer"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_has_its_help(name):
    options = [one for one in COMMANDS[name].params if one.name != "help"]
    assert [one.name for one in options if not getattr(one, "help", "")] == []
