from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.analyses.rsa.inference.clusters import WeightedSimilarity, bootstrap_similarities
from neurofer.analyses.rsa.rdm.compare import similarities
from neurofer.analyses.rsa.rdm.distances import dissimilarities
from neurofer.analyses.rsa.rdm.matrices import model_dissimilarities, upper
from neurofer.analyses.statistics import standard_error_interval

COMPARISONS = ("spearman", "kendall", "tau-a", "rho-a", "cosine", "corr")


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(COMPARISONS), st.sampled_from([1, 9]))
def test_weights_are_repetitions(seed, comparison, digits):
    generator = np.random.default_rng(seed)
    vector = generator.normal(size=40).round(digits)  # with ties and without
    models = [generator.integers(0, 2, 40), generator.choice([0, 0.5, 3], 40)]
    models = np.stack([*models, generator.normal(size=40).round(1)])
    weights = generator.integers(0, 4, 40)
    found = WeightedSimilarity(vector, models, comparison)(weights)
    repeated = np.repeat(vector, weights), np.repeat(models, weights, axis=1)
    if np.ptp(repeated[0]) == 0 or (np.ptp(repeated[1], axis=1) == 0).any():
        assert found is None
    else:
        np.testing.assert_allclose(found, similarities(*repeated, comparison), atol=1e-10)


def test_resampled_clusters_are_not_compared_with_their_copies():
    """Against explicit copies: each pair within a copy, none between copies of a cluster."""
    generator = np.random.default_rng(4)
    clusters = np.repeat(["a", "b", "c", "d", "e"], 4)
    rdm = dissimilarities(generator.normal(size=(20, 8)))
    model = model_dissimilarities(clusters)[None]
    found = bootstrap_similarities(
        upper(rdm),
        upper(model[0])[None],
        clusters,
        np.zeros(20),
        "spearman",
        n_bootstrap=30,
        seed=1,
    )
    from neurofer.analyses.statistics import resample

    expected = []
    for draw in resample(np.zeros(5), 30, seed=1):
        index = np.concatenate([np.flatnonzero(clusters == "abcde"[k]) for k in draw])
        copy = np.repeat(np.arange(5), 4)
        row, column = np.triu_indices(20, 1)
        same_cluster = clusters[index[row]] == clusters[index[column]]
        keep = ~(same_cluster & (copy[row] != copy[column]))
        row, column = index[row[keep]], index[column[keep]]
        if np.ptp(model[0, row, column]) > 0:
            pairs = rdm[row, column], model[:, row, column]
            expected.append(similarities(*pairs, "spearman"))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_intervals_of_similarity_cover_the_truth():
    """Patterns of an expression, a head and a random identity, drawn again and again."""
    generator = np.random.default_rng(5)
    head, ex = np.repeat(np.arange(3), 35), np.tile(np.arange(7), 15)
    identity = np.repeat(np.arange(15), 7)
    codes = generator.normal(size=(7, 20)), 0.5 * generator.normal(size=(3, 20))
    names = [column.astype(str) for column in (ex, head, identity)]
    models = np.stack([upper(model_dissimilarities(name)) for name in names])
    found, intervals = [], []
    for k in range(60):
        x = codes[0][ex] + codes[1][head] + 0.5 * generator.normal(size=(15, 20))[identity]
        rdm = dissimilarities(x + 0.5 * generator.normal(size=x.shape))
        found.append(similarities(upper(rdm), models, "spearman"))
        replicates = bootstrap_similarities(
            upper(rdm), models, names[2], head, "spearman", n_bootstrap=60, seed=k
        )
        strata = np.repeat(np.arange(3), 5)
        intervals.append(
            [
                standard_error_interval(estimate, column, strata)
                for estimate, column in zip(found[-1], replicates.T, strict=True)
            ]
        )
    truth, intervals = np.mean(found, axis=0), np.array(intervals)
    covered = ((intervals[..., 0] <= truth) & (truth <= intervals[..., 1])).mean()
    assert 0.88 <= covered <= 1.0
