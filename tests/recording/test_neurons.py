"""Files of a laboratory, made from simulated neurons whose truth is known."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurofer.analyses import analyse, tuning
from neurofer.cli import app as cli
from neurofer.errors import NeuroferError
from neurofer.recording import check_recording, read_neurons, save_recording
from neurofer.simulation import norm_referenced_units, simulated_faces

FACES = simulated_faces(heads=("human", "monkey"), n_identities=5)
TRUTH = norm_referenced_units(FACES, slope=20, intercept=5, noise=1.0)
STIMULI = FACES.table[["stimulus_id", "head", "identity", "expression", "strength"]]
NAMES = [f"cell {k}" for k in range(TRUTH.sizes["neuroid"])]


def _wide() -> pd.DataFrame:
    ids = pd.DataFrame({"stimulus_id": TRUTH["stimulus_id"].to_numpy()})
    return pd.concat([ids, pd.DataFrame(TRUTH.to_numpy(), columns=NAMES)], axis=1)


def _long() -> pd.DataFrame:
    return _wide().melt("stimulus_id", NAMES, "neuron", "response")


@pytest.fixture
def stimuli(tmp_path):
    STIMULI.to_csv(tmp_path / "stimuli.csv", index=False)
    return tmp_path / "stimuli.csv"


def _written(table, path, **options):
    table.to_csv(path, index=False, **options)
    return path


@pytest.mark.parametrize("layout", [_long, _wide])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rates.csv", {}),
        ("rates.tsv", {"sep": "\t"}),
        ("rates.csv", {"sep": ";", "encoding": "utf-8-sig"}),
        ("rates.csv", {"sep": ";", "decimal": ","}),
    ],
)
def test_tables_come_back_exactly(tmp_path, stimuli, layout, name, options):
    found = read_neurons(_written(layout(), tmp_path / name, **options), stimuli)
    check_recording(found)
    assert found["neuroid_id"].to_numpy().tolist() == NAMES
    np.testing.assert_array_equal(found.to_numpy(), TRUTH.to_numpy())
    for column in STIMULI:
        np.testing.assert_array_equal(found[column].to_numpy(), TRUTH[column].to_numpy())
    assert set(found["source"].to_numpy().tolist()) == {"neurons"}
    assert found.attrs["n_set_aside"] == "0"
    assert found.attrs["n_trials"] == str(len(STIMULI))
    save_recording(found, tmp_path / "again.nc")
    xr.testing.assert_identical(read_neurons(tmp_path / "again.nc"), found)


def test_a_models_recording_comes_back_as_it_is(tmp_path):
    save_recording(TRUTH, tmp_path / "model.nc")
    xr.testing.assert_identical(read_neurons(tmp_path / "model.nc"), TRUTH)


def test_an_assembly_with_a_multiindex_reset_is_read(tmp_path):
    """As Brain-Score saves it: 3-D, other names of sites, no columns of neurofer's own."""
    keep = {"stimulus_id", "head", "identity", "expression", "strength", "neuroid_id"}
    plain = TRUTH.drop_vars([name for name in TRUTH.coords if name not in keep])
    plain = plain.expand_dims("time_bin", axis=2).assign_coords(
        time_bin_start=("time_bin", [70]),
        time_bin_end=("time_bin", [170]),
        layer=("neuroid", ["IT"] * 6),
        source=("presentation", ["rendered"] * len(STIMULI)),
    )
    assembly = plain.set_index(
        presentation=["stimulus_id", "head", "identity", "expression", "strength", "source"],
        neuroid=["neuroid_id", "layer"],
        time_bin=["time_bin_start", "time_bin_end"],
    )
    reset = assembly.reset_index(list(assembly.dims)).rename("rates")
    reset.to_netcdf(tmp_path / "assembly.nc", engine="netcdf4")
    found = read_neurons(tmp_path / "assembly.nc")
    check_recording(found)
    np.testing.assert_array_equal(found.to_numpy()[:, :, 0], TRUTH.to_numpy())
    assert set(found["site"].to_numpy()) == {"IT"}
    assert (found["time_bin_start"], found["time_bin_end"]) == (70, 170)
    # The images were rendered; the neurons were not.
    assert set(found["source"].to_numpy()) == {"neurons"}
    assert set(found["image_source"].to_numpy()) == {"rendered"}


def test_simulated_neurons_stay_simulated(tmp_path):
    table = STIMULI.assign(source="simulated")
    found = read_neurons(_written(_wide(), tmp_path / "rates.csv"), table)
    result = analyse("linearity", found, site=None, n_bootstrap=20)
    assert result.attrs["data"] == "simulated"


