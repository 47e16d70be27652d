"""CONTRIBUTING names what is there, and its lists are those of the registries."""

from __future__ import annotations

import re

import pytest

from neurofer.files import PACKAGE

ROOT = PACKAGE.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Paths in code, that is with a slash: `tests/stimuli/test_contract.py`, `neurofer/analyses/`.
PATHS = sorted(set(re.findall(r"`((?:neurofer|tests|stimuli|analyses|docs)/[\w./-]*)`", TEXT)))


def test_paths_are_named():
    assert len(PATHS) > 8


@pytest.mark.parametrize("path", PATHS)
def test_what_is_named_exists(path):
    assert (ROOT / path).exists(), f"CONTRIBUTING names {path}, which does not exist"


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)`", TEXT):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_layers_are_those_that_are_checked():
    """In the order of pyproject: what stands higher may import what stands below."""
    layers = re.search(r"The layers, from the top: (.*?)\. Each", TEXT).group(1)
    named = re.findall(r"\w+", layers)
    checked = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = checked[checked.index("layers = [") :].split("]")[0]
    order = re.findall(r"neurofer\.(\w+)", block)
    places = [order.index(name) for name in named]
    assert places == sorted(places)
