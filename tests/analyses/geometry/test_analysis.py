from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from neurofer.analyses.geometry import analysis as geometry
from neurofer.analyses.geometry.alignment import alignment, cross_cosines, tuning_products
from neurofer.analyses.geometry.design import read_design
from neurofer.analyses.geometry.jackknife import jackknifed, leave_one_out
from neurofer.analyses.geometry.measures import (
    cka,
    congruence,
    participation_ratio,
    principal_cosines,
)
from neurofer.analyses.geometry.separation import separation
from neurofer.analyses.gram import pattern_gram
from neurofer.analyses.inputs import read_responses
from neurofer.errors import NeuroferError
from neurofer.simulation import coding_units, join, norm_referenced_units, simulated_faces

FAST = {"n_permutations": 20}
SEEDS = st.integers(0, 2**32 - 1)


def gram(x: np.ndarray) -> np.ndarray:
    return pattern_gram(x)[0]


def test_congruence_equals_its_loop_and_is_not_centred() -> None:
    x, y = np.random.default_rng(0).normal(1, 1, (2, 3, 8))
    found = congruence(x, y)
    for i, j in np.ndindex(3, 3):
        loop = sum(a * b for a, b in zip(x[i], y[j], strict=True))
        loop /= np.sqrt(sum(a * a for a in x[i]) * sum(b * b for b in y[j]))
        assert found[i, j] == pytest.approx(loop, abs=1e-14)
    assert abs(found[0, 0] - np.corrcoef(x[0], y[0])[0, 1]) > 0.1
    assert np.isnan(congruence(np.zeros((1, 8)), y)).all()


def hsic(k: np.ndarray, j: np.ndarray) -> float:
    """Gretton et al. 2005: tr(KHLH)."""
    h = np.eye(len(k)) - 1 / len(k)
    return float(np.trace(k @ h @ j @ h))


def unbiased_hsic(k: np.ndarray, j: np.ndarray) -> float:
    """Song et al. 2012, Eq. 5."""
    n, one = len(k), np.ones(len(k))
    k, j = (a - np.diag(np.diag(a)) for a in (k, j))
    total = np.trace(k @ j) + one @ k @ one * (one @ j @ one) / ((n - 1) * (n - 2))
    return float((total - 2 / (n - 2) * one @ k @ j @ one) / (n * (n - 3)))


@pytest.mark.parametrize(("debiased", "product"), [(False, hsic), (True, unbiased_hsic)])
def test_cka_equals_its_definition(debiased, product) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(1)
    x, y = generator.normal(2, 1, (11, 5)), generator.normal(size=(11, 30))
    y[:, :5] += x
    k, j = x @ x.T, y @ y.T
    expected = product(k, j) / np.sqrt(product(k, k) * product(j, j))
    assert cka(k, j, debiased=debiased)[0] == pytest.approx(expected, abs=1e-12)
    # A resample of clusters is, for the biased one, the same as repeating their rows.
    counts = np.array([[2, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]])
    rows = np.repeat(np.arange(11), counts[0])
    if not debiased:
        repeated = cka(k[np.ix_(rows, rows)], j[np.ix_(rows, rows)])
        np.testing.assert_allclose(cka(k, j, counts=counts), repeated, atol=1e-12)
    else:
        without = np.delete(np.arange(11), 1)
        sub = np.ix_(without, without)
        dropped = cka(k, j, debiased=True, counts=(counts > 0).astype(float))
        np.testing.assert_allclose(dropped, cka(k[sub], j[sub], debiased=True), atol=1e-12)


def test_debiased_cka_of_unrelated_patterns_is_zero_on_average() -> None:
    generator = np.random.default_rng(2)
    drawn = [[gram(generator.normal(size=(12, 40))) for _ in range(2)] for _ in range(100)]
    biased, debiased = (
        np.array([cka(a, b, debiased=one)[0] for a, b in drawn]) for one in (False, True)
    )
    assert biased.mean() > 0.6
    assert abs(debiased.mean()) < 4 * debiased.std() / np.sqrt(100)


