from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.networks.ciao import NEGATIVES, ShuntingInhibition, attach, contrastive_loss


def test_the_mask_is_that_of_eq_1() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, 3, padding=1)
    layer = ShuntingInhibition(convolution)
    x = torch.randn(2, 3, 5, 5)
    u = convolution(x).clamp(min=0)
    torch.testing.assert_close(layer(x), u / (0.5 + u))  # the twin starts as a copy
    with torch.no_grad():
        layer.inhibitory.weight.normal_()
        layer.raw_integration.normal_()
    inhibition = layer.inhibitory(x).clamp(min=0)
    a = torch.log1p(torch.exp(layer.raw_integration)).view(-1, 1, 1)
    torch.testing.assert_close(layer(x), u / (a + inhibition))


def test_the_integration_term_stays_positive_whatever_is_learned() -> None:
    layer = ShuntingInhibition(nn.Conv2d(1, 2, 1))
    optimiser = torch.optim.SGD([layer.raw_integration], lr=1.0)
    for _ in range(50):
        optimiser.zero_grad()
        layer.integration.sum().backward()  # pushes the term down
        optimiser.step()
    assert (layer.integration > 0).all()
    assert (layer.integration < 0.1).all()


def test_ciao_adds_one_convolution_and_one_term_a_channel() -> None:
    encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU())
    before = copy.deepcopy(encoder)
    layer = attach(encoder)
    added = sum(p.numel() for p in encoder.parameters()) - sum(
        p.numel() for p in before.parameters()
    )
    assert added == (8 * 6 * 9 + 6) + 6
    assert [p.requires_grad for p in layer.excitatory.parameters()] == [False, False]
    assert all(p.requires_grad for p in layer.inhibitory.parameters())
    x = torch.randn(2, 3, 8, 8)
    u = before(x)
    torch.testing.assert_close(encoder(x), u / (0.5 + u))
    with pytest.raises(NeuroferError, match="attached to this Sequential already"):
        attach(encoder)
    with pytest.raises(NeuroferError, match="has no Conv2d"):
        attach(nn.Sequential(nn.Linear(2, 2)))


def by_loops(z: np.ndarray, y: np.ndarray, t: float, kind: str) -> float:
    """Eqs. 2 to 4 for every image and pair, as they are written."""
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n, total = len(y), 0.0
    for i in range(n):
        partners = [j for j in range(n) if j != i and y[j] == y[i]]
        others = [k for k in range(n) if y[k] != y[i]]
        if not partners or (kind != "all" and not others):
            continue
        terms = []
        for j in partners:
            c_ij = np.exp(z[i] @ z[j] / t)
            if kind == "literal":
                terms.append(np.mean([np.log(c_ij / np.exp(z[i] @ z[k] / t)) for k in others]))
            else:
                against = others if kind == "other" else [a for a in range(n) if a != i]
                terms.append(np.log(c_ij / sum(np.exp(z[i] @ z[k] / t) for k in against)))
        total -= sum(terms) / (n - 1 if kind == "literal" else len(partners))
    return total


@pytest.mark.parametrize("kind", ["other", "all", "literal"])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 2, 2], [0, 1, 2, 3, 4, 5]])
def test_the_loss_equals_its_loops(kind: str, labels: list[int]) -> None:
    z = np.random.default_rng(1).normal(size=(6, 4))
    found = contrastive_loss(torch.tensor(z), labels, temperature=0.3, negatives=kind)
    assert float(found) == pytest.approx(by_loops(z, np.array(labels), 0.3, kind), abs=1e-10)


@pytest.mark.parametrize("kind", ["other", "literal"])
def test_a_batch_of_one_label_has_no_loss_and_no_gradient(kind: str) -> None:
    z = torch.randn(4, 3, requires_grad=True)
    loss = contrastive_loss(z, [1, 1, 1, 1], negatives=kind)
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None
    assert (z.grad == 0).all()


def test_wrong_arguments_are_named() -> None:
    z = torch.randn(4, 3)
    with pytest.raises(NeuroferError, match=r"negatives='others'.*did you mean 'other'"):
        contrastive_loss(z, [0, 0, 1, 1], negatives="others")
    with pytest.raises(NeuroferError, match="temperature=0"):
        contrastive_loss(z, [0, 0, 1, 1], temperature=0)
    with pytest.raises(NeuroferError, match=r"labels have shape \(3,\)"):
        contrastive_loss(z, [0, 0, 1])


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("labels", [[0], [0, 0], [0, 1], [0, 0, 0, 1], [2, 2, 2]])
def test_small_batches_have_a_finite_loss_and_gradient(negatives: str, labels: list[int]) -> None:
    """Nobody to compare with adds nothing, be it a partner or another."""
    torch.manual_seed(0)
    features = torch.randn(len(labels), 5, requires_grad=True)
    loss = contrastive_loss(features, labels, negatives=negatives)
    loss.backward()
    assert torch.isfinite(loss)
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    if len(set(labels)) == len(labels):
        assert loss == 0