def test_repeats_are_averaged_or_kept(tmp_path, stimuli):
    """A neuron that missed a repeat is averaged over those that it has."""
    long = pd.concat([_long(), _long().assign(response=lambda t: t["response"] + 2)])
    path = _written(long, tmp_path / "rates.csv")
    np.testing.assert_allclose(read_neurons(path, stimuli), TRUTH + 1, rtol=1e-6)
    kept = read_neurons(path, stimuli, trials="keep")
    assert kept.sizes["presentation"] == 2 * len(STIMULI)
    assert set(kept["repeat"].to_numpy().tolist()) == {"0", "1"}
    wide = pd.concat([_wide(), _wide()], ignore_index=True)
    wide.loc[len(STIMULI), "cell 0"] = np.nan
    found = read_neurons(_written(wide, tmp_path / "wide.csv"), stimuli)
    np.testing.assert_allclose(found, TRUTH, rtol=1e-6)
    assert (found["n_trials"] == 2).all()


def test_a_column_of_time_makes_time_bins(tmp_path, stimuli):
    long = pd.concat(
        [_long().assign(time=t, response=lambda x: x["response"] * 2) for t in (0, 50)]
    )
    found = read_neurons(_written(long, tmp_path / "rates.csv"), stimuli)
    assert found.dims == ("presentation", "neuroid", "time_bin")
    assert found["time_bin_end"].to_numpy().tolist() == [50, 100]
    np.testing.assert_allclose(found.isel(time_bin=1), 2 * TRUTH, rtol=1e-6)


def test_bad_rows_are_named_and_set_aside(tmp_path, stimuli):
    long = _long().astype(object)
    long.loc[0, "response"] = "lost"
    long.loc[1, "neuron"] = None
    long.loc[2, "stimulus_id"] = "no-such-face"
    long.loc[3, "response"] = np.inf
    found = read_neurons(_written(long, tmp_path / "rates.csv"), stimuli)
    assert found.attrs["n_set_aside"] == "4"
    for said in ("line 2: response 'lost'", "line 3: no neuron", "line 5: response 'inf'"):
        assert said in found.attrs["set_aside"]
    assert "stimulus 'no-such-face': not in the stimulus table" in found.attrs["set_aside"]
    assert int(np.isnan(found).sum()) == 4
    assert found.attrs["missing"] == "4"
    complete = read_neurons(tmp_path / "rates.csv", stimuli, incomplete="drop")
    assert complete["neuroid_id"].to_numpy().tolist() == NAMES[1:]
    assert complete.attrs["n_neurons_dropped"] == "1"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("strength", "very", "strength is not a number"),
        ("strength", "-0.5", "strength is negative"),
        ("identity", None, "no identity"),
        ("expression", "neutral", "neutral at a strength that is not 0"),
    ],
)
def test_bad_stimuli_are_named_and_set_aside(tmp_path, column, value, said):
    table = STIMULI.astype(object)
    table.loc[3, column] = value
    found = read_neurons(_written(_wide(), tmp_path / "rates.csv"), table)
    assert found.sizes["presentation"] == len(STIMULI) - 1
    assert found.attrs["set_aside"] == f"stimulus {STIMULI['stimulus_id'][3]!r}: {said}"


def test_a_stimulus_that_the_table_has_twice_counts_once(tmp_path):
    table = pd.concat([STIMULI, STIMULI.iloc[[4]]], ignore_index=True)
    found = read_neurons(_written(_wide(), tmp_path / "rates.csv"), table)
    assert "row 251: 'human-1-happy-1' is there already" in found.attrs["set_aside"]
    np.testing.assert_array_equal(found, TRUTH)


def test_ids_are_text(tmp_path):
    """The stimulus "007" is not 7."""
    ids = {name: f"{k:04d}" for k, name in enumerate(STIMULI["stimulus_id"])}
    table = STIMULI.assign(stimulus_id=STIMULI["stimulus_id"].map(ids))
    wide = _wide().assign(stimulus_id=lambda t: t["stimulus_id"].map(ids))
    path = _written(wide, tmp_path / "rates.csv")
    found = read_neurons(path, _written(table, tmp_path / "stimuli.csv"))
    assert found["stimulus_id"].to_numpy()[7] == "0007"


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (_wide, {"stimuli": None}, "does not say the identity and expression"),
        (lambda: _wide().drop(columns="stimulus_id"), {}, "a long table has neuron"),
        (_wide, {"neurons": ["cell 9"]}, "neurons='cell 9' is not in rates.csv"),
        (_wide, {"columns": {"nueron": "cell"}}, "did you mean 'neuron'"),
        (_wide, {"trials": "average"}, "trials='average' is unknown"),
        (lambda: _wide()[["stimulus_id"]], {}, "no column of numbers"),
        (
            lambda: _long().assign(response="x"),
            {},
            "no response of rates.csv can be used: line 2: response 'x' is not a number",
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, make, options, message):
    path = _written(make(), tmp_path / "rates.csv")
    with pytest.raises(NeuroferError, match=message):
        read_neurons(path, **{"stimuli": STIMULI, **options})