@settings(max_examples=15)
@given(seed=SEEDS, factor=st.floats(0.01, 100))
def test_rotations_and_scale_change_nothing(seed: int, factor: float) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(8, 6)), generator.normal(size=(8, 4))
    turned = factor * x @ ortho_group.rvs(6, random_state=generator) + 3
    for debiased in (False, True):
        np.testing.assert_allclose(
            cka(gram(x), gram(y), debiased=debiased),
            cka(gram(turned), gram(y), debiased=debiased),
            rtol=1e-6,
            atol=1e-9,
        )
        assert cka(gram(x), gram(turned), debiased=debiased)[0] == pytest.approx(1)
    np.testing.assert_allclose(
        participation_ratio(gram(x)), participation_ratio(gram(turned)), rtol=1e-6
    )
    assert 1 <= participation_ratio(gram(x))[0] <= 6 + 1e-9


def test_the_participation_ratio_is_that_of_the_eigenvalues() -> None:
    x = np.random.default_rng(3).normal(size=(9, 5)) * np.arange(1, 6)
    values = np.linalg.eigvalsh(np.cov(x.T))
    expected = values.sum() ** 2 / (values**2).sum()
    assert participation_ratio(gram(x))[0] == pytest.approx(expected)
    counts = np.array([[0, 2, 1, 1, 3, 1, 1, 0, 0]])
    repeated = gram(np.repeat(x, counts[0], axis=0))
    np.testing.assert_allclose(
        participation_ratio(gram(x), counts=counts), participation_ratio(repeated)
    )


def test_principal_angles_are_scipys() -> None:
    a, b = np.random.default_rng(4).normal(size=(2, 3, 12))
    found = np.degrees(np.arccos(principal_cosines(a @ a.T, b @ b.T, a @ b.T)))
    expected = np.degrees(scipy.linalg.subspace_angles(a.T, b.T))
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-8)


def planted(angle: float) -> np.ndarray:
    """(4 identities, 3 expressions, 8 units): expressions in a plane turned from identities'."""
    identity, expression = np.zeros((4, 8)), np.zeros((3, 8))
    identity[:, :2] = [(1, 0), (-1, 0), (0, 1), (0, -1)]
    corners = np.array([(np.cos(t), np.sin(t)) for t in (0.3, 0.3 + 2.0944, 0.3 + 4.1888)])
    expression[:, :2], expression[:, 2:4] = np.cos(angle) * corners, np.sin(angle) * corners
    return identity[:, None] + expression


@pytest.mark.parametrize(("angle", "overlap"), [(0, 1), (np.pi / 2, 0), (np.pi / 3, 0.25)])
@pytest.mark.parametrize("differences", [False, True])
def test_planted_subspaces(angle: float, overlap: float, differences: bool) -> None:
    shown = planted(angle)
    found = separation(
        products(shown), np.zeros(4, int), np.ones((1, 4)), differences=differences, smallest=1e-12
    )
    assert found.overlap[0] == pytest.approx(overlap, abs=1e-4)
    assert found.angle[0] == pytest.approx(np.degrees(angle), abs=1e-5)
    if overlap == 0:
        assert found.congruence[0] == pytest.approx(0, abs=1e-9)


def products(shown: np.ndarray) -> np.ndarray:
    return np.einsum("iek,jfk->iejf", shown, shown)


