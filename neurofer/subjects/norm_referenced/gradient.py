"""Norm-referenced encoding whose references and neutral radius are learned by gradient descent.

After the public code of Stettler et al. (BVS, "NRE_optimization", 2023). With d_l = s_l - r_l, how
far landmark l of an image lies from the reference of its domain (its head),

    p(neutral) = 1 - sigmoid(sum_l |d_l| - rho),
    p(m) = (1 - p(neutral)) softmax_m(sum_l d_l . t_{l,m}),

where t_{l,m} is the direction along which landmark l moves in the images of expression m. The
references r and the radius rho are learned from the cross-entropy; t follows from r at every step,
and the gradient runs through it.

Landmarks that are missing (NaN) contribute nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from neurofer.errors import NeuroferError

NEUTRAL = 0  # the label of neutral; expression m has the label 1 + m


@dataclass(frozen=True)
class Descent:
    """How the references and the radius are learned: plain gradient descent on the whole batch.

    Attributes:
        epochs: how many steps.
        learning_rate: 1e-4 as published; 1e-3 where references are carried to other domains.
        milestone: the epoch from which the rate is a tenth.
        alpha: the weight of a neutral image; an expressive one has 1.
        radius: rho before the first step.
    """

    epochs: int = 250
    learning_rate: float = 1e-4
    milestone: int = 100
    alpha: float = 6.0
    radius: float = 1.0


@dataclass(frozen=True)
class Learned:
    """What was learned.

    Attributes:
        references: r (domains, l, 2).
        radius: rho.
        tuning: t (m, l, 2), of unit length.
        losses: (epochs + 1,) before each step and after the last.
    """

    references: np.ndarray
    radius: float
    tuning: np.ndarray
    losses: np.ndarray


def tuning_directions(
    differences: torch.Tensor, labels: torch.Tensor, expressions: int
) -> torch.Tensor:
    """Return t (expressions, l, 2): the first right-singular vector of a class's differences.

    It points to the side of their mean. It is computed from the angle of the longer axis of the
    2 x 2 Gram matrix, whose gradient exists for a single image too. A landmark that never moves
    has the zero vector.

    Args:
        differences: d (n, l, 2).
        labels: (n,) of integers, `NEUTRAL` or 1 + m.
        expressions: how many; one without an image has zero vectors.
    """
    shows = functional.one_hot(labels, 1 + expressions)[:, 1:].to(differences.dtype)
    gram = torch.einsum("nm,nli,nlj->mlij", shows, differences, differences)
    along, across = gram[..., 0, 0] - gram[..., 1, 1], 2.0 * gram[..., 0, 1]
    # Equal axes have no longer one, and the gradient of atan2 at (0, 0) would not be a number.
    even = (along == 0) & (across == 0)
    along, across = along.masked_fill(even, 1.0), across.masked_fill(even, 0.0)
    angle = torch.atan2(across, along) / 2.0
    axis = torch.stack([angle.cos(), angle.sin()], dim=-1)
    towards = (torch.einsum("nm,nli->mli", shows, differences.detach()) * axis.detach()).sum(-1)
    moves = torch.einsum("mlii->ml", gram.detach()) > 0
    sign = torch.where(towards < 0, -1.0, 1.0) * moves
    return axis * sign.to(axis.dtype)[..., None]


def log_probabilities(
    differences: torch.Tensor, tuning: torch.Tensor, radius: torch.Tensor
) -> torch.Tensor:
    """Return log p of neutral and of each expression, (n, 1 + m).

    Args:
        differences: d (n, l, 2), in cells of the feature map, as the published radius is.
        tuning: t (m, l, 2).
        radius: rho, a scalar.
    """
    beyond = torch.linalg.vector_norm(differences, dim=-1).sum(dim=-1, keepdim=True) - radius
    projections = torch.einsum("nli,mli->nm", differences, tuning)
    expressive = functional.logsigmoid(beyond) + projections.log_softmax(dim=-1)
    return torch.cat([functional.logsigmoid(-beyond), expressive], dim=-1)


def weighted_loss(
    landmarks: torch.Tensor,
    labels: torch.Tensor,
    domains: torch.Tensor,
    references: torch.Tensor,
    radius: torch.Tensor,
    *,
    expressions: int,
    alpha: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross-entropy, summed over images, and the tuning vectors that it was taken with.

    Args:
        landmarks: s (n, l, 2); NaN where one is missing.
        labels: (n,) of integers, `NEUTRAL` or 1 + m.
        domains: (n,) of integers, the row of each image's reference.
        references: r (domains, l, 2).
        radius: rho, a scalar.
        expressions: how many.
        alpha: the weight of a neutral image.
    """
    seen = ~landmarks.isnan().any(dim=-1, keepdim=True)
    there = torch.where(seen, landmarks, torch.zeros_like(landmarks))
    differences = (there - references[domains]) * seen
    tuning = tuning_directions(differences, labels, expressions)
    found = log_probabilities(differences, tuning, radius)
    weights = torch.where(labels == NEUTRAL, alpha, 1.0).to(found.dtype)
    return -(weights * found.gather(1, labels[:, None])[:, 0]).sum(), tuning


