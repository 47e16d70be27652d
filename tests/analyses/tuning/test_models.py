"""The equations, their derivatives, and that fits find the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurofer.analyses import tuning
from neurofer.analyses.tuning.fitting import predict
from neurofer.analyses.tuning.models import FEATURE_MODELS, MODELS, STRENGTH_MODELS
from neurofer.errors import NeuroferError

LEVELS = np.array([0, 0.25, 0.5, 0.75, 1.0])
TRUTH = {
    "flat": [5],
    "linear": [5, -10],
    "rectified": [5, 20, 0.4],
    "v-shape": [5, 20, 15, 0.4],
    "power": [5, -10, 2],
    "sigmoid": [3, 10, 0.4, 12],
    "naka-rushton": [2, 20, 0.4, 3],
    "gaussian": [3, 10, 0.55, 0.2],
    "norm-direction": [1, 3, 0.6, 0.8, 0.0, 1.5],
    "axis": [1, 3, -2, 0.5],
    "exemplar": [1, 3, 0.5, 0.2, 0.1, 0.4],
}
# Written anew, as in the books.
EQUATIONS = {
    "flat": lambda x, a: np.full(len(x), a),
    "linear": lambda x, a, b: a + b * x,
    "rectified": lambda x, a, b, x0: a + b * np.maximum(0, x - x0),
    "v-shape": lambda x, a, bl, br, x0: a + np.where(x < x0, bl * (x0 - x), br * (x - x0)),
    "power": lambda x, a, b, n: a + b * x**n,
    "sigmoid": lambda x, a, b, x0, k: a + b / (1 + np.exp(-k * (x - x0))),
    "naka-rushton": lambda x, a, b, c, n: a + b * x**n / (x**n + c**n),
    "gaussian": lambda x, a, b, mu, s: a + b * np.exp(-((x - mu) ** 2) / (2 * s**2)),
    "norm-direction": lambda x, a, b, w1, w2, w3, nu: np.array(
        [
            a + b * np.linalg.norm(d) * max(0, d @ [w1, w2, w3] / np.linalg.norm(d)) ** nu
            if d.any()
            else a
            for d in x
        ]
    ),
    "axis": lambda x, a, w1, w2, w3: a + x @ [w1, w2, w3],
    "exemplar": lambda x, a, b, c1, c2, c3, s: (
        a + b * np.exp(-((x - [c1, c2, c3]) ** 2).sum(1) / (2 * s**2))
    ),
}
ALL = pytest.mark.parametrize("name", list(MODELS))


def stimuli(name):
    """Five strengths, or the vertices and edges of a cube at four strengths."""
    if not MODELS[name].features:
        return LEVELS
    corners = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3).astype(float)
    return np.concatenate([corners * strength for strength in LEVELS[1:]])


def test_every_model_is_tested():
    assert set(MODELS) == set(TRUTH) == set(EQUATIONS)
    assert set(STRENGTH_MODELS) | set(FEATURE_MODELS) == set(MODELS)


@ALL
def test_predictions_are_the_equations(name):
    x = stimuli(name)
    found = predict(name, x, np.array([TRUTH[name]]))[:, 0]
    np.testing.assert_allclose(found, EQUATIONS[name](x, *TRUTH[name]), atol=1e-12)


@pytest.mark.parametrize("name", [n for n, one in MODELS.items() if one.nonlinear])
def test_derivatives_are_those_of_autograd(name):
    """At points that are not kinks."""
    model, x = MODELS[name], torch.from_numpy(stimuli(name) + 0.013)
    grid = model.grid(x)
    theta = grid.reshape(len(grid), -1)[:, ::23] + 0.017
    slope = model.columns(x, theta)[1]
    for k in range(theta.shape[1]):
        jacobian = torch.autograd.functional.jacobian(
            lambda one: model.columns(x, one[:, None])[0][..., 0], theta[:, k]
        )
        np.testing.assert_allclose(slope[..., k], jacobian.movedim(-1, 1), atol=1e-8)


@ALL
@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_parameters_come_back_from_data_without_noise(name, unit):
    """Also where strength is in per cent."""
    x = stimuli(name) * (1 if MODELS[name].features else unit)
    truth = np.array(TRUTH[name], float)
    y = EQUATIONS[name](stimuli(name), *truth)
    found = tuning.fit(x, y, name)
    np.testing.assert_allclose(found.predict(x)[:, 0], y, atol=1e-4 * max(np.ptp(y), 1e-3))
    if unit == 1 or MODELS[name].features:
        np.testing.assert_allclose(found.values[0], truth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [n for n in STRENGTH_MODELS if n != "flat"])
def test_residuals_are_never_worse_than_those_of_curve_fit(name):
    """From four random starts each, within the same bounds."""
    from scipy.optimize import least_squares

    generator = np.random.default_rng(3)
    n_units, x = 8, np.tile(LEVELS, 4)
    kinds = [EQUATIONS[n](x, *TRUTH[n]) for n in STRENGTH_MODELS]
    y = np.stack([kinds[u % 8] + 3 * generator.normal(size=len(x)) for u in range(n_units)], 1)
    model = MODELS[name]
    box = model.box(torch.from_numpy(LEVELS)).numpy()
    for i, label in enumerate(model.nonlinear):
        box[i] = np.exp(box[i]) if label in model.logarithmic else box[i]
    m = len(model.linear)
    low = np.r_[-np.inf, np.full(m, 0.0 if model.positive else -np.inf), box[:, 0]]
    high = np.r_[np.full(1 + m, np.inf), box[:, 1]]
    found = tuning.fit(x, y, name)
    for u in range(n_units):
        best = np.inf
        for _ in range(4):
            start = np.r_[y[:, u].mean(), np.full(m, 1.0), generator.uniform(*box.T)]
            one = least_squares(
                lambda v, u=u: EQUATIONS[name](x, *v) - y[:, u], start, bounds=(low, high)
            )
            best = min(best, 2 * one.cost)
        assert found.rss[u] <= 1.001 * best


def test_norm_referenced_units_that_fall_are_found():
    """Their gain is negative; an axis, of either sign, explains them less."""
    x = stimuli("norm-direction")
    truth = np.array([8, -3, 0.6, 0.8, 0.0, 1.5])
    y = np.tile(EQUATIONS["norm-direction"](x, *truth), 3)
    y = y + 0.1 * np.random.default_rng(0).normal(size=len(y))
    x = np.tile(x, (3, 1))
    fits = {name: tuning.fit(x, y, name) for name in FEATURE_MODELS}
    found = fits["norm-direction"]
    np.testing.assert_allclose(found.values[0], truth, atol=0.1)
    assert found.bic[0] < min(one.bic[0] for n, one in fits.items() if n != "norm-direction") - 50


@pytest.mark.parametrize("name", ["power", "naka-rushton"])
def test_powers_of_negative_strengths_are_refused(name):
    with pytest.raises(NeuroferError, match=f"model '{name}'.* go down to -1"):
        tuning.fit(np.array([-1, 0, 0.5, 1, 2]), np.arange(5.0), name)


@pytest.mark.parametrize("name", ["rectified", "v-shape", "sigmoid", "gaussian"])
def test_signed_strengths_are_fitted(name):
    x = np.linspace(-1, 1, 9)
    truth = np.array(TRUTH[name], float)
    found = tuning.fit(x, EQUATIONS[name](x, *truth), name)
    np.testing.assert_allclose(found.values[0], truth, rtol=1e-3, atol=1e-3)