def direct_separation(
    shown: np.ndarray, head: np.ndarray, counts: np.ndarray, differences: bool
) -> tuple[float, float, float, int]:
    """The features as patterns of units: each identity as often as it counts."""
    drawn = np.repeat(np.arange(len(head)), counts)
    u = {}
    for i in drawn:
        own = drawn[head[drawn] == head[i]]
        if len(set(own.tolist())) > 1:
            u[i] = shown[i].mean(0) - shown[own].mean((0, 1))
    v = shown[drawn].mean(0) - shown[drawn].mean((0, 1))
    lefts = [(u[i], counts[i]) for i in u]
    rights = list(v)
    if differences:
        lefts = [
            (u[i] - u[j], counts[i] * counts[j])
            for i in u
            for j in u
            if i < j and head[i] == head[j]
        ]
        rights = [v[e] - v[f] for e in range(len(v)) for f in range(e)]
    values = [[abs(congruence(x[None], y[None])[0, 0]) for y in rights] for x, _ in lefts]
    angles = scipy.linalg.subspace_angles(
        scipy.linalg.orth(np.array(list(u.values())).T, rcond=1e-8),
        scipy.linalg.orth(v.T, rcond=1e-8),
    )
    value = np.average(np.mean(values, axis=1), weights=[w for _, w in lefts])
    smallest = np.degrees(angles.min())
    return value, (np.cos(angles) ** 2).mean(), smallest, len(lefts) * len(rights)


@pytest.mark.parametrize("differences", [False, True])
def test_separation_of_resamples_equals_that_of_patterns(differences: bool) -> None:
    generator = np.random.default_rng(7)
    head = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    shown = generator.normal(size=(9, 4, 30)) + generator.normal(size=(9, 1, 30))
    counts = np.stack([np.ones(9, int), [2, 1, 0, 1, 0, 3, 0, 1, 1], [1, 0, 3, 0, 1, 1, 1, 0, 2]])
    found = separation(products(shown), head, counts, differences=differences)
    for k, row in enumerate(counts):
        expected = direct_separation(shown, head, row, differences)
        assert [one[k] for one in found] == pytest.approx(expected, abs=1e-10)


def test_alignment_of_resamples_equals_that_of_patterns() -> None:
    generator = np.random.default_rng(5)
    shown = generator.normal(size=(1, 4, 9)) + 0.7 * generator.normal(size=(7, 4, 9))
    members = np.array([[1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1]])
    counts = np.array([[1, 1, 1, 1, 1, 1, 1], [2, 1, 0, 0, 3, 0, 1]])
    moves = tuning_products(products(shown), 1)
    found = alignment(moves, counts[:, None] * members)
    steps = np.delete(shown - shown[:, [1]], 1, axis=1)
    for k, row in enumerate(counts):
        drawn = [np.repeat(np.flatnonzero(one), row[one > 0]) for one in members]
        a, b = (steps[rows].mean(0) for rows in drawn)
        expected = congruence(a, b)
        np.testing.assert_allclose(found.cosine[k, 0], np.diag(expected), atol=1e-10)
        if k == 0:
            crossed = cross_cosines(moves, members)[0]
            np.testing.assert_allclose(crossed, expected, atol=1e-10)
        for h, rows in enumerate(drawn):
            # The mean product of two different identities, over the squared length of the mean.
            pairs = [(i, j) for i in rows for j in rows if i != j]
            signal = np.mean([(steps[i] * steps[j]).sum(1) for i, j in pairs], axis=0)
            noisy = (steps[rows].mean(0) ** 2).sum(1)
            reliability = max((signal / noisy).mean(), 0)
            assert found.reliability[k, h] == pytest.approx(reliability, abs=1e-10)
    np.testing.assert_allclose(found.ceiling, np.sqrt(found.reliability.prod(1))[:, None])
    np.testing.assert_allclose(found.corrected, found.aligned / found.ceiling)


def test_reliability_is_that_of_split_halves() -> None:
    generator = np.random.default_rng(11)
    shown = generator.normal(size=(1, 5, 40)) + 1.5 * generator.normal(size=(12, 5, 40))
    moves = tuning_products(products(shown), 0)
    halves = []
    for _ in range(150):
        order = generator.permutation(12)
        members = np.zeros((2, 12))
        members[0, order[:6]] = members[1, order[6:]] = 1
        halves.append(alignment(moves, members[None]).aligned[0, 0])
    half = np.mean(halves)
    whole = alignment(moves, np.ones((1, 2, 12))).reliability[0, 0]
    assert whole == pytest.approx(2 * half / (1 + half), abs=0.01)


