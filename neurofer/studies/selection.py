"""Which sites and presentations of a recording an analysis reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.studies.study import AnalysisSpec

if TYPE_CHECKING:
    import xarray as xr


def sites_of(item: AnalysisSpec, subject: Any) -> tuple[str, ...]:
    """Return the sites that an analysis reads: its option `site`, or the default of it."""
    from neurofer.analyses import ANALYSES

    site = item.options.get("site", ANALYSES[item.analysis].options().get("site"))
    if isinstance(site, str):
        return (site,)
    return tuple(site) if site else tuple(subject.default_sites)


def selected(recording: xr.DataArray, conditions: Mapping[str, Any]) -> xr.DataArray:
    """Return the presentations whose coordinates have the given value, or one of the values."""
    import numpy as np

    keep = np.ones(recording.sizes["presentation"], dtype=bool)
    coords = [str(n) for n, c in recording.coords.items() if c.dims == ("presentation",)]
    for name, wanted in conditions.items():
        if name not in coords:
            raise unknown_choice("column", name, coords, "the recording")
        values = recording[name].to_numpy()
        options = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
        for option in options:
            if not (values == option).any():
                raise unknown_choice(name, option, np.unique(values).tolist(), "the recording")
        keep &= np.isin(values, options)
    if not keep.any():
        raise NeuroferError(f"no presentation fulfils {dict(conditions)}")
    return recording.isel(presentation=np.flatnonzero(keep))
