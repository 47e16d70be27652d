"""What every registered analysis keeps to, in the words of `neurofer.analyses.registry`.

A new analysis is found by itself; where a check fails, its message says what the contract asks.
"""

from __future__ import annotations

import inspect
import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from plotly.graph_objects import Figure

from neurofer.analyses import ANALYSES, Analysis, analyse
from neurofer.analyses.decoding.error_consistency import consistency_table, error_consistency
from neurofer.analyses.provenance import PROVENANCE
from neurofer.analyses.rsa.inference.evaluate import evaluate_models
from neurofer.analyses.rsa.recordings import compare_recordings, compare_weighted
from neurofer.analyses.tuning import fit_table
from neurofer.closure import closure
from neurofer.errors import NeuroferError
from neurofer.options import options_of
from neurofer.simulation import join
from neurofer.simulation.saliency import saliency_units
from tests.executed import executed

NAMES = pytest.mark.parametrize("name", list(ANALYSES))


@pytest.fixture(scope="module")
def recording(recording, faces):
    """All kinds of sites, and saliency, which one of the analyses takes."""
    return join(recording, saliency_units(faces.table, recording.attrs["stimuli"]))


def _run(name, recording, **options):
    known = ANALYSES[name].options()
    small = {"n_bootstrap": 30, "n_permutations": 20} | options
    small = {key: value for key, value in small.items() if key in known}
    # Where no site is taken by default, one must be chosen of a recording that has several.
    site = {"site": "coding"} if known.get("site", "") is None else {}
    return analyse(name, recording, **(site | dict(ANALYSES[name].quick) | small))


def test_the_analyses_are_found():
    assert set(ANALYSES) >= {"linearity", "transfer", "rsa"}
    assert all(isinstance(one, Analysis) for one in ANALYSES.values())
    assert all(name == one.name for name, one in ANALYSES.items())


@NAMES
def test_an_analysis_is_described(name):
    analysis = ANALYSES[name]
    length = len(analysis.summary)
    assert 20 < length < 100, f"summary is one line of 20 to 100 characters, not {length}"
    assert inspect.getdoc(analysis.run), "run needs a docstring: it is the analysis' reference"
    without = [k for k, v in analysis.options().items() if v is inspect.Parameter.empty]
    assert not without, f"every option of run needs a default; without: {without}"
    if not analysis.deterministic:
        assert "seed" in analysis.options(), "what is drawn takes seed=; else deterministic=True"


# A row of `Returns:`, such as "accuracy, _low, _high (head, strength) [%], if asked: meaning".
ROW = re.compile(
    r"(?P<names>[\w, ]+) \((?P<dims>[\w, ]*)\) \[(?P<unit>[^]]+)\](?P<only>, if [^:]+)?: .+"
)
# What only some options or data give: further runs, after which every variable of `Returns:` came.
FURTHER: dict[str, list[dict]] = {
    "linearity": [
        {"saturation": "naka-rushton", "random_slopes": True},
        {"mixed": "units", "site": "decision"},
        {"mixed": "none", "site": "noise"},
    ],
    "tuning": [{"inputs": "expression", "models": ["norm-direction", "axis"]}],
    "rsa": [{"trials": True}],
    "saliency": [{"maps": True}],
    "probe": [{"n_permutations": 0}],
    "geometry": [{"one head": True}],
}


def listed(run) -> dict[str, tuple[tuple[str, ...], str, bool]]:
    """Return name -> (dimensions, unit, whether it always comes) of `Returns:` of a function."""
    lines = inspect.getdoc(run).splitlines()
    assert "Returns:" in lines, "run has a section `Returns:`"
    rows: list[str] = []
    for line in lines[lines.index("Returns:") + 1 :]:
        if line and not line.startswith(" "):
            break
        if line.startswith("     ") and rows:
            rows[-1] += " " + line.strip()
        else:
            rows.append(line.strip())
    found: dict[str, tuple[tuple[str, ...], str, bool]] = {}
    for row in filter(None, map(ROW.fullmatch, rows)):
        names: list[str] = []
        for name in row["names"].split(", "):
            bounds = name in ("_low", "_high")
            whole = [one for one in names if not one.endswith(("_low", "_high"))]
            names += [one + name for one in whole] if bounds else [name]
        for name in names:
            assert name not in found, f"{name} is listed twice"
            dims = tuple(row["dims"].split(", ")) if row["dims"] else ()
            found[name] = dims, row["unit"], row["only"] is None
    return found


def unit_of(variable: xr.DataArray) -> str:
    kinds = {"b": "truth", "U": "text", "O": "text"}
    return kinds.get(variable.dtype.kind) or variable.attrs.get("units", "none")


