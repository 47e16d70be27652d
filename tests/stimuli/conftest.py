from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from neurofer import files
from neurofer.files import content_hash
from neurofer.stimuli import StimulusSet
from neurofer.stimuli.rendered import render_cache


def make_stimuli(n: int = 12, size: int = 16, **columns: object) -> StimulusSet:
    rng = np.random.default_rng(n)
    table = pd.DataFrame(
        {
            "stimulus_id": [f"face-{i}" for i in range(n)],
            "head": ["human", "monkey", "cartoon"] * (n // 3),
            "identity": [f"person {i // 3}" for i in range(n)],
            "expression": ["neutral", "happy", "angry", "fear"] * (n // 4),
            "source": "simulated",
            **columns,
        }
    )
    images = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    parts = list(rng.integers(0, 9, (n, size, size), dtype=np.uint8))
    return StimulusSet.from_arrays("tiny", table, images, rng.uniform(0, size, (n, 13, 2)), parts)


@pytest.fixture
def stimuli() -> StimulusSet:
    return make_stimuli()


@dataclass
class FakeRendering:
    image: np.ndarray
    parts: np.ndarray
    landmarks: np.ndarray
    action_units: dict[int, float]


class FakeRenderer:
    """Draws noise that is decided by the specification, and counts."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def render(self, identity, expression, strength, *, size, background, **options):  # type: ignore[no-untyped-def]
        said = {key: repr(value) for key, value in options.items()}
        scene = None if background is None else content_hash(background)
        key = content_hash(identity.head, identity.seed, expression, strength, size, scene, said)
        self.drawn.append(key)
        rng = np.random.default_rng(int(key[:15], 16))
        return FakeRendering(
            rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
            rng.integers(0, 9, (size, size), dtype=np.uint8),
            rng.uniform(0, size, (13, 2)),
            {6: strength, 12: 0.5},
        )


@dataclass
class FakeIdentity:
    seed: int
    head: str
    spread: float


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> FakeRenderer:
    """Replace the renderer by a fast fake; returns it."""
    import neurofer.faces
    import neurofer.stimuli.rendered.simulated  # takes the real identities

    fake = FakeRenderer()
    monkeypatch.setattr(render_cache, "_renderer", lambda: fake)
    monkeypatch.setattr(render_cache, "cores", lambda: 1)
    monkeypatch.setattr(files, "_flush", lambda path: None)  # no crash is tested: spare the disk
    monkeypatch.setattr(neurofer.faces, "RENDERER_VERSION", "fake-renderer-00", raising=False)
    monkeypatch.setattr(
        neurofer.faces,
        "make_identity",
        lambda seed, head, spread: FakeIdentity(seed, head, spread),
        raising=False,
    )
    return fake
