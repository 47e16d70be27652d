from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofer.errors import NeuroferError
from neurofer.subjects.norm_referenced.gradient import (
    Descent,
    learn,
    log_probabilities,
    transfer,
    tuning_directions,
    weighted_loss,
)

PLANES, UNITS = 4, 3
some = settings(max_examples=25)
seeds = st.integers(0, 2**32 - 1)


def simulated(seed, *, images=15, noise=0.3, domains=1, landmarks=PLANES, units=UNITS):
    """Landmarks of neutral and expressive images about planted references, in cells."""
    random = np.random.default_rng(seed)
    references = random.uniform(5, 50, (domains, landmarks, 2))
    angle = random.uniform(0, 2 * np.pi, (units, landmarks))
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    labels = np.tile(np.repeat(np.arange(1 + units), images), domains)
    domain = np.repeat(np.arange(domains), images * (1 + units))
    strength = np.where(labels > 0, random.uniform(1.5, 3.0, len(labels)), 0.0)
    travel = np.concatenate([np.zeros((1, landmarks, 2)), directions])[labels]
    shown = references[domain] + strength[:, None, None] * travel
    return shown + random.normal(0, noise, shown.shape), labels, domain, references, directions


def tensors(*arrays):
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


def loss_of(shown, labels, domain, references, radius=1.0, alpha=6.0):
    given_ = tensors(shown, labels, domain, references)
    rho = torch.tensor(radius, dtype=torch.float64)
    return weighted_loss(*given_, rho, expressions=UNITS, alpha=alpha)


@some
@given(seeds, st.integers(1, 6))
def test_directions_are_numpy_s_first_right_singular_vectors(seed, images):
    differences = np.random.default_rng(seed).normal(0, 3, (images, PLANES, 2))
    found = tuning_directions(*tensors(differences, np.ones(images, dtype=int)), 2)
    assert (found[1] == 0).all()  # nothing shows the second expression
    for landmark in range(PLANES):
        rows = differences[:, landmark]
        vector = np.linalg.svd(rows, full_matrices=False)[2][0]
        vector = vector if rows.mean(axis=0) @ vector >= 0 else -vector
        np.testing.assert_allclose(found[0, landmark].numpy(), vector, atol=1e-7)


def test_what_does_not_move_and_what_moves_evenly_have_gradients_of_zero():
    differences = torch.zeros(2, 2, 2, dtype=torch.float64)
    differences[0, 1, 0] = differences[1, 1, 1] = 2.0  # as far along x as along y
    differences.requires_grad_()
    found = tuning_directions(differences, torch.tensor([1, 1]), 1)
    assert found[0, 0].tolist() == [0, 0]
    assert found[0, 1].norm().item() == pytest.approx(1)
    found.sum().backward()
    assert (differences.grad == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_gradients_are_those_of_finite_differences(seed):
    shown, labels, domain, references, _ = simulated(seed, images=3, domains=2)
    shown[1, 0] = np.nan
    data = tensors(shown, labels, domain)

    def loss(references, radius):
        return weighted_loss(*data, references, radius, expressions=UNITS, alpha=6.0)

    start = torch.from_numpy(references + 0.3).requires_grad_()
    radius = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (start, radius))
    random = np.random.default_rng(seed)
    differences, tuning = (
        torch.from_numpy(random.normal(0, 2, (count, PLANES, 2))).requires_grad_()
        for count in (5, UNITS)
    )
    assert torch.autograd.gradcheck(log_probabilities, (differences, tuning, radius))


@some
@given(seeds, st.floats(-5, 50))
def test_probabilities_by_plain_loops_sum_to_one(seed, radius):
    random = np.random.default_rng(seed)
    differences = random.normal(0, 3, (5, PLANES, 2))
    tuning = random.normal(0, 1, (UNITS, PLANES, 2))
    rho = torch.tensor(radius, dtype=torch.float64)
    found = log_probabilities(*tensors(differences, tuning), rho).exp().numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    for row, d in zip(found, differences, strict=True):
        neutral = 1 - 1 / (1 + math.exp(radius - sum(math.hypot(*one) for one in d)))
        powers = [math.exp((d * t).sum()) for t in tuning]
        expected = [neutral, *((1 - neutral) * power / sum(powers) for power in powers)]
        np.testing.assert_allclose(row, expected, atol=1e-9)


def test_extreme_distances_have_finite_logarithms():
    far = torch.full((1, PLANES, 2), 1e4, dtype=torch.float64)
    tuning = torch.ones(UNITS, PLANES, 2, dtype=torch.float64)
    for radius in (0.0, 1e6):
        assert log_probabilities(far, tuning, torch.tensor(radius)).isfinite().all()


def test_the_loss_is_the_weighted_sum_of_logarithms():
    shown, labels, domain, references, _ = simulated(0)
    loss, tuning = loss_of(shown, labels, domain, references, alpha=4.0)
    rho = torch.tensor(1.0, dtype=torch.float64)
    found = log_probabilities(*tensors(shown - references[domain]), tuning, rho).numpy()
    weights = np.where(labels == 0, 4.0, 1.0)
    assert loss.item() == pytest.approx(-(weights * found[np.arange(len(found)), labels]).sum())


