"""Analyses of recordings: each a pure function on arrays, a wrapper for recordings, a figure."""

from __future__ import annotations

from typing import Any

import xarray as xr

from neurofer.analyses.registry import Analysis, discover, run_analysis

ANALYSES: dict[str, Analysis] = discover()

__all__ = ["ANALYSES", "Analysis", "analyse"]


def analyse(name: str, recording: xr.DataArray, **options: Any) -> xr.Dataset:
    """Put a recording through an analysis.

    Args:
        name: one of `ANALYSES`, such as "linearity", "rsa", "transfer".
        recording: presentation x neuroid.
        options: of this analysis; `ANALYSES[name].options()` lists them with their defaults.

    Returns:
        The result, with its provenance in `attrs`.

    Raises:
        NeuroferError: the name or an option is unknown (the message lists the choices), or the
            recording lacks what the analysis needs.

    >>> from neurofer.simulation import norm_referenced_units, simulated_faces
    >>> recording = norm_referenced_units(simulated_faces(heads=["human"]), noise=0.03)
    >>> result = analyse("linearity", recording, mixed="none", n_bootstrap=50)
    >>> result["median_r2"].sel(head="all").item() > 0.9
    True
    """
    return run_analysis(ANALYSES, name, recording, options)