@pytest.mark.parametrize("name", ["none.csv", "rates.xlsx", "broken.nwb", "broken.nc", "empty.csv"])
def test_files_that_cannot_be_read_are_named(tmp_path, name):
    if name != "none.csv":
        (tmp_path / name).write_bytes(b"" if name == "empty.csv" else b"\x00\x01 no such format")
    if name.endswith("nwb"):
        pytest.importorskip("pynwb")
    with pytest.raises(NeuroferError, match=name.partition(".")[0]):
        read_neurons(tmp_path / name, STIMULI)


def _nwb(path, *, obs=None):
    """A trial of half a second each second; neuron k fires k + (trial % 3) times at 100-200 ms."""
    pynwb = pytest.importorskip("pynwb")
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    file = pynwb.NWBFile("simulated", "id", start)
    file.add_trial_column("stimulus_id", "what was shown")
    ids = STIMULI["stimulus_id"].tolist()[:20]
    for i, name in enumerate(ids):
        stop = float(i) - 1 if i == 4 else i + 0.5  # the fifth ends before it starts
        file.add_trial(start_time=float(i), stop_time=stop, stimulus_id=name)
    file.add_unit_column("region", "area")
    truth = np.array([[k + i % 3 for k in range(4)] for i in range(20)])
    for k in range(4):
        times = [i + 0.1 + 0.1 * j / truth[i, k] for i in range(20) for j in range(truth[i, k])]
        held = {} if obs is None else {"obs_intervals": obs if k == 0 else [[0, 100.0]]}
        file.add_unit(spike_times=np.array(times), region="ML", **held)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path, np.delete(truth, 4, axis=0)


def test_nwb_spikes_are_counted_from_onset(tmp_path):
    path, truth = _nwb(tmp_path / "session.nwb")
    rate = read_neurons(path, STIMULI)
    np.testing.assert_allclose(rate, truth / 0.5)  # spikes per second over the whole trial
    assert rate.attrs["set_aside"] == "trial 5: it ends before it starts"
    assert set(rate["region"].to_numpy()) == {"ML"}
    count = read_neurons(path, STIMULI, measure="count", time_bins=[(0, 100), (100, 201)])
    np.testing.assert_array_equal(count.isel(time_bin=0), 0)
    # With a window of its own, the fifth trial's end does not matter.
    np.testing.assert_array_equal(np.delete(count.to_numpy()[:, :, 1], 4, axis=0), truth)
    window = read_neurons(path, STIMULI, window=(100, 200))
    np.testing.assert_allclose(np.delete(window.to_numpy(), 4, axis=0), truth / 0.1, rtol=1e-6)


def test_nwb_neurons_are_nan_where_they_were_not_held(tmp_path):
    path, truth = _nwb(tmp_path / "session.nwb", obs=[[0.0, 9.9]])
    found = read_neurons(path, STIMULI, measure="count")
    assert np.isnan(found[9:, 0]).all()
    np.testing.assert_array_equal(found[:9, 0], truth[:9, 0])
    np.testing.assert_array_equal(found[:, 1:], truth[:, 1:])
    assert read_neurons(path, STIMULI, incomplete="drop").sizes["neuroid"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"intervals": "stimuli"}, "intervals='stimuli' is not in session.nwb; it has trials"),
        ({"measure": "hertz"}, "measure='hertz' is unknown"),
        ({"window": (100, 50)}, "is .start, end. in ms after onset"),
        ({"window": (0, 50), "time_bins": [(0, 1)]}, "not both"),
    ],
)
def test_nwb_options_are_checked(tmp_path, options, message):
    path, _ = _nwb(tmp_path / "session.nwb")
    with pytest.raises(NeuroferError, match=message):
        read_neurons(path, STIMULI, **options)


def test_the_analyses_take_recorded_neurons(tmp_path, stimuli):
    found = read_neurons(_written(_long(), tmp_path / "rates.csv"), stimuli)
    linear = analyse("linearity", found, site=None, n_bootstrap=50)
    assert linear.attrs["data"] == "neurons"
    models = ("flat", "linear")
    shape = analyse("tuning", found, site=None, models=models, n_folds=0, n_bootstrap=0)
    labels = TRUTH["unit"].to_numpy()
    assert (shape["expression"].to_numpy() == labels).all()  # each neuron's own, found by itself
    assert len(tuning.units(shape)) == len(labels)


def test_the_command_line_says_what_it_holds(tmp_path, stimuli, capsys, monkeypatch):
    long = _long().rename(columns={"neuron": "cell"}).astype(object)
    long.loc[0, "response"] = "lost"
    path = _written(long, tmp_path / "rates.csv")
    words = ["neurons", "check", str(path), "--stimuli", str(stimuli), "--column", "neuron=cell"]
    words += ["--drop-incomplete", "--output", str(tmp_path / "out.nc")]
    monkeypatch.setattr("sys.argv", ["neurofer", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for words in ("5 neuroids", "set aside: 1", "line 2: response 'lost'", "neurons dropped: 1"):
        assert words in said
    assert read_neurons(tmp_path / "out.nc").sizes["neuroid"] == 5
