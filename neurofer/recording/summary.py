"""Recordings at a glance, one row per neuron; and what several recordings have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.files import content_hash
from neurofer.recording.trials import listed

_AGREE = ("head", "identity", "expression", "strength")


def summarise_neurons(recording: xr.DataArray) -> pd.DataFrame:
    """Return one row per neuron: its name, region, what it was shown and its range.

    Returns:
        neuroid_id, region, n_stimuli and n_trials (with a response), lowest, mean, highest (of
        activity, over presentations and time bins) and constant (whether it never differs).

    >>> summarise_neurons(recording)  # doctest: +SKIP
    """
    activity = recording.transpose("presentation", "neuroid", ...).to_numpy().astype(np.float64)
    activity = activity.reshape(*activity.shape[:2], -1)
    seen = np.isfinite(activity).any(axis=2)
    trials = _trials(recording, seen)
    _, stimulus = np.unique(recording["stimulus_id"].to_numpy(), return_inverse=True)
    shown = [len(np.unique(stimulus.ravel()[of])) for of in seen.T]
    with np.errstate(invalid="ignore"):
        finite = np.ma.masked_invalid(activity)
    low, high = finite.min(axis=(0, 2)).filled(np.nan), finite.max(axis=(0, 2)).filled(np.nan)
    return pd.DataFrame(
        {
            "neuroid_id": recording["neuroid_id"].to_numpy().astype(str),
            "region": recording["region"].to_numpy().astype(str),
            "n_stimuli": shown,
            "n_trials": trials,
            "lowest": low,
            "mean": finite.mean(axis=(0, 2)).filled(np.nan),
            "highest": high,
            "constant": low == high,
        }
    )


def _trials(recording: xr.DataArray, seen: np.ndarray) -> np.ndarray:
    """Return (neurons,) how many trials each was recorded in."""
    if "n_averaged" in recording.coords:
        return recording["n_averaged"].transpose("presentation", "neuroid").to_numpy().sum(axis=0)
    if "n_trials" in recording.coords:
        return (seen * recording["n_trials"].to_numpy()[:, None]).sum(axis=0)
    return np.asarray(seen.sum(axis=0))


def common_stimuli(recordings: Sequence[xr.DataArray]) -> list[xr.DataArray]:
    """Return recordings with only the stimuli that all of them have, in the order of the first.

    Of a stimulus with several presentations all are kept. attrs of each: `n_not_common` and
    `not_common` say which of its stimuli were left out.

    Raises:
        NeuroferError: there are fewer than two recordings, they have no stimulus in common, or
            they say different things of one.

    >>> neurons, model = common_stimuli([neurons, model])  # doctest: +SKIP
    """
    if isinstance(recordings, xr.DataArray) or len(recordings) < 2:
        raise NeuroferError("common_stimuli takes a list of two recordings or more")
    ids = [one["stimulus_id"].to_numpy().astype(str) for one in recordings]
    common = set(ids[0]).intersection(*ids[1:])
    if not common:
        said = " and ".join(f"{listed(dict.fromkeys(some), 3)}" for some in ids[:2])
        raise NeuroferError(f"the recordings have no stimulus_id in common: {said}")
    place = {name: i for i, name in enumerate(dict.fromkeys(ids[0])) if name in common}
    _check_agreement(recordings, ids, common)
    made = []
    for one, names in zip(recordings, ids, strict=True):
        rows = np.flatnonzero([name in place for name in names])
        rows = rows[np.argsort([place[names[i]] for i in rows], kind="stable")]
        left = [name for name in dict.fromkeys(names) if name not in place]
        chosen = one.isel(presentation=rows)
        attrs = {"n_not_common": str(len(left)), "not_common": listed(left, 20)}
        if left and "stimuli" in one.attrs:
            attrs["stimuli"] = f"{one.attrs['stimuli']}-common-{content_hash(sorted(common))[:8]}"
        made.append(chosen.assign_attrs(attrs))
    return made


def _check_agreement(
    recordings: Sequence[xr.DataArray], ids: Sequence[np.ndarray], common: set[str]
) -> None:
    """Refuse stimuli of the same id that are not the same."""
    said: dict[tuple[str, str], object] = {}
    for one, names in zip(recordings, ids, strict=True):
        for column in (*_AGREE, "image_sha256"):
            values = one[column].to_numpy().tolist() if column in one.coords else []
            for name, value in zip(names, values, strict=False):
                if name not in common or value in ("", "not stated"):
                    continue
                first = said.setdefault((name, column), value)
                if first != value and not _close(first, value):
                    raise NeuroferError(
                        f"stimulus {str(name)!r} has {column}={first!r} in one recording and "
                        f"{value!r} in another: an id must mean the same stimulus in all"
                    )


def _close(first: object, other: object) -> bool:
    return isinstance(first, float) and isinstance(other, float) and abs(first - other) < 1e-6
