"""Saliency by face part: how much of what speaks for an answer lies on eyes, brows, nose, mouth.

CIAO shows maps of Grad-CAM++ over faces (Barros and Sciutti 2022, Figure 3). With the part of the
face that every pixel of a rendered image shows, the same maps become numbers: a part's share of a
map, and its density, the share over the part of what is seen that it covers. A map that is the same
everywhere has a density of 1 on every part. Maps are coarse (7 x 7 places in CORnet-S), so that
what lies on a small part also lies on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.inputs import ALL, Responses, sorted_heads
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.statistics import Interval, cluster_interval
from neurofer.errors import NeuroferError
from neurofer.faces import PARTS
from neurofer.stimuli.stimulus_set import StimulusSet

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GROUPS: Mapping[str, tuple[str, ...]] = {
    "eyes": ("left_eye", "right_eye", "lashes"),
    "eyebrows": ("eyebrows",),
    "nose": ("nose",),
    "mouth": ("lips", "mouth"),
    "other skin": ("skin", "ears", "neck"),
    "hair": ("hair",),
    "clothes": ("clothes",),
    "background": ("background",),
}
"""Parts of a figure -> the renderer's parts; every pixel belongs to one."""


def run(
    maps: np.ndarray,
    stimuli: StimulusSet,
    *,
    subject: str,
    layer: str = "last convolution",
    seen: np.ndarray | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Return the share and density of saliency on every part of the face, by head.

    Args:
        maps: (n, H, W) at least 0, at the pixels of the stimuli, as
            `neurofer.subjects.grad_cam.saliency_maps` gives them.
        stimuli: rendered, for their part masks.
        subject: identifier of whose maps they are.
        layer: what was explained.
        seen: (n, H, W) bool, the pixels that the subject sees, where it sees a crop (of
            `grad_cam.seen_pixels`); areas are parts of these. Default: all.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.

    Returns:
        By head, with the entry "all", and part: share (mean over images), area (mean part of what
        is seen), density = share / area, NaN for a part that no image shows, each but area with
        `_low` and `_high` (95 % bootstrap over identities, over series where identities are fewer
        than five; `interval` says which; areas are taken as known). n images by head, n_empty of
        them left out because their map is 0 everywhere.

    Raises:
        NeuroferError: stimuli have no part masks, or maps are of other images, negative, not
            finite, or all empty.
    """
    order = np.argsort(stimuli.table["stimulus_id"].to_numpy().astype(str), kind="stable")
    shown = None if seen is None else np.asarray(seen)[order]
    share, area = part_shares(np.asarray(maps)[order], _masks(stimuli, order), GROUPS, shown)
    table = stimuli.table.iloc[order].reset_index(drop=True)
    names = np.array(list(GROUPS))
    responses = Responses(share, table, names, names, layer)
    result = _by_head(responses, area, n_bootstrap, seed)
    about = xr.DataArray(0, attrs={"subject": subject, "stimuli": stimuli.identifier})
    options = {"n_bootstrap": n_bootstrap, "seed": seed}
    return with_provenance(result, "saliency", about, responses, options)


def _by_head(responses: Responses, area: np.ndarray, n_bootstrap: int, seed: int) -> xr.Dataset:
    """Return means and intervals by head; the activity of the responses is the shares."""
    heads, seen = responses.column("head"), np.isfinite(responses.activity[:, 0])
    if not seen.any():
        raise NeuroferError("every map is 0 everywhere: nothing speaks for the answers")
    entries, units = [*sorted_heads(heads), ALL], range(area.shape[1])
    members = [(heads == entry) | (entry == ALL) for entry in entries]
    cells = [
        [_mean(responses, rows & seen, part, n_bootstrap, seed) for part in units]
        for rows in members
    ]
    shares = np.array([[(mean, one.low, one.high) for mean, one in row] for row in cells])
    areas = np.array(
        [area[rows & seen].mean(0) if (rows & seen).any() else np.nan * area[0] for rows in members]
    )
    densities = np.full_like(shares, np.nan)
    np.divide(shares, areas[..., None], out=densities, where=areas[..., None] > 0)
    both = ("head", "part")
    data: dict[str, Any] = {
        f"{name}{suffix}": (both, values[..., k])
        for name, values in (("share", shares), ("density", densities))
        for k, suffix in enumerate(("", "_low", "_high"))
    }
    methods = np.array([[one.method for _, one in row] for row in cells])
    data |= {"area": (both, areas), "interval": (both, methods)}
    data["n"] = ("head", np.array([int(rows.sum()) for rows in members]))
    data["n_empty"] = ("head", np.array([int((rows & ~seen).sum()) for rows in members]))
    return xr.Dataset(data, {"head": entries, "part": responses.neuroid.tolist()})


def part_shares(
    maps: np.ndarray,
    parts: np.ndarray,
    groups: Mapping[str, Sequence[str]] = GROUPS,
    seen: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each map, and of each image, that lies on each group of parts.

    Args:
        maps: (n, H, W), finite, at least 0; only proportions within a map count.
        parts: (n, H, W) labels of `neurofer.faces.PARTS`.
        groups: group -> its parts.
        seen: (n, H, W) bool, pixels that count in the areas; some of every image. Default: all.

    Returns:
        shares (n, groups), NaN for a map that is 0 everywhere, and areas (n, groups); where the
        groups hold every part once, both sum to 1.

    Raises:
        NeuroferError: the shapes differ, or maps are negative or not finite.

    >>> shares, areas = part_shares(np.array([[[3.0, 1.0]]]), np.array([[[PARTS["nose"], 0]]]))
    >>> {name: (s, a) for name, s, a in zip(GROUPS, shares[0], areas[0]) if a}
    {'nose': (0.75, 0.5), 'background': (0.25, 0.5)}
    """
    seen = np.ones(parts.shape, bool) if seen is None else seen
    if maps.ndim != 3 or not maps.shape == parts.shape == seen.shape:
        raise NeuroferError(
            f"maps {maps.shape}, part masks {parts.shape} and what is seen {seen.shape} must be "
            "(n, H, W), of the same images at the same size"
        )
    if not np.isfinite(maps).all() or (maps < 0).any():
        raise NeuroferError("maps must be finite and nowhere negative")
    group_of = np.full(max(PARTS.values()) + 1, len(groups))  # parts of no group count in the sum
    for number, members in enumerate(groups.values()):
        group_of[[PARTS[part] for part in members]] = number
    shares, areas = np.empty((2, len(maps), len(groups)))
    for k, (one, labels, shown) in enumerate(zip(maps, parts, seen, strict=True)):
        of = group_of[labels].ravel()
        weight = np.bincount(of, one.ravel().astype(np.float64), len(groups) + 1)
        total = weight.sum()
        shares[k] = weight[:-1] / total if total > 0 else np.nan
        areas[k] = np.bincount(of[shown.ravel()], minlength=len(groups) + 1)[:-1] / shown.sum()
    return shares, areas


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return a row a head and part: n, share and area in percent, density with its interval."""
    rows = []
    for head in result["head"].to_numpy().tolist():
        for part in result["part"].to_numpy().tolist():
            cell = result.sel(head=head, part=part)
            rows.append(
                {
                    "head": head,
                    "part": part,
                    "n": int(cell["n"] - cell["n_empty"]),
                    "share": round(100 * float(cell["share"]), 1),
                    "area": round(100 * float(cell["area"]), 1),
                    "density": round(float(cell["density"]), 2),
                    "low": round(float(cell["density_low"]), 2),
                    "high": round(float(cell["density_high"]), 2),
                    "interval": str(cell["interval"].item()),
                }
            )
    return pd.DataFrame(rows)


def table_by_subject(results: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return a row a subject and part, over all heads: with and without CIAO beside each other."""
    tables = [table(one).assign(subject=name) for name, one in results.items()]
    every = pd.concat(tables, ignore_index=True)
    chosen = every[every["head"] == ALL].drop(columns="head").reset_index(drop=True)
    return chosen[["subject", *[name for name in chosen if name != "subject"]]]


def figure(results: Mapping[str, xr.Dataset]) -> Figure:
    """Return the density of saliency on every part, over all heads, a marker a subject."""
    from neurofer.analyses.saliency_figures import density_figure

    return density_figure(results)


def _mean(
    responses: Responses, rows: np.ndarray, part: int, n_bootstrap: int, seed: int
) -> tuple[float, Interval]:
    values = responses.activity[rows, part]
    if not len(values):
        return np.nan, Interval(np.nan, np.nan, "none")
    interval = cluster_interval(
        np.nanmean,
        values,
        responses.column("head")[rows],
        responses.identity[rows],
        responses.series[rows],
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    return float(values.mean()), interval


def _masks(stimuli: StimulusSet, order: np.ndarray) -> np.ndarray:
    masks = [stimuli.parts(int(row)) for row in order]
    known = [mask for mask in masks if mask is not None]
    if len(known) < len(masks):
        raise NeuroferError(
            f"{len(masks) - len(known)} of {len(masks)} images of {stimuli.name!r} have no part "
            "masks; rendered sets have them (bfs, identities-sim, kdef-sim)"
        )
    return np.stack(known)
