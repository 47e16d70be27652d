"""Simulated neurons with known tuning in a face space, as recordings.

A face is a point x = head + identity + strength * expression in a face space in which the six
expressions are orthonormal directions and heads and identities lie orthogonally to them: the
assumption of norm-referenced transfer (Stettler, Lappe, Taubert & Giese, section 3) holds by
construction. Every activity is the tuning plus independent Gaussian noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.faces import HEADS
from neurofer.files import content_hash
from neurofer.recording.layout import (
    join_coords,
    make_recording,
    neuroid_coords,
    presentation_coords,
)
from neurofer.recording.sites import Site
from neurofer.stimuli.table import EXPRESSIONS, make_table

SHOWN = EXPRESSIONS[:7]


@dataclass(frozen=True)
class Faces:
    """Simulated faces.

    Attributes:
        table: n rows, a stimulus table with `source` "simulated".
        difference: (n, dimensions) from the neutral face of the same head and identity.
        neutral: (n, dimensions) that neutral face.
        direction: expression -> (dimensions,) unit vector.
    """

    table: pd.DataFrame
    difference: np.ndarray
    neutral: np.ndarray
    direction: dict[str, np.ndarray]

    @property
    def position(self) -> np.ndarray:
        """(n, dimensions) in the face space."""
        return self.neutral + self.difference

    @property
    def identifier(self) -> str:
        """Name of the set, ending in a hash of its content."""
        return f"simulated-faces-{content_hash(self.position, self.table.to_csv())[:8]}"


def simulated_faces(
    *,
    heads: Sequence[str] = HEADS,
    n_identities: int = 5,
    expressions: Sequence[str] = SHOWN,
    strengths: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    head_spread: float = 3.0,
    identity_spread: float = 0.5,
    dimensions: int = 20,
    seed: int = 0,
) -> Faces:
    """Make faces: every expression at every strength, and a neutral, of every identity.

    Args:
        heads: names of the heads.
        n_identities: of each head.
        expressions: shown; "neutral" is shown once per identity, at strength 0.
        strengths: of every other expression.
        head_spread: length of the vector from the centre of the space to a head.
        identity_spread: length of the vector from a head to an identity.
        dimensions: of the space, at least one more than there are expressions.
        seed: of the vectors.

    Raises:
        NeuroferError: the space has too few dimensions.
    """
    moving = [name for name in expressions if name != "neutral"]
    if dimensions <= len(moving):
        raise NeuroferError(
            f"dimensions={dimensions} leaves no room for heads beside {len(moving)} expressions; "
            f"it must be at least {len(moving) + 1}"
        )
    generator = np.random.default_rng(seed)
    basis = np.linalg.qr(generator.normal(size=(dimensions, dimensions)))[0].T
    direction = dict(zip(moving, basis, strict=False))
    rows, neutrals, differences = [], [], []
    for head in heads:
        centre = _vector(generator, basis[len(moving) :], head_spread)
        for identity in range(1, n_identities + 1):
            neutral = centre + _vector(generator, basis[len(moving) :], identity_spread)
            shown = [("neutral", 0.0)] if "neutral" in expressions else []
            shown += [(name, strength) for name in moving for strength in strengths]
            for expression, strength in shown:
                rows.append((head, str(identity), expression, strength))
                neutrals.append(neutral)
                step = strength * direction[expression] if strength else np.zeros(dimensions)
                differences.append(step)
    table = pd.DataFrame(rows, columns=["head", "identity", "expression", "strength"])
    table["stimulus_id"] = [f"{h}-{i}-{e}-{s:g}" for h, i, e, s in rows]
    table["source"] = "simulated"
    hashes = [content_hash(np.add(a, b)) for a, b in zip(neutrals, differences, strict=True)]
    return Faces(make_table(table, hashes), np.array(differences), np.array(neutrals), direction)


def norm_referenced_units(
    faces: Faces,
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    exponent: float = 1.0,
    decide: bool = False,
    noise: float = 0.0,
    seed: int = 0,
) -> xr.DataArray:
    """Record units that project the difference from the neutral on one expression each.

    v = intercept + slope * max(0, d . n) ** exponent: linear in strength for exponent 1. The site
    is "nre" or, with `decide`, "decision", with a unit "neutral" of constant activity, at a tenth
    of the activity of the others at full strength.

    Args:
        faces: what is shown.
        slope: activity at full strength, over the intercept.
        intercept: activity at strength 0.
        exponent: of the tuning.
        decide: add the unit "neutral".
        noise: SD of the noise.
        seed: of the noise.
    """
    labels = list(faces.direction)
    projection = faces.difference @ np.stack([faces.direction[name] for name in labels]).T
    activity = intercept + slope * np.maximum(projection, 0) ** exponent
    if decide:
        neutral = np.full((len(activity), 1), intercept + 0.1 * slope)
        activity, labels = np.hstack([neutral, activity]), ["neutral", *labels]
    site = Site("decision" if decide else "nre", labels=tuple(labels))
    return _record(faces, site, activity, "norm-referenced", noise, seed)


def exemplar_units(
    faces: Faces, *, head: str = "human", width: float = 1.0, noise: float = 0.0, seed: int = 0
) -> xr.DataArray:
    """Record units tuned to stored faces: v = exp(-|x - c|^2 / (2 width^2)), site "exemplar".

    The stored faces c are those of the first identity of `head` at the greatest strength, each
    labelled with its expression. They are positions in the absolute space: on a distant head no
    unit responds.

    Args:
        faces: what is shown.
        head: whose faces are stored.
        width: of the tuning.
        noise: SD of the noise.
        seed: of the noise.

    Raises:
        NeuroferError: no such head is shown.
    """
    own = faces.table[faces.table["head"] == head]
    if own.empty:
        raise NeuroferError(f"head={head!r} is not among the simulated faces")
    own = own[own["identity"] == own["identity"].iloc[0]]
    stored = own.sort_values("strength", kind="stable").groupby("expression").tail(1).index
    distance = ((faces.position[:, None] - faces.position[None, stored]) ** 2).sum(axis=2)
    activity = np.exp(-distance / (2 * width**2))
    labels = tuple(faces.table.loc[stored, "expression"])
    return _record(faces, Site("exemplar", labels=labels), activity, "exemplar", noise, seed)


def coding_units(
    faces: Faces,
    column: str | Sequence[str],
    n_units: int = 50,
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> xr.DataArray:
    """Record units that code a column of the stimuli: one random pattern per value, site "coding".

    Args:
        faces: what is shown.
        column: "identity" (with its head), "head", "expression", or several.
        n_units: number of units.
        noise: SD of the noise; that of the patterns is 1.
        seed: of the patterns and the noise.
    """
    names = [column] if isinstance(column, str) else list(column)
    if "identity" in names and "head" not in names:
        names.append("head")
    codes = faces.table.groupby(names, sort=True).ngroup().to_numpy()
    generator = np.random.default_rng(seed)
    patterns = generator.normal(size=(codes.max() + 1, n_units))
    name = "-".join(names) + "-coding"
    return _record(faces, Site("coding"), patterns[codes], name, noise, seed + 1)


def noise_units(faces: Faces, n_units: int = 50, *, seed: int = 0) -> xr.DataArray:
    """Record units that respond to nothing: unit Gaussian noise, site "noise".

    Args:
        faces: that are shown.
        n_units: number of units.
        seed: of the noise.
    """
    return _record(faces, Site("noise"), np.zeros((len(faces.table), n_units)), "noise", 1.0, seed)


def join(*recordings: xr.DataArray) -> xr.DataArray:
    """Return recordings of the same faces as one, with all their sites.

    Raises:
        NeuroferError: the recordings are of different stimuli.
    """
    first = recordings[0]
    for other in recordings[1:]:
        if other.attrs["stimuli"] != first.attrs["stimuli"]:
            raise NeuroferError(
                f"recordings of {first.attrs['stimuli']} and of {other.attrs['stimuli']} cannot be "
                "joined: they show different stimuli"
            )
    shown = {name: c for name, c in first.coords.items() if c.dims == ("presentation",)}
    units = [
        {str(n): ("neuroid", c.to_numpy()) for n, c in one.coords.items() if c.dims == ("neuroid",)}
        for one in recordings
    ]
    subject = "+".join(dict.fromkeys(one.attrs["subject"] for one in recordings))
    activity = np.hstack([one.to_numpy() for one in recordings])
    return make_recording(
        activity, {**shown, **join_coords(units)}, {**first.attrs, "subject": subject}
    )


def _vector(generator: np.random.Generator, basis: np.ndarray, length: float) -> np.ndarray:
    """Return a vector of that length and of random direction in the span of the basis."""
    weights = generator.normal(size=len(basis))
    return length * (weights / np.linalg.norm(weights)) @ basis


def _record(
    faces: Faces, site: Site, activity: np.ndarray, kind: str, noise: float, seed: int
) -> xr.DataArray:
    """Add the noise and put the activity into the layout of a recording."""
    from neurofer import __version__

    generator = np.random.default_rng(seed)
    activity = activity + noise * generator.normal(size=activity.shape)
    subject = f"simulated-{kind}-{content_hash(activity, seed)[:8]}"
    coords = presentation_coords(faces.table, frozenset())
    coords |= neuroid_coords(site, activity.shape[1:], subject)
    attributes = {"subject": subject, "stimuli": faces.identifier, "neurofer": __version__}
    return make_recording(activity.astype(np.float32), coords, attributes)
