from __future__ import annotations

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.recording import check_recording, load_recording, save_recording
from neurofer.simulation import (
    coding_units,
    exemplar_units,
    join,
    noise_units,
    norm_referenced_units,
    simulated_faces,
)

MAKERS = {
    "norm-referenced": norm_referenced_units,
    "exemplar": exemplar_units,
    "coding": lambda faces, **options: coding_units(faces, "identity", **options),
}


@pytest.fixture(scope="module")
def faces():
    return simulated_faces(n_identities=3)


def test_faces_show_every_expression_at_every_strength_and_say_that_they_are_simulated(faces):
    table = faces.table
    assert len(table) == 3 * 3 * (1 + 6 * 4)
    assert (table.groupby(["head", "identity", "expression", "strength"]).size() == 1).all()
    assert set(table["source"]) == {"simulated"}
    assert faces.identifier.startswith("simulated-faces-")
    assert table["image_sha256"].is_unique


def test_the_face_space_is_as_stated():
    """Unit expressions, orthogonal to each other, to heads and to identities; lengths as asked."""
    faces = simulated_faces(head_spread=4.0, identity_spread=0.25, n_identities=2)
    directions = np.stack(list(faces.direction.values()))
    np.testing.assert_allclose(directions @ directions.T, np.eye(6), atol=1e-12)
    np.testing.assert_allclose(faces.neutral @ directions.T, 0, atol=1e-12)
    strength = faces.table["strength"].to_numpy()
    np.testing.assert_allclose(np.linalg.norm(faces.difference, axis=1), strength, atol=1e-12)
    distance = np.linalg.norm(faces.neutral, axis=1)
    assert (np.abs(distance - 4.0) <= 0.25 + 1e-12).all()
    np.testing.assert_allclose(faces.position - faces.neutral, faces.difference, atol=1e-12)


@pytest.mark.parametrize("kind", list(MAKERS))
def test_recordings_have_the_layout_and_follow_the_seed(faces, kind, tmp_path):
    first, same, other = (MAKERS[kind](faces, noise=0.1, seed=s) for s in (1, 1, 2))
    check_recording(first)
    assert first.attrs["subject"].startswith("simulated-")
    assert (first.to_numpy() == same.to_numpy()).all()
    assert (first.to_numpy() != other.to_numpy()).any()
    assert first.attrs["subject"] != other.attrs["subject"]
    save_recording(first, tmp_path / "recording.nc")
    assert load_recording(tmp_path / "recording.nc").identical(first)


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_norm_referenced_units_are_their_equation(faces, exponent):
    recording = norm_referenced_units(faces, slope=3.0, intercept=0.5, exponent=exponent)
    strength = faces.table["strength"].to_numpy()
    for k, label in enumerate(recording["unit"].to_numpy()):
        own = (faces.table["expression"] == label).to_numpy()
        expected = 0.5 + 3.0 * np.where(own, strength, 0) ** exponent
        np.testing.assert_allclose(recording.to_numpy()[:, k], expected, atol=1e-5)


def test_exemplar_units_respond_to_their_face_and_to_no_distant_head(faces):
    recording = exemplar_units(faces)
    labels = recording["unit"].to_numpy()
    assert set(labels) == set(faces.table["expression"])
    human = (faces.table["head"] == "human").to_numpy()
    assert recording.to_numpy()[~human].max() < 0.01
    for k, label in enumerate(labels):
        best = faces.table.iloc[int(recording.to_numpy()[:, k].argmax())]
        assert (best["expression"], best["identity"], best["head"]) == (label, "1", "human")
        assert recording.to_numpy()[:, k].max() == 1
    fear = recording.to_numpy()[:, list(labels).index("fear")]
    own = human & (faces.table["identity"] == "1") & (faces.table["expression"] == "fear")
    levels = faces.table["strength"][own]
    np.testing.assert_allclose(fear[own], np.exp(-((1 - levels) ** 2) / 2), rtol=1e-5)


def test_coding_units_have_one_pattern_a_value(faces):
    recording = coding_units(faces, "identity", 20)
    patterns = np.unique(recording.to_numpy(), axis=0)
    assert patterns.shape == (9, 20)
    noisy = coding_units(faces, "identity", 20, noise=0.2)
    residual = noisy.to_numpy() - recording.to_numpy()
    assert residual.std() == pytest.approx(0.2, rel=0.05)


def test_noise_units_are_unit_gaussian_noise(faces):
    noise = noise_units(faces, 100).to_numpy()
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)


def test_sites_are_joined(faces):
    parts = norm_referenced_units(faces), noise_units(faces, 4)
    joined = join(*parts)
    check_recording(joined)
    assert joined["site"].to_numpy().tolist() == ["nre"] * 6 + ["noise"] * 4
    assert (joined.to_numpy() == np.hstack([part.to_numpy() for part in parts])).all()
    assert joined.attrs["subject"] == "+".join(part.attrs["subject"] for part in parts)


def test_what_cannot_be_simulated_is_named(faces):
    with pytest.raises(NeuroferError, match="dimensions=6 leaves no room"):
        simulated_faces(dimensions=6)
    with pytest.raises(NeuroferError, match="head='dog'"):
        exemplar_units(faces, head="dog")
    with pytest.raises(NeuroferError, match="different stimuli"):
        join(noise_units(faces), noise_units(simulated_faces(n_identities=1)))
