"""Where the arrays of a classic netCDF file end: the library reads zeros where a file was cut."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from neurofer.errors import NeuroferError

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # of their types
_MOST = 2**20  # of dimensions, attributes and variables


class _Array(NamedTuple):
    name: str
    begin: int
    one: int  # bytes of the array, or of one record of it
    records: bool


class _Header:
    """Reads the header of a file in the formats CDF-1, CDF-2 and CDF-5."""

    def __init__(self, file: BinaryIO, version: int) -> None:
        self.file = file
        self.counts = 8 if version == 5 else 4
        self.offsets = 4 if version == 1 else 8

    def number(self, size: int) -> int:
        found = self.file.read(size)
        if len(found) < size:
            raise EOFError
        return int.from_bytes(found, "big")

    def count(self) -> int:
        return self.number(self.counts)

    def text(self) -> str:
        size = self.count()
        return self.file.read(size + -size % 4)[:size].decode("utf-8", "replace")

    def items(self) -> range:
        """Begin a list: its tag, which says nothing that its place does not, and its length."""
        self.number(4)
        found = self.count()
        if found > _MOST:
            raise EOFError
        return range(found)

    def attributes(self) -> None:
        for _ in self.items():
            self.text()
            size = _SIZES.get(self.number(4), 1) * self.count()
            self.file.seek(size + -size % 4, os.SEEK_CUR)

    def arrays(self) -> tuple[int, list[_Array]]:
        """Return the number of records, 0 where it is left open, and the arrays."""
        records = self.count()
        records = 0 if records == 2 ** (8 * self.counts) - 1 else records
        lengths = [(self.text(), self.count())[1] for _ in self.items()]
        self.attributes()
        return records, list(self._arrays(lengths))

    def _arrays(self, lengths: list[int]) -> Iterator[_Array]:
        for _ in self.items():
            name = self.text()
            shape = [lengths[self.count()] for _ in range(min(self.count(), 1024))]
            self.attributes()
            kind = self.number(4)
            self.count()  # its size as written, which overflows where it is large
            begin = self.number(self.offsets)
            recorded = bool(shape) and shape[0] == 0
            one = _SIZES.get(kind, 1) * math.prod(shape[1:] if recorded else shape)
            yield _Array(name, begin, one, recorded)


def check_whole(path: str | os.PathLike[str]) -> None:
    """Refuse a classic netCDF file that is shorter than its arrays; any other file passes.

    Raises:
        NeuroferError: it was cut; the first array that is not whole is named.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        magic = file.read(4)
        if magic[:3] != b"CDF" or len(magic) < 4 or magic[3] not in (1, 2, 5):
            return
        try:
            records, arrays = _Header(file, magic[3]).arrays()
        except (EOFError, IndexError):
            raise NeuroferError(f"{path} is damaged: its header is not whole") from None
    stride = [one.one + -one.one % 4 for one in arrays if one.records]
    step = sum(stride) if len(stride) > 1 else sum(one.one for one in arrays if one.records)
    for one in arrays:
        last = max(records - 1, 0) * step if one.records else 0
        end = one.begin + (last + one.one if not one.records or records else 0)
        if end > size:
            raise NeuroferError(
                f"{path} is cut: it has {size:,} bytes, and {one.name} ends at {end:,}; copy it "
                "again from its source"
            )