@some
@given(seeds, st.tuples(st.floats(-30, 30), st.floats(-30, 30)), st.permutations(range(PLANES)))
def test_the_loss_heeds_neither_place_nor_turn_nor_order(seed, shift, order):
    shown, labels, domain, references, _ = simulated(seed, domains=2, images=3)
    references = references + 0.2
    loss = loss_of(shown, labels, domain, references)[0].item()
    moved = loss_of(shown + shift, labels, domain, references + np.array(shift))[0]
    assert moved.item() == pytest.approx(loss, rel=1e-6)
    relabelled = loss_of(shown[:, order], labels, domain, references[:, order])[0]
    assert relabelled.item() == pytest.approx(loss)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert loss_of(shown @ turn, labels, domain, references @ turn)[0].item() == pytest.approx(loss)
    rows = np.random.default_rng(seed).permutation(len(shown))
    assert loss_of(shown[rows], labels[rows], domain[rows], references)[0].item() == pytest.approx(
        loss
    )


def test_a_missing_landmark_contributes_nothing():
    shown, labels, domain, references, _ = simulated(1)
    hidden = shown.copy()
    hidden[:, 2] = np.nan
    without = np.delete(shown, 2, axis=1)
    expected = loss_of(without, labels, domain, np.delete(references, 2, axis=1))[0]
    assert loss_of(hidden, labels, domain, references)[0].item() == pytest.approx(expected.item())


@pytest.mark.parametrize("seed", range(3))
def test_planted_references_and_directions_are_found_again(seed):
    # The minimum lies off the planted references by as much as the noise lets it, away from where
    # expressions go on average.
    shown, labels, domain, references, directions = simulated(seed, domains=2, noise=0.1)
    start = references + np.random.default_rng(seed).normal(0, 1.0, references.shape)
    descent = Descent(epochs=400, learning_rate=1e-2, milestone=300)
    learned = learn(shown, labels, domain, start, expressions=UNITS, descent=descent)
    before, after = (
        np.linalg.norm(one - references, axis=-1).mean() for one in (start, learned.references)
    )
    assert after < 0.2 * before
    assert (learned.tuning * directions).sum(axis=-1).min() > 0.99
    assert np.linalg.norm(learned.tuning, axis=-1) == pytest.approx(1)
    differences = torch.from_numpy(shown - learned.references[domain])
    rho = torch.tensor(learned.radius, dtype=torch.float64)
    answers = log_probabilities(differences, torch.from_numpy(learned.tuning), rho).argmax(1)
    assert (answers.numpy() == labels).mean() > 0.98


def test_the_published_descent_lowers_the_loss_in_every_epoch():
    shown, labels, domain, references, _ = simulated(5)
    learned = learn(shown, labels, domain, references + 0.5, expressions=UNITS)
    assert len(learned.losses) == 251
    assert (np.diff(learned.losses) < 0).all()
    # From epoch 100 on the steps are a tenth.
    falls = -np.diff(learned.losses)
    assert falls[100] == pytest.approx(falls[99] / 10, rel=0.2)
    again = learn(shown, labels, domain, references + 0.5, expressions=UNITS)
    np.testing.assert_array_equal(again.losses, learned.losses)


def test_one_step_is_against_the_gradient():
    shown, labels, domain, references, _ = simulated(6)
    step = Descent(epochs=1, learning_rate=1e-3, radius=2.0)
    learned = learn(shown, labels, domain, references, expressions=UNITS, descent=step)
    start = torch.from_numpy(references).requires_grad_()
    rho = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    data = tensors(shown, labels, domain)
    weighted_loss(*data, start, rho, expressions=UNITS, alpha=6.0)[0].backward()
    np.testing.assert_allclose(learned.references, references - 1e-3 * start.grad.numpy())
    assert learned.radius == pytest.approx(2.0 - 1e-3 * rho.grad.item())


def test_references_are_carried_to_domains_without_expressions():
    random = np.random.default_rng(0)
    neutral = random.normal(0, 3, (3, PLANES, 2))
    trained = np.array([True, False, False])
    shift = random.normal(0, 1, (PLANES, 2))
    references = neutral.copy()
    references[0] += shift
    np.testing.assert_allclose(transfer(references, neutral, trained), neutral + shift)


def test_what_does_not_fit_is_refused():
    shown, labels, domain, references, _ = simulated(0)
    with pytest.raises(NeuroferError, match=r"labels \(3,\)"):
        learn(shown, labels[:3], domain, references, expressions=UNITS)
    with pytest.raises(NeuroferError, match=r"learning_rate=1e\+300 is too high"):
        learn(
            shown,
            labels,
            domain,
            references,
            expressions=UNITS,
            descent=Descent(learning_rate=1e300),
        )
