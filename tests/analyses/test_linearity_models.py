"""The tests of shape and the mixed model, against statsmodels, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.formula.api as smf
from sklearn.isotonic import IsotonicRegression
from statsmodels.stats.anova import anova_lm

from neurofer.analyses import linearity
from neurofer.analyses.linearity_models import (
    curvature_test,
    isotonic_r2,
    kendall,
    mixed_model,
    naka_rushton_advantage,
    norm_index,
)
from neurofer.analyses.linearity_population import mixed_table, verdict_table
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, norm_referenced_units, simulated_faces

LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])


def _units(function, n_units, *, series=15, noise=1.0, seed=0):
    """Five strengths of so many series, each with its own offset and gain."""
    generator = np.random.default_rng(seed)
    x, name = np.tile(LEVELS, series), np.repeat(np.arange(series), len(LEVELS))
    gain = generator.uniform(0.5, 1.5, (series, n_units))[name]
    offset = generator.normal(size=(series, n_units))[name]
    y = offset + gain * function(x)[:, None] + noise * generator.normal(size=(len(x), n_units))
    return x, y, name


@pytest.mark.parametrize("ties", [False, True])
def test_isotonic_fits_and_kendall_are_those_of_scikit_learn_and_scipy(ties):
    activity = np.random.default_rng(0).normal(size=(5, 30))
    activity = activity.round() if ties else activity
    found, tau = isotonic_r2(activity), kendall(LEVELS, activity)
    for unit, y in enumerate(activity.T):
        rest = min(
            ((IsotonicRegression(increasing=way).fit_transform(LEVELS, y) - y) ** 2).sum()
            for way in (True, False)
        )
        assert found[unit] == pytest.approx(1 - rest / ((y - y.mean()) ** 2).sum())
        assert tau[unit] == pytest.approx(scipy.stats.kendalltau(LEVELS, y).statistic)


def test_the_norm_index_is_bounded():
    activity = np.array([[1.0, 0, 5, -1, 0], [9, 9, 9, 9, 9], [3, 2, 0, 1, 0]])
    assert norm_index(activity).tolist() == [0.5, 1, -1, 1, 0]


def test_f_tests_are_those_of_statsmodels():
    x, y, name = _units(lambda s: np.sqrt(s), 3, series=6, noise=0.5)
    found = curvature_test(x, y, name)
    for unit in range(3):
        data = pd.DataFrame({"x": x, "y": y[:, unit], "s": name})
        lines = [
            smf.ols(formula, data).fit()
            for formula in ("y ~ C(s)", "y ~ C(s) + x", "y ~ C(s) * x", "y ~ C(s) * x + I(x**2)")
        ]
        assert found["slope_p"][unit] == pytest.approx(anova_lm(*lines[:2])["Pr(>F)"][1])
        assert found["curvature_p"][unit] == pytest.approx(anova_lm(*lines[2:])["Pr(>F)"][1])
        assert found["slope"][unit] == pytest.approx(lines[1].params["x"])
        assert found["curvature"][unit] == pytest.approx(lines[3].params["I(x ** 2)"])


def test_linear_units_are_called_curved_at_the_level_of_the_test():
    """4000 units: 5 % within three standard errors, though identities differ in gain."""
    x, y, name = _units(lambda s: s, 4000, series=8)
    for alpha in (0.05, 0.01):
        rate = (curvature_test(x, y, name)["curvature_p"] < alpha).mean()
        assert rate == pytest.approx(alpha, abs=3 * np.sqrt(alpha * (1 - alpha) / 4000))
    flat = curvature_test(x, np.random.default_rng(1).normal(size=y.shape), name)
    assert (flat["slope_p"] < 0.05).mean() == pytest.approx(0.05, abs=0.0104)


@pytest.mark.parametrize(
    ("function", "verdict"),
    [
        (lambda s: 10 * s, "linear"),
        (lambda s: -10 * s, "linear"),
        (lambda s: 12 * s**2 / (s**2 + 0.09), "saturating"),
        (lambda s: -10 * s**0.4, "saturating"),
        (lambda s: 10 * s**3, "accelerating"),
        (lambda s: 0 * s, "flat"),
    ],
)
def test_the_shape_of_simulated_units_is_found(function, verdict):
    found = curvature_test(*_units(function, 200, noise=0.5))["verdict"]
    assert (found == verdict).mean() > 0.9


def test_the_part_of_the_slope_that_is_lost_is_recovered():
    """Of 10 x - 4 x^2 the slope falls from 10 to 2 at full strength: 80 % are lost."""
    found = curvature_test(*_units(lambda s: 10 * s - 4 * s**2, 300, noise=0.3))
    assert np.median(found["saturation"]) == pytest.approx(0.8, abs=0.02)
    assert np.median(found["curvature"]) == pytest.approx(-4, rel=0.05)


def test_naka_rushton_wins_where_the_truth_saturates():
    saturating = _units(lambda s: 12 * s**2 / (s**2 + 0.09), 20, noise=0.5)
    linear = _units(lambda s: 10 * s, 20, noise=0.5)
    assert (naka_rushton_advantage(*saturating) > 0).all()
    assert (naka_rushton_advantage(*linear) < 0).mean() >= 0.8


def test_units_that_cannot_be_tested_say_so():
    x, y, name = np.array([0, 0.5, 1.0]), np.array([[1.0, 2], [1, 3], [1, 5]]), np.zeros(3)
    found = curvature_test(x, y, name)
    assert found["status"].tolist() == ["constant", "too few strengths"]
    assert found["verdict"].tolist() == ["flat", "not testable"]
    assert np.isnan(found["curvature_p"]).all()


def _population(seed=0):
    generator = np.random.default_rng(seed)
    head = np.repeat(["human", "monkey"], 40)
    identity = np.repeat(np.arange(16), 5).astype(str)
    x = np.tile(LEVELS, 16)
    y = 100 + 30 * x - 10 * x * (head == "monkey") + generator.normal(size=16)[identity.astype(int)]
    return y + generator.normal(size=80), x, head, identity


def test_the_mixed_model_is_statsmodels_own():
    y, x, head, identity = _population()
    found = mixed_model(y, x, head, identity)
    data = pd.DataFrame({"y": y, "x": x, "head": head, "identity": identity})
    theirs = smf.mixedlm("y ~ x * C(head)", data, groups="identity").fit()
    assert found.status == "converged"
    names = {"strength": "x", "strength x monkey": "x:C(head)[T.monkey]"}
    for ours, name in names.items():
        row = found.terms.loc[ours]
        assert row["coefficient"] == pytest.approx(theirs.params[name], rel=1e-4)
        assert row["low"] == pytest.approx(theirs.conf_int().loc[name, 0], rel=1e-3)
        assert row["p"] == pytest.approx(theirs.pvalues[name], abs=1e-6)
        assert row["low"] < {"x": 30, "x:C(head)[T.monkey]": -10}[name] < row["high"]
    assert found.residual_sd == pytest.approx(np.sqrt(theirs.scale), rel=1e-3)
    assert found.identity_sd == pytest.approx(np.sqrt(theirs.cov_re.iloc[0, 0]), rel=1e-2)


@pytest.mark.parametrize(
    ("activity", "identity", "status"),
    [
        (np.ones(20), np.arange(20) // 5, "activity is constant"),
        (np.full(20, np.nan), np.arange(20) // 5, "activity is not finite"),
        (np.arange(20.0), np.arange(20) // 10, "2 identities; random effects need 3"),
    ],
)
def test_a_mixed_model_that_cannot_be_fitted_says_so(activity, identity, status):
    found = mixed_model(activity, np.tile(LEVELS, 4), np.full(20, "human"), identity)
    assert found.status == status
    assert found.terms.isna().all().all()


def test_activity_without_noise_has_no_mixed_model():
    """The likelihood has no maximum there."""
    found = mixed_model(
        np.tile(LEVELS, 4), np.tile(LEVELS, 4), np.full(20, "a"), np.arange(20) // 5
    )
    assert "no noise" in found.status


def test_a_variance_of_identities_at_its_bound_is_reported():
    """Identities that do not differ at all."""
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(4, 5))
    noise -= noise.mean(axis=1, keepdims=True)
    y = np.tile(LEVELS, 4) + noise.ravel()
    found = mixed_model(y, np.tile(LEVELS, 4), np.full(20, "a"), np.arange(20) // 5)
    assert found.status != "converged"


@pytest.mark.parametrize(("exponent", "verdict"), [(1.0, "linear"), (0.4, "saturating")])
def test_a_recording_has_its_units_tested(exponent, verdict):
    faces = simulated_faces(heads=("human", "monkey"))
    recording = norm_referenced_units(faces, exponent=exponent, noise=0.05)
    result = linearity.run(recording, n_bootstrap=20)
    table = verdict_table(result).set_index("verdict")
    assert table["n"].sum() == 6
    assert table.loc[verdict, "n"] >= 5
    assert (result["tested_expression"].to_numpy() == recording["unit"].to_numpy()).all()
    terms = mixed_table(result).set_index("term")["coefficient"]
    if exponent == 1:
        assert terms["strength"] == pytest.approx(1, abs=0.1)
    assert terms["strength x monkey"] == pytest.approx(0, abs=0.1)
    assert result.attrs["mixed_n"] == 2 * 5 * 5  # a neutral face is one, not one an expression


def test_units_without_a_label_are_tested_where_they_respond_most():
    faces = simulated_faces(heads=("human",))
    recording = norm_referenced_units(faces, noise=0.05)
    labels = recording["unit"].to_numpy()
    bare = recording.assign_coords(unit=("neuroid", np.full(6, "")))
    result = linearity.run(bare, n_bootstrap=20, mixed="none", saturation="naka-rushton")
    assert (result["tested_expression"].to_numpy() == labels).all()
    assert "mixed_p" not in result
    assert result["naka_rushton_advantage"].sizes == {"neuroid": 6}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saturation": "cubic"}, "saturation='cubic' is unknown"),
        ({"mixed": "units"}, "mixed='units' is unknown"),
        ({"alpha": 1.5}, "alpha=1.5 must lie between 0 and 1"),
    ],
)
def test_options_are_checked(recording, options, message):
    with pytest.raises(NeuroferError, match=message):
        linearity.run(recording, n_bootstrap=20, **options)


@pytest.mark.parametrize("subjects", [1, 3])
def test_the_population_figure_says_n_and_data(subjects):
    faces = simulated_faces(heads=("human",))
    result = linearity.run(coding_units(faces, "expression", 9, noise=0.5), None, n_bootstrap=20)
    figure = linearity.figure({f"s{k}": result for k in range(subjects)}, units=True)
    assert len(figure.data) == 2 * subjects
    for words in ("n = 9 units", "95 %", "5 %", "(simulated)"):
        assert words in figure.layout.title.text
    parts = [float(value) for value in figure.data[0].y]
    assert sum(parts) == pytest.approx(1)
