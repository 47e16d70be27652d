"""Batched non-linear least squares: variable projection with a Levenberg-Marquardt step.

Given theta, the best a and b have a closed form, so that only theta is searched (Golub & Pereyra
2003, Inverse Problems 19:R1; the Jacobian is Kaufman's). As all units are shown the same stimuli,
every point of a fine grid is tried on all units by one matrix product; the best two basins of
each unit are then refined inside the bounds. The batch is the last axis of every array.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from neurofer.analyses.tuning.batched import (
    baselines,
    in_chunks,
    less_baseline,
    products,
    solve_symmetric,
    weighted_mean,
)
from neurofer.analyses.tuning.models import Model

STARTS = 2
ROUNDS = 60
# Converged: a step improves the cost by less than this part, or no damping finds an improvement.
TOLERANCE = 1e-9
WEAKEST, STRONGEST = 1e-9, 1e6
# A residual of less than this part of the variance is rounding.
ROUNDING = 1e-26


class Solution(NamedTuple):
    """Parameters and weighted sum of squares: a, cost (batch,), b (m, batch), theta (p, batch).

    `offset` (groups, batch) is by how much each group's baseline exceeds a, the mean baseline;
    without groups it has no rows.
    """

    a: torch.Tensor
    b: torch.Tensor
    theta: torch.Tensor
    cost: torch.Tensor
    offset: torch.Tensor


class State(NamedTuple):
    """Fits at one theta (p, batch): columns, centred (m, levels, batch), and what follows."""

    theta: torch.Tensor
    centred: torch.Tensor
    slope: torch.Tensor
    gram: torch.Tensor
    b: torch.Tensor
    residual: torch.Tensor
    cost: torch.Tensor


def solve(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    groups: torch.Tensor | None = None,
) -> Solution:
    """Fit a model to every column by least squares.

    Args:
        model: to fit.
        x: (levels,) or (levels, dimensions).
        y: (levels, batch) mean response at each level.
        w: (levels, 1) or (levels, batch) weight of each level: its number of presentations.
        groups: (groups, levels) of 0 and 1: which levels share a baseline; None: all.
    """
    found = _solve(model, x, y, w, groups)
    for arm in model.arms:
        found = better_of(found, _embed(model, arm, _solve(arm, x, y, w, groups)))
    return found


def refine(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    theta: torch.Tensor,
    groups: torch.Tensor | None = None,
) -> Solution:
    """Refine fits from theta (p, batch) by damped Gauss-Newton steps inside the bounds.

    Args:
        model: to fit.
        x: (levels,) or (levels, dimensions).
        y: (levels, batch) means.
        w: (levels, batch) or (levels, 1) weights.
        theta: (p, batch) to start from.
        groups: (groups, levels) which levels share a baseline; None: all do.
    """
    if len(theta):

        def descend(*parts: torch.Tensor) -> tuple[torch.Tensor]:
            y, w, theta = parts
            return (_descend(model, x, y, w, theta, groups),)

        theta = in_chunks(descend, len(x) * len(theta), y, w, theta)[0]
    return evaluate(model, x, y, w, theta, groups)


def evaluate(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    theta: torch.Tensor,
    groups: torch.Tensor | None = None,
) -> Solution:
    """Return the best a and b at theta; b is 0 where the model allows no b of its sign.

    Args:
        model: to fit.
        x: as for `refine`, here and below.
        y: (levels, batch) means.
        w: weights.
        theta: (p, batch).
        groups: (groups, levels), or None.
    """
    yc = less_baseline(y, w, groups)
    state = _state(model, x, yc, w, theta, groups)
    refused = _refused(model, state.b)
    b = torch.where(refused, 0.0, state.b)
    rest = y - (b[:, None] * model.columns(x, theta)[0]).sum(0)
    a = weighted_mean(rest, w)
    offset = baselines(rest, w, groups) - a
    flat = (w * yc**2).sum(0)
    return Solution(a, b, theta, torch.where(refused, flat, state.cost), offset)


def _solve(
    model: Model, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, groups: torch.Tensor | None
) -> Solution:
    if not len(model.box(x)):
        return evaluate(model, x, y, w, x.new_zeros((0, 1)), groups)
    shared = w if w.shape[1] == 1 else w.mean(dim=1, keepdim=True)
    yc = less_baseline(y, shared, groups)
    unit, theta = _starts(model, x, yc, shared, groups)
    rows = w if w.shape[1] == 1 else w[:, unit]
    refined = refine(model, x, y[:, unit], rows, theta, groups)
    cost = torch.full((y.shape[1],), torch.inf, dtype=y.dtype)
    cost = cost.scatter_reduce(0, unit, refined.cost, "amin")
    winner = (refined.cost == cost[unit]).nonzero()[:, 0]
    chosen = torch.empty(y.shape[1], dtype=torch.long)
    chosen[unit[winner]] = winner
    return Solution(*(part[..., chosen] for part in refined))


def _starts(
    model: Model, x: torch.Tensor, yc: torch.Tensor, w: torch.Tensor, groups: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (starts,) units and (p, starts) theta: the best basins of every unit on the grid."""
    grid = model.grid(x)
    p, blocks, block = grid.shape
    phi = model.columns(x, grid.reshape(p, -1))[0]
    best, place = in_chunks(
        lambda part: _best_of_blocks(model, phi, part, w, blocks, groups), blocks * block, yc
    )
    if not model.features:
        edge = best.new_full((1, best.shape[1]), -torch.inf)
        around = torch.maximum(torch.cat([edge, best[:-1]]), torch.cat([best[1:], edge]))
        best = torch.where(best >= around, best, -torch.inf)
    gain, order = best.topk(min(STARTS, blocks), dim=0)
    chosen = order * block + place.gather(0, order)
    kept = gain > -torch.inf
    kept[0] = True
    rank, unit = kept.nonzero(as_tuple=True)
    theta = grid.reshape(p, -1)[:, chosen[rank, unit]]
    if model.features:
        unit, theta = _with_ramps(model, x, yc, w, unit, theta, groups)
    return unit, theta


