"""Files of arrays: netCDF as other programs write it, and MATLAB's."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
import scipy.io
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.recording import read_neurons, save_recording
from neurofer.simulation import norm_referenced_units, simulated_faces

RATES = np.array([[5.13, 2.0], [4.0, 3.5], [1.0, 0.25]])


def _netcdf(path, *, kind="f8", format="NETCDF4", units=None, written=3, chars=True):  # noqa: A002
    with netCDF4.Dataset(path, "w", format=format) as file:
        for name, size in (("presentation", 3), ("neuroid", 2), ("letters", 12)):
            file.createDimension(name, size)
        rate = file.createVariable("rate", kind, ("presentation", "neuroid"))
        rate[:written] = RATES[:written]
        if units:
            rate.units = units
        for name, words in (
            ("stimulus_id", ["a", "b", "c"]),
            ("identity", ["p", "q", "NA"]),
            ("expression", ["neutral", "sad", "happy"]),
        ):
            if chars:
                variable = file.createVariable(name, "S1", ("presentation", "letters"))
                padded = np.array([word.ljust(12) for word in words], "S12")
                variable[:] = netCDF4.stringtochar(padded)
            else:
                file.createVariable(name, str, ("presentation",))[:] = np.array(words, object)
        file.createVariable("strength", "i4", ("presentation",))[:] = [0, 1, 1]
    return path


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC"])
@pytest.mark.parametrize("units", [None, "milliseconds", "days", "seconds since 2000-01-01"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_netcdf_of_another_program(tmp_path, format, units, kind):  # noqa: A002
    """Plain variables on the dims, padded letters, and a unit that is one of time."""
    found = read_neurons(_netcdf(tmp_path / "R.NC", kind=kind, format=format, units=units))
    np.testing.assert_allclose(found, RATES, rtol=1e-6)
    assert found["stimulus_id"].to_numpy().tolist() == ["a", "b", "c"]
    assert found["identity"].to_numpy().tolist() == ["p", "q", "NA"]
    assert found["expression"].to_numpy().tolist() == ["neutral", "sad", "happy"]
    assert found["strength"].to_numpy().tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "i4", "i8", "u2"])
def test_what_was_never_written_is_missing(tmp_path, kind):
    path = _netcdf(tmp_path / "r.nc4", kind=kind, written=2, chars=False)
    found = read_neurons(path)
    assert np.isnan(found[2]).all()
    assert np.isfinite(found[:2]).all()
    assert "2 values were never written to r.nc4" in found.attrs["notes"]


def test_two_arrays_that_could_be_meant_are_named(tmp_path):
    path = _netcdf(tmp_path / "r.nc")
    with netCDF4.Dataset(path, "a") as file:
        file.createVariable("sem", "f4", ("presentation", "neuroid"))[:] = 1
    with pytest.raises(NeuroferError, match="it holds rate, sem"):
        read_neurons(path)


def test_a_recording_comes_back_with_the_neurons_asked_for(tmp_path):
    model = norm_referenced_units(simulated_faces(heads=("human",), n_identities=2), seed=0)
    path = save_recording(model, tmp_path / "M.NC")
    xr.testing.assert_identical(read_neurons(path), model)
    names = model["neuroid_id"].to_numpy().tolist()
    found = read_neurons(path, neurons=[names[2], names[0]], subject="two")
    np.testing.assert_array_equal(found, model[:, [2, 0]])
    assert found.attrs["subject"] == "two"
    with pytest.raises(NeuroferError, match="leave out constants="):
        read_neurons(path, constants={"head": "human"})


COLUMNS = {
    "stimulus_id": np.array(["a", "b", "c"], object),
    "identity": np.array(["p", "q", "r"], object),
    "expression": np.array(["neutral", "sad", "happy"], object),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("struct", [False, True])
def test_mat_files_hold_a_table(tmp_path, struct, compressed):
    content = {**COLUMNS, "rates": RATES, "rt": np.array([[0.3], [0.4], [0.2]])}
    content = {"session": content} if struct else content
    scipy.io.savemat(tmp_path / "s.MAT", content, do_compression=compressed)
    found = read_neurons(tmp_path / "s.MAT")
    assert found["neuroid_id"].to_numpy().tolist() == ["rates 1", "rates 2"]
    np.testing.assert_allclose(found, RATES, rtol=1e-6)
    assert found["identity"].to_numpy().tolist() == ["p", "q", "r"]
    assert "'rt'" in found.attrs["set_aside"]


def test_a_long_mat_file(tmp_path):
    long = {name: np.repeat(values, 2) for name, values in COLUMNS.items()}
    long |= {"neuron": np.array([1, 2] * 3), "response": RATES.ravel()}
    scipy.io.savemat(tmp_path / "s.mat", long)
    found = read_neurons(tmp_path / "s.mat")
    assert found["neuroid_id"].to_numpy().tolist() == ["1", "2"]
    np.testing.assert_allclose(found, RATES, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**COLUMNS, "rates": RATES[:2]}, "'rates' has 2 rows, others 3"),
        (
            {**COLUMNS, "cells": np.array([{"a": 1}, {"a": 2}, {"a": 3}], object)},
            "'cells' is neither",
        ),
        ({"a": {"b": {"c": 1}}, "d": 1}, "'a' is neither numbers nor text"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x00" * 400, "version 7.3"),
        (b"no such file", "cannot be read as a .mat file"),
    ],
)
def test_mat_files_that_are_no_table_are_refused(tmp_path, content, message):
    path = tmp_path / "s.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        scipy.io.savemat(path, content)
    with pytest.raises(NeuroferError, match=message):
        read_neurons(path)
