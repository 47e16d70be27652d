"""Rendered heads to train on: random identities, action units, pose, light and background.

They are rendered once, in parallel, into the cache. Their seeds lie between those of the basic
shapes (below 100) and those of the simulated sets (from 100,000 on), so that no identity of a set
is ever learned from.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from neurofer.closure import closure_hash
from neurofer.errors import unknown_choice
from neurofer.faces import HEADS, RECIPES, RENDERER_VERSION, Camera, FaceRenderer, Light
from neurofer.faces import make_identity as identity_of
from neurofer.faces.actions import ACTION_UNITS
from neurofer.faces.random import Random
from neurofer.files import cache_folder, content_hash
from neurofer.schema import Strict
from neurofer.sealed import cached, check_seal, write_sealed
from neurofer.stimuli.image_cache import ensure
from neurofer.stimuli.packed import read_arrays, write_arrays
from neurofer.subjects.preprocess import heatmap_input
from neurofer.workers import run_in_processes, serve

if TYPE_CHECKING:
    from neurofer.faces import Identity, Rendering

FIRST_SEED, LAST_SEED = 1000, 99_999
SHARD = 8  # identities per file
ARRAYS = ("inputs", "landmarks", "position")  # of a file
# The renderer has a version of its own; the others write files and check them.
_WRITES = (
    "neurofer.faces",
    "neurofer.files",
    "neurofer.schema",
    "neurofer.sealed",
    "neurofer.stimuli",
    "neurofer.workers",
)


class RenderedHeads(Strict):
    """Which heads are rendered; ranges are drawn from uniformly, angles are in degrees.

    Identity k has the k-th seed from `first_seed` on and the heads in turn; the last `held_out` of
    them are not learned from. Each is shown `images` times with up to `units` action units, none
    stronger than 1.1 times its strongest use in an expression.
    """

    heads: tuple[str, ...] = HEADS
    identities: int = Field(gt=0)
    held_out: int = Field(default=60, gt=0)
    images: int = Field(default=4, gt=0)
    first_seed: int = Field(default=FIRST_SEED, ge=FIRST_SEED)
    size: int = Field(default=224, ge=112)
    spread: float = Field(default=1.5, ge=0, le=2)
    scale_x: tuple[float, float] = (0.8, 1.2)
    units: int = Field(default=7, ge=0)
    yaw: float = Field(default=8.0, ge=0)
    pitch: float = Field(default=6.0, ge=0)
    roll: float = Field(default=4.0, ge=0)
    zoom: tuple[float, float] = (0.9, 1.12)
    shift: float = Field(default=0.03, ge=0)

    @field_validator("heads")
    @classmethod
    def _known(cls, heads: tuple[str, ...]) -> tuple[str, ...]:
        for head in heads:
            if head not in HEADS:
                raise ValueError(str(unknown_choice("head", head, HEADS)))
        return heads

    @field_validator("held_out")
    @classmethod
    def _every_head(cls, held_out: int, info: ValidationInfo) -> int:
        heads = info.data.get("heads", ())
        if held_out < len(heads):
            raise ValueError(f"at least one identity of each of {len(heads)} heads is held out")
        return held_out

    @model_validator(mode="after")
    def _own_seeds(self) -> RenderedHeads:
        if self.first_seed + self.count - 1 > LAST_SEED:
            raise ValueError(f"seeds above {LAST_SEED} belong to the simulated sets")
        return self

    @property
    def count(self) -> int:
        """How many identities there are, learned and held out."""
        return self.identities + self.held_out


@dataclass(frozen=True, eq=False)
class HeadArrays:
    """Rendered heads as the heatmap net sees them, n images.

    Attributes:
        inputs: (n, 112, 112) uint8, gray.
        landmarks: (n, 13, 2) float64, pixel-centre coordinates in the rendered image.
        head: (n,) str.
        seed: (n,) int, of the identity.
        held_out: (n,) bool.
        sha256: hash of all these.
        renderer: the renderer's version.
    """

    inputs: np.ndarray
    landmarks: np.ndarray
    head: np.ndarray
    seed: np.ndarray
    held_out: np.ndarray
    sha256: str
    renderer: str


def rendered_heads(spec: RenderedHeads, *, quiet: bool = False) -> HeadArrays:
    """Return the heads of a specification; those that the cache lacks are rendered in parallel.

    Raises:
        NeuroferError: a rendering process failed; what was finished is kept.
    """
    folder = cache_folder("training", f"heads-{_key(spec)}")

    def make(lacking: list[int], advance: Callable[[], None]) -> None:
        module = "neurofer.training.tasks.heads"
        run_in_processes(module, [spec.model_dump_json(), str(folder)], lacking, advance)

    parts = ensure(
        range(0, spec.count, SHARD),
        lambda start: cached(_shard(folder, start), _read_shard),
        make,
        text="rendering heads to train on",
        progress=False if quiet else None,
    )
    inputs, landmarks, position = (np.concatenate([one[name] for one in parts]) for name in ARRAYS)
    head = np.array(spec.heads)[position % len(spec.heads)]
    seed = spec.first_seed + position
    digest = content_hash(inputs, landmarks, seed)
    held_out = position >= spec.identities
    return HeadArrays(inputs, landmarks, head, seed, held_out, digest, RENDERER_VERSION)


def draw(spec: RenderedHeads, position: int, image: int) -> Rendering:
    """Render one image of one identity; all that is random follows from the identity's seed.

    Args:
        spec: which images.
        position: number of the identity.
        image: number of the image of that identity.
    """
    random = Random(spec.first_seed + position, "training", image)
    units = list(ACTION_UNITS)
    shown = random.sample(units, random.integer(spec.units + 1))
    zoom, shift = random.uniform(*spec.zoom), spec.shift
    camera = Camera(
        yaw=random.uniform(-spec.yaw, spec.yaw),
        pitch=random.uniform(-spec.pitch, spec.pitch),
        roll=random.uniform(-spec.roll, spec.roll),
        zoom=zoom,
        shift=(random.uniform(-shift, shift), random.uniform(-shift, shift)),
    )
    return _renderer().render(
        _identity(spec, position),
        action_units={unit: random.uniform(0.1, strongest()[unit]) for unit in shown},
        size=spec.size,
        camera=camera,
        light=_light(random),
        scale_x=random.uniform(*spec.scale_x),
        background=_background(random, spec.size),
        ground_truth=False,
    )


@cache
def strongest() -> dict[int, float]:
    """Return the greatest strength of every action unit: 1.1 of its greatest in an expression.

    A unit that is weak or absent in all expressions goes to 0.6.
    """
    uses = {
        unit: max((recipe.get(unit, 0.0) for recipe in RECIPES.values()), default=0.0)
        for unit in ACTION_UNITS
    }
    return {unit: max(0.6, 1.1 * most) for unit, most in uses.items()}


def _light(random: Random) -> Light:
    """Return a light about the default one: the ranges of the hard simulated sets."""
    usual = Light()
    return Light(
        azimuth=random.uniform(-60, 60),
        elevation=random.uniform(0, 60),
        key=random.uniform(0.5, 1.0),
        fill=usual.fill * random.uniform(0.5, 1.5),
        ambient=usual.ambient * random.uniform(0.7, 1.3),
    )


def _background(random: Random, size: int) -> np.ndarray | None:
    """Return the default background in three of ten cases, else a gradient of two colours."""
    first, second = (np.array([random.uniform(0, 255) for _ in range(3)]) for _ in range(2))
    right, down = random.uniform(-1, 1), random.uniform(-1, 1)
    if random.uniform() < 0.3:
        return None
    across = (np.arange(size) + 0.5) / size - 0.5
    place = np.clip(0.5 + right * across[None, :] + down * across[:, None], 0, 1)[..., None]
    return np.floor(first + (second - first) * place).astype(np.uint8)


def _identity(spec: RenderedHeads, position: int) -> Identity:
    seed, head = spec.first_seed + position, spec.heads[position % len(spec.heads)]
    spread = Random(seed, "training", "spread").uniform(0, spec.spread)
    return identity_of(seed, head, spread=spread)


@cache
def _renderer() -> FaceRenderer:
    return FaceRenderer()


def _key(spec: RenderedHeads) -> str:
    code = closure_hash("neurofer.training.tasks.heads", without=_WRITES)
    return content_hash(spec.model_dump(mode="json"), RENDERER_VERSION, code)[:24]


def _shard(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npz"


def _render_shard(spec: RenderedHeads, folder: Path, start: int) -> Iterator[None]:
    inputs, landmarks, positions = [], [], []
    for position in range(start, min(start + SHARD, spec.count)):
        for image in range(spec.images):
            drawn = draw(spec, position, image)
            inputs.append(np.rint(heatmap_input(drawn.image)).astype(np.uint8))
            landmarks.append(drawn.landmarks)
            positions.append(position)
    drawings = np.array(inputs), np.array(landmarks, dtype=np.float64), np.array(positions)
    with write_sealed(_shard(folder, start)) as partial:
        write_arrays(partial, dict(zip(ARRAYS, drawings, strict=True)))
    yield


def _read_shard(path: Path) -> dict[str, np.ndarray]:
    check_seal(path)
    return read_arrays(path)


def main() -> None:
    """Render the shards of the specification argv[1] whose numbers come on standard input."""
    spec, folder = RenderedHeads(**json.loads(sys.argv[1])), Path(sys.argv[2])
    serve(lambda start: _render_shard(spec, folder, start))


if __name__ == "__main__":
    main()
