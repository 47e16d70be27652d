"""Speed of the face renderer: a cut of the BFS set, image by image on one core.

The peer of `render.speed` is the prototype renderer, a folder with `facesim.py`, `fast.py` and
`ids.py` named by $NEUROFER_PROTOTYPE; the peer of `render.numba_over_numpy` is our own reference
backend. Both draw the same heads, seven expressions each at 224 pixels with ground truth, and both
pay for preparing each identity. `render.cores` fills the cache of rendered images with all cores
and with one, by the clock: writing and starting processes count.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neurofer.faces import HEADS, RECIPES, Camera, FaceRenderer, make_identity
from neurofer.stimuli.rendered.render_cache import RenderSpec, ensure_rendered
from neurofer.workers import cores

SIZE = 224
ROUNDS = 3  # identities of each head
UNIT = "images/s per core"

Draw = Callable[[int, str, str], object]


def benchmarks() -> list[dict[str, Any]]:
    """Measure both comparisons and return their rows."""
    ours = _ours("numba")
    numpy = _row("render.numba_over_numpy", ours, _ours("numpy"), None)
    return [_against_prototype(ours), numpy, _cores()]


def _cores() -> dict[str, Any]:
    """Time 1,120 images of 32 identities, 144 pixels, on all cores and on one.

    Processes take about 1.5 s to start, which a set of thousands of images does not notice.
    """
    specs = [
        RenderSpec("human", seed, 1.0, expression, 1.0, 1.0, 144, camera=Camera(yaw=yaw))
        for seed in range(101, 133)
        for expression in RECIPES
        for yaw in (-90.0, -45.0, 0.0, 45.0, 90.0)
    ]
    speed = {}
    for side, workers in (("ours", cores()), ("peer", 1)):
        with tempfile.TemporaryDirectory() as folder, _on_cores(workers):
            start = time.perf_counter()
            ensure_rendered(specs, Path(folder), workers=workers)
            speed[side] = len(specs) / (time.perf_counter() - start)
    ratio = speed["ours"] / speed["peer"]
    row = {"id": "render.cores", **speed, "ratio": ratio, "goal": 0.8 * cores()}
    return {**row, "unit": "images/s", "note": f"{cores()} cores against one"}


@contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """Keep to some cores: one process writes its images in threads, which would use a second."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _against_prototype(ours: Draw) -> dict[str, Any]:
    folder = os.environ.get("NEUROFER_PROTOTYPE", "")
    if not Path(folder, "facesim.py").is_file():
        row = {"id": "render.speed", "ours": None, "peer": None, "ratio": None, "goal": 3}
        return {**row, "unit": UNIT, "note": "no prototype in $NEUROFER_PROTOTYPE"}
    return _row("render.speed", ours, _prototype(folder), 3)


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
