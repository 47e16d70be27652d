"""What a result says of its own making, in `attrs` that netCDF can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurofer.analyses.inputs import Responses
from neurofer.versions import LIBRARIES, versions

VERSIONS_OF = ("neurofer", *LIBRARIES)
# Attributes that figures print; every result has them, and the options and versions besides.
PROVENANCE = ("analysis", "subject", "stimuli", "data", "site", "options", "versions", "seed")
# Values of the attribute `units` besides "%": a pure number, and the unit of the recording.
PURE = "1"
ACTIVITY = "activity"


def with_provenance(
    result: xr.Dataset,
    analysis: str,
    recording: xr.DataArray,
    responses: Responses,
    options: Mapping[str, Any],
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Return the result with its provenance in front of the attributes that it has.

    Every variable that holds numbers gets the attribute `units`: its own if it has one, else what
    `units` says, else "1", a pure number.

    `data` says what the stimuli are: "rendered", "photograph", "simulated", "not stated". Where a
    recording has trials, `trials` and its neighbours count them (`Responses.said_of_trials`).

    Args:
        result: what the analysis found.
        analysis: its name in the registry.
        recording: what was analysed.
        responses: what was read from it.
        options: option of `run` -> value; `seed` among them where there is one.
        units: variable -> its unit.
    """
    stimuli = responses.stimuli
    sources = sorted(set(responses.column("source").tolist())) if "source" in stimuli else []
    made = {
        "analysis": analysis,
        "subject": str(recording.attrs.get("subject", "not stated")),
        "stimuli": str(recording.attrs.get("stimuli", "not stated")),
        "data": ", ".join(source for source in sources if source) or "not stated",
        "site": responses.site,
        "n_presentations": len(stimuli),
        "n_identities": len(np.unique(responses.identity)),
        "n_units": responses.activity.shape[1],
        "options": json.dumps({**options, "site": responses.site}, sort_keys=True, default=list),
        "versions": json.dumps(versions(VERSIONS_OF)),
        "seed": int(options.get("seed", 0)),
        **responses.said_of_trials(),
    }
    for name, variable in result.data_vars.items():
        if variable.dtype.kind in "iuf":
            variable.attrs.setdefault("units", (units or {}).get(str(name), PURE))
    return result.assign_attrs({**made, **result.attrs})
