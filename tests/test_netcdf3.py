"""Classic netCDF files that were cut: the library itself reads zeros beyond their end."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.netcdf3 import check_whole
from neurofer.recording import load_recording

FORMATS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]
RATES = np.arange(1.0, 16).reshape(5, 3)


def _written(path: Path, kind: str, *, records: int = 0) -> bytes:
    """Write rates in the last place of the file; with records, so many arrays have them."""
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.title = "odd"
        file.createDimension("presentation", None if records else 5)
        file.createDimension("neuroid", 3)
        file.createVariable("depth", "i2", ("neuroid",))[:] = [1, 2, 3]
        file.createVariable("scale", "f4", ())[...] = 2.0
        if records > 1:
            file.createVariable("trial", "i2", ("presentation",))[:] = np.arange(5)
        variable = file.createVariable("rate", "f8", ("presentation", "neuroid"))
        variable.units = "Hz"
        variable[:] = RATES
    return path.read_bytes()


@pytest.mark.parametrize("records", [0, 1, 2])
@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_whole_passes_and_what_was_cut_is_refused(tmp_path, kind, records):
    path = tmp_path / "a.nc"
    raw = _written(path, kind, records=records)
    check_whole(path)
    for cut in (1, 8, 60):
        path.write_bytes(raw[:-cut])
        with pytest.raises(NeuroferError, match=r"is cut: it has .* and (rate|trial) ends at"):
            check_whole(path)
    for kept in (4, 30, 90):
        path.write_bytes(raw[:kept])
        with pytest.raises(NeuroferError, match="is damaged: its header is not whole"):
            check_whole(path)


def test_a_file_that_declares_too_much_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    raw = _written(path, "NETCDF3_CLASSIC")
    # The length of the first dimension follows its name, big-endian.
    at = raw.index(b"presentation") + len("presentation")
    path.write_bytes(raw[:at] + (2**30).to_bytes(4, "big") + raw[at + 4 :])
    with pytest.raises(NeuroferError, match=r"rate ends at 25,769,"):
        load_recording(path)


def test_an_open_number_of_records_and_other_files_pass(tmp_path):
    path = tmp_path / "a.nc"
    raw = _written(path, "NETCDF3_CLASSIC", records=1)
    path.write_bytes(raw[:4] + b"\xff" * 4 + raw[8:])
    check_whole(path)
    path.write_bytes(b"CDF")
    check_whole(path)
