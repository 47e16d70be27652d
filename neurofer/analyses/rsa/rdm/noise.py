"""The noise covariance of many units from few residuals, shrunk, and never as a matrix of units.

A shrunk covariance is D + b R'R, with a diagonal D and the residuals R (Ledoit & Wolf 2004, J.
Multivar. Anal. 88:365, towards the identity; Schaefer & Strimmer 2005, Stat. Appl. Genet. Mol.
Biol. 4:32, towards the diagonal). By Woodbury's identity its inverse needs a matrix of residuals
by residuals only: 25,000 units, whose covariance would take 5 GB, take as much as their activity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from neurofer.analyses.gram import blocks
from neurofer.analyses.inputs import listed
from neurofer.analyses.patterns import Noisy, Residuals
from neurofer.analyses.rsa.rdm.compare import ROUNDING
from neurofer.errors import NeuroferError, unknown_choice

SHRINKAGES = {
    "diagonal": "towards the variances of the units (rsatoolbox's shrinkage_diag)",
    "identity": "towards one variance for all units (Ledoit & Wolf, rsatoolbox's shrinkage_eye)",
}
# Units whose covariance, as a matrix, takes 3.2 GB.
MOST_UNITS = 20_000


@dataclass(frozen=True)
class Noise:
    """The inverse of a noise covariance: 1/D - (R/D)' core (R/D).

    Attributes:
        variance: (units,) the diagonal D.
        residuals: (n, units) R, before its mean is subtracted.
        mean: (units,) of the residuals.
        core: (n, n).
        shrinkage: how much of the covariance is the target, from 0 to 1.
    """

    variance: np.ndarray
    residuals: Noisy
    mean: np.ndarray
    core: np.ndarray
    shrinkage: float

    def precision(self) -> np.ndarray:
        """Return the (units, units) inverse covariance, as rsatoolbox takes it.

        Raises:
            NeuroferError: there are more than `MOST_UNITS` units.
        """
        units = len(self.variance)
        if units > MOST_UNITS:
            raise NeuroferError(
                f"the inverse covariance of {units:,} units takes {units**2 * 8 / 2**30:,.0f} GiB "
                f"as a matrix, and at most {MOST_UNITS:,} units are allowed: take fewer units, or "
                "give this noise to dissimilarities and crossnobis, which need no such matrix"
            )
        scaled = self.scaled_residuals(slice(None))
        return np.diag(1 / self.variance) - scaled.T @ self.core @ scaled

    def scaled_residuals(self, columns: slice) -> np.ndarray:
        """Return (n, columns) centred residuals over D, in float64."""
        centred = self.residuals[:, columns].astype(np.float64) - self.mean[columns]
        return centred / self.variance[columns]


def shrunk_noise(
    residuals: Noisy,
    shrinkage: str = "diagonal",
    *,
    freedom: int | None = None,
    names: Sequence[str] | None = None,
) -> Noise:
    """Return the noise of units from (n, units) residuals.

    Args:
        residuals: of presentations from the mean of their condition, an array or `Residuals`.
        shrinkage: one of `SHRINKAGES`.
        freedom: degrees of freedom, n less the number of conditions; None: n - 1.
        names: (units,) for messages.

    Raises:
        NeuroferError: there are fewer than two residuals or degrees of freedom, or one is not
            finite, a unit does not vary, or nothing is shrunk and the covariance has no inverse.
    """
    if shrinkage not in SHRINKAGES:
        raise unknown_choice("shrinkage", shrinkage, SHRINKAGES)
    if not isinstance(residuals, Residuals):
        residuals = np.asarray(residuals)
    n, units = residuals.shape
    freedom = n - 1 if freedom is None else freedom
    if n < 2 or freedom < 1:
        raise NeuroferError(
            f"{n} residuals with {freedom} degrees of freedom give no noise: conditions must be "
            "presented more than once"
        )
    mean, squares, fourth, gram = _moments(residuals, shrinkage == "diagonal", freedom, names)
    variance = squares / freedom
    row = np.diag(gram)
    if shrinkage == "identity":
        of_s = (gram**2).sum() / n**2
        average = row.sum() / n / units
        spread = of_s - units * average**2
        part = min(spread, ((row**2).mean() - of_s) / n) / spread if spread > 0 else 1.0
        variance = np.full(units, part * average * n / freedom)
    else:
        square = (gram**2).sum() / (n - 1) ** 2 - units * (freedom / (n - 1)) ** 2
        error = ((row**2).sum() - fourth) / (n - 1) - square
        part = float(np.clip(n / freedom**2 * error / square, 0, 1)) if square > 0 else 1.0
        variance = part * variance
    if part <= 0:
        raise NeuroferError(
            "the shrinkage came out as 0, so that the covariance may have no inverse: use "
            f"shrinkage={'identity' if shrinkage == 'diagonal' else 'diagonal'!r} or other units"
        )
    rest = (1 - part) / freedom
    core = np.zeros((n, n))
    if rest > 0:
        # `gram` is of R for the identity and of R / std for the diagonal; both are R D^-1 R'.
        scaled = gram / (variance[0] if shrinkage == "identity" else part)
        core = np.linalg.inv(np.eye(n) / rest + scaled)
    return Noise(variance, residuals, mean, core, float(part))


def gram(
    parts: Iterable[tuple[slice, list[tuple[np.ndarray, np.ndarray]]]], noise: Noise | None
) -> np.ndarray:
    """Return the sum over pairs of left (n, units) times inverse noise times right (n, units)'.

    Args:
        parts: blocks of units: their columns, and (left, right) of every pair in float64.
        noise: of the units; None: the identity.
    """
    total: np.ndarray | float = 0.0
    sides: list[list[np.ndarray]] = []
    for columns, pairs in parts:
        for k, (left, right) in enumerate(pairs):
            if noise is None:
                # numpy does half the work where both sides are the same array.
                total = total + left @ right.T
                continue
            total = total + (left / noise.variance[columns]) @ right.T
            scaled = noise.scaled_residuals(columns)
            found = [left @ scaled.T, right @ scaled.T]
            if len(sides) <= k:
                sides.append(found)
            else:
                sides[k] = [a + b for a, b in zip(sides[k], found, strict=True)]
    if noise is not None:
        for left, right in sides:
            total = total - left @ noise.core @ right.T
    return np.asarray(total)


def _moments(
    residuals: Noisy, standardise: bool, freedom: int, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Return means, sums of squares, the sum of fourth powers, and the Gram matrix of rows."""
    n, units = residuals.shape
    mean, squares, fourth = np.empty(units), np.empty(units), 0.0
    gram = np.zeros((n, n))
    unusable: list[int] = []
    for columns in blocks(residuals):
        block = residuals[:, columns].astype(np.float64)
        mean[columns] = block.mean(axis=0)
        block -= mean[columns]
        squares[columns] = np.einsum("ij,ij->j", block, block)
        unusable += (columns.start + _still(residuals, columns, squares[columns])).tolist()
        if unusable:
            continue
        if standardise:
            block /= np.sqrt(squares[columns] / freedom)
            fourth += float((block**4).sum())
        gram += block @ block.T
    _check_units(unusable, names)
    return mean, squares, fourth, gram


def _still(residuals: Noisy, columns: slice, squares: np.ndarray) -> np.ndarray:
    """Return which of some units do not vary, but for rounding, or are not finite."""
    least: np.ndarray | float = 0.0
    if isinstance(residuals, Residuals):
        # The means of equal numbers differ from them by rounding.
        size = np.abs(residuals.activity[:, columns]).max(axis=0).astype(np.float64)
        least = len(residuals) * (ROUNDING * size) ** 2
    return np.flatnonzero(~(squares > least))


def named(where: Sequence[int] | np.ndarray, names: Sequence[str] | None) -> str:
    """Return the first of some rows or units by name, or by their numbers, counted from 1."""
    return listed([f"number {k + 1}" if names is None else str(names[k]) for k in where])


def _check_units(unusable: list[int], names: Sequence[str] | None) -> None:
    if unusable:
        raise NeuroferError(
            f"{len(unusable)} units have residuals that do not vary or are not finite "
            f"({named(unusable, names)}): leave those units out"
        )
