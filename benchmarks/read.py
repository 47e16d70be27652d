"""Reading a recording whose every byte is checked, against reading it alone."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _turns import interleaved

ROUNDS = 5
UNITS = 25_000  # of 2,000 presentations: 200 MB


def benchmarks() -> list[dict[str, Any]]:
    """Return the rows of this file."""
    return sealed()


def sealed(units: int = UNITS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return `read.sealed` and `read.recording`: GB/s, of the check alone and with the reading.

    The peer of the check is zlib's sum of bytes in memory, that of a checked recording the same
    file read by xarray without a check. The goal of the
    check is 1 GB/s, as fast as most disks.
    """
    import xarray as xr

    from neurofer.recording import load_recording, save_recording
    from neurofer.recording.layout import make_recording, neuroid_coords, presentation_coords
    from neurofer.recording.sites import Site
    from neurofer.sealed import check_seal
    from neurofer.stimuli.table import make_table

    rng = np.random.default_rng(0)
    activity = rng.random((2000, units), dtype=np.float32)
    table = pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(len(activity))]})
    coords = presentation_coords(make_table(table, [""] * len(table)), frozenset())
    coords |= neuroid_coords(Site("a"), (units,), "noise")
    attrs = {"subject": "noise", "stimuli": "noise"}
    with tempfile.TemporaryDirectory() as folder:
        path = save_recording(make_recording(activity, coords, attrs), Path(folder) / "r.nc")
        content = path.read_bytes()
        gigabytes = len(content) / 1e9

        def bare() -> object:
            with xr.open_dataset(path, decode_times=False) as dataset:
                return dataset.load()

        seconds = interleaved(
            rounds,
            lambda: check_seal(path, named=False),
            lambda: zlib.crc32(content),
            lambda: load_recording(path),
            bare,
        )
    speeds = [gigabytes / one for one in seconds]
    check = {"id": "read.sealed", "ours": speeds[0], "peer": speeds[1], "unit": "GB/s"}
    whole = {"id": "read.recording", "ours": speeds[2], "peer": speeds[3], "unit": "GB/s"}
    return [
        # The goal is of the speed itself: the ratio to it is what is compared.
        {**check, "ratio": speeds[0] / 1.0, "goal": 1.0, "note": "ratio to 1 GB/s; peer: zlib"},
        {**whole, "ratio": speeds[2] / speeds[3], "goal": None, "note": "peer: unchecked"},
    ]
