"""The probe: what it reads of simulated units, what it must not, and what it refuses."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from neurofer.analyses import ANALYSES, analyse
from neurofer.analyses.decoding import probe
from neurofer.analyses.decoding.folds import Fold, make_folds
from neurofer.analyses.decoding.nested import _together, nested_answers, permuted
from neurofer.analyses.decoding.summary import exchange_note, probe_interval
from neurofer.analyses.gram import gram_matrix
from neurofer.analyses.statistics import deal, wilson_interval
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


def test_intervals_count_people_and_those_trained_on(recording):
    """The design effect of people times 1 + 1 / 4 in five folds; not where nothing is fitted."""
    everyone = np.arange(40)
    folds = [
        Fold(str(k), everyone[everyone % 5 != k], everyone[everyone % 5 == k], everyone, "identity")
        for k in range(5)
    ]
    people, head = np.repeat([f"p{k}" for k in range(8)], 5), np.full(40, "human")
    correct = np.repeat([5, 5, 4, 2, 1, 5, 3, 5], 5) > np.tile(np.arange(5), 8)
    found = probe_interval(correct, head, people, people, folds)
    successes = correct.reshape(8, 5).sum(axis=1)
    # Between people more than independent answers, by hand: n / (n - 1) sum of squares / total^2.
    effect = (8 / 7 * ((successes - 3.75) ** 2).sum() / 40**2) / (0.75 * 0.25 / 40)
    n = 40 / (1.25 * effect)
    expected = wilson_interval(0.75 * n, n, quantile=scipy.stats.t.ppf(0.975, 7))
    assert effect > 1
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "Wilson, clustered by identities, and training"
    # People who are all alike vary less than independent answers would: as those then.
    alike = probe_interval(np.tile([1, 1, 1, 1, 0], 8), head, people, people, folds)
    assert (alike.low, alike.high) == pytest.approx(wilson_interval(32, 40))
    whole = probe_interval(np.ones(40), head, people, people, folds)
    assert (whole.low, whole.high) == pytest.approx(wilson_interval(32, 32))
    one = np.full(40, "p")
    assert "series" in probe_interval(correct, head, one, people, folds).method
    assert probe_interval(np.array([]), np.array([]), one[:0], one[:0], folds).method == "none"
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
    with pytest.raises(NeuroferError, match="folds=1: give a whole number, at least 2"):
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
    [
        ("probe", {"n_permutations": 9, "n_bootstrap": 30}),
        ("efficiency", {"images": [1], "draws": 1}),
    ],
)
def test_memory_is_that_of_one_copy_of_the_site(large, name, options):
    """Beside the recording itself; one copy of it in double precision would be two."""
    analyse(name, large, site="small", **options)  # whatever is imported
    tracemalloc.start()
    try:
        result = analyse(name, large, site="large", **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert float(result["accuracy"].max()) > 60
    assert peak < 1.6 * large.nbytes


def _exchange(recording, **options):
    options = {"n_permutations": 39, "n_bootstrap": 5} | options
    return analyse("probe", recording, **options).isel(site=0)


def _faces(people, images, rng, code, units=20):
    """People in two expressions of several images; units code person, expression, or nothing."""
    person, expression, _ = np.indices((people, 2, images)).reshape(3, -1)
    n = len(person)
    columns = {
        "stimulus_id": [f"s{k:03d}" for k in range(n)],
        "head": ["human"] * n,
        "identity": [f"p{k}" for k in person],
        "expression": np.array(["happy", "sad"])[expression],
        "strength": np.ones(n),
        "view": np.array(["frontal", "half-left"])[np.arange(n) % 2],
    }
    patterns = {"identity": person, "expression": expression, "nothing": np.zeros(n, int)}[code]
    activity = 3 * rng.normal(size=(patterns.max() + 1, units))[patterns]
    activity += rng.normal(size=activity.shape)
    coords = {name: ("presentation", np.array(values)) for name, values in columns.items()}
    return xr.DataArray(activity.astype(np.float32), coords, ("presentation", "neuroid"))


@pytest.mark.parametrize(
    ("target", "by", "code", "how"),
    [
        ("identity", "image", "identity", "between the values of the split"),
        ("identity", "stimulus_id", "identity", "between the values of the split"),
        ("identity", "view", "identity", "within the values of the split"),
        ("expression", "image", "expression", "within identities"),
        ("expression", "identity", "expression", "within identities, images of a value together"),
    ],
)
def test_what_is_exchanged_is_what_the_target_varies_over(target, by, code, how):
    """A code that is read whole is above chance whatever the split, and noise is at chance."""
    rng = np.random.default_rng(0)
    result = _exchange(_faces(6, 4, rng, code), target=target, by=by)
    assert result.attrs["permuted"] == how
    assert result.attrs["exchanged"] > 30
    assert result.attrs["note"] == ""
    assert float(result["accuracy"].sel(view="all")) > 95
    # Two expressions of six people are exchanged in 64 ways, of which some are nearly as shown.
    few = by == "identity"
    assert float(result["chance"]) == pytest.approx(result.attrs["chance"], abs=15 if few else 8)
    assert float(result["p"]) <= (4 if few else 1) / 40
    nothing = _exchange(_faces(6, 4, rng, "nothing"), target=target, by=by)
    assert float(nothing["p"]) > 0.05


def test_permutations_that_exchange_nothing_say_so(monkeypatch):
    """One neutral image and two happy ones a person: neutral cannot change places with happy."""
    person, shown = np.repeat(np.arange(4), 3), np.tile([0, 1, 1], 4)
    names, rows = _together(shown, person, 9, np.random.default_rng(0))
    assert not rows.any()
    assert (names[:, person, shown] == shown).all()
    # Where single images change places instead, something is exchanged, ...
    found, how = permuted(shown, person.astype(str), person.astype(str), 9, 0)
    assert how == "within identities"
    assert (found != shown).any()
    # ... and where nothing is, there is no chance and no p.
    monkeypatch.setattr(
        probe, "permuted", lambda labels, *rest: (np.tile(labels, (39, 1)), "within nothing")
    )
    result = _exchange(_faces(6, 4, np.random.default_rng(0), "expression"))
    assert all(np.isnan(result[name]) for name in ("p", "chance", "chance_low", "chance_high"))
    assert result.attrs["exchanged"] == 0
    assert "permutations within nothing leave every value of 'expression'" in result.attrs["note"]
    several = result.expand_dims("site").assign_coords(site=["all"])
    row = ANALYSES["probe"].table(several).iloc[0]
    assert row["chance"] == 50
    assert np.isnan(row["p"])
    title = ANALYSES["probe"].figure({"a": several}, view="layers").layout.title.text
    assert "permutations exchange nothing" in title


@pytest.mark.parametrize(
    ("exchanged", "said"), [(0.0, "leave every value"), (0.1, "only 10%"), (0.5, "")]
)
def test_few_exchanges_are_said(exchanged, said):
    note = exchange_note(exchanged, "identity", "within identities")
    assert said in note
    assert bool(note) == bool(said)


def _trials(recording, repeats, rng, noise=1.0):
    """The recording with several trials of each stimulus."""
    rows = np.repeat(np.arange(recording.sizes["presentation"]), repeats)
    trials = recording.isel(presentation=rows)
    trials = trials.copy(data=trials.values + noise * rng.normal(size=trials.shape))
    return trials.assign_coords(
        repeat=("presentation", np.tile(np.arange(repeats), len(rows) // repeats)),
        session=("presentation", np.array(["a", "b"])[np.arange(len(rows)) % 2]),
    )


@pytest.mark.parametrize("by", ["image", "view", "identity"])
def test_trials_of_a_stimulus_are_not_both_tested_and_learned_from(by):
    """Each stimulus has a pattern of its own, and nothing else: a leak would read it whole."""
    rng = np.random.default_rng(3)
    faces = _faces(8, 4, rng, "nothing", units=100)
    own = faces.copy(data=4 * rng.normal(size=faces.shape).astype(np.float32))
    trials = _trials(own, 6, rng)
    result = analyse("probe", trials, by=by, trials="keep", n_bootstrap=5)
    assert result.attrs["trials"] == "single trials"
    assert result.attrs["n_presentations"] == 6 * 64
    assert float(result["accuracy"].sel(view="all")[0]) < 70  # chance is 50
    # A split that ignores which trials are of one stimulus reads them all.
    labels = np.unique(trials["expression"], return_inverse=True)[1]
    leaking = make_folds({"identity": labels, "image": np.arange(len(labels))}, "image")
    answers, _ = nested_answers(gram_matrix(trials.values), labels[None], leaking)
    assert (answers[0] == labels).mean() > 0.95


def test_single_trials_are_read_less_well_than_their_means_and_counted():
    rng = np.random.default_rng(4)
    trials = _trials(_faces(8, 2, rng, "expression"), 6, rng, noise=12)
    single, means = (
        analyse("probe", trials, trials=how, n_bootstrap=5).isel(site=0) for how in ("keep", "mean")
    )
    assert int(single["n"].sel(view="all")) == 6 * int(means["n"].sel(view="all"))
    assert float(single["accuracy"].sel(view="all")) < float(means["accuracy"].sel(view="all"))
    with pytest.raises(NeuroferError, match=r"by='session' differs between trials.*trials='keep'"):
        analyse("probe", trials, by="session")
    with pytest.raises(NeuroferError, match=r"target='session' differs between trials"):
        analyse("probe", trials, target="session")
    with pytest.raises(NeuroferError, match="no image that is not tested"):
        analyse("probe", trials, by="session", trials="keep")
    with pytest.raises(NeuroferError, match="trials='single' is unknown; choose from mean, keep"):
        analyse("probe", trials, trials="single")


def test_labels_of_trials_are_exchanged_stimulus_by_stimulus():
    images = np.repeat([f"i{k}" for k in range(12)], 5)
    person, labels = np.repeat([0, 1], 30), np.repeat(np.arange(12) % 3, 5)
    for domain in (person, np.unique(images, return_inverse=True)[1]):
        found, _ = permuted(labels, person.astype(str), domain, 30, 0, images)
        assert all(len(np.unique(found[:, images == one], axis=1).T) == 1 for one in images)
        assert (found != labels).any()
        np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(np.tile(labels, (30, 1))))
