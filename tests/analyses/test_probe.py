"""The probe: what it reads of simulated units, what it must not, and what it refuses."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from neurofer.analyses import ANALYSES, analyse, probe
from neurofer.analyses.folds import Fold, deal
from neurofer.analyses.probe_summary import widened
from neurofer.analyses.statistics import Interval
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, join, noise_units, simulated_faces
from neurofer.stimuli.table import EXPRESSIONS


@pytest.fixture(scope="module")
def problem():
    """Twelve people, three classes in four images each, 40 units that carry class and person."""
    rng = np.random.default_rng(0)
    people = np.repeat([f"p{k}" for k in range(12)], 12)
    classes = np.tile(np.repeat(["a", "b", "c"], 4), 12)
    means = {name: rng.normal(size=40) for name in "abc"}
    own = {name: rng.normal(size=40) for name in np.unique(people)}
    activity = np.stack(
        [
            means[c] + 2 * own[p] + 1.5 * rng.normal(size=40)
            for c, p in zip(classes, people, strict=True)
        ]
    )
    return activity, classes, people


def test_who_is_tested_changes_no_answer_by_their_labels(problem):
    """Labels of one person are shuffled: answers to that person stay, so none were trained on."""
    activity, classes, people = problem
    answers, _ = probe.held_out_answers(activity, classes, people)
    dealt = deal(people, 5, 0)
    tested = dealt == dealt[0]
    other = classes.copy()
    other[tested] = np.random.default_rng(1).permutation(classes[tested])
    again, _ = probe.held_out_answers(activity, other, people)
    np.testing.assert_array_equal(again[tested], answers[tested])
    assert (again[~tested] != answers[~tested]).any()


def test_what_the_units_carry_is_read_and_what_they_do_not_is_not(problem):
    activity, classes, people = problem
    rng = np.random.default_rng(2)
    answers, penalties = probe.held_out_answers(activity, classes, people)
    assert (answers == classes).mean() > 0.8
    assert penalties.shape == (5,)
    identity_only = np.stack([activity[people == p].mean(axis=0) for p in people])
    identity_only += 0.1 * rng.normal(size=activity.shape)
    answers, _ = probe.held_out_answers(identity_only, classes, people)
    assert (answers == classes).mean() < 0.5


def test_scale_of_the_units_does_not_matter(problem):
    activity, classes, people = problem
    one, _ = probe.held_out_answers(activity, classes, people)
    two, _ = probe.held_out_answers(1e4 * activity + 7, classes, people)
    np.testing.assert_array_equal(one, two)


def test_results_count_what_was_answered(recording):
    result = analyse("probe", recording, site="coding", n_bootstrap=30)
    correct = result["answered"].values[0] == result["shown"].values
    assert float(result["accuracy"].sel(view="all")) == pytest.approx(100 * correct.mean())
    assert float(result["accuracy_by_category"].sel(category="all")) == pytest.approx(
        100 * correct.mean()
    )
    assert int(result["confusion"].sum()) == len(correct) == int(result["n"].sel(view="all"))
    assert result.attrs["chance"] == pytest.approx(100 / 7)
    views = np.where(np.arange(recording.sizes["presentation"]) % 2, "frontal", "half-left")
    result = analyse(
        "probe",
        recording.assign_coords(view=("presentation", views)),
        site="coding",
        n_bootstrap=30,
    )
    assert result["view"].values.tolist() == ["half-left", "frontal", "all"]
    assert int(result["n"].sel(view="frontal")) == recording.sizes["presentation"] // 2


def test_intervals_are_widened_for_who_is_trained_on(recording):
    """By the square root of 1 + 1 / 4 in five folds, and not where nothing is fitted."""
    everyone = np.arange(40)
    folds = [
        Fold(str(k), everyone[everyone % 5 != k], everyone[everyone % 5 == k], everyone, "identity")
        for k in range(5)
    ]
    found = widened(Interval(0.5, 0.9, "bootstrap"), 0.8, folds)
    assert found.low == pytest.approx(0.8 - 0.3 * np.sqrt(1.25))
    assert found.high == pytest.approx(0.8 + 0.1 * np.sqrt(1.25))
    assert found.method == "bootstrap, and training"
    assert widened(Interval(0.5, 0.99, "bootstrap"), 0.9, folds).high == 1
    assert widened(Interval(0.5, 0.9, "bootstrap"), 0.8, []) == (0.5, 0.9, "bootstrap")
    nothing = Interval(np.nan, np.nan, "none")
    assert widened(nothing, 0.8, folds) is nothing
    fitted = analyse("probe", recording, site="coding", n_bootstrap=30)
    assert str(fitted["interval"].values[0, -1]).endswith(", and training")


def test_labelled_units_answer_without_being_fitted(recording):
    result = analyse("probe", recording, site="decision", decoder="argmax", n_bootstrap=30)
    rows = recording["site"].values == "decision"
    largest = recording["unit"].values[rows][recording.values[:, rows].argmax(axis=1)]
    expected = (largest == recording["expression"].values).mean()
    assert float(result["accuracy"].sel(view="all")) == pytest.approx(100 * expected)
    assert np.isnan(result["penalty"]).all()


def test_mistakes_are_named(recording):
    with pytest.raises(NeuroferError, match="decoder='svm'"):
        analyse("probe", recording, site="coding", decoder="svm")
    with pytest.raises(NeuroferError, match="no labels"):
        analyse("probe", recording, site="noise", decoder="argmax")
    few = recording.isel(presentation=recording["identity"].values == "human-1")
    few = few if few.sizes["presentation"] else recording.isel(presentation=slice(0, 7))
    with pytest.raises(NeuroferError, match="too few"):
        analyse("probe", few, site="coding")
    with pytest.raises(NeuroferError, match="folds=1 are too few"):
        analyse("probe", recording, site="coding", folds=1)


def as_site(recording, site):
    n = recording.sizes["neuroid"]
    names = {"site": np.full(n, site), "neuroid_id": np.array([f"{site}.{k}" for k in range(n)])}
    return recording.assign_coords({name: ("neuroid", value) for name, value in names.items()})


@pytest.fixture(scope="module")
def views():
    """Twelve people in seven expressions and three views, units that code one column each."""
    faces = simulated_faces(heads=("human",), n_identities=12, strengths=(0.5, 1.0))
    shown = faces.table["strength"] != 0.5
    recording = join(
        as_site(coding_units(faces, "expression", 30, noise=0.05), "expression"),
        as_site(coding_units(faces, "identity", 30, noise=0.05, seed=2), "identity"),
        noise_units(faces, 30),
    )
    recording = recording.isel(presentation=np.flatnonzero(shown))
    n = recording.sizes["presentation"]
    names = np.array(["frontal", "half-left", "half-right"])[np.arange(n) % 3]
    return recording.assign_coords(view=("presentation", names))


@pytest.mark.parametrize(
    ("decoder", "target", "by", "site", "other"),
    [
        ("ridge", "expression", "identity", "expression", "identity"),
        ("ridge", "expression", "view", "expression", "identity"),
        ("ridge", "identity", "expression", "identity", "expression"),
        ("ridge", "identity", "view", "identity", "expression"),
        ("logistic", "expression", "identity", "expression", "identity"),
        ("lda", "identity", "view", "identity", "expression"),
    ],
)
def test_a_planted_code_is_read_whole_and_another_not(views, decoder, target, by, site, other):
    options = {"target": target, "by": by, "decoder": decoder, "n_bootstrap": 30}
    if decoder != "ridge":
        views = views.isel(presentation=slice(0, 42))  # six people, for time
    result = analyse("probe", views, site=[site, other], **options)
    found = result["accuracy"].sel(view="all").values
    assert found[0] == 100
    assert found[1] < 2 * result.attrs["chance"] + 5
    assert result.attrs["shares"] == ("" if by == "identity" else "identity")
    held_out = result["fold"].values.tolist()
    assert held_out == (list("12345") if by == "identity" else sorted(np.unique(views[by])))
    assert int(result["accuracy_by_fold_n"][0].sum()) == views.sizes["presentation"]


def test_heads_are_left_out_one_by_one(recording, faces):
    """What is coded for each head apart is not read from the head left out, what is shared is."""
    shared = as_site(coding_units(faces, "expression", 30, noise=0.1, seed=3), "shared")
    both = join(shared, recording)
    result = analyse("probe", both, site=["shared", "coding"], by="head", n_bootstrap=30)
    assert result["fold"].values.tolist() == ["cartoon", "human", "monkey"]
    assert result["accuracy"].sel(site="shared", view="all") == 100
    apart = result.sel(site="coding")
    assert float(apart["accuracy"].sel(view="all")) < 40
    correct = apart["answered"].values == result["shown"].values
    for head in result["fold"].values:
        expected = 100 * correct[result["head"].values == head].mean()
        assert float(apart["accuracy_by_fold"].sel(fold=head)) == pytest.approx(expected)
    # Read by people instead, both are there: people of one head share its code.
    known = analyse("probe", recording, site="coding", n_bootstrap=30)
    assert float(known["accuracy"].sel(view="all")) > 90
    rows = ANALYSES["probe"].table(result)
    assert rows["of"].tolist()[-3:] == ["cartoon", "human", "monkey"]
    with pytest.raises(NeuroferError, match="fold 'cartoon' of by='head' tests identity"):
        analyse("probe", recording, site="coding", target="identity", by="head")


def test_sites_of_one_call_are_those_of_several(views):
    together = analyse("probe", views, n_permutations=3, n_bootstrap=30)
    assert together["site"].values.tolist() == ["expression", "identity", "noise"]
    alone = analyse("probe", views, site="identity", n_permutations=3, n_bootstrap=30)
    for name in alone.data_vars:
        if "site" in alone[name].dims:
            expected = alone[name].sel(site="identity").values
            np.testing.assert_array_equal(together[name].sel(site="identity").values, expected)


def test_labels_shuffled_within_identity_are_read_at_chance(views):
    result = analyse("probe", views, n_permutations=99, n_bootstrap=30)
    noise, coded = result.sel(site="noise"), result.sel(site="expression")
    for one in (noise, coded):
        assert float(one["chance_low"]) < result.attrs["chance"] < float(one["chance_high"])
    assert float(noise["chance_low"]) <= float(noise["accuracy"][0]) <= float(noise["chance_high"])
    assert float(coded["p"]) == pytest.approx(1 / 100)
    assert float(noise["p"]) > 0.05
    assert result.attrs["permuted"] == "within identities, images of a value together"


def test_what_cannot_be_probed_is_refused(views):
    broken = views.copy(deep=True)
    broken.values[3, 5] = np.nan
    with pytest.raises(NeuroferError, match="1 of 30 units of site 'expression' hold activity"):
        analyse("probe", broken, site="expression")
    with pytest.raises(NeuroferError, match="no unit varies"):
        analyse("probe", views * 0 + 1, site="expression")
    constant = views.copy(deep=True)
    constant.values[:, :10] = 7.1
    left = views.isel(neuroid=slice(10, None))
    a, b = (analyse("probe", one, site="expression", n_bootstrap=30) for one in (constant, left))
    np.testing.assert_array_equal(a["answered"].values, b["answered"].values)
    one_each = views.isel(presentation=np.arange(7) * 8)  # of another person each
    assert len(np.unique(one_each["expression"])) == 7
    with pytest.raises(NeuroferError, match="of which it has nothing to train with"):
        analyse("probe", one_each, site="expression")
    with pytest.raises(NeuroferError, match="by='expression' tests expression"):
        analyse("probe", views, site="expression", by="expression")
    with pytest.raises(NeuroferError, match="target='mood'"):
        analyse("probe", views, site="expression", target="mood")
    with pytest.raises(NeuroferError, match="by='mood'"):
        analyse("probe", views, site="expression", by="mood")
    with pytest.raises(NeuroferError, match="one value is too few"):
        analyse("probe", views, site="expression", target="head")
    with pytest.raises(NeuroferError, match="no site"):
        analyse("probe", views, site=[])


def test_views_of_the_figure(views):
    result = analyse("probe", views, n_permutations=9, n_bootstrap=30)
    pixels = analyse("probe", views, site="noise", n_bootstrap=30)
    layers = ANALYSES["probe"].figure({"net": result, "pixels": pixels})
    assert [line.mode for line in layers.data] == ["lines+markers", "lines"]
    assert layers.layout.xaxis.ticktext == ("expression", "identity", "noise")
    assert "permutations" in layers.layout.title.text
    matrix = ANALYSES["probe"].figure({"net": result}, view="confusion")
    assert matrix.layout.annotations[0].text == "net, expression"
    np.testing.assert_array_equal(np.array(matrix.data[0].z, float), 100 * np.eye(7))
    with pytest.raises(NeuroferError, match="view='pie'"):
        ANALYSES["probe"].figure({"net": result}, view="pie")


@pytest.fixture(scope="module")
def large():
    """Forty images of ten people, not in the order of their ids: 70,000 units, and ten others."""
    rng = np.random.default_rng(0)
    shown = np.arange(40) % 4
    columns = {
        "stimulus_id": [f"s{k:02d}" for k in rng.permutation(40)],
        "head": ["human"] * 40,
        "identity": [f"p{k // 4}" for k in range(40)],
        "expression": [EXPRESSIONS[k] for k in shown],
        "strength": (shown > 0).astype(float),
    }
    activity = rng.standard_normal((40, 70_010), dtype=np.float32)
    activity += 0.1 * rng.standard_normal((4, 70_010), dtype=np.float32)[shown]
    coords = {name: ("presentation", np.array(values)) for name, values in columns.items()}
    coords["site"] = ("neuroid", np.repeat(["large", "small"], [70_000, 10]))
    return xr.DataArray(activity, dims=("presentation", "neuroid"), coords=coords)


@pytest.mark.parametrize(
    ("name", "options"),
    [("probe", {"n_permutations": 9}), ("efficiency", {"images": [1], "draws": 1})],
)
def test_memory_is_that_of_one_copy_of_the_site(large, name, options):
    """Beside the recording itself; one copy of it in double precision would be two."""
    analyse(name, large, site="small", n_bootstrap=30, **options)  # whatever is imported
    tracemalloc.start()
    try:
        result = analyse(name, large, site="large", n_bootstrap=30, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert float(result["accuracy"].max()) > 60
    assert peak < 1.6 * large.nbytes
