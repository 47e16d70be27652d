"""Maximum likelihood for counts: y ~ Poisson(f(x)), identity link, by damped Fisher scoring."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from neurofer.analyses.tuning.batched import in_chunks, products, solve_symmetric
from neurofer.analyses.tuning.models import Model
from neurofer.analyses.tuning.solve import (
    STRONGEST,
    WEAKEST,
    Solution,
    better_of,
    solve,
    unit_length,
)

ROUNDS = 80
TOLERANCE = 1e-12
# Below this part of a unit's greatest mean, the likelihood of a count of 0 would grow without end
# with ever more negative means: there a quadratic penalty takes its place.
FLOOR = 1e-5


class State(NamedTuple):
    """Fits at one vector of parameters (q, batch): slopes (q, levels, batch), and what follows."""

    parameters: torch.Tensor
    jacobian: torch.Tensor
    force: torch.Tensor
    curvature: torch.Tensor
    cost: torch.Tensor


def solve_poisson(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    groups: torch.Tensor | None = None,
) -> Solution:
    """Maximise the likelihood from two starts: least squares, and least squares weighted by 1 / y.

    Args:
        model: to fit.
        x: (levels,) or (levels, dimensions).
        y: (levels, batch) mean count at each level, at least 0.
        w: (levels, 1) or (levels, batch) number of trials.
        groups: (groups, levels) of 0 and 1: which levels share a baseline; None: all.

    Returns:
        The solution, whose cost is minus the log likelihood, up to what depends on y alone.
    """
    near = y.clamp(min=1e-300).maximum(0.05 * y.amax(dim=0))
    starts = [solve(model, x, y, w, groups), solve(model, x, y, w / near, groups)]
    found = [_maximise(model, x, y, w.expand_as(y), start, groups) for start in starts]
    return better_of(*found)


def _maximise(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    start: Solution,
    groups: torch.Tensor | None,
) -> Solution:
    m, batch = len(start.b), y.shape[1]
    shared = y.new_ones((1, len(x))) if groups is None else groups
    base = start.a if groups is None else start.a + start.offset
    base = base.reshape(-1, base.shape[-1]).expand(len(shared), batch)
    # No mean starts below what the likelihood can tell from 0.
    mean = shared.T @ base + _rise(model, x, start.b, start.theta)
    lift = (0.02 * y.amax(dim=0) - mean.amin(dim=0)).clamp(min=0)
    parts = (base + lift, start.b.expand(m, batch), start.theta.expand(-1, batch))
    size = len(x) * (len(shared) + m + len(start.theta))
    found = in_chunks(
        lambda y, w, start: _ascend(model, x, m, y, w, start, shared), size, y, w, torch.cat(parts)
    )
    (parameters, cost), g = found, len(shared)
    own = shared @ w
    a = (own * parameters[:g]).sum(0) / own.sum(0)
    offset = parameters[:g] - a if groups is not None else parameters[:0]
    return Solution(a, parameters[g : g + m], parameters[g + m :], cost[0], offset)


def _ascend(
    model: Model,
    x: torch.Tensor,
    m: int,
    y: torch.Tensor,
    w: torch.Tensor,
    start: torch.Tensor,
    groups: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    linear = len(groups) + m
    bounds = [(-math.inf, math.inf)] * len(groups) + [
        (0 if model.positive else -math.inf, math.inf)
    ] * m
    box = torch.cat([torch.tensor(bounds, dtype=x.dtype), model.box(x)])
    low, high = box[:, :1], box[:, 1:]
    state = _state(model, x, m, y, w, start.clamp(low, high), groups)
    final, active = state.parameters.clone(), torch.arange(y.shape[1])
    cost, damping = state.cost.clone(), torch.full_like(state.cost, 1e-3)
    for _ in range(ROUNDS):
        trial = (state.parameters + _step(state, low, high, damping)).clamp(low, high)
        trial = torch.cat([trial[:linear], unit_length(model, trial[linear:])])
        new = _state(model, x, m, y, w, trial, groups)
        better = new.cost < state.cost
        done = better & (state.cost - new.cost <= TOLERANCE * (w * y).sum(0))
        state = State(*(torch.where(better, p, q) for p, q in zip(new, state, strict=True)))
        damping = torch.where(better, damping / 8, damping * 6).clamp(min=WEAKEST)
        done |= damping > STRONGEST
        final[:, active], cost[active] = state.parameters, state.cost
        keep = (~done).nonzero()[:, 0]
        if len(keep) == 0:
            break
        active, damping, y, w = active[keep], damping[keep], y[:, keep], w[:, keep]
        state = State(*(part[..., keep] for part in state))
    return final, cost[None]


def _state(
    model: Model,
    x: torch.Tensor,
    m: int,
    y: torch.Tensor,
    w: torch.Tensor,
    v: torch.Tensor,
    groups: torch.Tensor,
) -> State:
    g = len(groups)
    b, theta = v[g : g + m], v[g + m :]
    phi, slope = model.columns(x, theta)
    mean = groups.T @ v[:g] + (b[:, None] * phi).sum(0)
    jacobian = torch.cat(
        [
            groups[:, :, None].expand(-1, -1, mean.shape[1]),
            phi.expand(-1, *mean.shape),
            (b[:, None, None] * slope).sum(0).expand(-1, *mean.shape),
        ]
    )
    floor = FLOOR * y.amax(dim=0)
    safe, under = mean.maximum(floor), (mean - floor).clamp(max=0)
    penalty = y / floor**2 + 1 / floor
    loss = safe - y * safe.log() + (1 - y / safe) * under + penalty / 2 * under**2
    force = -w * (1 - y / safe + penalty * under)
    curvature = w * torch.where(under < 0, penalty, 1 / safe)
    return State(v, jacobian, force, curvature, (w * loss).sum(0))


def _step(
    state: State, low: torch.Tensor, high: torch.Tensor, damping: torch.Tensor
) -> torch.Tensor:
    downhill = (state.jacobian * state.force).sum(1)
    stuck = (state.parameters <= low) & (downhill < 0)
    stuck |= (state.parameters >= high) & (downhill > 0)
    jacobian = torch.where(stuck[:, None], 0.0, state.jacobian)
    normal = products(state.curvature * jacobian, jacobian)
    diagonal = normal.diagonal().T
    ridge = damping * diagonal + 1e-300
    normal = normal + torch.diag_embed(ridge.T).movedim(0, -1)
    return solve_symmetric(normal, torch.where(stuck, 0.0, downhill))


def _rise(model: Model, x: torch.Tensor, b: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    return (b[:, None] * model.columns(x, theta)[0]).sum(0)