def test_truth_of_simulated_neurons() -> None:
    """Norm-referenced units move alike on every head; units that code head x expression do not."""
    faces = simulated_faces(strengths=(1.0,))
    recording = join(
        norm_referenced_units(faces, noise=0.05),
        coding_units(faces, ("head", "expression"), 400, noise=0.3),
    )
    result = geometry.run(recording, **FAST)
    alike, apart = (result.sel(site=site) for site in ("nre", "coding"))
    assert (alike["alignment"] > 0.98).all()
    assert (alike["alignment"] > alike["alignment_chance_high"]).all()
    np.testing.assert_allclose(alike["alignment"], alike["alignment_ceiling"], atol=0.02)
    assert (abs(apart["alignment"]) < 0.2).all()
    assert (apart["alignment_ceiling"] > 0.9).all()
    assert result.attrs["not_measured"] == ""
    assert float(alike["cosine"].mean()) == pytest.approx(float(alike["mean_alignment"]))


def test_the_ceiling_is_what_noise_leaves_of_alignment() -> None:
    """With equal directions, alignment falls with noise as the split halves say it must."""
    faces = simulated_faces(n_identities=15, strengths=(1.0,))
    result = geometry.run(norm_referenced_units(faces, noise=1.0), **FAST)
    assert float(result["mean_alignment"]) < 0.93
    assert float(result["mean_alignment"]) == pytest.approx(
        float(result["mean_alignment_ceiling"]), abs=0.12
    )


def test_cells_are_averages_of_the_strongest_shared_strength() -> None:
    responses = read_responses(norm_referenced_units(simulated_faces()), None)
    design = read_design(responses)
    np.testing.assert_allclose(design.cells.sum(1), 1)
    happy = design.cells.reshape(15, 7, -1)[:, design.expressions.index("happy")]
    assert set(responses.column("strength")[np.nonzero(happy)[1]]) == {1.0}


@pytest.fixture(scope="module")
def small():  # type: ignore[no-untyped-def]
    return coding_units(simulated_faces(strengths=(1.0,)), ("head", "expression"), 20, noise=0.5)


@pytest.fixture(scope="module")
def result(small):  # type: ignore[no-untyped-def]
    return geometry.run(small, **FAST)


def test_one_head_or_one_identity_a_head_says_what_is_missing(small) -> None:  # type: ignore[no-untyped-def]
    human = small.isel(presentation=np.flatnonzero(small["head"].to_numpy() == "human"))
    result = geometry.run(human, **FAST)
    assert "alignment" not in result
    assert "alignment: one head only" in result.attrs["not_measured"]
    for view in ("alignment", "heads"):
        drawn = geometry.figure({"one head": result}, view=view)
        assert drawn.layout.annotations[0].text == "not measured"
    single = small.isel(presentation=np.flatnonzero(small["identity"].to_numpy() == "1"))
    result = geometry.run(single, **FAST)
    assert np.isfinite(result["alignment"]).all()
    assert "congruence at coding" in result.attrs["not_measured"]
    assert "ceiling" in result.attrs["not_measured"]
    assert result.attrs["interval"] == "none"


def test_bad_recordings_are_said(small) -> None:  # type: ignore[no-untyped-def]
    first = small["identity"].to_numpy() == "1"
    happy = small["expression"].to_numpy() == "happy"
    lone = small.isel(presentation=np.flatnonzero(~first | happy))
    with pytest.raises(NeuroferError, match=r"share 1 expressions.*'human/1' shows happy"):
        geometry.run(lone, **FAST)
    with pytest.raises(NeuroferError, match="no unit of site 'coding' varies"):
        geometry.run(0 * small + 1.1, **FAST)
    with pytest.raises(NeuroferError, match="not finite"):
        geometry.run(small.where(small > -2), **FAST)
    with pytest.raises(NeuroferError, match="features='mean' is unknown"):
        geometry.run(small, features="mean")
    with pytest.raises(NeuroferError, match="view='pie' is unknown"):
        geometry.figure({}, view="pie")


