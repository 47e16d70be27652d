from __future__ import annotations

import numpy as np
import pytest

from neurofer.recording.saliency import SHARE, UNITS
from neurofer.simulation import simulated_faces
from neurofer.simulation.recovery import recover, saliency
from neurofer.simulation.saliency import AREAS, saliency_units


def test_density_and_paired_differences_are_found() -> None:
    rows = {row.name.removeprefix("saliency."): row for row in recover("saliency", 8)}
    for name in ("bias", "difference.bias"):
        assert rows[name].low < 0.05
        assert rows[name].high > -0.05
    assert rows["coverage"].measured > 0.6
    assert rows["difference.coverage"].measured > 0.6
    assert rows["difference.false"].measured < 0.4
    assert rows["difference.width"].high < 1
    assert all(row.status in ("in", "unclear") for row in rows.values() if row.goal)


def test_the_mean_share_of_many_people_is_what_was_asked_for() -> None:
    faces = simulated_faces(heads=("human",), n_identities=800, strengths=(1.0,))
    share = np.roll(AREAS, 1)
    columns = [unit.startswith(SHARE) for unit in UNITS]
    found = saliency_units(faces.table, faces.identifier, share=share).to_numpy()[:, columns]
    np.testing.assert_allclose(found.mean(0), share, atol=0.01)
    one, equal, other = (
        recording.to_numpy()[:, columns].mean(0)
        for recording in saliency.subjects(
            simulated_faces(heads=("human",), n_identities=15, strengths=(1.0,)).table,
            "faces",
            np.random.default_rng(0),
        )
    )
    assert other[saliency.MOUTH] - one[saliency.MOUTH] == pytest.approx(saliency.SHIFT, abs=0.01)
    assert equal[saliency.MOUTH] == pytest.approx(one[saliency.MOUTH], abs=0.01)