def _with_ramps(
    model: Model,
    x: torch.Tensor,
    yc: torch.Tensor,
    w: torch.Tensor,
    unit: torch.Tensor,
    theta: torch.Tensor,
    groups: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add a start in the direction of each unit's least-squares ramp and, for b < 0, against it."""
    root = w.sqrt()
    ramp = torch.linalg.pinv(root * less_baseline(x, w, groups)) @ (root * yc)
    length, everyone = ramp.norm(dim=0), torch.arange(yc.shape[1])
    size = x.norm(dim=1).max()
    ramp = ramp * size / torch.where(length > 0, length, 1.0)
    usable = length > 0
    for sign in (1.0,) if model.positive else (1.0, -1.0):
        own = torch.cat([sign * ramp, theta.new_zeros((1, len(everyone)))])
        unit = torch.cat([unit, everyone[usable]])
        theta = torch.cat([theta, own[:, usable]], dim=1)
    return unit, theta


def _best_of_blocks(
    model: Model,
    phi: torch.Tensor,
    yc: torch.Tensor,
    w: torch.Tensor,
    blocks: int,
    groups: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (blocks, batch) the best explained variance of each block, and its place."""
    root = w.sqrt()
    centred = root * less_baseline(phi, w, groups)
    first = centred[0] / centred[0].norm(dim=0).clamp(min=1e-300)
    along = first.T @ (root * yc)
    explained = along**2
    refused = along < 0
    if len(centred) == 2:
        overlap = (first * centred[1]).sum(0)
        rest = centred[1] - overlap * first
        second = rest / rest.norm(dim=0).clamp(min=1e-300)
        across = second.T @ (root * yc)
        explained = explained + across**2
        b = across / rest.norm(dim=0).clamp(min=1e-300)[:, None]
        refused = (b < 0) | (along - overlap[:, None] * b < 0)
    if model.positive:
        explained = torch.where(refused, -1.0, explained)
    return tuple(explained.reshape(blocks, -1, yc.shape[1]).max(dim=1))  # type: ignore[return-value]


def _descend(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    theta: torch.Tensor,
    groups: torch.Tensor | None,
) -> torch.Tensor:
    """Return theta after Levenberg-Marquardt steps; fits that have converged leave the batch."""
    box = model.box(x)
    low, high = box[:, :1], box[:, 1:]
    yc = less_baseline(y, w, groups)
    rounding = ROUNDING * (w * yc**2).sum(0)
    state = _state(model, x, yc, w, theta.clamp(low, high), groups)
    final, active = state.theta.clone(), torch.arange(y.shape[1])
    damping = torch.full_like(rounding, 1e-3)
    for _ in range(ROUNDS):
        trial = (state.theta + _step(state, w, low, high, damping, groups)).clamp(low, high)
        new = _state(model, x, yc, w, unit_length(model, trial), groups)
        better = (new.cost < state.cost) & ~_refused(model, new.b)
        done = better & (state.cost - new.cost <= TOLERANCE * new.cost)
        state = State(*(torch.where(better, p, q) for p, q in zip(new, state, strict=True)))
        damping = torch.where(better, damping / 8, damping * 6).clamp(min=WEAKEST)
        done |= (damping > STRONGEST) | (state.cost <= rounding)
        final[:, active] = state.theta
        keep = (~done).nonzero()[:, 0]
        if len(keep) == 0:
            break
        if len(keep) < 0.8 * len(active):
            active, damping, rounding = active[keep], damping[keep], rounding[keep]
            yc, w = yc[:, keep], w if w.shape[1] == 1 else w[:, keep]
            state = State(*(part[..., keep] for part in state))
    return final


def _state(
    model: Model,
    x: torch.Tensor,
    yc: torch.Tensor,
    w: torch.Tensor,
    theta: torch.Tensor,
    groups: torch.Tensor | None,
) -> State:
    phi, slope = model.columns(x, theta)
    centred = less_baseline(phi, w, groups)
    weighted = w * centred
    gram = products(weighted, centred)
    b = solve_symmetric(gram, (weighted * yc).sum(1))
    residual = yc - (b[:, None] * centred).sum(0)
    return State(theta, centred, slope, gram, b, residual, (w * residual**2).sum(0))


def _step(
    state: State,
    w: torch.Tensor,
    low: torch.Tensor,
    high: torch.Tensor,
    damping: torch.Tensor,
    groups: torch.Tensor | None,
) -> torch.Tensor:
    """Return the damped step of theta; what lies on a bound and would leave it stays."""
    jacobian = (state.b[:, None, None] * state.slope).sum(0)
    jacobian = less_baseline(jacobian, w, groups)
    inner = products(state.centred, w * jacobian)
    shadow = torch.stack([solve_symmetric(state.gram, column) for column in inner.unbind(1)])
    jacobian = jacobian - (shadow[:, :, None] * state.centred).sum(1)
    downhill = (w * jacobian * state.residual).sum(1)
    stuck = (state.theta <= low) & (downhill < 0) | (state.theta >= high) & (downhill > 0)
    jacobian = torch.where(stuck[:, None], 0.0, jacobian)
    normal = products(w * jacobian, jacobian)
    diagonal = normal.diagonal().T
    ridge = damping * diagonal + 1e-12 * diagonal.sum(0) + 1e-300
    normal = normal + torch.diag_embed(ridge.T).movedim(0, -1)
    return solve_symmetric(normal, torch.where(stuck, 0.0, downhill))


def _refused(model: Model, b: torch.Tensor) -> torch.Tensor:
    if not model.positive:
        return torch.zeros(b.shape[-1], dtype=torch.bool)
    return (b < 0).any(dim=0)


def unit_length(model: Model, theta: torch.Tensor) -> torch.Tensor:
    """Keep the length of a direction, which means nothing, at 1."""
    if model.name != "norm-direction":
        return theta
    return torch.cat([theta[:-1] / theta[:-1].norm(dim=0), theta[-1:]])


def _embed(model: Model, arm: Model, found: Solution) -> Solution:
    """Return an arm's solution as one of the whole model, its other b at 0."""
    b = found.b.new_zeros((len(model.linear), found.b.shape[1]))
    b[[model.linear.index(name) for name in arm.linear]] = found.b
    return found._replace(b=b)


def better_of(first: Solution, second: Solution) -> Solution:
    """Return, fit by fit, the solution of the lower cost."""
    closer = second.cost < first.cost
    return Solution(*(torch.where(closer, q, p) for p, q in zip(first, second, strict=True)))
