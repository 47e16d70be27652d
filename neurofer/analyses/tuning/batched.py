"""Linear algebra of many small systems at once: the batch is the last axis of every array."""

from __future__ import annotations

from collections.abc import Callable

import torch

# A coefficient is not determined where the others leave less than this part of its column.
SINGULAR = 1e-13
SMALL_SYSTEM = 6
CHUNK = 1_000_000


def baselines(values: torch.Tensor, w: torch.Tensor, groups: torch.Tensor | None) -> torch.Tensor:
    """Return (..., groups, batch) means over the levels of each group; no rows without groups.

    Args:
        values: (..., levels, batch).
        w: (levels, batch) or (levels, 1) weights.
        groups: (groups, levels), or None.
    """
    if groups is None:
        return values.new_zeros((*values.shape[:-2], 0, values.shape[-1]))
    return groups @ (w * values) / (groups @ w).clamp(min=1e-300)


def less_baseline(
    values: torch.Tensor, w: torch.Tensor, groups: torch.Tensor | None
) -> torch.Tensor:
    """Return (..., levels, batch) values less their mean over levels, or over those of a group.

    Args:
        values: (..., levels, batch).
        w: (levels, batch) or (levels, 1) weights.
        groups: (groups, levels), or None.
    """
    if groups is None:
        return values - weighted_mean(values, w, axis=-2).unsqueeze(-2)
    return values - groups.T @ baselines(values, w, groups)


def weighted_mean(values: torch.Tensor, w: torch.Tensor, axis: int = 0) -> torch.Tensor:
    """Return the mean over levels.

    Args:
        values: (levels, ...).
        w: weights, of a shape that multiplies them.
        axis: of the levels.
    """
    return (w * values).sum(axis) / w.sum(0)


def in_chunks(
    function: Callable[..., tuple[torch.Tensor, ...]], size: int, *arrays: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Call a function, which holds `size` numbers per fit, on parts of the batch, and join.

    Args:
        function: takes parts of the arrays.
        size: numbers that it holds for each fit of a batch.
        arrays: (..., batch) or (..., 1) each.
    """
    step = max(1, CHUNK // size)
    n = max(array.shape[-1] for array in arrays)
    if n <= step:
        return function(*arrays)
    parts = [
        function(*(a if a.shape[-1] == 1 else a[..., i : i + step] for a in arrays))
        for i in range(0, n, step)
    ]
    return tuple(torch.cat(part, dim=-1) for part in zip(*parts, strict=True))


def products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return (m, p, batch) inner products over levels of (m, levels, batch), (p, levels, batch)."""
    rows = [torch.stack([(f * s).sum(0) for s in second]) for f in first]
    if rows and len(second):
        return torch.stack(rows)
    batch = max(first.shape[-1], second.shape[-1])
    return first.new_zeros((len(first), len(second), batch))


def solve_symmetric(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solve (m, m, batch) positive systems; what is not determined is 0.

    A Cholesky decomposition written out over the batch: for a few unknowns it is many times
    faster than one call of LAPACK a unit.
    """
    m = len(right)
    if m > SMALL_SYSTEM:
        scale = matrix.diagonal().mean(dim=-1).clamp(min=1e-300)
        regular = matrix.movedim(-1, 0) + torch.eye(m) * (1e-12 * scale)[:, None, None]
        batch = max(len(regular), right.shape[-1])
        regular = regular.expand(batch, m, m) if right.shape[-1] > 1 else regular
        return torch.linalg.solve(regular, right.T[:, :, None])[:, :, 0].T
    lower: list[list[torch.Tensor]] = []
    inverse: list[torch.Tensor] = []
    for i in range(m):
        row: list[torch.Tensor] = []
        for j in range(i):
            rest = matrix[i, j] - sum(row[k] * lower[j][k] for k in range(j))
            row.append(rest * inverse[j])
        pivot = matrix[i, i] - sum(value**2 for value in row)
        sound = pivot > SINGULAR * matrix[i, i]
        inverse.append(torch.where(sound, pivot, 1.0).rsqrt() * sound)
        lower.append(row)
    forward: list[torch.Tensor] = []
    for i in range(m):
        rest = right[i] - sum(lower[i][k] * forward[k] for k in range(i))
        forward.append(rest * inverse[i])
    solution: list[torch.Tensor] = [torch.empty(0)] * m
    for i in reversed(range(m)):
        rest = forward[i] - sum(lower[k][i] * solution[k] for k in range(i + 1, m))
        solution[i] = rest * inverse[i]
    return torch.stack(solution) if m else right
