"""Geometry of a population: the directions of identity and expression, and their alignment."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Hand on what `analysis` defines, imported at first use."""
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(import_module("neurofer.analyses.geometry.analysis"), name)
