from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurofer.errors import NeuroferError
from neurofer.recording import RecordingStore, Site, load_recording, record, save_recording, store
from neurofer.recording.layout import (
    make_recording,
    neuroid_coords,
    presentation_coords,
    time_coords,
)
from neurofer.recording.store import join_sites
from neurofer.stimuli import StimulusSet
from neurofer.stimuli.table import make_table

from .conftest import FakeSubject


def same(a: xr.DataArray, b: xr.DataArray) -> None:
    assert a.dims == b.dims
    assert a.dtype == b.dtype
    assert a.to_numpy().tobytes() == b.to_numpy().tobytes()
    assert list(a.coords) == list(b.coords)
    for name in a.coords:
        assert a[name].dims == b[name].dims, name
        assert a[name].dtype.kind == b[name].dtype.kind, name
        np.testing.assert_array_equal(a[name].values, b[name].values)
    assert a.attrs == b.attrs
    assert a.name == b.name


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6)
floats32 = st.floats(width=32, allow_nan=True, allow_infinity=True)


@st.composite
def recordings(draw: st.DrawFn) -> xr.DataArray:
    n, units = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    times = draw(st.integers(0, 3))
    table = pd.DataFrame(
        {
            "stimulus_id": draw(st.lists(words, min_size=n, max_size=n, unique=True)),
            "identity": draw(st.lists(words, min_size=n, max_size=n)),
            "note": draw(st.lists(words, min_size=n, max_size=n)),
            "truth": draw(st.lists(st.booleans(), min_size=n, max_size=n)),
            "count": draw(st.lists(st.integers(-(2**60), 2**60), min_size=n, max_size=n)),
            "number": draw(st.lists(st.floats(), min_size=n, max_size=n)),
        }
    )
    hashes = [f"{i}" for i in range(n)]
    labels = tuple(draw(st.lists(words, min_size=units, max_size=units)))
    coords = presentation_coords(make_table(table, hashes), frozenset({"1"}))
    coords.update(neuroid_coords(Site("s", draw(words), labels), (units,), draw(words)))
    shape: tuple[int, ...] = (n, units)
    if times:
        coords.update(time_coords([(10 * k, 10 * k + 5) for k in range(times)]))
        shape = (n, units, times)
    activity = draw(hnp.arrays(np.float32, shape, elements=floats32))
    return make_recording(activity, coords, {"subject": "s", "stimuli": draw(words)})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recording=recordings())
def test_netcdf_keeps_everything(tmp_path: Path, recording: xr.DataArray) -> None:
    same(load_recording(save_recording(recording, tmp_path / "r.nc")), recording)


def test_netcdf_keeps_a_recording(
    subject: FakeSubject, stimuli: StimulusSet, tmp_path: Path
) -> None:
    recording = record(subject, stimuli, sites=["map", "hidden"], time_bins=[(0, 10)])
    same(load_recording(save_recording(recording, tmp_path / "a" / "r.nc")), recording)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["r.nc"]


def test_bad_files_are_named(subject: FakeSubject, stimuli: StimulusSet, tmp_path: Path) -> None:
    path = save_recording(record(subject, stimuli), tmp_path / "r.nc")
    (tmp_path / "short.nc").write_bytes(path.read_bytes()[:2000])
    (tmp_path / "text.nc").write_text("not found")
    xr.Dataset({"other": ("x", [1.0])}).to_netcdf(tmp_path / "other.nc")
    for name, message in (
        ("none.nc", "there is no recording"),
        ("short.nc", r"short\.nc cannot be read"),
        ("text.nc", r"text\.nc cannot be read"),
        ("other.nc", "no variable 'activity'"),
    ):
        with pytest.raises(NeuroferError, match=message):
            load_recording(tmp_path / name)


def test_only_recordings_are_saved(
    subject: FakeSubject, stimuli: StimulusSet, tmp_path: Path
) -> None:
    with pytest.raises(NeuroferError, match="float32"):
        save_recording(record(subject, stimuli).astype("float64"), tmp_path / "r.nc")
    assert not any(tmp_path.iterdir())


