from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurofer.analyses.rsa import analysis as rsa
from neurofer.analyses.rsa.rdm.compare import compare
from neurofer.analyses.rsa.rdm.matrices import upper
from neurofer.analyses.rsa.rdm.nuisance import less_nuisance
from neurofer.analyses.rsa.recordings import (
    compare_recordings,
    compare_weighted,
    figure,
    rdms_from_rsatoolbox,
    rdms_to_rsatoolbox,
    similarity_map,
    table,
)
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, noise_units, simulated_faces

FACES = simulated_faces(strengths=(1.0,), n_identities=2)


def _sessions(code="expression", n=4):
    return {f"s{k}": coding_units(FACES, code, 40, noise=1.0, seed=k) for k in range(n)}


def test_the_code_of_the_data_wins_over_other_models():
    models = {"like": coding_units(FACES, "expression", 40, noise=0.5, seed=9), "head": "head"}
    result = compare_recordings(_sessions(), models, n_bootstrap=100)
    assert float(result["similarity"].sel(model="like")) > 0.3
    assert abs(float(result["similarity"].sel(model="head"))) < 0.1
    assert float(result["p_zero_corrected"].sel(model="like")) < 0.01
    assert result.attrs["data"] == "simulated"
    found = table(result)
    assert found["model"].tolist() == ["like", "head"]
    assert found["n_subjects"].tolist() == [4, 4]


def test_a_nuisance_takes_its_part_of_a_model():
    both = coding_units(FACES, ("expression", "head"), 60, noise=0.5, seed=9)
    data = _sessions("head")
    plain = compare_recordings(data, {"both": both}, n_bootstrap=50)
    less = compare_recordings(data, {"both": both}, nuisance={"h": "head"}, n_bootstrap=50)
    assert float(plain["similarity"]) > 0.1
    assert abs(float(less["similarity"])) < float(plain["similarity"]) / 2
    assert less.attrs["nuisance"] == "h"


def test_a_model_that_the_nuisance_explains_wholly_is_named():
    models = {"expression": "expression", "heads": "head"}
    with pytest.raises(NeuroferError, match="'heads' is a linear function of the nuisance"):
        compare_recordings(_sessions(n=2), models, nuisance={"h": "head"}, n_bootstrap=50)


def test_constant_models_are_left_out_of_everything():
    models = {"view": "view", "expression": "expression", "head": "head"}
    view = ("presentation", ["front"] * 42)
    sessions = {name: one.assign_coords(view=view) for name, one in _sessions(n=3).items()}
    said = "view: constant over the 42 conditions"
    evaluation = compare_recordings(sessions, models, n_bootstrap=20)
    assert evaluation.sizes["model"] == len(evaluation["model_rdm"]) == 2
    expected = compare_recordings(sessions, {"expression": "expression"}, n_bootstrap=20)
    np.testing.assert_array_equal(evaluation["model_rdm"][0], expected["model_rdm"][0])
    mixture = compare_weighted(sessions, models, n_folds=3)
    assert mixture["component"].to_numpy().tolist() == ["expression", "head"]
    made = similarity_map(sessions["s0"], list(models))
    assert made["model"].to_numpy().tolist() == ["expression", "head"]
    assert [one.attrs["left_out"] for one in (evaluation, mixture, made)] == [said] * 3
    with pytest.raises(NeuroferError, match="model 'view' is constant over the 42 conditions"):
        similarity_map(sessions["s0"], ["view"])


def test_a_subject_without_a_geometry_is_named():
    sessions = _sessions(n=2)
    flat = sessions["s1"].copy(data=np.tile(sessions["s1"].to_numpy()[:1], (42, 1)))
    with pytest.raises(NeuroferError, match="'s1', number 2 of 2 RDMs, is constant"):
        compare_recordings({**sessions, "s1": flat}, {"e": "expression"}, n_bootstrap=20)


