"""The registry of analyses: a file in a room of this folder that defines `ANALYSIS`, nothing more.

What an analysis must keep to, so that studies, reports and `tests/analyses/test_contract.py` can
take any of them:

- `run(recording, site=..., *, seed=0, ...)`: every option has a default; `site` is the first. A
  recording is not changed. A number that is drawn depends on `seed` alone, and the order of
  presentations changes nothing.
- `run` returns a Dataset through `provenance.with_provenance`, which writes the attributes of
  `provenance.PROVENANCE`; `options` holds every option of `run`. It survives netCDF: attributes are
  strings and numbers, dimensions have no MultiIndex.
- The docstring of `run` lists every variable of the Dataset under `Returns:`, one row each or one
  row for several with the same dimensions and unit:
  `name, other, _low, _high (dim, dim) [unit], if condition: meaning`. `_low` and `_high` stand for
  the bounds of every name before them; a condition names what a variable needs. The unit is the
  attribute `units` ("1" is a pure number), or "text" or "truth".
- Several trials of a stimulus are averaged and counted by `inputs.read_responses`.
- An estimate `x` that has an interval has it as `x_low` and `x_high`, beside it and of its shape;
  at least one has. Where nothing could be estimated all are NaN, and an attribute says why.
- Where nothing is drawn at random, `deterministic=True` in `Analysis`; `seed` is then left out of
  `run` or changes nothing. Without intervals, `intervals=False`.
- `table(result)` returns one row per finding, with columns that are identifiers and a RangeIndex.
- `figure(results)` returns a plotly Figure of one or several subjects' results, 900 px wide, of
  fonts of 12 px and more. Its title says "n = ", what error bars are ("95 %"; "no error bars"
  where there are none), and the stimuli with what they are, "(rendered)". Without results it raises
  NeuroferError ("no results to draw").
- Errors are NeuroferErrors; names and options are checked by `run_analysis`.
- The tests take every analysis from here. Where one is slow with its defaults, `quick` names
  options (`n_bootstrap`, `n_permutations`, `folds`, `draws` are made small without it); where
  units without labels need another decoder, `unlabelled` does.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from neurofer.closure import note_source
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import check_options, options_of

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
        deterministic: whether nothing is drawn at random, so that `seed` changes nothing.
        intervals: whether the result has intervals.
        networks_only: whether it takes what only networks have (maps), and no neurons.
        quick: options that make it quick, for the tests of every analysis.
        unlabelled: options that it needs where units have no labels.
    """

    name: str
    summary: str
    run: Callable[..., xr.Dataset]
    table: Callable[[xr.Dataset], pd.DataFrame]
    figure: Callable[..., Figure]
    difference: Callable[[xr.Dataset, xr.Dataset], xr.Dataset] | None = None
    deterministic: bool = False
    intervals: bool = True
    networks_only: bool = False
    quick: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note the state of the source as it is imported, for the keys of caches."""
        note_source(self.run.__module__)

    def options(self) -> dict[str, Any]:
        """Return the options of `run` with their defaults."""
        parameters = list(inspect.signature(self.run).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    def allowed(self) -> dict[str, str]:
        """Return what each option of `run` may be, in words."""
        return {name: option.allowed for name, option in options_of(self.run, skip=1).items()}


def discover() -> dict[str, Analysis]:
    """Return every analysis of this folder by name."""
    found: dict[str, Analysis] = {}
    folder = str(Path(__file__).parent)
    for module in pkgutil.walk_packages([folder], "neurofer.analyses."):
        if module.ispkg:  # a room hands on what its `analysis` defines
            continue
        analysis = getattr(import_module(module.name), "ANALYSIS", None)
        if isinstance(analysis, Analysis):
            found[analysis.name] = analysis
    return found


def run_analysis(
    analyses: Mapping[str, Analysis], name: str, recording: xr.DataArray, options: dict[str, Any]
) -> xr.Dataset:
    """Run an analysis of a registry; names and options are checked first.

    Where no `site` is given and the recording has one site, or none, that one is analysed: the
    site that an analysis takes by default is a site of our own subjects.

    Args:
        analyses: name -> analysis.
        name: of the one to run.
        recording: presentation x neuroid.
        options: of its `run`.
    """
    if name not in analyses:
        raise unknown_choice("analysis", name, analyses)
    if not isinstance(recording, xr.DataArray):
        raise NeuroferError(
            f"analysis {name!r} takes a recording (an xarray.DataArray), "
            f"not a {type(recording).__name__}"
        )
    analysis = analyses[name]
    read = check_options(analysis.run, options, f"analysis {name!r}")
    return analysis.run(recording, **_the_only_site(recording, analysis.options(), read))


def _the_only_site(
    recording: xr.DataArray, known: Mapping[str, Any], options: dict[str, Any]
) -> dict[str, Any]:
    if "site" in options or not isinstance(known.get("site"), str):
        return options
    if "site" not in recording.coords:
        return {**options, "site": None}
    sites = set(recording["site"].to_numpy().tolist())
    return {**options, "site": str(*sites)} if len(sites) == 1 else options
