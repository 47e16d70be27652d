"""Speed of the face renderer: a cut of the BFS set, image by image on one core.

The peer of `render.speed` is the prototype renderer, a folder with `facesim.py`, `fast.py` and
`ids.py` named by $NEUROFER_PROTOTYPE; the peer of `render.numba_over_numpy` is our own reference
backend. Both draw the same heads, seven expressions each at 224 pixels with ground truth, and both
pay for preparing each identity.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neurofer.faces import HEADS, RECIPES, FaceRenderer, make_identity

SIZE = 224
ROUNDS = 3  # identities of each head
UNIT = "images/s per core"

Draw = Callable[[int, str, str], object]


def benchmarks() -> list[dict[str, Any]]:
    """Measure both comparisons and return their rows."""
    ours = _ours("numba")
    return [_against_prototype(ours), _row("render.numba_over_numpy", ours, _ours("numpy"), None)]


def _against_prototype(ours: Draw) -> dict[str, Any]:
    folder = os.environ.get("NEUROFER_PROTOTYPE", "")
    if not Path(folder, "facesim.py").is_file():
        row = {"id": "render.speed", "ours": None, "peer": None, "ratio": None, "goal": 1.5}
        return {**row, "unit": UNIT, "note": "no prototype in $NEUROFER_PROTOTYPE"}
    return _row("render.speed", ours, _prototype(folder), 1.5)


def _ours(backend: str) -> Draw:
    renderer = FaceRenderer(backend)

    def draw(seed: int, head: str, expression: str) -> object:
        return renderer.render(make_identity(seed, head), expression, size=SIZE)

    return draw


def _prototype(folder: str) -> Draw:
    sys.path.insert(0, folder)
    try:
        facesim, fast, ids = (importlib.import_module(n) for n in ("facesim", "fast", "ids"))
    finally:
        sys.path.remove(folder)
    fast.install()
    model = facesim.Model()
    renderer = facesim.Renderer(model)

    def draw(seed: int, head: str, expression: str) -> object:
        identity, moved = ids.ident(seed, head), model.D[expression]
        return renderer.render(identity, head, moved, size=SIZE, gt=True)

    return draw


def _row(name: str, ours: Draw, peer: Draw, goal: float | None) -> dict[str, Any]:
    """Time both sides in turns, after one image each to warm up, by processor time."""
    seconds = {"ours": 0.0, "peer": 0.0}
    sides = {"ours": ours, "peer": peer}
    for draw in sides.values():
        draw(100, HEADS[0], "happy")
    images = 0
    for seed in range(101, 101 + ROUNDS):
        for head in HEADS:
            images += len(RECIPES)
            for side, draw in sides.items():
                start = time.process_time()
                for expression in RECIPES:
                    draw(seed, head, expression)
                seconds[side] += time.process_time() - start
    speed = {side: images / total for side, total in seconds.items()}
    ratio = speed["ours"] / speed["peer"]
    return {"id": name, **speed, "ratio": ratio, "goal": goal, "unit": UNIT}
