from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, calc_rdm, compare

from neurofer.analyses import gram
from neurofer.analyses.rsa import analysis as rsa
from neurofer.analyses.rsa.rdm.compare import noise_ceiling, similarities
from neurofer.analyses.rsa.rdm.distances import dissimilarities
from neurofer.errors import NeuroferError
from neurofer.simulation import (
    coding_units,
    noise_units,
    norm_referenced_units,
    simulated_faces,
)

COMPARISONS = ("spearman", "kendall", "tau-a", "rho-a", "cosine", "corr")
DISTANCES = ("correlation", "euclidean")


@pytest.fixture(scope="module")
def full_strength():
    """Three heads of five identities of seven expressions, as BFS."""
    return simulated_faces(strengths=(1.0,))


@pytest.mark.parametrize("distance", list(DISTANCES))
def test_dissimilarities_are_those_of_rsatoolbox(distance):
    patterns = np.random.default_rng(0).normal(size=(12, 30))
    expected = calc_rdm(Dataset(patterns), method=distance).get_matrices()[0]
    np.testing.assert_allclose(dissimilarities(patterns, distance), expected, atol=1e-12)
    if distance == "correlation":
        np.testing.assert_allclose(expected, 1 - np.corrcoef(patterns), atol=1e-12)
    else:
        squared = ((patterns[:, None] - patterns[None]) ** 2).mean(axis=2)
        np.testing.assert_allclose(expected, squared, atol=1e-12)


