"""Files of real laboratories, where they are: `NEUROFER_DATA`, or shared/data beside this one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurofer.recording import read_neurons, summarise_neurons

REPOSITORY = Path(__file__).parents[2]
DATA = Path(os.environ.get("NEUROFER_DATA", REPOSITORY.parent / "shared" / "data"))
TRIALS = DATA / "am_face_views" / "trials.csv.gz"


@pytest.mark.skipif(not TRIALS.is_file(), reason="the recordings of face patch AM are not here")
def test_face_patch_am_is_read_in_one_call():
    """Freiwald & Tsao 2010: 176 sites, 200 pictures, from no trial of a picture to hundreds."""
    found = read_neurons(
        TRIALS,
        columns={
            "neuron": "site",
            "stimulus_id": "stimulus",
            "response": "n_spikes",
            "identity": "person",
            "view": "orientation",
        },
        constants={"expression": "neutral", "head": "human"},
        units={"monkey": ["bert", "lupo"]},
    )
    assert dict(found.sizes) == {"presentation": 200, "neuroid": 176}
    table = pd.read_csv(TRIALS)
    order = [int(name) for name in found["stimulus_id"].to_numpy()]
    both = table.pivot_table("n_spikes", "stimulus", "site", aggfunc=["mean", "count"])
    sites = found["neuroid_id"].to_numpy()
    np.testing.assert_allclose(found, both["mean"].loc[order, sites], rtol=1e-6)
    np.testing.assert_array_equal(found["n_averaged"], both["count"].loc[order, sites].fillna(0))
    summary = summarise_neurons(found)
    assert (summary["n_stimuli"] == 200).sum() == 171
    assert summary["n_trials"].sum() == len(table)
    assert set(found["view"].to_numpy()) == set(table["orientation"])
