"""Sealed files: every change of a byte is found, and a damaged file of a cache is made again."""

import random
import shutil
import warnings

import numpy as np
import pytest
import xarray as xr

from neurofer.sealed import (
    LENGTH,
    DamagedError,
    cached,
    check_seal,
    is_sealed,
    read_sealed,
    write_sealed,
)

CONTENT = bytes(range(256)) * 9


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "one.bin"
    with write_sealed(path) as partial:
        partial.write_bytes(CONTENT)
    return path


def test_content_comes_back(file):
    assert read_sealed(file) == CONTENT
    assert check_seal(file) == len(CONTENT)
    assert file.stat().st_size == len(CONTENT) + LENGTH
    assert is_sealed(file)


def test_every_flipped_bit_of_the_seal_and_of_places_in_the_content_is_found(file):
    whole = file.read_bytes()
    places = [*range(0, len(CONTENT), 97), *range(len(CONTENT), len(whole))]
    for place in places:
        for bit in (0, 3, 7):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            file.write_bytes(bytes(changed))
            for named in (True, False):
                with pytest.raises(DamagedError, match=r"one\.bin is damaged"):
                    read_sealed(file, named=named)


@pytest.mark.parametrize("keep", [0, 1, LENGTH - 1, LENGTH, 300, -1])
def test_a_cut_or_emptied_file_is_found(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DamagedError):
        read_sealed(file)


def test_bytes_behind_and_a_second_seal_are_found(file):
    whole = file.read_bytes()
    file.write_bytes(whole + b"x")
    with pytest.raises(DamagedError):
        read_sealed(file)
    file.write_bytes(whole + whole[-LENGTH:])
    with pytest.raises(DamagedError, match="content"):
        read_sealed(file)


def test_a_name_is_part_of_the_seal_only_where_it_is_asked_for(file, tmp_path):
    other = tmp_path / "two.bin"
    shutil.copy(file, other)
    with pytest.raises(DamagedError, match="another name"):
        read_sealed(other)
    assert read_sealed(other, named=False) == CONTENT
    free = tmp_path / "free.bin"
    with write_sealed(free, named=False) as partial:
        partial.write_bytes(b"")
    assert read_sealed(free.rename(tmp_path / "renamed.bin"), named=False) == b""


def test_a_sealed_netcdf_file_is_read_by_others(tmp_path):
    made = xr.Dataset({"a": (("x", "y"), np.random.default_rng(0).normal(size=(30, 7)))})
    path = tmp_path / "a.nc"
    with write_sealed(path) as partial:
        made.to_netcdf(partial, engine="netcdf4")
    check_seal(path)
    xr.testing.assert_identical(xr.load_dataset(path, engine="netcdf4"), made)


def test_a_damaged_file_of_a_cache_is_named_set_aside_and_not_used(file):
    assert cached(file, read_sealed) == CONTENT
    assert cached(file.with_name("none.bin"), read_sealed) is None
    whole = bytearray(file.read_bytes())
    whole[random.Random(1).randrange(len(CONTENT))] ^= 4
    file.write_bytes(bytes(whole))
    with pytest.warns(UserWarning, match=r"one\.bin is damaged.*set aside.*made again"):
        assert cached(file, read_sealed) is None
    assert not file.exists()
    assert (file.parent / ".damaged" / file.name).read_bytes() == bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cached(file, read_sealed) is None