@pytest.mark.parametrize("distance", list(DISTANCES))
def test_equal_patterns_are_exactly_equal(distance):
    """Rounding is no geometry: without care, ranks of 1e-16 would be compared with models."""
    pattern = np.random.default_rng(0).normal(100, 1, size=(1, 50)).astype(np.float32)
    other = np.random.default_rng(1).normal(100, 1, size=(1, 50)).astype(np.float32)
    rdm = dissimilarities(np.concatenate([pattern, pattern, other, pattern]), distance)
    assert (rdm[np.ix_([0, 1, 3], [0, 1, 3])] == 0).all()
    assert (rdm[2, [0, 1, 3]] > 0).all()


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_similarities_are_those_of_rsatoolbox_and_scipy(comparison):
    generator = np.random.default_rng(1)
    vector, models = generator.random(45), generator.random((3, 45))
    found = similarities(vector, models, comparison)
    expected = compare(RDMs(vector[None]), RDMs(models), method=comparison)[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    reference = {"spearman": scipy.stats.spearmanr, "kendall": scipy.stats.kendalltau}
    if comparison in reference:
        value = [reference[comparison](vector, model).statistic for model in models]
        np.testing.assert_allclose(found, value, atol=1e-12)


@pytest.mark.parametrize("comparison", ["spearman", "cosine", "corr", "tau-a"])
def test_the_noise_ceiling_is_that_of_rsatoolbox(comparison):
    generator = np.random.default_rng(2)
    raters = generator.random(45) + 0.3 * generator.random((6, 45))
    low, high = noise_ceiling(raters, comparison)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = boot_noise_ceiling(RDMs(raters), method=comparison)
    assert (low, high) == pytest.approx(expected)
    assert low < high <= 1


def test_the_noise_ceiling_by_hand():
    """Spearman: each rater's ranks against the mean ranks of all, and of the others."""
    raters = np.random.default_rng(3).random((4, 10))
    ranks = scipy.stats.rankdata(raters, axis=1)
    high = np.mean([scipy.stats.spearmanr(r, ranks.mean(0)).statistic for r in raters])
    others = [np.delete(ranks, k, axis=0).mean(0) for k in range(4)]
    low = np.mean(
        [scipy.stats.spearmanr(r, o).statistic for r, o in zip(raters, others, strict=True)]
    )
    assert noise_ceiling(raters, "spearman") == pytest.approx((low, high))


@pytest.mark.parametrize("code", ["expression", "head", "identity"])
@pytest.mark.parametrize("distance", list(DISTANCES))
def test_the_model_of_what_is_coded_is_the_most_similar(full_strength, code, distance):
    recording = coding_units(full_strength, code, 60, noise=0.5)
    result = rsa.run(recording, distance=distance, n_bootstrap=50)
    similarity = result["similarity"]
    assert str(similarity["model"].to_numpy()[np.argmax(similarity.to_numpy())]) == code
    others = [name for name in ("expression", "head", "identity") if name != code]
    for other in others:
        assert float(similarity.sel(model=code)) > float(similarity.sel(model=other)) + 0.1


def test_noise_resembles_no_model(full_strength):
    result = rsa.run(noise_units(full_strength, 60), n_bootstrap=100)
    assert (np.abs(result["similarity"]) < 0.08).all()
    assert abs(float(result["noise_ceiling_low"])) < 0.2


def test_identities_agree_if_they_show_the_same_geometry(faces):
    """An expression code without noise: all identities have the same RDM."""
    result = rsa.run(coding_units(faces, "expression", 60), n_bootstrap=50)
    assert float(result["noise_ceiling_low"]) == pytest.approx(1)
    assert float(result["noise_ceiling_high"]) == pytest.approx(1)
    assert result["model_within"].to_numpy().tolist() == ["expression"]
    assert int(result["similarity_within_n"]) == 15
    # Same expression, other strength: equal patterns. Ties of a categorical model leave rho < 1.
    assert 0.3 < float(result["similarity_within"].sel(model_within="expression")) < 1


def test_the_ceiling_bounds_models_within_identities(faces):
    result = rsa.run(
        coding_units(faces, "expression", 60, noise=1.0),
        models=("expression", "strength"),
        n_bootstrap=50,
    )
    assert result["model_within"].to_numpy().tolist() == ["expression", "strength"]
    best = float(result["similarity_within"].max())
    assert best <= float(result["noise_ceiling_high"]) + 1e-12


def test_norm_referenced_geometry_ignores_heads(faces):
    """Equal difference vectors on all heads: no dissimilarity between heads or identities."""
    result = rsa.run(norm_referenced_units(faces), distance="euclidean", n_bootstrap=50)
    similarity = result["similarity"]
    assert float(similarity.sel(model="expression")) > 0.3
    assert abs(float(similarity.sel(model="head"))) < 0.05


def test_conditions_can_be_averaged(faces):
    recording = coding_units(faces, ("head", "expression"), 40, noise=0.3)
    result = rsa.run(recording, average=("expression", "head"), models=("head", "expression"))
    assert result.sizes["stimulus"] == 21
    assert result["stimulus"].to_numpy()[0] == "neutral/human"
    mean = recording.to_numpy().astype(float)
    rows = [
        mean[(recording["head"] == head) & (recording["expression"] == expression)].mean(axis=0)
        for expression, head in [n.split("/") for n in result["stimulus"].to_numpy()]
    ]
    np.testing.assert_allclose(result["rdm"], 1 - np.corrcoef(rows), atol=1e-10)
    assert "standard error over expressions" in result.attrs["interval"]
    by_identity = rsa.run(recording, average=["identity"], models=["head"], n_bootstrap=50)
    assert by_identity.sizes["stimulus"] == 15
    assert "standard error over identities" in by_identity.attrs["interval"]


def test_seven_expressions_have_finite_intervals(faces):
    """The fewest conditions that occur: every resample of seven expressions gives a number."""
    recording = coding_units(faces, "expression", 40, noise=1.0)
    by_strength = rsa.run(
        recording, average=["expression", "strength"], models=["expression"], n_bootstrap=100
    )
    assert np.isfinite(by_strength["similarity_low"]).all()
    table = recording.assign_coords(
        valence=("presentation", np.isin(recording["expression"], ["happy", "surprise"]) * 1.0)
    )
    for comparison in COMPARISONS:
        seven = rsa.run(
            table,
            average=["expression", "valence"],
            models=["valence"],
            comparison=comparison,
            n_bootstrap=100,
        )
        assert seven.sizes["stimulus"] == 7
        low, value, high = (seven[f"similarity{s}"].item() for s in ("_low", "", "_high"))
        assert -1 <= low < value < high <= 1


def test_one_identity_a_head_resamples_expressions_and_says_so(one_identity):
    result = rsa.run(coding_units(one_identity, "expression", 30, noise=0.5), n_bootstrap=50)
    assert "standard error over expressions" in result.attrs["interval"]
    assert result.attrs["equal_models"] == "head = identity"
    assert np.isfinite(result["noise_ceiling_low"])


def test_a_single_identity_has_no_ceiling_and_says_why(one_identity):
    recording = coding_units(one_identity, "expression", 30, noise=0.5)
    human = recording.isel(presentation=slice(0, 25))
    result = rsa.run(human, models=["expression"], n_bootstrap=50)
    assert "noise_ceiling_low" not in result
    assert result.attrs["noise_ceiling"].startswith("not computed: 1 identities")
    # Without a stimulus that is left, an identity code gives an identity no geometry.
    flat = rsa.run(coding_units(one_identity, "identity", 30), models=["head"], n_bootstrap=50)
    assert "all dissimilarities within identity" in flat.attrs["noise_ceiling"]


def test_the_result_goes_to_rsatoolbox(full_strength):
    result = rsa.run(coding_units(full_strength, "head", 30, noise=0.5), n_bootstrap=50)
    rdms = rsa.to_rsatoolbox(result)
    np.testing.assert_allclose(rdms.get_matrices()[0], result["rdm"])
    assert rdms.pattern_descriptors["expression"][:2] == ["neutral", "happy"]
    heads = rdms.subset_pattern("head", "monkey").pattern_descriptors["head"]
    assert heads == ["monkey"] * 35


def test_the_table_has_a_row_a_model_and_the_ceiling(faces):
    table = rsa.table(rsa.run(coding_units(faces, "expression", 30, noise=0.5), n_bootstrap=50))
    assert table["model"].tolist() == [
        "expression", "head", "identity", "expression", "noise ceiling",
    ]  # fmt: skip
    assert table["scope"].tolist() == ["all stimuli"] * 3 + ["within identities"] * 2
    assert table["n"].tolist() == [375] * 3 + [15] * 2


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_strengths_in_another_unit_give_the_same(comparison):
    """0.6 - 0.4 is not 0.4 - 0.2 in floating point; 3 - 2 is 2 - 1."""
    faces = simulated_faces(
        heads=("human",), n_identities=5, expressions=("neutral", "happy"),
        strengths=(0.2, 0.4, 0.6, 0.8, 1.0),
    )  # fmt: skip
    recording = coding_units(faces, "strength", 20, noise=1.0)
    found = []
    for times in (1, 5, 10, 100):
        strength = recording["strength"].to_numpy() * times
        other = recording.assign_coords(strength=("presentation", strength))
        found.append(rsa.run(other, models=["strength"], comparison=comparison, n_bootstrap=30))
    names = [name for name in found[0].data_vars if name.startswith(("similarity", "noise"))]
    assert {"similarity", "similarity_low", "similarity_within", "noise_ceiling_low"} <= {*names}
    for other in found[1:]:
        for name in names:
            np.testing.assert_allclose(other[name], found[0][name], atol=1e-10)


def test_constant_models_are_left_out_and_named(one_identity):
    """A set of one head has no model of heads, and that is no reason to fail."""
    recording = coding_units(one_identity, "expression", 30, noise=0.5)
    recording = recording.isel(presentation=recording["head"].to_numpy() == "human")
    result = rsa.run(recording, n_bootstrap=20)
    assert result["model"].to_numpy().tolist() == ["expression"]
    n = recording.sizes["presentation"]
    assert result.attrs["left_out"] == f"head, identity: constant over the {n} conditions"
    assert rsa.table(result)["model"].tolist() == ["expression"]
    assert "models left out: head, identity" in rsa.figure({"a": result}).layout.title.text
    with pytest.raises(NeuroferError, match="model 'head', 'identity' is constant over"):
        rsa.run(recording, models=["head", "identity"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "euclidian"}, "did you mean 'euclidean'"),
        ({"comparison": "pearson"}, "comparison='pearson' is unknown; choose from spearman"),
        ({"models": ["expresion"]}, "did you mean 'expression'"),
        ({"models": ["view"]}, "model 'view' is constant"),
        ({"models": []}, "name at least one"),
        ({"average": ["hed"]}, "did you mean 'head'"),
        ({"average": []}, "one condition of all"),
        ({"average": ["head"], "models": ["head"]}, "3 conditions make too few"),
        ({"site": None}, "has the sites nre, decision, coding, noise: choose one"),
    ],
)
def test_bad_options_are_named(recording, options, message):
    with pytest.raises(NeuroferError, match=message):
        rsa.run(recording, **({"site": "coding", "n_bootstrap": 50} | options))


