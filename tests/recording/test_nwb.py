"""NWB: spike times in the wrong unit, where electrodes lie, and which units are good."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.recording import read_neurons, summarise_neurons

pynwb = pytest.importorskip("pynwb")

N = 20
STIMULI = pd.DataFrame(
    {
        "stimulus_id": [f"face{k}" for k in range(N)],
        "identity": [f"p{k % 4}" for k in range(N)],
        "expression": ["neutral", "happy"] * (N // 2),
    }
)
COUNTS = np.random.default_rng(0).integers(1, 9, (N, 3))


def _spikes(k: int, offset: float = 0) -> np.ndarray:
    """Spikes of unit k, 100 to 400 ms after the onset of each trial, one trial each second."""
    return offset + np.concatenate(
        [i + np.linspace(0.1, 0.4, n) for i, n in enumerate(COUNTS[:, k])]
    )


def _session(path, spikes, *, trial_factor=1.0, electrodes=(), **columns):
    file = pynwb.NWBFile("made up", "id", dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    file.add_trial_column("stimulus_id", "what was shown")
    for i, name in enumerate(STIMULI["stimulus_id"]):
        file.add_trial(
            start_time=i * trial_factor, stop_time=(i + 0.5) * trial_factor, stimulus_id=name
        )
    if electrodes:
        group = file.create_electrode_group("g", "array", "IT", file.create_device("d"))
        for place in electrodes:
            file.add_electrode(location=place, group=group)
    for name in columns:
        file.add_unit_column(name, name)
    for k, times in enumerate(spikes):
        options = {name: values[k] for name, values in columns.items()}
        if electrodes:
            options["electrodes"] = [k, k + 1]
        file.add_unit(spike_times=np.asarray(times), **options)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


@pytest.mark.parametrize(
    ("factor", "offset", "cause"),
    [
        (1e3, 0, "spike times look like milliseconds"),
        (3e4, 0, "spike times look like samples"),
        (1e6, 0, "spike times look like microseconds"),
        (1, 500, "seconds of one clock"),
        (1e-3, 0, "trials look like milliseconds"),
    ],
)
def test_times_in_another_unit_are_refused(tmp_path, factor, offset, cause):
    spikes = [_spikes(k, offset) * factor for k in range(3)]
    path = _session(tmp_path / "s.nwb", spikes)
    with pytest.raises(NeuroferError, match=cause) as raised:
        read_neurons(path, STIMULI)
    assert "trials from 0 to 19.5" in str(raised.value)


def test_windows_in_seconds_are_refused(tmp_path):
    path = _session(tmp_path / "s.nwb", [_spikes(k) for k in range(3)])
    with pytest.raises(NeuroferError, match="in ms after onset, not in seconds"):
        read_neurons(path, STIMULI, window=(0.05, 0.3))


def test_trials_in_milliseconds_are_refused(tmp_path):
    path = _session(tmp_path / "s.nwb", [_spikes(k) for k in range(3)], trial_factor=1e3)
    with pytest.raises(NeuroferError, match="trials look like milliseconds"):
        read_neurons(path, STIMULI)


def test_a_task_that_fills_little_of_the_session_is_read(tmp_path):
    """Ten minutes of spikes around twenty seconds of trials are not mistakes, and are said."""
    rest = np.arange(30, 600, 0.05)
    spikes = [np.concatenate([_spikes(k), rest]) for k in range(2)] + [rest]
    found = read_neurons(_session(tmp_path / "s.nwb", spikes), STIMULI, measure="count")
    np.testing.assert_array_equal(found[:, :2], COUNTS[:, :2])
    assert "lie before the first or after the last trial" in found.attrs["notes"]
    assert "1 units have no spike in any trial (2)" in found.attrs["notes"]
    assert summarise_neurons(found)["constant"].tolist() == [False, False, True]


def test_regions_come_from_the_electrodes(tmp_path):
    path = _session(
        tmp_path / "s.nwb", [_spikes(k) for k in range(3)], electrodes=["ML", "ML", "AM", "AM"]
    )
    found = read_neurons(path, STIMULI)
    assert found["region"].to_numpy().tolist() == ["ML", "ML+AM", "AM"]


def test_units_are_chosen_by_quality(tmp_path):
    path = _session(
        tmp_path / "s.nwb",
        [_spikes(k) for k in range(3)],
        quality=["good", "mua", "good"],
        snr=[1.0, 5.0, 6.0],
    )
    for units, taken in (
        ({"quality": "good"}, [0, 2]),
        ({"snr": ">4"}, [1, 2]),
        ({"quality": "good", "snr": ">4"}, [2]),
    ):
        found = read_neurons(path, STIMULI, units=units, measure="count")
        np.testing.assert_array_equal(found, COUNTS[:, taken])
    with pytest.raises(NeuroferError, match="it has neuroid_id, quality, snr"):
        read_neurons(path, STIMULI, units={"depth": 3})


def test_onset_must_be_a_column(tmp_path):
    path = _session(tmp_path / "s.nwb", [_spikes(0)])
    with pytest.raises(NeuroferError, match=r"columns: onset='image_on' is not in s\.nwb"):
        read_neurons(path, STIMULI, columns={"onset": "image_on"})
