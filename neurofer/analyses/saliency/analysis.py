"""Saliency by face part: how much of what speaks for an answer lies on eyes, brows, nose, mouth.

CIAO shows maps of Grad-CAM++ over faces (Barros and Sciutti 2022, Figure 3). With the part of the
face that every pixel of a rendered image shows, the same maps become numbers: a part's share of a
map, and its density, the share over the part of what is seen that it covers. A map that is the same
everywhere has a density of 1 on every part. Maps are coarse (7 x 7 places in CORnet-S), so that
what lies on a small part also lies on its neighbours.

Where the answer lies says little without the same network untrained beside it, whose maps show what
the architecture and the picture make of chance (Adebayo et al. 2018, NeurIPS, "Sanity checks for
saliency maps").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.figures import check_results
from neurofer.analyses.inputs import ALL, Responses, read_responses, sorted_heads
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.analyses.statistics import NO_INTERVAL, clusters_to_resample, percentile_interval
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import Resamples, Seed
from neurofer.recording.saliency import AREA, CORRECT, EXPLAINED, PLACES, SHARE, SPREAD

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FEATURES = ("eyes", "eyebrows", "nose", "mouth")  # together the part "features"


class _Images(NamedTuple):
    """What is known of every image: saliency and what resampling needs.

    Attributes:
        share, area: (n, parts); share is NaN for a map that is 0 everywhere.
        spread: (n,), NaN with the share.
        head, identity, series: (n,) strings.
    """

    share: np.ndarray
    area: np.ndarray
    spread: np.ndarray
    head: np.ndarray
    identity: np.ndarray
    series: np.ndarray

    def of(self, rows: np.ndarray) -> _Images:
        """Return those of some images, (n,) bool."""
        return _Images(*(values[rows] for values in self))


def run(
    recording: xr.DataArray,
    *,
    site: str | Sequence[str] | None = "saliency",
    n_bootstrap: Resamples = 2000,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return the share and density of saliency on every part of the face, by head and answer.

    Args:
        recording: of a site of saliency (`neurofer.recording.saliency`), which every
            convolutional subject has: "saliency" explains the answer, "saliency-shown" the
            expression shown.
        site: which; a second one, ending in "-map", adds the maps, for pictures of a few images.
        n_bootstrap: resamples of an interval.
        seed: of the resampling.

    Returns:
        A Dataset. Heads and answers (correct, wrong) end with "all". Answers that did not occur,
        or that a network does not name, have no entry; where n is n_empty, values are NaN. The part
        "features" is eyes, eyebrows, nose and mouth together. Intervals are 95 %, by bootstrap
        over identities, or over series where identities are fewer than five.

        share, _low, _high (head, answers, part) [1]: saliency on the part, mean over images.
        area (head, answers, part) [1]: mean part of what is seen, taken as known.
        density, _low, _high (head, answers, part) [1]: share / area; NaN for a part that no image
            shows.
        spread, _low, _high (head, answers) [1]: mean part of what is seen where a map is at least
            half its maximum.
        interval (head, answers) [text]: how the intervals were made.
        n, n_empty (head, answers) [1]: images, and those left out because their map is 0.
        image_share, image_area (image, part) [1]: the same of each image, for `difference`.
        image_spread (image) [1]: spread of each image.
        image_correct (image) [1]: 1 correct, 0 wrong, NaN unknown.
        map, face (image, y, x) [1], if site names maps: the maps, and the gray image (0 to 255)
            below each.

    Raises:
        NeuroferError: the site holds no saliency, or every map is 0 everywhere.

    >>> from neurofer.simulation import simulated_faces
    >>> from neurofer.simulation.saliency import saliency_units
    >>> faces = simulated_faces(strengths=(1.0,))
    >>> result = run(saliency_units(faces.table, "simulated"), n_bootstrap=50)
    >>> result["share"].sel(head="all", answers="all", part="nose").item() < 0.3
    True
    """
    sites = (site,) if isinstance(site, str) else tuple(site or ())
    of_parts = [name for name in sites if not name.endswith("-map")]
    if len(of_parts) != 1 or len(sites) > 2:
        raise NeuroferError(
            f"site={site!r}; name one site of saliency, such as 'saliency', and at most one of "
            "maps besides, 'saliency-map'"
        )
    responses = read_responses(recording, of_parts[0], undefined=True)
    parts = [unit.removeprefix(SHARE) for unit in responses.unit.tolist() if SHARE in unit]
    images, correct, places = _images(responses, parts)
    parts += ["features"] * (set(FEATURES) <= set(parts))
    if not np.isfinite(images.spread).any():
        raise NeuroferError("every map is 0 everywhere: nothing speaks for the answers")
    result = _by_head_and_answer(images, correct, parts, n_bootstrap, seed)
    result = result.assign(_by_image(images, correct, responses.column("stimulus_id")))
    for name in set(sites) - set(of_parts):
        result = result.assign(_maps(recording, name))
    explains = EXPLAINED.get(responses.site, responses.site)
    options = {"n_bootstrap": n_bootstrap, "seed": seed}
    return with_provenance(
        result.assign_attrs(explains=explains, places=places),
        "saliency",
        recording,
        responses,
        options,
    )


