"""Marks of tests that need pretrained weights."""

from __future__ import annotations

import pytest

from neurofer.subjects.weight_files.sources import SOURCES, weight_source, weights_path


def needs(name: str) -> pytest.MarkDecorator:
    """Skip a test where weights are not in the cache; the reason is the command for them."""
    missing = not weights_path(name).is_file()
    reason = f"needs weights; run: {weight_source(name).command}"
    return pytest.mark.skipif(missing, reason=reason)


def subject_params(names: list[str]) -> list[object]:
    """Return subjects' names as parameters; those whose weights are lacking are skipped.

    Not so those that `make setup` fetches wherever it runs.
    """
    may_lack = set(SOURCES) - {"vgg16-bsds", "mini-xception"}
    return [pytest.param(name, marks=needs(name)) if name in may_lack else name for name in names]
