"""A file that is read may not make neurofer read another one, or fill the memory."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.hdf5 import check_hdf5
from neurofer.recording import load_recording, read_neurons
from neurofer.studies.results import read_result
from neurofer.subjects.weight_files.foreign import _h5, read_h5


def _stored_outside(file: h5py.File) -> None:
    secret = Path(file.filename).with_name("secret.bin")
    secret.write_bytes(b"secret text of somebody else")
    file.create_dataset("model_weights/x", (10,), "u1", external=[(str(secret), 0, 10)])


def _linked(file: h5py.File) -> None:
    file["model_weights/x"] = h5py.ExternalLink("other.h5", "/x")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("other.h5", "x", (10,))
    file.create_virtual_dataset("x", layout)


def _endless(file: h5py.File) -> None:
    file.create_dataset("x", (10**6, 10**6), "f8", chunks=(10, 10))


BAD = {
    _stored_outside: "lie in another file",
    _linked: "a link to another file",
    _virtual: "lie in another file",
    _endless: "declares 7450.6 GiB",
}
READERS = {
    "a.nc": [load_recording, read_neurons, read_result],
    "a.nwb": [read_neurons],
    "a.h5": [check_hdf5, _h5, lambda path: read_h5(path, "")],
}


@pytest.mark.parametrize(("make", "message"), BAD.items())
@pytest.mark.parametrize("name", READERS)
def test_no_reader_looks_into_another_file(tmp_path, make, message, name):
    if name == "a.nwb":
        pytest.importorskip("pynwb")
    with h5py.File(tmp_path / name, "w") as file:
        make(file)
    for reader in READERS[name]:
        with pytest.raises(NeuroferError, match=message):
            reader(tmp_path / name)


def test_a_file_that_stays_within_itself_passes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/b"] = np.zeros(5)
        file["a/again"] = file["a"]  # a circle
        file["soft"] = h5py.SoftLink("/a/b")
        file["empty"] = h5py.Empty("f4")
        file["text"] = "words"
        layout = h5py.VirtualLayout((5,), "f8")
        layout[:] = h5py.VirtualSource(".", "a/b", (5,))
        file.create_virtual_dataset("virtual", layout)
    check_hdf5(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"no HDF5")
    check_hdf5(tmp_path / "b.h5")
