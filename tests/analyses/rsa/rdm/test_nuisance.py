from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from neurofer.analyses.rsa.rdm.compare import compare
from neurofer.analyses.rsa.rdm.nuisance import less_nuisance, residuals
from neurofer.errors import NeuroferError

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.random((3, 66)).round(1)  # with ties
OTHERS = GENERATOR.random((4, 66)).round(2)
NUISANCE = GENERATOR.random((2, 66))


def similarity(data, model, nuisance, comparison, **options):
    return compare(*less_nuisance(data, model, nuisance, comparison, **options))[0, 0]


def test_a_partial_correlation_is_that_of_the_precision_matrix():
    rows = np.vstack([VECTORS[:1], OTHERS[:1], NUISANCE])
    for comparison in ("corr", "spearman"):
        if comparison == "spearman":
            rows = scipy.stats.rankdata(rows, axis=1)
        inverse = np.linalg.inv(np.corrcoef(rows))
        expected = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
        found = similarity(VECTORS[:1], OTHERS[:1], NUISANCE, comparison, partial=True)
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_semipartial_tau_is_of_the_models_residual():
    fit = scipy.stats.linregress(NUISANCE[0], OTHERS[0])
    left = OTHERS[0] - fit.intercept - fit.slope * NUISANCE[0]
    expected = scipy.stats.kendalltau(VECTORS[0], left).statistic
    found = similarity(VECTORS[:1], OTHERS[:1], NUISANCE[:1], "kendall")
    assert found == pytest.approx(expected, abs=1e-12)


def test_what_only_the_nuisance_explains_goes_with_it():
    """A model that resembles the data by a nuisance that both contain."""
    generator = np.random.default_rng(1)
    pixels = generator.random(4950)
    data, model = pixels + 0.3 * generator.random((2, 4950))
    assert compare(data, model, "spearman")[0, 0] > 0.7
    assert abs(similarity(data, model, pixels, "spearman")) < 0.05
    assert abs(similarity(data, model, pixels, "spearman", partial=True)) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: residuals(NUISANCE, 2 * NUISANCE - 1), "number 1 of 2 RDMs is a linear"),
        (
            lambda: similarity(VECTORS, OTHERS, NUISANCE, "tau-a", partial=True),
            "it has corr, spearman",
        ),
    ],
)
def test_bad_nuisance_is_named(call, message):
    with pytest.raises(NeuroferError, match=message):
        call()
