"""The registry of analyses: a file in this folder that defines `ANALYSIS`, nothing more."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError, unknown_choice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Analysis:
    """An analysis: what every recording can be put through.

    Attributes:
        name: in the registry and in study files.
        summary: one line.
        run: `run(recording, **options)` returns a Dataset with its provenance in `attrs`.
        table: `table(result)` returns a tidy DataFrame.
        figure: `figure(results)` returns a plotly Figure of one or many subjects' results.
        difference: `difference(result, other)` returns by how much one subject's values exceed
            another's over the same stimuli, paired; None where an analysis does not pair them.
    """

    name: str
    summary: str
    run: Callable[..., xr.Dataset]
    table: Callable[[xr.Dataset], pd.DataFrame]
    figure: Callable[..., Figure]
    difference: Callable[[xr.Dataset, xr.Dataset], xr.Dataset] | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of `run` with their defaults."""
        parameters = list(inspect.signature(self.run).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}


def discover() -> dict[str, Analysis]:
    """Return every analysis of this folder by name."""
    found: dict[str, Analysis] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        analysis = getattr(import_module(f"neurofer.analyses.{module.name}"), "ANALYSIS", None)
        if isinstance(analysis, Analysis):
            found[analysis.name] = analysis
    return found


def run_analysis(
    analyses: Mapping[str, Analysis], name: str, recording: xr.DataArray, options: dict[str, Any]
) -> xr.Dataset:
    """Run an analysis of a registry; names and options are checked first."""
    if name not in analyses:
        raise unknown_choice("analysis", name, analyses)
    if not isinstance(recording, xr.DataArray):
        raise NeuroferError(
            f"analysis {name!r} takes a recording (an xarray.DataArray), "
            f"not a {type(recording).__name__}"
        )
    known = analyses[name].options()
    for option in options:
        if option not in known:
            raise unknown_choice("option", option, known, f"analysis {name!r}")
    return analyses[name].run(recording, **options)
