"""Units whose tuning curve is known: of a model, in a design of strengths and identities.

The signal-to-noise ratio is the SD of the tuning over the strengths shown over the SD of the noise
of a presentation; `snr_of="range"` takes the tuning's peak-to-peak instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice

SNR_OF = ("sd", "range")


@dataclass(frozen=True)
class Truth:
    """Units of a model whose parameters are uniform between bounds, at strengths from 0 to 1.

    Attributes:
        model: one of the models of strength.
        low: of its parameters, "a" first.
        high: of the same.
    """

    model: str
    low: tuple[float, ...]
    high: tuple[float, ...]

    def draw(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Return (n, parameters)."""
        return generator.uniform(self.low, self.high, (n, len(self.low)))


# The features of a curve (threshold, midpoint, peak) lie inside the range, and nothing happens
# within less than about two strengths, which no estimator could see: sigmoids rise from 10 to 90 %
# within 0.35 to 0.75, peaks are 0.35 to 0.7 wide at half their height. Exponents near 1, which are
# neither accelerating nor saturating, are left out.
TRUTHS = {
    "flat": Truth("flat", (2,), (8,)),
    "linear": Truth("linear", (2, 5), (8, 20)),
    "rectified": Truth("rectified", (2, 5, 0.25), (8, 20, 0.6)),
    "v-shape": Truth("v-shape", (2, 5, 5, 0.35), (8, 20, 20, 0.65)),
    "power-convex": Truth("power", (2, 5, 1.8), (8, 20, 4)),
    "power-concave": Truth("power", (2, 5, 0.25), (8, 20, 0.6)),
    "sigmoid": Truth("sigmoid", (2, 5, 0.3, 6), (8, 20, 0.6, 12)),
    "naka-rushton": Truth("naka-rushton", (2, 5, 0.2, 1.5), (8, 20, 0.5, 4)),
    "gaussian": Truth("gaussian", (2, 5, 0.3, 0.15), (8, 20, 0.7, 0.3)),
}


@dataclass(frozen=True)
class Units:
    """Simulated units: x (n,), responses (n, units), identity (n,), values and their family."""

    x: np.ndarray
    responses: np.ndarray
    identity: np.ndarray
    values: np.ndarray
    family: np.ndarray


def simulate(
    truth: Truth,
    n_units: int,
    strengths: Sequence[float],
    n_identities: int,
    snr: float,
    generator: np.random.Generator,
    *,
    snr_of: str = "sd",
) -> Units:
    """Return units of a truth in a design, with independent Gaussian noise; as `confusion`.

    Args:
        truth: parameters of the units.
        n_units: number of units.
        strengths: shown of every identity.
        n_identities: number of identities.
        snr: signal-to-noise ratio of a presentation.
        generator: draws what is random.
        snr_of: what is divided by the noise: "sd" of the tuning, or its "range".
    """
    levels = np.unique(np.asarray(strengths, float))
    if len(levels) < 2 or not np.isfinite(levels).all() or levels[0] < 0:
        raise NeuroferError(
            f"strengths={list(strengths)} must be at least two different numbers of at least 0"
        )
    if snr_of not in SNR_OF:
        raise unknown_choice("snr_of", snr_of, SNR_OF)
    if n_identities < 2 or n_units < 1 or not snr > 0:
        raise NeuroferError(
            f"n_identities={n_identities}, n_units={n_units} and snr={snr}: these must be at least "
            "2, at least 1, and positive"
        )
    values = truth.draw(n_units, generator)
    return noisy_units(
        truth.model, levels, levels / levels[-1], values, n_identities, snr, generator, snr_of
    )


def noisy_units(
    model: str,
    shown: np.ndarray,
    x: np.ndarray,
    values: np.ndarray,
    n_identities: int,
    snr: float,
    generator: np.random.Generator,
    snr_of: str = "sd",
) -> Units:
    """Return units of a model at levels x, which the fits know as `shown`.

    Args:
        model: one of the models of tuning.
        shown: (levels,) or (levels, dimensions), as fits and families see them.
        x: the same levels, as the model sees them.
        values: (units, parameters) of the model.
        n_identities: each of which shows all levels.
        snr: of a presentation.
        generator: of the noise.
        snr_of: "sd" or "range".
    """
    from neurofer.analyses.tuning.families import families_of
    from neurofer.analyses.tuning.fitting import predict

    curve = predict(model, x, values)
    size = curve.std(axis=0) if snr_of == "sd" else np.ptp(curve, axis=0)
    noise = np.where(size > 1e-9 * np.abs(curve).max(axis=0), size / snr, 1.0)
    draws = generator.normal(size=(n_identities * len(x), len(values)))
    return Units(
        np.concatenate([shown] * n_identities),
        np.tile(curve, (n_identities, 1)) + noise * draws,
        np.repeat(np.arange(n_identities), len(x)),
        values,
        families_of(shown, np.full(len(values), model), curve),
    )
