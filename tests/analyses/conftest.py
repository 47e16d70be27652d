"""Simulated recordings, small enough to be made anew for every test session."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurofer.simulation import (
    Faces,
    coding_units,
    join,
    noise_units,
    norm_referenced_units,
    simulated_faces,
)


@pytest.fixture(scope="session")
def faces() -> Faces:
    """Three heads of five identities, six expressions at four strengths, and neutrals."""
    return simulated_faces()


@pytest.fixture(scope="session")
def one_identity() -> Faces:
    """One identity per head, as in BFS-L."""
    return simulated_faces(n_identities=1)


@pytest.fixture(scope="session")
def recording(faces: Faces) -> xr.DataArray:
    """All kinds of sites: nre, decision, coding (of the head and the expression), noise."""
    return join(
        norm_referenced_units(faces, noise=0.03),
        norm_referenced_units(faces, decide=True, noise=0.1, seed=1),
        coding_units(faces, ("head", "expression"), 30, noise=0.5),
        noise_units(faces, 40),
    )


def with_unit(recording: xr.DataArray, unit: str) -> xr.DataArray:
    """The recording without the labels of the units but one."""
    labels = recording["unit"].to_numpy()
    return recording.assign_coords(unit=("neuroid", np.where(labels == unit, labels, "")))
