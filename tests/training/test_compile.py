from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from torch import nn

from neurofer.training import images, make_recipe
from neurofer.training.tasks import supervised
from neurofer.training.train import train
from tests.training.tasks.test_supervised import RECIPE, shades


def small(name: str, outputs: int, **options: object) -> nn.Module:
    """Stand in for a network that takes minutes to compile: 24 pixels to four numbers."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 11 * 11, outputs)
    )


@pytest.mark.skipif(
    shutil.which("c++") is None, reason="torch.compile needs a C++ compiler on the CPU"
)
def test_a_compiled_network_learns_as_it_does_uncompiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: shades(**kw))
    monkeypatch.setattr(supervised, "make_network", small)
    losses = []
    for compiled in (False, True):
        out = tmp_path / f"{compiled}.safetensors"
        recipe = make_recipe({**RECIPE, "steps": 3, "compile": compiled})
        train(recipe, out, threads=1, device="cpu", quiet=True)
        lines = map(json.loads, out.with_suffix(".log.jsonl").read_text("utf-8").splitlines())
        losses.append([line["loss"] for line in lines if "loss" in line])
    assert len(losses[0]) == 3
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