def test_constant_units_count_nothing(small) -> None:  # type: ignore[no-untyped-def]
    padded = small.copy(data=np.where(np.arange(20) < 5, 7.0, small.to_numpy()))
    fewer = small.isel(neuroid=slice(5, None))
    one, two = (geometry.run(each, **FAST) for each in (padded, fewer))
    for name in ("congruence", "participation_ratio", "alignment", "cka_debiased"):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-9)
    assert one.attrs["n_units"] == 20


def test_recordings_of_the_same_stimuli_are_compared_in_any_order(small) -> None:  # type: ignore[no-untyped-def]
    order = np.random.default_rng(6).permutation(small.sizes["presentation"])
    result = geometry.compare(small, 2 * small.isel(presentation=order))
    for name in ("cka", "cka_debiased", "cka_corrected"):
        np.testing.assert_allclose(result[name], 1)
    assert result.attrs["n_units"] == 20
    with pytest.raises(NeuroferError, match="1 of them in one only"):
        geometry.compare(small, small.isel(presentation=order[1:]))


@pytest.mark.parametrize("view", ["layers", "alignment", "heads", "cka"])
@pytest.mark.parametrize("subjects", [1, 2])
def test_every_view_says_n_and_data(result, view: str, subjects: int) -> None:  # type: ignore[no-untyped-def]
    drawn = geometry.figure({f"{k}": result for k in range(subjects)}, view=view)
    for words in ("n = 15 identities, 7 expressions", "95 %", "(simulated)"):
        assert words in drawn.layout.title.text
    if view == "heads":
        matrix = np.array(drawn.data[0].z)
        np.testing.assert_allclose(matrix, matrix.T)
        np.testing.assert_allclose(np.diag(matrix), result["reliability"][0])
    if view == "alignment":
        shown = {trace.name: trace for trace in drawn.data}
        assert shown["as measured"].x == pytest.approx([float(result["mean_alignment"])] * subjects)
        assert len(set(shown["as measured"].y)) == subjects


def test_an_unreliable_alignment_is_not_corrected(small) -> None:  # type: ignore[no-untyped-def]
    noise = small.copy(data=np.random.default_rng(8).normal(size=small.shape))
    result = geometry.run(noise, **FAST)
    assert np.isnan(result["mean_alignment_corrected"]).all()
    assert np.isfinite(result["mean_alignment"]).all()
    assert "alignment_corrected, or its interval, at coding" in result.attrs["not_measured"]


def without(recording, **columns):  # type: ignore[no-untyped-def]
    keep = np.ones(recording.sizes["presentation"], bool)
    for name, value in columns.items():
        keep &= recording[name].to_numpy() == value
    return recording.isel(presentation=np.flatnonzero(~keep))


def test_an_expression_that_a_head_lacks_is_left_out_of_all(small) -> None:  # type: ignore[no-untyped-def]
    result = geometry.run(without(small, head="monkey", expression="fear"), **FAST)
    assert "fear" not in result["expression"]
    assert result.attrs["n_expressions"] == 6
    everywhere = geometry.run(without(small, expression="fear"), **FAST)
    np.testing.assert_allclose(result["alignment"], everywhere["alignment"])
    assert (
        "identities share no neutral"
        in (
            geometry.run(without(small, head="monkey", expression="neutral"), **FAST).attrs[
                "not_measured"
            ]
        )
    )


def test_two_identities_a_head_have_no_interval_of_what_needs_two(small) -> None:  # type: ignore[no-untyped-def]
    pairs = small.isel(presentation=np.isin(small["identity"].to_numpy(), ["1", "2"]))
    result = geometry.run(pairs, **FAST)
    assert np.isfinite(result["alignment_low"]).all()
    assert np.isfinite(result["alignment_corrected"]).all()
    assert np.isnan(result["alignment_corrected_low"]).all()
    assert "alignment_corrected, or its interval" in result.attrs["not_measured"]