@pytest.mark.parametrize("distance", ["correlation", "crossnobis"])
def test_a_recording_is_copied_once(distance, monkeypatch):
    """In the order of its stimuli; what is averaged or subtracted is of a block of units."""
    monkeypatch.setattr(gram, "BLOCK", 2**16)
    faces = simulated_faces(strengths=(1.0,), n_identities=5)
    first = noise_units(faces, 8000)
    again = noise_units(faces, 8000, seed=1).assign_coords(
        stimulus_id=("presentation", [f"{k}-2" for k in range(105)])
    )
    days = [
        one.assign_coords(day=("presentation", [k] * 105)) for k, one in enumerate((first, again))
    ]
    recording = xr.concat(days, "presentation").assign_attrs(first.attrs)
    options = {"models": ["expression"], "n_bootstrap": 5, "distance": distance}
    if distance == "crossnobis":
        options |= {"average": ["head", "identity", "expression"], "folds": "day"}
    rsa.run(recording.isel(neuroid=slice(50)), **options)  # what is imported is not a copy
    tracemalloc.start()
    rsa.run(recording, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    names = recording["neuroid_id"].nbytes * 3
    assert peak < 1.7 * recording.nbytes + names


def test_constant_patterns_and_populations_are_named(full_strength):
    recording = norm_referenced_units(full_strength)
    with pytest.raises(NeuroferError, match=r"15 of 105 patterns .*human-1-neutral-0"):
        rsa.run(recording)
    silent = recording.copy()
    silent.values[:] = 1
    with pytest.raises(NeuroferError, match="all dissimilarities are equal"):
        rsa.run(silent, distance="euclidean")
    one = recording.isel(neuroid=[0])
    with pytest.raises(NeuroferError, match="at least two units"):
        rsa.run(one)