def test_recordings_of_other_stimuli_are_named():
    sessions = _sessions(n=2)
    sessions["s1"] = sessions["s1"].isel(presentation=slice(1, None))
    with pytest.raises(NeuroferError, match=r"recording 's1' has 41 stimuli .* in one of them"):
        compare_recordings(sessions, {"head": "head"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": {"a": "hed"}}, "did you mean 'head'"),
        ({"distance": "crossnobi"}, "did you mean 'crossnobis'"),
        ({"distance": "crossnobis"}, "takes a column of folds"),
        ({"distance": "mahalanobis"}, "no condition was presented twice"),
        ({"model_distance": "crossnobis"}, "model_distance='crossnobis' is not in models"),
        ({"partial": True}, "partial=True needs nuisance"),
        (
            {"partial": True, "nuisance": {"i": "identity"}, "comparison": "kendall"},
            "it has corr, spearman",
        ),
        ({"recordings": {}}, "leaves nothing to explain"),
    ],
)
def test_bad_choices_are_named(options, message):
    given = {"recordings": _sessions(n=1), "models": {"head": "head"}} | options
    with pytest.raises(NeuroferError, match=message):
        compare_recordings(**given)


def test_a_map_is_the_similarity_of_every_site():
    recording = coding_units(FACES, "expression", 40, noise=0.5)
    recording = recording.assign_coords(site=("neuroid", ["early"] * 20 + ["late"] * 20))
    found = similarity_map(recording, ["expression", "head"])["similarity"].isel(time_bin=0)
    for site in ("early", "late"):
        alone = rsa.run(recording, site, models=["expression", "head"], n_bootstrap=20)
        np.testing.assert_allclose(found.sel(site=site), alone["similarity"])


def test_silence_has_no_similarity_and_says_why():
    recording = noise_units(FACES, 10).expand_dims(time_bin=2).copy()
    recording[{"time_bin": 0}] = 1.0
    found = similarity_map(recording, ["head"])
    assert np.isnan(found["similarity"].isel(time_bin=0)).all()
    assert "constant over units" in found["reason"].isel(time_bin=0).item()
    assert found["reason"].isel(time_bin=1).item() == ""
    assert np.isfinite(found["similarity"].isel(time_bin=1)).all()


def test_rdms_go_to_rsatoolbox_and_back():
    rdms = np.random.default_rng(0).random((3, 5, 5))
    rdms = rdms + rdms.transpose(0, 2, 1)
    rdms[:, np.arange(5), np.arange(5)] = 0
    conditions = pd.DataFrame({"head": list("aabbc"), "strength": [0.0, 1, 0, 1, 1]})
    sent = rdms_to_rsatoolbox(rdms, conditions, ["x", "y", "z"], "correlation")
    found, own, subjects = rdms_from_rsatoolbox(sent)
    np.testing.assert_array_equal(found, rdms)
    assert own["head"].tolist() == list("aabbc")
    assert subjects["subject"].tolist() == ["x", "y", "z"]
    with pytest.raises(NeuroferError, match="pairs of the RDMs are missing"):
        rdms_from_rsatoolbox(sent.subsample_pattern("index", [0, 1, 1]))


def test_an_evaluation_goes_to_rsatoolbox_with_its_subjects():
    result = compare_recordings(_sessions(n=2), {"head": "head"}, n_bootstrap=10)
    rdms = rsa.to_rsatoolbox(result)
    np.testing.assert_allclose(rdms.get_matrices(), result["rdm"])
    assert rdms.rdm_descriptors["subject"] == ["s0", "s1"]
    assert rdms.pattern_descriptors["stimulus"] == result["stimulus"].to_numpy().tolist()


@pytest.fixture(scope="module")
def repeated():
    """Every face in three sessions."""
    parts = [coding_units(FACES, "expression", 30, seed=0) for _ in range(3)]
    import xarray as xr

    made = []
    for k, part in enumerate(parts):
        noisy = part + np.random.default_rng(k).normal(size=part.shape)
        ids = [f"{name}-{k}" for name in part["stimulus_id"].to_numpy()]
        made.append(
            noisy.assign_coords(
                stimulus_id=("presentation", ids), session=("presentation", [f"day {k}"] * len(ids))
            )
        )
    return xr.concat(made, "presentation").assign_attrs(parts[0].attrs)


AVERAGE = ("head", "identity", "expression")


