"""That simulated tuning is found, and that the shares of a design are those of its units."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurofer.analyses.tuning.families import FAMILIES
from neurofer.errors import NeuroferError
from neurofer.simulation.curves import TRUTHS, Truth, simulate
from neurofer.simulation.recovery import tuning
from neurofer.simulation.recovery.tuning import confusion, figure

SOME = {n: TRUTHS[n] for n in ("flat", "linear", "power-convex", "sigmoid")}
FEWER = {name: TRUTHS[name] for name in ("flat", "sigmoid")}
FEW = {name: TRUTHS[name] for name in ("flat", "linear", "sigmoid")}


@pytest.fixture(scope="module")
def rows():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "RESAMPLES", 100)
        patch.setattr(tuning, "TRUTHS", SOME)
        return {row.name: row for row in tuning.recover(40, seed=1)}


def test_noise_baselines_counts_and_frames(rows):
    assert rows["tuning.noise.bic"].measured < 0.2
    assert rows["tuning.noise.cv"].measured > rows["tuning.noise.bic"].measured
    for name in ("rectified", "sigmoid"):
        assert rows[f"tuning.baseline.head.{name}"].measured < 0.2
        assert rows[f"tuning.baseline.common.{name}"].measured > 0.3
    assert rows["tuning.counts.agree"].measured > 0.95
    for kind in ("rising", "falling", "axis", "exemplar", "silent"):
        assert rows[f"tuning.frame.{kind}.1_head"].measured >= 0.6, kind


def test_families_are_found(rows):
    """90 % of 40 units, less two standard errors, is 80 %."""
    found = [row for name, row in rows.items() if name.startswith("tuning.family.")]
    assert len(found) == len(SOME) + 3
    assert all(row.measured >= 0.8 for row in found), [(r.name, r.measured) for r in found]
    assert all(row.goal == (0.9, 1.0) for row in found)


def test_five_strengths_do_not_tell_a_sigmoid_from_naka_rushton(rows):
    assert rows["tuning.model.sigmoid"].measured < 0.8
    assert rows["tuning.model.linear"].measured > 0.8


def test_a_peak_to_peak_ratio_of_three_is_harder(rows):
    harder = [rows[f"tuning.family_by_range.{name}"].measured for name in SOME]
    easier = [rows[f"tuning.family.{name}"].measured for name in SOME]
    assert np.mean(harder) < np.mean(easier) - 0.05


def test_parameters_are_unbiased_and_covered(rows):
    """95 % of 40 units, less four standard errors, is 81 %; of all parameters 92 to 98 %."""
    covered = [row for name, row in rows.items() if name.startswith("tuning.coverage.")]
    assert len(covered) == sum(len(truth.low) for truth in SOME.values()) + 1
    assert all(row.measured >= 0.81 for row in covered), [(r.name, r.measured) for r in covered]
    assert 0.92 <= np.mean([row.measured for row in covered]) <= 0.98
    for name, row in rows.items():
        if name.startswith("tuning.median_bias."):
            assert abs(row.measured) < 0.2, name
            assert row.low < row.measured < row.high


def test_exemplars_decline_off_their_axis(rows):
    assert rows["tuning.orthogonal.exemplar"].measured > 0.9


def test_shares_are_those_of_a_design():
    found = confusion(n_units=40, truths=FEW, models=list(FEW), seed=3)
    for name in ("model_share", "family_share"):
        np.testing.assert_allclose(found[name].sum(axis=1), 1)
    for name in FEW:
        assert found["model_right"].sel(truth=name) == found["model_share"].sel(
            truth=name, model=FEW[name].model
        )
    right = found["family_right"].to_numpy()
    diagonal = [
        found["family_share"].sel(truth=t, families=f).item()
        for t, f in (("flat", "flat"), ("linear", "linear"), ("sigmoid", "saturating"))
    ]
    np.testing.assert_allclose(right, diagonal)
    assert (found["family_low"] < right).all()
    assert (found["family_high"] >= right).all()
    assert found["families"].to_numpy().tolist() == list(FAMILIES)
    drawn = figure(found).to_json()
    assert "40 units each" in drawn
    assert "15 identities" in drawn


def test_a_design_is_stated_in_any_unit_and_noise_blurs_it():
    options = {"n_units": 30, "truths": FEWER, "models": list(FEW), "seed": 3}
    parts, percent = confusion(**options), confusion([0, 25, 50, 75, 100], **options)
    xr.testing.assert_allclose(parts, percent)
    blurred = confusion(snr=0.3, n_identities=5, **options)
    assert blurred["family_right"].sel(truth="sigmoid") < 0.5
    assert blurred["family_right"].sel(truth="flat") > 0.7


@pytest.mark.parametrize(("snr_of", "size"), [("sd", np.std), ("range", np.ptp)])
def test_noise_is_that_of_the_ratio(snr_of, size):
    truth = Truth("linear", (5, 10), (5, 10))
    generator = np.random.default_rng(0)
    units = simulate(truth, 40, (0, 0.5, 1), 200, 2.0, generator, snr_of=snr_of)
    tuned = 5 + 10 * units.x
    noise = (units.responses - tuned[:, None]).std()
    assert noise == pytest.approx(size(tuned) / 2, rel=0.02)
    flat = simulate(TRUTHS["flat"], 40, (0, 0.5, 1), 200, 2.0, generator)
    assert flat.responses.std(axis=0).mean() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strengths": [1, 1]}, "two different numbers"),
        ({"strengths": [-1, 0, 1]}, "at least 0"),
        ({"snr_of": "variance"}, "snr_of='variance'"),
        ({"snr": 0}, "snr=0"),
        ({"criterion": "dic"}, "criterion='dic'"),
        ({"models": ["line"]}, "model='line'"),
    ],
)
def test_what_is_no_design_is_named(options, message):
    with pytest.raises(NeuroferError, match=message):
        confusion(n_units=2, truths=FEWER, **options)
