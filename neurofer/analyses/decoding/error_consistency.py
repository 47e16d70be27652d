"""Error consistency: whether two subjects err on the same images, more than their accuracies say.

Geirhos, Meding & Wichmann 2020, "Beyond accuracy: quantifying trial-by-trial behaviour of CNNs and
humans by measuring error consistency", NeurIPS 33.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.statistics import (
    NO_INTERVAL,
    clusters_to_resample,
    standard_error_interval,
)
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import Resamples, Seed, checked

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def kappa(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Return observed and expected agreement, and Cohen's kappa, of two (n,) arrays of correctness.

    Observed is the share of images on which both are right or both are wrong; expected is that of
    two independent subjects of their accuracies, p q + (1 - p) (1 - q); kappa is (observed -
    expected) / (1 - expected), and NaN where both are always right, or both always wrong.

    >>> observed, expected, found = kappa(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 1]))
    >>> observed, expected, found
    (0.5, 0.5, 0.0)
    """
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    p, q = one.mean(), other.mean()
    observed = float((one == other).mean())
    expected = float(p * q + (1 - p) * (1 - q))
    return observed, expected, _kappa(observed, expected)


def _kappa(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else np.nan


@checked
def error_consistency(
    one: xr.Dataset,
    other: xr.Dataset,
    *,
    sites: tuple[str | None, str | None] = (None, None),
    n_bootstrap: Resamples = 2000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return the error consistency of two results of the probe, of the same stimuli.

    Args:
        one: a result of `neurofer.analyses.decoding.probe.run`.
        other: another.
        sites: which site of each; None where it has one only.
        n_bootstrap: resamples of the interval, over identities.
        seed: of the resampling.

    Returns:
        observed, expected, excess (their difference) and kappa, scalars, with `kappa_low`,
        `kappa_high` (95 %) and n. `attrs["interval"]` says how it was made: "none" where
        identities are too few, or where kappa is undefined, which `attrs["note"]` then says.

    Raises:
        NeuroferError: the results are of different stimuli or of different targets.
    """
    first, second = _of_site(one, sites[0]), _of_site(other, sites[1])
    _check_same(first, second)
    a, b = first["correct"].to_numpy().astype(bool), second["correct"].to_numpy().astype(bool)
    observed, expected, found = kappa(a, b)
    low, high, method = _interval(first, a, b, found, n_bootstrap, seed)
    data = {
        "observed": observed, "expected": expected, "excess": observed - expected,
        "kappa": found, "kappa_low": low, "kappa_high": high, "n": len(a),
    }  # fmt: skip
    undefined = f"undefined: both are {'right' if a.all() else 'wrong'} on all {len(a)} images"
    note = "" if np.isfinite(found) else undefined
    attrs = {"interval": method, "note": note, "stimuli": one.attrs["stimuli"], "seed": seed}
    attrs |= {"data": one.attrs["data"], "n_identities": one.attrs["n_identities"]}
    return xr.Dataset({name: ((), value) for name, value in data.items()}, attrs=attrs)


@checked
def consistency_table(
    results: Mapping[str, xr.Dataset], *, n_bootstrap: Resamples = 2000, seed: Seed = 0
) -> pd.DataFrame:
    """Return one row per pair of subjects and sites: observed, expected, kappa, low, high, n, note.

    Args:
        results: subject -> result of "probe" on the same stimuli.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.

    Raises:
        NeuroferError: fewer than two subjects and sites, or results of different stimuli.
    """
    named = [
        (name if one.sizes["site"] == 1 else f"{name}, {site}", one, site)
        for name, one in results.items()
        for site in one["site"].to_numpy().tolist()
    ]
    if len(named) < 2:
        raise NeuroferError(f"{len(named)} subject is too few to be compared: give two or more")
    rows = []
    for (a, one, here), (b, other, there) in itertools.combinations(named, 2):
        pair = error_consistency(
            one, other, sites=(here, there), n_bootstrap=n_bootstrap, seed=seed
        )
        numbers = {
            key: float(pair[key])
            for key in ("observed", "expected", "kappa", "kappa_low", "kappa_high")
        }
        said = {key: pair.attrs[key] for key in ("interval", "note")}
        rows.append({"one": a, "other": b, "n": int(pair["n"]), **numbers, **said})
    return pd.DataFrame(rows)


def consistency_figure(
    results: Mapping[str, xr.Dataset], *, n_bootstrap: int = 2000, seed: int = 0
) -> Figure:
    """Return the matrix of kappas between subjects.

    Args:
        results: subject -> result, as for `consistency_table`.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.
    """
    from neurofer.analyses.decoding.probe_figures import kappa_figure

    rows = consistency_table(results, n_bootstrap=n_bootstrap, seed=seed)
    return kappa_figure(rows, results)


def _of_site(result: xr.Dataset, site: str | None) -> xr.Dataset:
    if "correct" not in result or "site" not in result.dims:
        raise NeuroferError(
            f"error consistency compares results of the probe; this one is of "
            f"{result.attrs.get('analysis', 'no analysis')!r}"
        )
    sites = result["site"].to_numpy().tolist()
    if site is None and len(sites) > 1:
        raise NeuroferError(f"the result has the sites {', '.join(sites)}: choose one of them")
    chosen = sites[0] if site is None else site
    if chosen not in sites:
        raise unknown_choice("site", chosen, sites, "the result")
    return result.sel(site=chosen)


def _check_same(one: xr.Dataset, other: xr.Dataset) -> None:
    a, b = (result["stimulus_id"].to_numpy().astype(str) for result in (one, other))
    if len(a) != len(b) or (a != b).any():
        raise NeuroferError(
            f"the results are of different stimuli ({one.attrs['stimuli']}, {len(a)}, and "
            f"{other.attrs['stimuli']}, {len(b)}): error consistency compares answers to the same "
            "images; leave out of both recordings what the other lacks"
        )
    if one.attrs["target"] != other.attrs["target"]:
        raise NeuroferError(
            f"one result reads {one.attrs['target']!r}, the other {other.attrs['target']!r}: "
            "compare answers to one question"
        )


def _interval(
    result: xr.Dataset, a: np.ndarray, b: np.ndarray, found: float, n_bootstrap: int, seed: int
) -> tuple[float, float, str]:
    """Return low, high and the method, by bootstrap over identities within heads."""
    identity, head = (result[key].to_numpy().astype(str) for key in ("identity", "head"))
    people = clusters_to_resample(head, identity)
    if not np.isfinite(found) or people is None:
        return np.nan, np.nan, NO_INTERVAL
    counts = people.sums(np.column_stack([np.ones(len(a)), a, b, a == b]))
    n, right_a, right_b, same = (people.times(n_bootstrap, seed) @ counts).T
    p, q = right_a / n, right_b / n
    expected = p * q + (1 - p) * (1 - q)
    defined = expected < 1
    replicates = (same / n - expected)[defined] / (1 - expected[defined])
    low, high = standard_error_interval(found, replicates, people.strata)
    return max(low, -1.0), min(high, 1.0), "standard error, bootstrap over identities"