def _noisy(repeated, seed):
    noise = np.random.default_rng(seed).normal(size=repeated.shape)
    return (repeated + noise).assign_attrs(repeated.attrs)


@pytest.mark.parametrize(("distance", "folds"), [("mahalanobis", None), ("crossnobis", "session")])
def test_subjects_are_compared_by_distances_of_trials(repeated, distance, folds):
    """The RDMs are those of `rsa.run`, and of rsatoolbox; a model is compared without its noise."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.data.noise import prec_from_residuals
    from rsatoolbox.rdm import calc_rdm

    subjects = {f"s{k}": _noisy(repeated, k) for k in range(2)}
    like = coding_units(FACES, "expression", 40, noise=0.5, seed=9)
    found = compare_recordings(
        subjects,
        {"like": like, "head": "head"},
        distance=distance,
        folds=folds,
        average=AVERAGE,
        comparison="corr_cov",
        n_bootstrap=30,
    )
    assert float(found["similarity"].sel(model="like")) > 0.2
    own = {"average": AVERAGE, "folds": folds, "models": ["head"], "n_bootstrap": 20}
    alone = rsa.run(subjects["s1"], distance=distance, **own)
    np.testing.assert_array_equal(found["rdm"][1], alone["rdm"])
    # An identity's name holds its head.
    shown = [repeated[name].to_numpy() for name in ("head", *AVERAGE)]
    condition = ["/".join(map(str, row)) for row in zip(*shown, strict=True)]
    activity = subjects["s1"].to_numpy().astype(float)
    residuals = activity.copy()
    for name in set(condition):
        rows = [k for k, other in enumerate(condition) if other == name]
        residuals[rows] -= residuals[rows].mean(axis=0)
    columns = {"condition": condition, "session": repeated["session"].to_numpy().tolist()}
    rdm = calc_rdm(
        Dataset(activity, obs_descriptors=columns),
        method=distance,
        descriptor="condition",
        noise=prec_from_residuals(residuals, method="shrinkage_diag", dof=84),
        **({"cv_descriptor": "session"} if folds else {}),
    )
    place = [rdm.pattern_descriptors["condition"].index(n) for n in found["stimulus"].to_numpy()]
    expected = rdm.get_matrices()[0][np.ix_(place, place)]
    np.testing.assert_allclose(found["rdm"][1], expected, atol=1e-10 * expected.max())


def test_partial_similarity_is_that_of_its_vectors():
    sessions, models = _sessions(n=3), {"identity": "identity"}
    for comparison in ("corr", "spearman"):
        found = compare_recordings(
            sessions,
            models,
            nuisance={"h": "head"},
            partial=True,
            comparison=comparison,
            n_bootstrap=30,
        )
        plain = compare_recordings(sessions, models | {"h": "head"}, n_bootstrap=30)
        model, nuisance = (upper(one) for one in plain["model_rdm"].to_numpy())
        data = np.stack([upper(one) for one in plain["rdm"].to_numpy()])
        expected = compare(*less_nuisance(data, model, nuisance, comparison, partial=True))
        np.testing.assert_allclose(found["similarity_each"], expected, atol=1e-12)
        assert found.attrs["comparison"] == f"partial {comparison}"


def test_a_mixture_is_worth_more_than_its_parts():
    models = {"expression": "expression", "head": "head", "identity": "identity"}
    sessions = {
        name: one + coding_units(FACES, "head", 40, noise=0.5, seed=20 + k).to_numpy()
        for k, (name, one) in enumerate(_sessions(n=4).items())
    }
    for one in sessions.values():
        one.attrs = _sessions(n=1)["s0"].attrs
    found = compare_weighted(sessions, models, n_folds=3)
    assert found["model"].to_numpy().tolist() == ["weighted", *models]
    assert found["weight"].shape == (3, 3)
    assert float(found["similarity"][0]) > float(found["similarity"][1:].max()) + 0.05
    assert table(found)["n_subjects"].tolist() == [4] * 4
    assert found.attrs["resampled"] == "subjects"
    with pytest.raises(NeuroferError, match="tested over recordings and there is 1"):
        compare_weighted({"a": sessions["s0"]}, models)
    with pytest.raises(NeuroferError, match="rename that model"):
        compare_weighted(sessions, {"weighted": "head"})


@pytest.mark.parametrize("number", [1, 4])
def test_figures_say_n_tests_and_data(number):
    result = compare_recordings(
        _sessions(n=3), {"expression": "expression", "head": "head"}, n_bootstrap=30
    )
    drawn = figure({f"area {k}": result for k in range(number)})
    title = drawn.layout.title.text
    for words in ("n = 3 subjects", "42 stimuli", "95 %", "Holm", "noise ceiling", "(simulated)"):
        assert words in title
    assert sum(one.type == "bar" for one in drawn.data) == number
    one_bin = similarity_map(coding_units(FACES, "expression", 40), ["expression"])
    assert "n = 42" in figure({f"area {k}": one_bin for k in range(number)}).layout.title.text
    with pytest.raises(NeuroferError, match="draw them apart"):
        figure({"a": result, "b": one_bin})


def test_units_that_are_missing_are_named():
    recording = _sessions(n=1)["s0"]
    missing = recording.copy()
    missing[3, 2] = np.nan
    for call in (
        lambda: compare_recordings({"a": missing}, {"head": "head"}),
        lambda: rsa.run(missing, models=["expression"]),
        lambda: similarity_map(missing, ["head"]),
    ):
        with pytest.raises(NeuroferError, match=r"1 of 40 units .* not finite"):
            call()
    few = recording.isel(presentation=[0, 7, 14])
    with pytest.raises(NeuroferError, match="3 conditions are too few"):
        compare_recordings({"a": few, "b": few}, {"head": "head"})


def test_units_that_are_constant_count_where_they_can(repeated):
    """A unit without variance is part of a pattern; a noise covariance has no place for it."""
    constant = repeated.copy()
    constant[:, 4] = 2.0
    found = rsa.run(constant, average=AVERAGE, models=["expression"], n_bootstrap=20)
    assert np.isfinite(found["rdm"]).all()
    with pytest.raises(
        NeuroferError, match=r"1 units have residuals that do not vary .*\(coding.4\)"
    ):
        rsa.run(constant, average=AVERAGE, models=["expression"], distance="mahalanobis")


@pytest.mark.parametrize(
    ("distance", "folds"), [("mahalanobis", None), ("crossnobis", "session"), ("euclidean", None)]
)
def test_distances_of_trials_find_the_code(repeated, distance, folds):
    result = rsa.run(
        repeated,
        distance=distance,
        folds=folds,
        average=AVERAGE,
        models=["expression", "head"],
        n_bootstrap=30,
    )
    assert result.sizes["stimulus"] == 42
    assert float(result["similarity"].sel(model="expression")) > 0.3
    assert abs(float(result["similarity"].sel(model="head"))) < 0.15
    if distance == "crossnobis":
        assert "distances across folds" in result.attrs["noise_ceiling"]
        same = result["expression"].to_numpy()[:, None] == result["expression"].to_numpy()
        off = ~np.eye(42, dtype=bool)
        # Equal codes have no distance on average, which a plain distance does not show.
        assert abs(result["rdm"].to_numpy()[same & off].mean()) < 0.1


def test_a_controlled_model_is_less_its_nuisance(repeated):
    result = rsa.run(
        repeated, average=AVERAGE, models=["identity"], control=["expression"], n_bootstrap=30
    )
    assert result.attrs["control"] == "expression"
    assert "controlled models" in result.attrs["noise_ceiling"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "crossnobis", "average": AVERAGE}, "takes a column of folds"),
        ({"folds": "session"}, "and no other distance"),
        (
            {"distance": "crossnobis", "folds": "sesion", "average": AVERAGE},
            "did you mean 'session",
        ),
        ({"distance": "mahalanobis"}, "no condition was presented twice"),
        ({"control": ["head"]}, "control='head' is not in the conditions beside the models"),
        ({"comparison": "corr_cov"}, "comparison='corr_cov' is unknown"),
    ],
)
def test_bad_options_of_trials_are_named(repeated, options, message):
    with pytest.raises(NeuroferError, match=message):
        rsa.run(repeated, **{"models": ["head"], "n_bootstrap": 20, **options})