@NAMES
def test_every_variable_is_listed_with_its_dimensions_and_unit(recording, name):
    described = listed(ANALYSES[name].run)
    results = [_run(name, recording), *_further(name, recording)]
    for result in results:
        there = {
            str(key): (tuple(map(str, one.dims)), unit_of(one))
            for key, one in result.data_vars.items()
        }
        unlisted = sorted(set(there) - set(described))
        assert not unlisted, f"list {unlisted} in `Returns:` of run; see registry.py for its form"
        assert there == {key: described[key][:2] for key in there}
        lacking = [key for key, row in described.items() if row[2] and key not in there]
        assert not lacking, (
            f"{lacking} did not come: write ', if ...' after the unit, or unlist them"
        )
    never = set(described) - {str(key) for one in results for key in one.data_vars}
    assert not never, f"{sorted(never)} never came: unlist them, or add options to FURTHER"


def _maps(recording):
    """Maps of 2 x 2 places, each with the gray image below it."""
    n, place = recording.sizes["presentation"], np.arange(8)
    maps = recording.isel(neuroid=np.zeros(8, int)).copy(data=np.ones((n, 8), np.float32))
    return maps.assign_coords(
        site=("neuroid", ["saliency-map"] * 8),
        unit=("neuroid", ["map"] * 4 + ["image"] * 4),
        neuroid_id=("neuroid", [f"saliency-map.{k}" for k in place]),
        channel_y=("neuroid", place % 4 // 2),
        channel_x=("neuroid", place % 2),
    )


def _further(name, recording):
    for options in FURTHER.get(name, []):
        options = dict(options)
        data = recording
        if options.pop("trials", False):
            data = _twice(recording)
        if options.pop("one head", False):
            data = recording.isel(presentation=(recording["head"] == "human").to_numpy())
        if options.pop("maps", False):
            data = join(recording, _maps(recording))
            options["site"] = ("saliency", "saliency-map")
        yield _run(name, data, **options)


@NAMES
def test_all_code_that_makes_a_result_is_in_its_key(recording, name):
    """Else a result made by other code would be taken from a cache."""
    _run(name, recording, seed=3)  # imports what it needs
    with executed() as modules:
        _run(name, recording, seed=3)
    keyed = set(closure(ANALYSES[name].run.__module__, "neurofer.analyses"))
    assert len(modules) > 3
    assert not modules - keyed


@NAMES
def test_a_result_carries_its_provenance(recording, name):
    result = _run(name, recording, seed=3)
    lacking = set(PROVENANCE) - set(result.attrs)
    assert not lacking, f"attrs lack {lacking}: return with_provenance(result, ...)"
    assert result.attrs["analysis"] == name
    assert result.attrs["subject"] == recording.attrs["subject"]
    assert result.attrs["stimuli"] == recording.attrs["stimuli"]
    assert result.attrs["data"] == "simulated"
    options, known = json.loads(result.attrs["options"]), set(ANALYSES[name].options())
    assert set(options) == known, "attrs['options'] holds every option of run, by name"
    if "seed" in known:
        assert result.attrs["seed"] == options["seed"] == 3, "with_provenance is told the seed"
    assert json.loads(result.attrs["versions"])["numpy"] == np.__version__


@NAMES
def test_a_result_follows_its_seed_and_not_the_order_of_presentations(recording, name):
    order = np.random.default_rng(0).permutation(recording.sizes["presentation"])
    first = _run(name, recording)
    xr.testing.assert_identical(first, _run(name, recording))
    xr.testing.assert_identical(first, _run(name, recording.isel(presentation=order)))
    other = _run(name, recording, seed=1)
    same = first.drop_vars(list(first.coords)).equals(other.drop_vars(list(other.coords)))
    said = ANALYSES[name].deterministic
    assert same == said, (
        "another seed changes no number: say so, Analysis(deterministic=True)"
        if same
        else "deterministic=True, but another seed gives other numbers"
    )


def _twice(recording):
    """Two trials of everything, of which the second is as much below the mean."""
    n = recording.sizes["presentation"]
    offset = xr.DataArray(np.repeat(np.float32([0.5, -0.5]), n), dims="presentation")
    trials = recording.isel(presentation=np.tile(np.arange(n), 2)) + offset
    trials = trials.assign_coords(repeat=("presentation", np.repeat([1, 2], n)))
    trials.attrs = recording.attrs
    return trials


@NAMES
def test_trials_of_a_stimulus_are_averaged_and_counted(recording, name):
    """Two trials, of which the second is as much below the mean as the first is above."""
    once = _run(name, recording)
    twice = _run(name, _twice(recording))
    if twice.attrs["trials"] == "single trials":  # fitted one by one: more values, as many units
        assert twice.attrs["n_presentations"] == 2 * once.attrs["n_presentations"]
        assert dict(twice.sizes) == dict(once.sizes)
        return
    assert twice.attrs["trials"] == "means over 2 trials of a stimulus", (
        "attrs['trials'] says what became of trials: with_provenance(..., responses, ...)"
    )
    assert twice.attrs["n_presentations"] == once.attrs["n_presentations"]
    # Trials may say more, such as how reliable they are, and nothing else.
    assert {dim: twice.sizes[dim] for dim in once.dims} == dict(once.sizes)
    for variable in once.data_vars:
        if once[variable].dtype.kind == "f" and not str(variable).endswith(("_low", "_high")):
            np.testing.assert_allclose(
                twice[variable], once[variable], rtol=1e-3, atol=1e-3, err_msg=str(variable)
            )


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
            assert (within | (said & np.isnan(low))).all(), (
                f"{variable} lies outside {variable}_low to {variable}_high; what is undefined is "
                "NaN and named in attrs['not_measured']"
            )
            found += 1
    assert bool(found) == ANALYSES[name].intervals, (
        "an estimate x has its interval beside it as x_low and x_high; an analysis without "
        "intervals says so, Analysis(intervals=False)"
    )


@NAMES
def test_a_table_is_tidy(recording, name):
    table = ANALYSES[name].table(_run(name, recording))
    assert isinstance(table.index, pd.RangeIndex), "a table has a RangeIndex"
    assert len(table), "a table has a row"
    wrong = [column for column in table.columns if not str(column).isidentifier()]
    assert not wrong, f"columns of a table are identifiers, such as 'accuracy_low'; not {wrong}"


@NAMES
@pytest.mark.parametrize("subjects", [1, 3])
def test_a_figure_says_n_error_bars_and_data(recording, name, subjects):
    result = _run(name, recording)
    figure = ANALYSES[name].figure({f"subject {k}": result for k in range(subjects)})
    assert isinstance(figure, Figure)
    assert len(figure.data)
    title = figure.layout.title.text
    bars = "95 %" if ANALYSES[name].intervals else "no error bars"
    for words in ("n = ", bars, recording.attrs["stimuli"], "(simulated)"):
        assert words in title, f"the title of a figure says {words!r} (figures.subtitle)"
    smallest = min(int(size) for size in _sizes(figure.to_plotly_json()))
    assert smallest >= 12, f"letters of {smallest} px are too small to read; at least 12"
    assert figure.layout.width == 900, "a figure is 900 px wide, as a report's column"


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


BAD = {
    "n_bootstrap": (-3, 10.5, "20", None, True, float("nan"), 10**30, [3]),
    "n_permutations": (-3, 10.5, "20", None, True, 10**30),
    "seed": (-1, 1.5, None, "1", True, 2**70),
    "folds": (-1, 0, 1, 2.5, True),
    "n_folds": (-1, 1, 2.5, "5", None),
    "alpha": (0, 1, -0.5, float("nan"), "0.05", None),
    "penalty": (0, -1.0, float("inf"), "1", None),
    "draws": (0, 2.5, "5", None),
    "images": (3, "3", [0], [1.5], None),
    "models": ("linear", 3, [1]),
    "site": (3, True, [1]),
    "decoder": ("rigde", 3, None, ["ridge"]),
    "held_out": ("no", 1, None),
    "train": ("human", ["human"]),
}
CASES = [
    (name, option, value)
    for name, analysis in ANALYSES.items()
    for option in analysis.options()
    for value in (*BAD.get(option, ()), {}, object(), 1j, b"x")
]


@pytest.mark.parametrize(("name", "option", "value"), CASES)
def test_a_bad_option_is_named_before_any_work(name, option, value):
    """Before the recording is looked at, which here has nothing that an analysis could take."""
    allowed = value == {} and "a mapping" in ANALYSES[name].allowed()[option]
    with pytest.raises(NeuroferError) as caught:
        analyse(name, xr.DataArray(np.zeros(1)), **{option: value})
    said = str(caught.value)
    assert (f"{option}=" in said and f"analysis '{name}'" in said) != allowed


@NAMES
def test_every_option_says_what_it_may_be(name):
    assert all(ANALYSES[name].allowed().values()), "annotate the options of `run`"
    for option, default in ANALYSES[name].options().items():
        options_of(ANALYSES[name].run)[option].read(default)


@NAMES
def test_whole_numbers_may_be_written_as_others(recording, name):
    count = "n_bootstrap" if "n_bootstrap" in ANALYSES[name].options() else "n_permutations"
    first = _run(name, recording, **{count: 30})
    xr.testing.assert_identical(first, _run(name, recording, **{count: 3e1}, seed=np.float64(0)))


TAKES_MANY = (compare_recordings, compare_weighted, error_consistency, consistency_table)


@pytest.mark.parametrize("function", [*TAKES_MANY, evaluate_models, fit_table])
@pytest.mark.parametrize(
    ("option", "value"),
    [(name, value) for name in ("n_bootstrap", "seed", "n_folds") for value in BAD[name]],
)
def test_what_takes_several_recordings_is_checked_as_well(function, option, value):
    needed = sum(one.default is inspect.Parameter.empty for one in options_of(function).values())
    if option in options_of(function):
        with pytest.raises(NeuroferError, match=f"^{option}=.*give .*whole number"):
            function(*[{}] * needed, **{option: value})
