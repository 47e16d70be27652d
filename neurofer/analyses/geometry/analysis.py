"""Geometry of identity and expression: are they coded along other directions, and alike on heads?

Schwartz, O'Nell, Saxe and Anzellotti (2023, Brain Sci. 13:296) found that features which
distinguish identities and features which distinguish expressions become more orthogonal layer by
layer, by congruence coefficients. Norm-referenced transfer (Stettler, Lappe, Taubert and Giese,
section 3) assumes that an expression moves the pattern along the same direction on every head.
What a feature is here: see `separation.distinguishing` and `alignment`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.analyses.figures import draw_view
from neurofer.analyses.geometry.design import Design, read_design
from neurofer.analyses.geometry.jackknife import jackknifed, leave_one_out
from neurofer.analyses.geometry.measures import FEWEST_FOR_CKA, ROUNDING, cka
from neurofer.analyses.geometry.site import BOUNDS, of_site
from neurofer.analyses.gram import pattern_gram
from neurofer.analyses.inputs import Responses, listed, read_responses, subset
from neurofer.analyses.provenance import with_provenance
from neurofer.analyses.registry import Analysis
from neurofer.analyses.statistics import NO_INTERVAL
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.options import Resamples, Seed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FEATURES = ("means", "differences")
_MEASURES = (
    "congruence",
    "overlap",
    "angle",
    "participation_ratio",
    "participation_ratio_corrected",
    "mean_alignment",
    "mean_alignment_corrected",
)
# Whether the unbiased HSIC is taken, and whether the bias of few identities is taken off.
_CKA = {"cka": (False, False), "cka_debiased": (True, False), "cka_corrected": (True, True)}
JACKKNIFE = "jackknife over identities"
UNITS = {
    f"{name}{end}": "degree" for name in ("angle", "angle_chance") for end in ("", "_low", "_high")
}
EVERY = "all units"  # the site of a recording that names none


def run(
    recording: xr.DataArray,
    site: str | Sequence[str] | None = None,
    *,
    features: Literal["means", "differences"] = "means",
    n_permutations: Resamples = 200,
    seed: Seed = 0,
) -> xr.Dataset:
    """Return the geometry of identity and expression at every site.

    Congruence, overlap and alignment are of the expressions that every identity shows, each at the
    greatest strength that all of them show; the participation ratio and CKA of all presentations.

    Args:
        recording: presentation x neuroid; units that lack a stimulus are left out, and counted in
            `attrs["set_aside_units"]`.
        site: one or several sites; None takes all, in the order of the recording.
        features: "means" of identities and of expressions, or their pairwise "differences".
        n_permutations: of the conditions of a head (congruence, overlap: directions as random as
            the patterns' covariance allows), and of the names of expressions (alignment).
        seed: of the permutations.

    Returns:
        A Dataset. "chance" is the mean and central 95 % of permutations. `_low` and `_high` are
        95 % by leaving out identities (`jackknife`), NaN where they are fewer than five or a head
        has one (`attrs["interval"]` says so); those of what is not corrected are around the value
        of as many identities. `attrs["not_measured"]` says what is missing and why.

        participation_ratio, participation_ratio_corrected, _low, _high (site) [1]: dimensions,
            and less the bias of few identities.
        n_pairs (site) [1]: pairs of an identity and an expression.
        congruence, congruence_chance, _low, _high (site) [1]: mean absolute Tucker coefficient of
            all pairs.
        overlap, overlap_chance, _low, _high (site) [1]: mean squared cosine of the principal
            angles between the subspaces of identity and expression.
        angle, angle_chance, _low, _high (site) [degree]: the smallest of these angles.
        cka, cka_debiased, cka_corrected, _low, _high (site, other_site) [1]: linear CKA; debiased
            for few stimuli; corrected for few identities as well.
        cosine (site, pair, expression) [1], if there are two heads and a neutral: between the
            directions of an expression on two heads.
        alignment, alignment_corrected, alignment_chance, _low, _high (site, pair) [1], if there are
            two heads and a neutral: mean cosine over expressions; corrected, over the ceiling
            where that is above 0.5.
        alignment_ceiling (site, pair) [1], if there are two heads and a neutral: what the noise of
            few identities leaves of equal directions; NaN for a head of one identity.
        mean_alignment, mean_alignment_corrected, mean_alignment_chance, _low, _high (site) [1], if
            there are two heads and a neutral: means over pairs.
        mean_alignment_ceiling (site) [1], if there are two heads and a neutral: mean over pairs.
        reliability (site, head) [1], if there are two heads and a neutral: of the directions.

    Raises:
        NeuroferError: a site or option does not exist, no unit of a site has seen every stimulus
            or varies, identities share fewer than two expressions, or stimuli are fewer than four.

    >>> from neurofer.simulation import coding_units, simulated_faces
    >>> faces = simulated_faces(heads=("human", "monkey"), strengths=(1.0,))
    >>> result = run(coding_units(faces, ("expression",), 30, noise=0.1), n_permutations=20)
    >>> result["mean_alignment"].item() > 0.9
    True
    """
    if features not in FEATURES:
        raise unknown_choice("features", features, FEATURES)
    read = [_read(recording, one) for one in _sites(recording, site)]
    design = read_design(read[0].responses)
    grams, names = [one.gram for one in read], [one.name for one in read]
    found = [
        of_site(
            design,
            one.gram,
            ROUNDING * one.size,
            differences=features == "differences",
            n_permutations=n_permutations,
            seed=seed,
        )
        for one in read
    ]
    data = {
        name: (("site", *one.dims), np.stack([each[name].to_numpy() for each in found]))
        for name, one in found[0].data_vars.items()
    }
    result = xr.Dataset(data, {"site": names, **found[0].coords})
    result = result.merge(_similarities(design, grams, names))
    result.attrs = {
        "n_units": sum(len(one.responses.neuroid) for one in read),
        **_set_aside(read),
        "n_expressions": len(design.expressions),
        "n_heads": len(design.heads),
        "interval": NO_INTERVAL if leave_one_out(design.head) is None else JACKKNIFE,
        "not_measured": _not_measured(design, result),
    }
    options = {
        "features": features,
        "n_permutations": n_permutations,
        "seed": seed,
    }
    joint = replace(read[0].responses, site=", ".join(names))
    return with_provenance(result, "geometry", recording, joint, options, UNITS)


def compare(first: xr.DataArray, second: xr.DataArray) -> xr.Dataset:
    """Return linear CKA between the sites of two recordings of the same stimuli.

    Args:
        first: presentation x neuroid.
        second: of the same `stimulus_id`, in any order.

    Returns:
        cka, cka_debiased and cka_corrected (site, other_site), as of `run`.

    Raises:
        NeuroferError: the recordings are of different stimuli, or as `run`.
    """
    sites, others = ([_read(one, site) for site in _sites(one, None)] for one in (first, second))
    ids = [one[0].responses.column("stimulus_id") for one in (sites, others)]
    if not np.array_equal(ids[0], ids[1]):
        missing = len(set(ids[0].tolist()) ^ set(ids[1].tolist()))
        raise NeuroferError(
            f"the recordings show {len(ids[0])} and {len(ids[1])} stimuli, {missing} of them in "
            "one only: select the shared ones with recording.sel before CKA"
        )
    grams, other_grams = ([one.gram for one in each] for each in (sites, others))
    names, other_names = ([one.name for one in each] for each in (sites, others))
    design = read_design(sites[0].responses)
    result = _similarities(design, grams, names, other_grams, other_names)
    result.attrs["n_units"] = sum(len(one.responses.neuroid) for one in sites)
    result.attrs |= _set_aside([*sites, *others])
    result.attrs["other_subject"] = str(second.attrs.get("subject", "not stated"))
    joint = replace(sites[0].responses, site=", ".join(names))
    return with_provenance(result, "geometry.compare", first, joint, {})


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return one row per site and measure: value, low, high, chance, ceiling, what it is of, n."""
    rows = []
    for site in result["site"].to_numpy().tolist():
        cell = result.sel(site=site)
        rows += [_row(site, name, "", cell) for name in _MEASURES if name in cell]
        for pair in cell["pair"].to_numpy().tolist() if "pair" in cell.dims else []:
            rows.append(_row(site, "alignment", pair, cell.sel(pair=pair)))
        for other in cell["other_site"].to_numpy().tolist():
            if other != site:
                rows += [_row(site, name, other, cell.sel(other_site=other)) for name in _CKA]
    return pd.DataFrame(rows).assign(
        n_identities=result.attrs["n_identities"], interval=result.attrs["interval"]
    )


def figure(results: Mapping[str, xr.Dataset], *, view: str = "layers") -> Figure:
    """Return curves over sites ("layers"), the alignment of all ("alignment") or by "heads", "cka".

    Raises:
        NeuroferError: there is no such view, or nothing to draw.
    """
    from neurofer.analyses.geometry.figures import VIEWS

    return draw_view(results, view, VIEWS)


def _row(site: str, measure: str, of: str, cell: xr.Dataset) -> dict[str, Any]:
    columns = {"value": "", "low": "_low", "high": "_high", "chance": "_chance"}
    columns |= {"chance_low": "_chance_low", "chance_high": "_chance_high", "ceiling": "_ceiling"}
    values = {
        column: round(float(cell[measure + suffix]), 3) if measure + suffix in cell else np.nan
        for column, suffix in columns.items()
    }
    return {"site": site, "measure": measure, "of": of, **values}


def _sites(recording: xr.DataArray, site: str | Sequence[str] | None) -> list[str | None]:
    if site is None:
        if not isinstance(recording, xr.DataArray) or "site" not in recording.coords:
            return [None]
        return list(dict.fromkeys(recording["site"].to_numpy().astype(str).tolist()))
    chosen: list[str | None] = [site] if isinstance(site, str) else list(site)
    if not chosen:
        raise NeuroferError("site=() names no site: name one or several, or None for all")
    return chosen


class _Site(NamedTuple):
    """A site after its units were read: who was shown what, and inner products of patterns.

    Attributes:
        responses: without activity, which may be large.
        gram: (n, n) inner products.
        size: mean squared length of a pattern.
        aside: names of the units that lack a stimulus and are left out.
    """

    responses: Responses
    gram: np.ndarray
    size: float
    aside: np.ndarray

    @property
    def name(self) -> str:
        return self.responses.site or EVERY


def _read(recording: xr.DataArray, site: str | None) -> _Site:
    """Read a site and keep its inner products only, of units that have seen every stimulus."""
    responses, aside = _complete(read_responses(recording, site, undefined=True))
    n = len(responses.activity)
    if n < FEWEST_FOR_CKA:
        raise NeuroferError(
            f"{n} stimuli have no geometry; the recording needs at least {FEWEST_FOR_CKA}"
        )
    gram, size = pattern_gram(responses.activity)
    if not np.trace(gram) > ROUNDING * n * size:
        raise NeuroferError(
            f"no unit of site {responses.site!r} varies with the stimulus: it has no geometry; "
            "leave it out with the option site"
        )
    return _Site(replace(responses, activity=np.empty((n, 0), np.float32)), gram, size, aside)


def _complete(responses: Responses) -> tuple[Responses, np.ndarray]:
    """Return the responses of units that are finite at every stimulus, and the names of others."""
    complete = np.ones(len(responses.neuroid), bool)
    for row in responses.activity:
        complete &= np.isfinite(row)
    if complete.all():
        return responses, responses.neuroid[:0]
    aside = responses.neuroid[~complete]
    if not complete.any():
        raise NeuroferError(
            f"activity of each of the {len(aside)} units of site {responses.site!r} "
            f"({listed(aside)}) is not finite at some stimulus, and geometry takes units that have "
            "seen all: choose stimuli that units have in common, or leave the site out with the "
            "option site"
        )
    return subset(responses, complete), aside


def _set_aside(read: Sequence[_Site]) -> dict[str, Any]:
    """Return how many units lack a stimulus, and which, for `attrs`."""
    said = [
        f"{one.name}: {len(one.aside)} of {len(one.aside) + len(one.responses.neuroid)} units lack "
        f"a stimulus ({listed(one.aside)})"
        for one in read
        if len(one.aside)
    ]
    return {
        "n_set_aside": sum(len(one.aside) for one in read),
        "set_aside_units": "; ".join(said) or "none",
    }


def _similarities(
    design: Design,
    grams: Sequence[np.ndarray],
    names: Sequence[str],
    others: Sequence[np.ndarray] | None = None,
    other_names: Sequence[str] | None = None,
) -> xr.Dataset:
    """Return CKA of all sites with all others, or with each other."""
    right = grams if others is None else others
    weights = leave_one_out(design.head, balanced=True)
    found = np.full((len(_CKA), 3, len(grams), len(right)), np.nan)
    for i, j in np.ndindex(len(grams), len(right)):
        if others is None and j < i:
            found[:, :, i, j] = found[:, :, j, i]
            continue
        for debiased in (False, True):
            similarity = partial(cka, grams[i], right[j], debiased=debiased, cluster=design.cluster)
            value, without = float(similarity()[0]), None
            if weights is not None:
                without = similarity(counts=weights)
            for k, (of_debiased, corrected) in enumerate(_CKA.values()):
                if of_debiased == debiased:
                    ends = (-1.0 * debiased, 1.0)
                    found[k, :, i, j] = jackknifed(
                        value, without, design.head, ends, corrected=corrected
                    )
    data = {
        f"{name}{suffix}": (("site", "other_site"), found[k, b])
        for k, name in enumerate(_CKA)
        for b, suffix in enumerate(BOUNDS)
    }
    return xr.Dataset(data, {"site": list(names), "other_site": list(other_names or names)})


def _not_measured(design: Design, result: xr.Dataset) -> str:
    """Say which measures are missing or undefined at some site, and why."""
    missing = []
    if "alignment" not in result:
        why = "one head only" if len(design.heads) < 2 else "identities share no neutral"
        missing.append(f"alignment: {why}")
    for name in ("congruence", "alignment"):
        if name in result:
            undefined = np.isnan(result[name].to_numpy().reshape(result.sizes["site"], -1))
            where = result["site"].to_numpy()[undefined.any(axis=1)].tolist()
            if where:
                missing.append(
                    f"{name} at {', '.join(where)}: identities or expressions leave no difference"
                )
    if "alignment_ceiling" in result and np.isnan(result["alignment_ceiling"].to_numpy()).any():
        missing.append("ceiling: a head has one identity, or tells no expressions")
    if "alignment_corrected" in result:
        bounds = result["alignment_corrected_low"].to_numpy()
        where = result["site"].to_numpy()[np.isnan(bounds).any(axis=1)].tolist()
        if where:
            missing.append(
                f"alignment_corrected, or its interval, at {', '.join(where)}: identities of a "
                "head do not agree, or are too few"
            )
    return "; ".join(missing)


ANALYSIS = Analysis(
    name="geometry",
    summary="congruence of identity and expression, dimension, CKA, and alignment across heads",
    run=run,
    table=table,
    figure=figure,
)