def difference(one: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """Return by how much saliency of one subject exceeds that of another, over the same images.

    Args:
        one: a result of `run`, whose number of resamples and seed are taken.
        other: another subject's.

    Returns:
        share, density and spread of the first less those of the second, by head and part, with
        `_low` and `_high`: 95 % bootstrap over identities of the differences by image, so that
        what an image does to both is not counted. n images, of which both have a map.

    Raises:
        NeuroferError: the results are of other images or parts, or no image has both maps.
    """
    for name in ("stimulus_id", "part"):
        if not np.array_equal(one[name].to_numpy(), other[name].to_numpy()):
            raise NeuroferError(
                f"the results of {one.attrs['subject']} and {other.attrs['subject']} differ in "
                f"{name!r}: a difference is taken over the same images and parts"
            )
    options = json.loads(one.attrs["options"])
    pair = [_read_images(result) for result in (one, other)]
    both = np.isfinite(pair[0].spread) & np.isfinite(pair[1].spread)
    if not both.any():
        raise NeuroferError("no image has a map of both subjects: there is no difference")
    cells = []
    entries = [*sorted_heads(pair[0].head), ALL]
    for head in entries:
        first, second = (im.of(both & ((im.head == head) | (head == ALL))) for im in pair)
        values = _columns(first) - _columns(second)
        cells.append(_cell(values, first, options["n_bootstrap"], options["seed"]))
    names = one["part"].to_numpy().tolist()
    result = _dataset(cells, {"head": entries}, names)
    attrs = {**one.attrs, "subject": f"{one.attrs['subject']} minus {other.attrs['subject']}"}
    return result.assign_attrs(attrs)


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per head, answer and part: n, share and area in percent, density, interval."""
    rows = []
    for head in result["head"].to_numpy().tolist():
        for answers in result["answers"].to_numpy().tolist():
            for part in result["part"].to_numpy().tolist():
                cell = result.sel(head=head, answers=answers, part=part)
                rows.append(
                    {
                        "head": head,
                        "answers": answers,
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


def figure(
    results: Mapping[str, xr.Dataset],
    *,
    view: str = "parts",
    minus: Mapping[str, str] | None = None,
) -> Figure:
    """Return a figure of the density of saliency, or of the maps themselves.

    Args:
        results: by subject.
        view: "parts", a row per part and a marker per subject; "answers", a panel per subject with
            correct and wrong answers apart; "differences", of pairs of subjects; "maps", the faces
            with the maps over them, of results that hold maps.
        minus: of "differences": subject -> the one whose density is taken off.
    """
    from neurofer.analyses.saliency.figures import draw

    return draw(_pairs(results, minus or {}) if view == "differences" else results, view)


def _pairs(results: Mapping[str, xr.Dataset], minus: Mapping[str, str]) -> dict[str, xr.Dataset]:
    """Return the differences of pairs of subjects, by what a figure calls them."""
    results = check_results(results)
    if not minus:
        raise NeuroferError(
            "minus is empty: name for each subject the one whose density is taken off"
        )
    for name in (*minus, *minus.values()):
        if name not in results:
            raise unknown_choice("subject", name, results, "the figure")
    return {
        f"{one} minus<br>{two}": difference(results[one], results[two])
        for one, two in minus.items()
    }


def _images(responses: Responses, parts: Sequence[str]) -> tuple[_Images, np.ndarray, int]:
    """Return what is known of every image, whether its answer was correct (n,), and places."""
    column = {unit: k for k, unit in enumerate(responses.unit.tolist())}
    kinds = [[kind + part for part in parts] for kind in (SHARE, AREA)]
    wanted = [*kinds[0], *kinds[1], SPREAD, CORRECT, PLACES]
    lacking = [unit for unit in wanted if unit not in column]
    if lacking or not parts:
        said = ", ".join(lacking) if parts else f"{SHARE}..."
        raise NeuroferError(
            f"site {responses.site!r} has no units {said}: it holds no saliency; record a "
            "convolutional subject with sites=['saliency']"
        )
    values = responses.activity[:, [column[unit] for unit in wanted]].astype(float)
    share, area = values[:, : len(parts)], values[:, len(parts) : -3]
    spread, correct = values[:, -3], values[:, -2]
    if not np.isfinite(area).all() or (np.isfinite(spread) != np.isfinite(share).all(1)).any():
        raise NeuroferError(
            f"site {responses.site!r} has areas that are not finite, or shares of some parts only; "
            "record it again"
        )
    if set(FEATURES) <= set(parts):
        whole = [parts.index(part) for part in FEATURES]
        share, area = (np.column_stack([v, v[:, whole].sum(1)]) for v in (share, area))
    images = _Images(
        share, area, spread, responses.column("head"), responses.identity, responses.series
    )
    return images, correct, int(values[0, -1])


def _by_head_and_answer(
    images: _Images, correct: np.ndarray, parts: list[str], n_bootstrap: int, seed: int
) -> xr.Dataset:
    entries = [*sorted_heads(images.head), ALL]
    masks = {ALL: np.ones(len(correct), bool), "correct": correct == 1, "wrong": correct == 0}
    answers = [name for name, rows in masks.items() if name == ALL or rows.any()]
    seen = np.isfinite(images.spread)
    cells, areas, counts = [], [], []
    for head in entries:
        for answer in answers:
            rows = ((images.head == head) | (head == ALL)) & masks[answer]
            chosen = images.of(rows & seen)
            cells.append(_cell(_columns(chosen), chosen, n_bootstrap, seed))
            areas.append(_area(chosen))
            counts.append((rows.sum(), (rows & ~seen).sum()))
    by = {"head": entries, "answers": answers}
    shape = (len(entries), len(answers))
    result = _dataset(cells, by, parts)
    result["area"] = ((*by, "part"), np.reshape(areas, (*shape, len(parts))))
    result["n"] = (tuple(by), np.reshape([n for n, _ in counts], shape))
    result["n_empty"] = (tuple(by), np.reshape([empty for _, empty in counts], shape))
    return result


class _Cell(NamedTuple):
    """Means of `_columns` with the ends of their intervals, how these were made, and n."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    interval: str
    n: int


def _columns(images: _Images) -> np.ndarray:
    """Return shares, densities and spread of images, (n, 2 * parts + 1)."""
    density = np.full_like(images.share, np.nan)
    area = np.broadcast_to(_area(images), density.shape)
    np.divide(images.share, area, out=density, where=area > 0)
    return np.column_stack([images.share, density, images.spread])


def _area(images: _Images) -> np.ndarray:
    n = len(images.area)
    return images.area.mean(0) if n else np.full(images.area.shape[1], np.nan)


def _cell(values: np.ndarray, images: _Images, n_bootstrap: int, seed: int) -> _Cell:
    """Return means over images, with bootstrap intervals over identities or series.

    As `statistics.cluster_interval` of each column, with the same draws for all.
    """
    n, width = values.shape
    nothing = np.full(width, np.nan)
    mean = values.mean(0) if n else nothing
    clusters = clusters_to_resample(images.head, images.identity, images.series) if n else None
    if clusters is None:
        return _Cell(mean, nothing, nothing, NO_INTERVAL, n)
    times = clusters.times(n_bootstrap, seed)
    replicates = (times @ clusters.sums(values)) / (times @ clusters.sums(np.ones((n, 1))))
    low, high = percentile_interval(replicates, clusters.strata)
    return _Cell(mean, low, high, f"bootstrap over {clusters.kind}", n)


def _dataset(cells: list[_Cell], by: dict[str, list[str]], parts: list[str]) -> xr.Dataset:
    shape, k = tuple(len(entries) for entries in by.values()), len(parts)
    dims = tuple(by)
    data: dict[str, Any] = {}
    for suffix, values in (
        ("", np.array([cell.mean for cell in cells])),
        ("_low", np.array([cell.low for cell in cells])),
        ("_high", np.array([cell.high for cell in cells])),
    ):
        data[f"share{suffix}"] = ((*dims, "part"), values[:, :k].reshape(*shape, k))
        data[f"density{suffix}"] = ((*dims, "part"), values[:, k:-1].reshape(*shape, k))
        data[f"spread{suffix}"] = (dims, values[:, -1].reshape(shape))
    data["interval"] = (dims, np.array([cell.interval for cell in cells]).reshape(shape))
    data["n"] = (dims, np.array([cell.n for cell in cells]).reshape(shape))
    return xr.Dataset(data, {**by, "part": parts})


def _by_image(images: _Images, correct: np.ndarray, stimulus_id: np.ndarray) -> xr.Dataset:
    both, one = ("image", "part"), "image"
    return xr.Dataset(
        {
            "image_share": (both, images.share),
            "image_area": (both, images.area),
            "image_spread": (one, images.spread),
            "image_correct": (one, correct),
        },
        {
            "stimulus_id": (one, stimulus_id),
            "image_head": (one, images.head),
            "image_identity": (one, images.identity),
            "image_series": (one, images.series),
        },
    )


def _read_images(result: xr.Dataset) -> _Images:
    names = ("share", "area", "spread", "head", "identity", "series")
    values = [result[f"image_{name}"].to_numpy() for name in names]
    return _Images(*(v.astype(str) if v.dtype.kind in "OU" else v for v in values))


def _maps(recording: xr.DataArray, site: str) -> xr.Dataset:
    """Return the maps of a site, and the gray images that they lie over."""
    held = recording.isel(neuroid=np.flatnonzero(recording["site"].to_numpy() == site))
    responses = read_responses(recording, site)
    places = [held[f"channel_{axis}"].to_numpy() for axis in "yx"]
    shape = (len(responses.activity), 2, *(int(place.max()) + 1 for place in places))
    if responses.activity.shape[1] != np.prod(shape[1:]):
        raise NeuroferError(f"site {site!r} holds no maps; record it as 'saliency-map'")
    pictures = responses.activity.reshape(shape)
    dims = ("image", "y", "x")
    return xr.Dataset({"map": (dims, pictures[:, 0]), "face": (dims, pictures[:, 1])})


ANALYSIS = Analysis(
    "saliency",
    "Grad-CAM++ in numbers: how much of what speaks for an answer lies on each part of the face",
    run,
    table,
    figure,
    difference,
    networks_only=True,
)
