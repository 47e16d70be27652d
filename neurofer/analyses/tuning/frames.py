"""Norm or axis? In which frame a unit's responses are explained: from the norm, or absolute.

    from neurofer.analyses.tuning.frames import compare_frames
    found = compare_frames(position, norm, rates, identity, n_controls=19)
    found.to_dataframe()

A norm-referenced unit grows (or falls) with the distance from the average of a head, in a
direction; an axis or an exemplar is a place in the whole space of faces. Single curves along one
expression do not tell them apart: along a line all three can be the same. What does is to compare
frames over stimuli of many directions, mixtures and opposites (Leopold, Bondar & Giese 2006, Nature
442:572; Chang & Tsao 2017, Cell 169:1013): models in coordinates relative to the norm of the head
that is shown, against models in absolute coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from neurofer.analyses.inputs import OK
from neurofer.analyses.tuning.families import NONE
from neurofer.analyses.tuning.fitting import Fit, fit
from neurofer.analyses.tuning.resampling import cross_validate
from neurofer.analyses.tuning.selection import winners
from neurofer.errors import NeuroferError

NORM, ABSOLUTE = "norm", "absolute"
# (frame, model). An axis or an exemplar that moves with the head is norm-referenced, too; where one
# head is shown both frames are the same for it, and the absolute one, which says less, is taken.
CANDIDATES = (
    (ABSOLUTE, "flat"),
    (ABSOLUTE, "axis"),
    (ABSOLUTE, "exemplar"),
    (NORM, "norm-direction"),
    (NORM, "axis"),
    (NORM, "exemplar"),
)


def compare_frames(
    position: np.ndarray,
    norm: np.ndarray,
    responses: np.ndarray,
    identity: np.ndarray,
    *,
    likelihood: str = "gaussian",
    trials: np.ndarray | None = None,
    n_folds: int = 5,
    n_controls: int = 0,
    seed: int = 0,
) -> xr.Dataset:
    """Return whether units are explained from the norm, in absolute coordinates, or not at all.

    Args:
        position: (n, dimensions) of the faces that were shown.
        norm: (n, dimensions) the norm (average face) of the head of each, or (dimensions,) of all.
        responses: (n, units); NaN where a unit was not recorded.
        identity: (n,) who is left out together.
        likelihood: "gaussian" or "poisson".
        trials: (n,) or (n, units) trials that responses of counts are means of.
        n_folds: of identities.
        n_controls: places beside the norm at which a norm is tried as well, as far from it as the
            median face: where the norm lies is a hypothesis, and `norm_p` its test. 0 for none.
        seed: of folds and controls.

    Returns:
        By unit: frame ("norm", "absolute", "flat", or "none" where what fits best does not predict
        identities left out), model, sign (of norm-and-direction: 1 rises, -1 falls, else 0), cv_r2
        of that model, norm_p (the part of controls, with the norm itself, that explain at least as
        much as the norm; NaN of other models, or without controls) and status. By candidate (frame
        and model) and unit bic.

    Raises:
        NeuroferError: shapes do not match, values are not finite, or the stimuli show no more
            directions from the norm than they span dimensions, so that norm and axis are the same.
    """
    position, away, responses = _checked(position, norm, responses)
    options: dict[str, Any] = {"likelihood": likelihood, "trials": trials}
    same = bool((np.ptp(np.broadcast_to(norm, position.shape), axis=0) == 0).all())
    candidates = [c for c in CANDIDATES if c[0] == ABSOLUTE or c[1] == "norm-direction" or not same]
    places = {ABSOLUTE: position, NORM: away}
    fits = [fit(places[frame], responses, name, **options) for frame, name in candidates]
    bic = np.stack([one.bic for one in fits])
    status = fits[0].status
    best = winners(np.arange(len(fits)).astype(str), bic, status)
    chosen = np.array([int(one) if one and one != "flat" else -1 for one in best])
    units = responses.shape[1]
    frame, model = np.full(units, "", object), np.full(units, "", object)
    cross, sign, p = np.full(units, np.nan), np.zeros(units, np.int64), np.full(units, np.nan)
    for k, (where, name) in enumerate(candidates):
        own = np.flatnonzero((chosen == k) & (status == OK))
        if not len(own):
            continue
        part = dict(options, trials=_of(trials, own))
        folds: dict[str, Any] = {"n_folds": n_folds, "seed": seed}
        cross[own] = cross_validate(
            places[where],
            responses[:, own],
            identity,
            name,
            **part,
            **folds,
        )
        model[own], frame[own] = name, where if name != "flat" else "flat"
        if name == "norm-direction":
            sign[own] = _signs(fits[k], own)
            p[own] = _controls(away, responses[:, own], fits[k].rss[own], part, n_controls, seed)
    with np.errstate(invalid="ignore"):
        frame[(cross <= 0) & (model != "flat")] = NONE
    per_unit = {"frame": frame.astype(str), "model": model.astype(str), "sign": sign}
    per_unit |= {"cv_r2": cross, "norm_p": p, "status": status.astype(str)}
    return xr.Dataset(
        {
            **{name: ("unit", values) for name, values in per_unit.items()},
            "bic": (("candidate", "unit"), bic),
        },
        {"candidate": [f"{frame}: {name}" for frame, name in candidates]},
        {"likelihood": likelihood, "n_controls": n_controls, "seed": seed},
    )


def _checked(
    position: np.ndarray, norm: np.ndarray, responses: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from neurofer.analyses.tuning.families import told_apart

    position, norm = np.asarray(position, float), np.asarray(norm, float)
    responses = np.asarray(responses, float)
    responses = responses[:, None] if responses.ndim == 1 else responses
    if position.ndim != 2 or norm.shape not in (position.shape, position.shape[1:]):
        raise NeuroferError(
            f"position has shape {position.shape} and norm {norm.shape}; position must be (n, "
            "dimensions), and norm the same, or (dimensions,) for all"
        )
    if len(responses) != len(position):
        raise NeuroferError(f"{len(position)} positions, but {len(responses)} rows of responses")
    away = position - norm
    if not np.isfinite(away).all():
        raise NeuroferError("position and norm must be finite")
    if not told_apart(away):
        raise NeuroferError(
            "the stimuli show no more directions from the norm than they span dimensions, so that "
            "every norm-referenced unit is an axis, too: show mixtures or opposite directions"
        )
    return position, away, responses


def _of(trials: np.ndarray | None, units: np.ndarray) -> np.ndarray | None:
    if trials is None or np.ndim(trials) == 1 or np.shape(trials)[1] == 1:
        return trials
    return np.asarray(trials)[:, units]


def _signs(one: Fit, units: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(one.values[units, one.names.index("b")]), np.int64)


def _controls(
    away: np.ndarray,
    responses: np.ndarray,
    rss: np.ndarray,
    options: Mapping[str, Any],
    n_controls: int,
    seed: int,
) -> np.ndarray:
    """Return (units,) the part of places, the norm among them, from which no less is explained."""
    if n_controls < 1:
        return np.full(responses.shape[1], np.nan)
    generator = np.random.default_rng(seed)
    distance = np.median(np.linalg.norm(away, axis=1))
    as_good = np.ones(responses.shape[1])
    for _ in range(n_controls):
        step = generator.normal(size=away.shape[1])
        moved = away - distance * step / np.linalg.norm(step)
        found = fit(moved, responses, "norm-direction", **options)
        as_good += found.rss <= rss
    return np.asarray(as_good / (n_controls + 1))