def test_too_few_stimuli_are_refused(small) -> None:  # type: ignore[no-untyped-def]
    human = small["head"].to_numpy() == "human"
    one = small.isel(presentation=np.flatnonzero(human & (small["identity"].to_numpy() == "1")))
    with pytest.raises(NeuroferError, match=r"3 stimuli have no geometry.*at least 4"):
        geometry.run(one.isel(presentation=slice(3)), **FAST)
    # One identity: dimension and CKA alone, and why not more.
    result = geometry.run(one, **FAST)
    assert np.isnan(result["congruence"]).all()
    assert np.isfinite(result["participation_ratio"]).all()
    assert "congruence at coding" in result.attrs["not_measured"]
    assert "alignment: one head only" in result.attrs["not_measured"]


def test_a_stimulus_that_is_shown_twice_is_averaged(small) -> None:  # type: ignore[no-untyped-def]
    twice = small.isel(presentation=[0, *range(small.sizes["presentation"])])
    found, once = (geometry.run(one, **FAST) for one in (twice, small))
    np.testing.assert_allclose(found["congruence"], once["congruence"], atol=1e-6)


@pytest.mark.parametrize("missing", [np.nan, np.inf])
@pytest.mark.parametrize("lacking", [[0], [3, 7, 19], [1, 2, 4, 5, 6]])
def test_units_that_lack_a_stimulus_are_left_out_and_counted(small, missing, lacking) -> None:  # type: ignore[no-untyped-def]
    holes = small.copy(deep=True)
    for k, unit in enumerate(lacking):
        holes[k, unit] = missing
    kept = np.delete(np.arange(20), lacking)
    found, expected = (geometry.run(one, **FAST) for one in (holes, small.isel(neuroid=kept)))
    xr.testing.assert_allclose(found, expected)
    assert found.attrs["n_set_aside"] == len(lacking)
    assert found.attrs["n_units"] == 20 - len(lacking)
    said = found.attrs["set_aside_units"]
    assert said.startswith(f"coding: {len(lacking)} of 20 units lack a stimulus (coding.")
    title = geometry.figure({"a": found}).layout.title.text
    assert f"{len(lacking)} units left out: they lack a stimulus" in title
    assert expected.attrs["set_aside_units"] == "none"
    assert "left out" not in geometry.figure({"a": expected}).layout.title.text
    aside = geometry.compare(holes, small).attrs["set_aside_units"]
    assert aside == said


def test_a_site_whose_units_all_lack_a_stimulus_is_named(small) -> None:  # type: ignore[no-untyped-def]
    values = np.where(np.arange(105)[:, None] == np.arange(20), np.nan, small.to_numpy())
    with pytest.raises(
        NeuroferError, match=r"each of the 20 units of site 'coding' \(coding.*not finite"
    ):
        geometry.run(small.copy(data=values), **FAST)


def test_the_jackknife_of_a_mean_and_of_a_variance_are_the_textbooks() -> None:
    values = np.random.default_rng(9).normal(size=11)
    strata = np.zeros(11, int)
    weights = leave_one_out(strata)
    ends = (-np.inf, np.inf)
    found = jackknifed(values.mean(), weights @ values / weights.sum(1), strata, ends)
    half = scipy.stats.t.ppf(0.975, 10) * values.std(ddof=1) / np.sqrt(11)
    assert found == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))
    plug_in = np.array([np.delete(values, k).var() for k in range(11)])
    corrected = jackknifed(values.var(), plug_in, strata, ends, corrected=True)
    assert corrected.value == pytest.approx(values.var(ddof=1))


def test_the_jackknife_in_strata_adds_their_variances() -> None:
    values, strata = np.random.default_rng(10).normal(size=9), np.repeat([0, 1], [4, 5])
    weights = leave_one_out(strata, balanced=True)
    sums = jackknifed(values.sum(), weights @ values, strata, (-np.inf, np.inf))
    variance = sum(n * values[strata == k].var(ddof=1) for k, n in ((0, 4), (1, 5)))
    half = scipy.stats.t.ppf(0.975, 7) * np.sqrt(variance)
    assert sums.high - sums.low == pytest.approx(2 * half)
    assert leave_one_out(np.array([0, 0, 0, 0, 1])) is None
    assert leave_one_out(np.zeros(4)) is None