def test_the_store_records_each_site_once(
    subject: FakeSubject, stimuli: StimulusSet, tmp_path: Path
) -> None:
    kept = RecordingStore(tmp_path / "store")
    kept.record(subject, stimuli, sites=["map"])
    both = kept.record(subject, stimuli, sites=["means", "map", "hidden"])
    assert [sites for _, sites in subject.passes] == [("map",), ("means", "hidden")]
    same(both, record(FakeSubject(), stimuli, sites=["means", "map", "hidden"]))
    again = kept.record(subject, stimuli, sites=["hidden", "means"])
    assert len(subject.passes) == 2
    same(again, record(FakeSubject(), stimuli, sites=["hidden", "means"]))
    same(kept.record(subject, stimuli), record(FakeSubject(), stimuli))


def test_a_key_follows_all_that_decides_a_recording(
    subject: FakeSubject, stimuli: StimulusSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = RecordingStore(tmp_path)
    other = FakeSubject()
    other.identifier = "fake-99999999"
    paths = [
        kept.path(subject, stimuli, "map"),
        kept.path(subject, stimuli, "means"),
        kept.path(subject, stimuli, "map", [(0, 10)]),
        kept.path(subject, stimuli, "map", [(0, 11)]),
        kept.path(other, stimuli, "map"),
        kept.path(subject, stimuli.take(range(9)), "map"),
    ]
    assert kept.path(subject, stimuli, "map", [(0, 10)]) == paths[2]
    monkeypatch.setattr(store, "response_source", lambda made: "other code")
    paths.append(kept.path(subject, stimuli, "map"))
    assert len(set(paths)) == len(paths)


def test_join_refuses_other_presentations(subject: FakeSubject, stimuli: StimulusSet) -> None:
    a = record(subject, stimuli, sites=["map"])
    b = record(subject, stimuli.take(range(9, -1, -1)), sites=["means"])
    with pytest.raises(NeuroferError, match="differ in coordinate 'stimulus_id'"):
        join_sites([a, b])


@pytest.mark.parametrize(
    "identifier", ["../../up", "/tmp/x", "a/b", "..", "x" * 300, "顔-1", "a\x1b[31m", "C:x", ""]
)
def test_no_identifier_leads_out_of_the_store(
    identifier: str, stimuli: StimulusSet, tmp_path: Path
) -> None:
    kept, odd = RecordingStore(tmp_path), FakeSubject()
    odd.identifier = identifier
    path = kept.path(odd, stimuli, "map")
    assert path is not None
    assert path.resolve().parent == tmp_path.resolve()
    assert len(path.name.encode()) <= 255
    assert path.name.isprintable()
    other = FakeSubject()
    other.identifier = f"{identifier}2"
    assert kept.path(other, stimuli, "map") != path


def test_the_home_may_be_written_as_a_tilde(
    subject: FakeSubject, stimuli: StimulusSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = record(subject, stimuli, sites=["map"])
    assert save_recording(made, "~/a.nc") == tmp_path / "a.nc"
    assert load_recording("~/a.nc").sizes == made.sizes


def test_stimuli_of_one_name_and_other_content_have_another_key(
    subject: FakeSubject, tmp_path: Path
) -> None:
    """An identifier ends in eight digits of the content's hash; the key holds all of them."""
    folder = RecordingStore(tmp_path)
    paths = {
        folder.path(subject, SimpleNamespace(identifier="set-1", content=content), "means")  # type: ignore[arg-type]
        for content in ("a", "b")
    }
    assert len(paths) == 2


def test_other_versions_of_libraries_are_another_source(monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.response_source(FakeSubject)
    monkeypatch.setattr(store, "versions", lambda names: dict.fromkeys(names, "0.0"))
    assert store.response_source(FakeSubject) != before
