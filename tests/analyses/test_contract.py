"""What every registered analysis keeps to; a new one is found by itself."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from plotly.graph_objects import Figure

from neurofer.analyses import ANALYSES, Analysis, analyse
from neurofer.analyses.provenance import PROVENANCE
from neurofer.errors import NeuroferError
from neurofer.simulation import join
from neurofer.simulation.saliency import saliency_units

# What an analysis needs besides its defaults to take the recording of these tests.
OPTIONS: dict[str, dict] = {name: {"site": "coding"} for name in ("rsa", "probe", "efficiency")}
# All models are fitted in the tests of the analysis itself.
OPTIONS["tuning"] = {"models": ["flat", "linear", "sigmoid"]}
OPTIONS["geometry"] = {"site": ["coding", "noise"], "n_permutations": 20}
NAMES = pytest.mark.parametrize("name", list(ANALYSES))


@pytest.fixture(scope="module")
def recording(recording, faces):
    """All kinds of sites, and saliency, which one of the analyses takes."""
    return join(recording, saliency_units(faces.table, recording.attrs["stimuli"]))


def _run(name, recording, **options):
    options = {"n_bootstrap": 30} | options
    if "n_bootstrap" not in ANALYSES[name].options():
        del options["n_bootstrap"]
    return analyse(name, recording, **(OPTIONS.get(name, {}) | options))


def test_the_analyses_are_found():
    assert set(ANALYSES) >= {"linearity", "transfer", "rsa"}
    assert all(isinstance(one, Analysis) for one in ANALYSES.values())
    assert all(name == one.name for name, one in ANALYSES.items())


@NAMES
def test_an_analysis_is_described(name):
    analysis = ANALYSES[name]
    assert 20 < len(analysis.summary) < 100
    assert inspect.getdoc(analysis.run)
    assert all(default is not inspect.Parameter.empty for default in analysis.options().values())


@NAMES
def test_a_result_carries_its_provenance(recording, name):
    result = _run(name, recording, seed=3)
    assert set(PROVENANCE) <= set(result.attrs)
    assert result.attrs["analysis"] == name
    assert result.attrs["subject"] == recording.attrs["subject"]
    assert result.attrs["stimuli"] == recording.attrs["stimuli"]
    assert result.attrs["data"] == "simulated"
    assert result.attrs["seed"] == 3
    options = json.loads(result.attrs["options"])
    assert set(options) == set(ANALYSES[name].options())
    assert options["seed"] == 3
    assert json.loads(result.attrs["versions"])["numpy"] == np.__version__


@NAMES
def test_a_result_follows_its_seed_and_not_the_order_of_presentations(recording, name):
    order = np.random.default_rng(0).permutation(recording.sizes["presentation"])
    first = _run(name, recording)
    xr.testing.assert_identical(first, _run(name, recording))
    xr.testing.assert_identical(first, _run(name, recording.isel(presentation=order)))
    other = _run(name, recording, seed=1)
    assert not first.drop_vars(list(first.coords)).equals(other.drop_vars(list(other.coords)))


@NAMES
def test_the_recording_is_left_as_it_was(recording, name):
    before = recording.copy(deep=True)
    _run(name, recording)
    xr.testing.assert_identical(recording, before)


@NAMES
def test_a_result_comes_back_from_netcdf(recording, name, tmp_path):
    result = _run(name, recording)
    result.to_netcdf(tmp_path / "result.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "result.nc", engine="netcdf4") as file:
        again = file.load()
    xr.testing.assert_equal(again, result)
    for key, value in result.attrs.items():
        assert again.attrs[key] == value
    # A result is drawn and tabled from the file as from memory.
    pd.testing.assert_frame_equal(ANALYSES[name].table(again), ANALYSES[name].table(result))
    assert ANALYSES[name].figure({"a": again}).to_json() == (
        ANALYSES[name].figure({"a": result}).to_json()
    )


@NAMES
def test_bounds_enclose_their_variable(recording, name):
    """Where `x_low` and `x_high` stand beside `x`."""
    result = _run(name, recording, n_bootstrap=200)
    found = 0
    for variable in map(str, result.data_vars):
        if {f"{variable}_low", f"{variable}_high"} <= set(result.data_vars):
            low, high = result[f"{variable}_low"], result[f"{variable}_high"]
            within = (low <= result[variable] + 1e-9) & (result[variable] <= high + 1e-9)
            # What is undefined is said.
            said = variable.removeprefix("mean_") in result.attrs.get("not_measured", "")
            assert (within | (said & np.isnan(low))).all()
            found += 1
    assert found


@NAMES
def test_a_table_is_tidy(recording, name):
    table = ANALYSES[name].table(_run(name, recording))
    assert isinstance(table.index, pd.RangeIndex)
    assert len(table)
    assert all(str(column).isidentifier() for column in table.columns)


@NAMES
@pytest.mark.parametrize("subjects", [1, 3])
def test_a_figure_says_n_error_bars_and_data(recording, name, subjects):
    result = _run(name, recording)
    figure = ANALYSES[name].figure({f"subject {k}": result for k in range(subjects)})
    assert isinstance(figure, Figure)
    assert len(figure.data)
    title = figure.layout.title.text
    for words in ("n = ", "95 %", recording.attrs["stimuli"], "(simulated)"):
        assert words in title
    smallest = min(int(size) for size in _sizes(figure.to_plotly_json()))
    assert smallest >= 12
    assert figure.layout.width == 900


def _sizes(node):
    """The sizes of all fonts in a figure."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key.endswith("font") and isinstance(value, dict) and "size" in value:
                yield value["size"]
            yield from _sizes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _sizes(value)


@NAMES
def test_no_results_make_no_figure(name):
    with pytest.raises(NeuroferError, match="no results to draw"):
        ANALYSES[name].figure({})


@NAMES
def test_unknown_options_are_named(recording, name):
    with pytest.raises(NeuroferError, match=f"option='sead' is not in analysis '{name}'.*'seed'"):
        analyse(name, recording, sead=1)


def test_unknown_analyses_and_other_things_are_named(recording):
    with pytest.raises(NeuroferError, match=r"analysis='linarity' is unknown.*'linearity'"):
        analyse("linarity", recording)
    with pytest.raises(NeuroferError, match=r"takes a recording .* not a ndarray"):
        analyse("linearity", recording.to_numpy())