def learn(
    landmarks: np.ndarray,
    labels: np.ndarray,
    domains: np.ndarray,
    initial: np.ndarray,
    *,
    expressions: int,
    descent: Descent | None = None,
) -> Learned:
    """Learn the references, the radius and the tuning vectors by gradient descent.

    Args:
        landmarks: s (n, l, 2) in cells; NaN where one is missing.
        labels: (n,) of integers, 0 for neutral and 1 + m for expression m.
        domains: (n,) of integers, the row of each image's reference.
        initial: (domains, l, 2), the references before the first step, such as mean neutrals.
        expressions: how many.
        descent: how; by default as published.

    Raises:
        NeuroferError: shapes that do not fit, or the loss is no longer a number.
    """
    settings = descent or Descent()
    if (
        not len(landmarks) == len(labels) == len(domains)
        or landmarks.shape[1:] != initial.shape[1:]
    ):
        raise NeuroferError(
            f"landmarks {landmarks.shape}, labels {labels.shape}, domains {domains.shape} and "
            f"initial {initial.shape} must be (n, l, 2), (n,), (n,) and (domains, l, 2)"
        )
    seen = torch.from_numpy(np.asarray(landmarks, dtype=np.float64))
    label, domain = (
        torch.from_numpy(np.asarray(rows, dtype=np.int64)) for rows in (labels, domains)
    )
    references = torch.tensor(initial, dtype=torch.float64, requires_grad=True)
    radius = torch.tensor(settings.radius, dtype=torch.float64, requires_grad=True)
    losses = []
    for epoch in range(settings.epochs + 1):
        loss, tuning = weighted_loss(
            seen,
            label,
            domain,
            references,
            radius,
            expressions=expressions,
            alpha=settings.alpha,
        )
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise NeuroferError(
                f"the loss is {losses[-1]} in epoch {epoch}; learning_rate="
                f"{settings.learning_rate} is too high for these landmarks"
            )
        if epoch < settings.epochs:
            rate = settings.learning_rate * (0.1 if epoch >= settings.milestone else 1.0)
            slopes = torch.autograd.grad(loss, (references, radius))
            with torch.no_grad():
                references -= rate * slopes[0]
                radius -= rate * slopes[1]
    return Learned(
        references.detach().numpy(), radius.item(), tuning.detach().numpy(), np.array(losses)
    )


def transfer(references: np.ndarray, neutral: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Carry what was learned of references to domains that were not trained on, (domains, l, 2).

    An untrained domain's reference is its mean neutral, moved as the trained domains' references
    lie, on average, from their mean neutrals.

    Args:
        references: r (domains, l, 2); those of untrained domains are not looked at.
        neutral: (domains, l, 2), the mean neutral of each domain.
        trained: (domains,) bool, at least one.
    """
    moved = (references[trained] - neutral[trained]).mean(axis=0)
    return np.where(trained[:, None, None], references, neutral + moved)
