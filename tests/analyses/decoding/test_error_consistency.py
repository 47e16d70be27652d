"""Error consistency against scikit-learn's kappa, by hand, and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import cohen_kappa_score

from neurofer.analyses import analyse
from neurofer.analyses.decoding.error_consistency import (
    consistency_figure,
    consistency_table,
    error_consistency,
    kappa,
)
from neurofer.errors import NeuroferError


@pytest.fixture(scope="module")
def results(recording):
    return {
        site: analyse("probe", recording, site=site, n_bootstrap=30) for site in ("coding", "noise")
    }


def with_correct(result: xr.Dataset, correct: np.ndarray) -> xr.Dataset:
    return result.assign(correct=(("site", "presentation"), np.asarray(correct, bool)[None]))


def test_kappa_is_cohens_of_being_right():
    rng = np.random.default_rng(0)
    for p, q in ((0.5, 0.5), (0.9, 0.3), (0.99, 0.98)):
        one, other = rng.random(400) < p, rng.random(400) < q
        observed, expected, found = kappa(one, other)
        assert observed == pytest.approx((one == other).mean())
        assert expected == pytest.approx(
            one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean())
        )
        assert found == pytest.approx(cohen_kappa_score(one, other))


def test_the_same_errors_are_one_and_independent_ones_are_about_none(results):
    one = results["coding"]
    same = error_consistency(one, one, n_bootstrap=50)
    assert float(same["kappa"]) == pytest.approx(1)
    rng = np.random.default_rng(1)
    n = one.sizes["presentation"]
    apart = [with_correct(one, rng.random(n) < p) for p in (0.7, 0.4)]
    found = error_consistency(*apart, n_bootstrap=400)
    assert float(found["kappa_low"]) < 0 < float(found["kappa_high"])
    assert float(found["excess"]) == pytest.approx(
        float(found["observed"]) - float(found["expected"])
    )
    assert int(found["n"]) == n
    assert found.attrs["interval"] == "standard error, bootstrap over identities"


def test_the_interval_covers_the_truth_of_errors_shared_within_people(results):
    """Half of the errors are those of an image, which both make; kappa is known by construction."""
    one, rng, covered = results["coding"], np.random.default_rng(2), 0
    n = one.sizes["presentation"]
    for seed in range(60):
        common, own = rng.random(n) < 0.3, rng.random((2, n)) < 0.3
        pair = [with_correct(one, ~(common | mine)) for mine in own]
        right, joint = 0.7 * 0.7, 0.7 * (0.7**2 + 0.3**2) + 0.3
        expected = right**2 + (1 - right) ** 2
        truth = (joint - expected) / (1 - expected)
        found = error_consistency(*pair, n_bootstrap=200, seed=seed)
        covered += float(found["kappa_low"]) <= truth <= float(found["kappa_high"])
    assert covered >= 52  # of 60; the chance of less is 1 % where 95 % are covered


def test_two_that_are_always_right_have_no_kappa_and_it_is_said(results):
    perfect = with_correct(results["coding"], np.ones(results["coding"].sizes["presentation"]))
    found = error_consistency(perfect, perfect)
    assert np.isnan(float(found["kappa"]))
    assert found.attrs["note"].startswith("undefined: both are right on all")
    table = consistency_table({"a": perfect, "b": perfect})
    assert table["note"][0].startswith("undefined")


def test_too_few_people_have_a_kappa_and_no_interval(results):
    one, other = results["coding"], results["noise"]
    some = np.isin(one["identity"].values, np.unique(one["identity"].values)[:3])
    pair = (result.isel(presentation=some) for result in (one, other))
    found = error_consistency(*pair, n_bootstrap=30)
    assert found.attrs["interval"] == "none"
    assert np.isnan(float(found["kappa_low"]))
    assert np.isnan(float(found["kappa_high"]))
    assert np.isfinite(float(found["kappa"]))


def test_a_table_and_a_figure_show_all_pairs(results, recording):
    both = analyse("probe", recording, site=["coding", "noise"], n_bootstrap=30)
    named = {"one": results["coding"], "two": both}
    table = consistency_table(named, n_bootstrap=30)
    assert table[["one", "other"]].to_numpy().tolist() == [
        ["one", "two, coding"], ["one", "two, noise"], ["two, coding", "two, noise"],
    ]  # fmt: skip
    assert table["kappa"][0] == pytest.approx(1)
    figure = consistency_figure(named, n_bootstrap=30)
    assert "n = " in figure.layout.title.text
    assert np.isfinite(np.array(figure.data[0].z, float)).sum() == 3


def test_mistakes_are_named(results, recording):
    one = results["coding"]
    with pytest.raises(NeuroferError, match="different stimuli"):
        fewer = recording.isel(presentation=slice(0, None, 2))
        error_consistency(one, analyse("probe", fewer, site="coding", n_bootstrap=30))
    with pytest.raises(NeuroferError, match="'expression', the other 'head'"):
        error_consistency(
            one,
            analyse("probe", recording, site="coding", target="head", by="image", n_bootstrap=30),
        )
    with pytest.raises(NeuroferError, match="results of the probe; this one is of 'transfer'"):
        error_consistency(one, analyse("transfer", recording, n_bootstrap=30))
    with pytest.raises(NeuroferError, match="site='V1'"):
        error_consistency(one, one, sites=("V1", None))
    with pytest.raises(NeuroferError, match="1 subject is too few"):
        consistency_table({"a": one})
