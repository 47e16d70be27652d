"""Tables of laboratories, and the mistakes in them that would make neurons of what is none."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.recording import read_neurons

N = 12
STIMULI = pd.DataFrame(
    {
        "stimulus_id": [f"face{k}" for k in range(N)],
        "identity": [f"p{k % 3}" for k in range(N)],
        "expression": ["neutral", "happy", "sad", "fear"] * 3,
    }
)
RATES = np.random.default_rng(0).gamma(4, 3, (N, 3)).round(3)
CELLS = ["c1", "c2", "c3"]


def _wide(**columns) -> pd.DataFrame:
    table = pd.DataFrame(RATES, columns=CELLS).assign(**columns)
    table.insert(0, "stimulus_id", STIMULI["stimulus_id"])
    return table


def _long(**columns) -> pd.DataFrame:
    return _wide().melt("stimulus_id", CELLS, "neuron", "response").assign(**columns)


def _names(found) -> list[str]:
    return found["neuroid_id"].to_numpy().tolist()


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("trial", range(100, 100 + N)),
        ("block", [1, 2, 3] * 4),
        ("rt", np.linspace(0.3, 0.7, N)),
        ("Reaction Time", np.linspace(300, 700, N)),
        ("RT (ms)", [0.31, 0.4, 0.33] * 4),
        ("rt_ms", [310, 400, 330] * 4),
        ("Trial No.", [3, 7, 5, 9] * 3),
        ("rep", [1, 2, 3] * 4),
        ("Date", [20240101] * N),
        ("Unnamed: 0", np.arange(N) * 2),
        ("k", range(N)),
        ("k", range(1, N + 1)),
    ],
)
def test_counters_and_nameless_columns_are_not_neurons(tmp_path, name, values, in_memory):
    table = _wide(**{name: list(values)})
    path = tmp_path / "rates.csv"
    table.to_csv(path, index=False)
    found = read_neurons(table if in_memory else path, STIMULI)
    assert _names(found) == CELLS
    assert repr(name) in found.attrs["set_aside"]
    assert found.attrs["n_set_aside"] == "1"
    if name != "Unnamed: 0":
        taken = read_neurons(table if in_memory else path, STIMULI, neurons=["c2", name])
        assert _names(taken) == ["c2", name]
        np.testing.assert_array_equal(taken[:, 1], np.float32(np.asarray([*values])))


def test_the_index_that_pandas_writes_is_set_aside(tmp_path):
    shuffled = _wide().sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "rates.csv")
    found = read_neurons(tmp_path / "rates.csv", STIMULI)
    assert _names(found) == CELLS
    assert "'Unnamed: 0': it has no name" in found.attrs["set_aside"]


def test_whole_numbers_under_the_name_of_a_counter_are_warned_of():
    found = read_neurons(_wide(day_trial=[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]), STIMULI)
    assert _names(found) == [*CELLS, "day_trial"]
    assert "day_trial: whole numbers under the name of a counter" in found.attrs["notes"]
    assert read_neurons(_wide(), STIMULI).attrs["notes"] == ""


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("onset_time", np.cumsum(np.linspace(1, 2, N)), "grow from row to row"),
        ("depth", [1250.0] * N, "the same number in every row"),
        ("repsDone", [1, 2] * 6, "under the name of a counter"),
        ("silent", [0.0] * N, None),
        ("terms", [2.5, 2.5, 3.0] * 4, None),
    ],
)
def test_columns_that_are_hardly_neurons_are_warned_of(name, values, words):
    found = read_neurons(_wide(**{name: list(values)}), STIMULI)
    assert _names(found) == [*CELLS, name]
    notes = found.attrs["notes"]
    assert notes == "" if words is None else notes.startswith(f"{name}: ") and words in notes


def test_neurons_with_values_in_few_rows_are_neurons(tmp_path):
    """Two sessions one above the other, each with cells of its own."""
    first = _wide()
    first.iloc[4:, 2] = np.nan  # four of twelve rows
    second = pd.DataFrame({"stimulus_id": STIMULI["stimulus_id"][:3], "d1": [1.5, 2.5, 3.5]})
    stacked = pd.concat([first, second], ignore_index=True).assign(rare=np.nan, empty=np.nan)
    stacked.loc[0, "rare"] = 7.0
    stacked.to_csv(tmp_path / "rates.csv", index=False)
    found = read_neurons(tmp_path / "rates.csv", STIMULI)
    assert _names(found) == [*CELLS, "d1", "rare"]
    assert np.isfinite(found).sum("presentation").to_numpy().tolist() == [12, 4, 12, 3, 1]
    assert found.attrs["set_aside"] == "column 'empty': it is empty"


def test_a_column_that_is_mostly_text_is_said_to_be(tmp_path):
    table = _wide(remark=["1", "2", *["good"] * (N - 2)], label=["x"] * N)
    found = read_neurons(table, STIMULI)
    assert _names(found) == CELLS
    assert found.attrs["set_aside"] == (
        "column 'remark': 2 of 12 cells are numbers, it is taken for text"
    )
    assert set(found["label"].to_numpy()) == {"x"}


@pytest.mark.parametrize("layout", [_wide, _long])
@pytest.mark.parametrize("written", ["{:.3e}", "{:.2f}", "{:+.4f}"])
def test_decimal_commas_are_read(tmp_path, layout, written):
    table = layout()
    numeric = [name for name in table if table[name].dtype.kind == "f"]
    for name in numeric:
        table[name] = [written.format(value).replace(".", ",") for value in table[name]]
    table.to_csv(tmp_path / "rates.csv", sep=";", index=False)
    found = read_neurons(tmp_path / "rates.csv", STIMULI)
    np.testing.assert_allclose(found, RATES, atol=6e-3)


@pytest.mark.parametrize("layout", [_wide, _long])
@pytest.mark.parametrize(
    ("separator", "cells"), [(",", ["5,13", "1,2"]), (";", ["1.234,5", "2.000,1"])]
)
def test_commas_that_could_mean_two_things_are_refused_by_name(tmp_path, layout, separator, cells):
    table = layout().astype(object)
    column = "c2" if layout is _wide else "response"
    table[column] = (cells * len(table))[: len(table)]
    table.to_csv(tmp_path / "rates.csv", sep=separator, index=False)
    with pytest.raises(NeuroferError, match=rf"column '{column}' .*'{cells[0]}' in line 2"):
        read_neurons(tmp_path / "rates.csv", STIMULI)


@pytest.mark.parametrize("name", ["RATES.CSV", "rates.csv.gz", "Rates.Csv.GZ", "rates.TAB"])
def test_any_suffix_is_read_and_names_the_subject(tmp_path, name):
    raw = _wide().to_csv(index=False).encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.lower().endswith("gz") else raw)
    found = read_neurons(tmp_path / name, STIMULI)
    np.testing.assert_array_equal(found, RATES.astype(np.float32))
    assert found.attrs["subject"] == name.partition(".")[0]


def test_names_that_mean_missing_elsewhere_stay_names(tmp_path):
    words = ["NA", "None", "nan", "null"]
    table = STIMULI.assign(identity=(words * 3)[:N])
    table.to_csv(tmp_path / "stimuli.csv", index=False)
    found = read_neurons(_wide(), tmp_path / "stimuli.csv")
    assert set(found["identity"].to_numpy()) == set(words)
    assert found.sizes["presentation"] == N


def _sessions() -> pd.DataFrame:
    return pd.concat(
        [_long(session="mon"), _long(session="tue").assign(response=lambda t: t["response"] + 100)]
    )


def test_neurons_of_one_name_in_two_sessions_stay_apart():
    found = read_neurons(_sessions(), STIMULI)
    assert _names(found) == [f"{day}/{cell}" for day in ("mon", "tue") for cell in CELLS]
    expected = np.concatenate([RATES, RATES + 100], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert "3 neurons have the same name in several recording_sessions" in found.attrs["notes"]
    joined = read_neurons(_sessions(), STIMULI, same_name="joined")
    assert _names(joined) == CELLS
    np.testing.assert_allclose(joined, RATES + 50, rtol=1e-6)
    assert "joined" in joined.attrs["notes"]


@pytest.mark.parametrize("column", ["monkey", "probe", "region", "channel", "site"])
def test_neurons_of_one_name_in_two_places_stay_apart(column):
    table = _sessions().rename(columns={"session": column})
    table = table[~((table["neuron"] == "c3") & (table[column] == "tue"))]
    found = read_neurons(table, STIMULI)
    assert sorted(_names(found)) == ["c3", "mon/c1", "mon/c2", "tue/c1", "tue/c2"]


@pytest.mark.parametrize("column", ["Session", "date", "Day", "file", "Monkey"])
def test_sessions_by_any_name_keep_neurons_apart(column):
    found = read_neurons(_sessions().rename(columns={"session": column}), STIMULI)
    assert _names(found) == [f"{day}/{cell}" for day in ("mon", "tue") for cell in CELLS]


def test_a_column_that_may_be_a_session_is_named():
    found = read_neurons(_sessions().rename(columns={"session": "M"}), STIMULI)
    assert _names(found) == CELLS
    assert "'M' differs within neurons (c1, c2, c3)" in found.attrs["notes"]
    remarks = _long(file=lambda t: t["stimulus_id"] + ".png", rewarded=["yes", "no"] * (N * 3 // 2))
    assert _names(read_neurons(remarks, STIMULI)) == CELLS


def test_a_numbered_day_of_a_wide_table_is_a_session():
    table = pd.concat([_wide(day=1), _wide(day=2)], ignore_index=True)
    assert _names(read_neurons(table, STIMULI))[:3] == ["1/c1", "2/c1", "1/c2"]


def test_what_left_nothing_is_named_before_columns():
    stimuli = STIMULI.assign(strength="20 %")
    with pytest.raises(
        NeuroferError, match=r"0 presentations, 3 neurons are left; stimulus 'face0': strength"
    ):
        read_neurons(_wide(trial=1, block=1, rt=1), stimuli)


def test_a_session_of_the_stimuli_does_not_part_neurons():
    day = dict(zip(STIMULI["stimulus_id"], ["A", "B"] * 6, strict=True))
    table = _long(session=lambda t: t["stimulus_id"].map(day))
    found = read_neurons(table, STIMULI)
    assert _names(found) == CELLS
    assert found["session"].to_numpy().tolist() == ["A", "B"] * 6
    assert "recording_session" in found.attrs["notes"]
    apart = read_neurons(table, STIMULI, columns={"recording_session": "session"})
    assert len(_names(apart)) == 6


def test_wide_sessions_keep_apart_what_has_values_in_both():
    first, second = _wide(session="1"), _wide(session="2")
    second["c1"] = np.nan
    table = pd.concat([first, second.assign(c2=second["c2"] + 1)], ignore_index=True)
    found = read_neurons(table, STIMULI)
    assert _names(found) == ["c1", "1/c2", "2/c2", "1/c3", "2/c3"]
    np.testing.assert_allclose(found[:, 2] - found[:, 1], 1, rtol=1e-6)
    joined = read_neurons(table, STIMULI, same_name="joined")
    np.testing.assert_allclose(joined[:, 1], RATES[:, 1] + 0.5, rtol=1e-6)


def test_means_count_their_trials():
    more = _long()[_long()["neuron"] != "c2"].assign(response=1.0)
    found = read_neurons(pd.concat([_long(), more, more]), STIMULI)
    assert found["n_averaged"].to_numpy().tolist() == [[3, 1, 3]] * N
    assert set(found["n_trials"].to_numpy()) == {3}
    assert "need not be simultaneous" in found.attrs["notes"]


def test_rows_that_are_means_already_weigh_by_their_trials():
    table = pd.concat([_wide(n_trials=3), _wide(n_trials=1).assign(c1=0.0)], ignore_index=True)
    found = read_neurons(table, STIMULI)
    np.testing.assert_allclose(found[:, 0], RATES[:, 0] * 0.75, rtol=1e-6)
    assert set(found["n_trials"].to_numpy()) == {4}
    for wrong in (0, 1.5, None, "many"):
        with pytest.raises(NeuroferError, match="n_trials"):
            read_neurons(_wide(n_trials=wrong), STIMULI)


def test_columns_with_names_of_the_layout_are_set_aside():
    found = read_neurons(_wide(site="IT", channel=range(40, 40 + N)), STIMULI.assign(region="ML"))
    assert _names(found) == CELLS
    said = found.attrs["set_aside"]
    for words in ("column 'site': the name", "column 'channel'", "stimulus table, column 'region'"):
        assert words in said
    found = read_neurons(_wide(), STIMULI.assign(n_trials=7))
    assert set(found["n_trials"].to_numpy()) == {1}
    assert "stimulus table, column 'n_trials'" in found.attrs["set_aside"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": None}, "takes a file or a DataFrame, not NoneType"),
        ({"stimuli": ["a"]}, "stimuli is a table or its file, not list"),
        ({"columns": ["neuron"]}, "give a mapping"),
        ({"constants": "neutral"}, "give a mapping"),
        ({"units": "good"}, "give a mapping"),
    ],
)
def test_values_of_another_kind_are_refused(options, message):
    with pytest.raises(NeuroferError, match=message):
        read_neurons(**{"path": _wide(), "stimuli": STIMULI, **options})


def test_units_are_chosen_by_what_is_said_of_them():
    quality = {"c1": "good", "c2": "mua", "c3": "good"}
    snr = {"c1": 1.5, "c2": 9.0, "c3": 4.0}
    table = _long(quality=lambda t: t["neuron"].map(quality), snr=lambda t: t["neuron"].map(snr))
    for units, names in (
        ({"quality": "good"}, ["c1", "c3"]),
        ({"quality": ["good", "mua"]}, CELLS),
        ({"snr": ">= 4"}, ["c2", "c3"]),
        ({"snr": ">=2", "quality": "good"}, ["c3"]),
        ({"snr": 9}, ["c2"]),
    ):
        found = read_neurons(table, STIMULI, units=units)
        assert _names(found) == names
        assert f"{len(names)} of 3 neurons are taken" in found.attrs["notes"]
    assert _names(read_neurons(table, STIMULI, neurons=["c3", "c1"])) == ["c3", "c1"]
    for options, message in (
        ({"units": {"qualty": "good"}}, "did you mean 'quality'"),
        ({"units": {"quality": "bad"}}, "has quality='bad'; there are good, mua"),
        ({"units": {"quality": "mua", "snr": "< 2"}}, "meets all"),
        ({"units": {"snr": "> high"}}, "does not compare with a number"),
        ({"neurons": ["c9"]}, "neurons='c9' is not in"),
        ({"neurons": "c1"}, "give a list"),
    ):
        with pytest.raises(NeuroferError, match=message):
            read_neurons(table, STIMULI, **options)


def test_a_frame_may_have_its_stimuli_as_index():
    indexed = _wide().set_index("stimulus_id")
    np.testing.assert_array_equal(read_neurons(indexed, STIMULI), RATES.astype(np.float32))
    # Whole numbers become floats in pandas where one is missing: the stimulus is "1", not "1.0".
    ids = pd.Series([float(k) for k in range(N)])
    ids[3] = np.nan
    table = STIMULI.assign(stimulus_id=[str(k) for k in range(N)])
    found = read_neurons(_wide().assign(stimulus_id=ids), table)
    assert found.sizes["presentation"] == N - 1
    assert found.attrs["set_aside"] == "line 5: no stimulus_id"


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: _long().assign(repeat=range(3 * N)), {"neurons": ["c"]}, "is not in the table"),
        (_long, {"columns": {"time": "ms"}}, "columns: time='ms' is not in"),
        (_wide, {"columns": {"identity": "person"}}, None),
        (_wide, {"columns": {"view": "orientation"}}, "columns: view='orientation' is not in"),
        (_wide, {"window": (50, 250)}, "counts the spikes of NWB files"),
        (_wide, {"measure": "count"}, "counts the spikes of NWB files"),
        (_wide, {"same_name": "merged"}, "same_name='merged' is unknown"),
        (lambda: _wide().rename(columns={"c2": "c1"}), {}, "column 'c1' more than once"),
        (lambda: _wide().iloc[:0], {}, "no rows"),
    ],
)
def test_options_are_never_ignored(make, options, message):
    stimuli = STIMULI.rename(columns={"identity": "person"}) if message is None else STIMULI
    if message is None:
        assert read_neurons(make(), stimuli, **options).sizes["neuroid"] == 3
        return
    with pytest.raises(NeuroferError, match=message):
        read_neurons(make(), stimuli, **options)


@pytest.mark.parametrize("values", [1e40, 1e9 + np.arange(N), np.arange(N) * 1e-50])
def test_what_float32_would_lose_is_refused(values):
    with pytest.raises(NeuroferError, match="activity of c2 does not fit into float32"):
        read_neurons(
            _wide(c2=values * np.linspace(1, 2, N) if np.isscalar(values) else values),
            STIMULI,
            neurons=["c1", "c2"],
        )


def test_large_means_with_large_differences_fit():
    found = read_neurons(_wide(c2=1e6 + 100 * np.arange(N), c3=5.0), STIMULI, neurons=CELLS)
    np.testing.assert_allclose(found[:, 1], 1e6 + 100 * np.arange(N))


def test_sparse_trials_do_not_fill_the_memory():
    big = pd.DataFrame(
        {
            "neuron": [f"c{k}" for k in range(20000)],
            "stimulus_id": "face0",
            "repeat": range(20000),
            "response": 1.0,
        }
    )
    with pytest.raises(NeuroferError, match="number the repeats of each stimulus from 0"):
        read_neurons(big, STIMULI)
