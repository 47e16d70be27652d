"""The cache of rendered images: an image is rendered once, whatever sets it is in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurofer.files import content_hash
from neurofer.stimuli.image_cache import CachedImage, ensure, read_entry, write_entry
from neurofer.stimuli.images import ahead
from neurofer.workers import cores, run_in_processes, serve

if TYPE_CHECKING:
    from neurofer.faces import Camera, FaceRenderer, Identity, Light, Rendering

# Starting processes takes about as long as rendering this many images.
SERIAL = 24


@dataclass(frozen=True)
class RenderSpec:
    """All that decides the pixels of a rendered stimulus, beside the renderer's version.

    See `FaceRenderer.render`; None stands for its default.

    Attributes:
        head: a head or an avatar, which is one identity and ignores seed and spread.
        action_units: pairs of an action unit and its strength, instead of the expression's.
        background: seed of `make_background`.
    """

    head: str
    seed: int
    spread: float
    expression: str
    strength: float
    scale_x: float
    size: int
    action_units: tuple[tuple[int, float], ...] | None = None
    camera: Camera | None = None
    light: Light | None = None
    background: int | None = None
    wrinkles: bool = False
    transport: str = "identical"

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> RenderSpec:
        """Return the specification that `to_json` described."""
        from neurofer.faces import Camera, Light

        made = dict(fields)
        if made["action_units"] is not None:
            made["action_units"] = tuple((unit, value) for unit, value in made["action_units"])
        if made["camera"] is not None:
            camera = dict(made["camera"])
            made["camera"] = Camera(**{**camera, "shift": tuple(camera["shift"])})
        if made["light"] is not None:
            made["light"] = Light(**made["light"])
        return cls(**made)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        # vars, because dataclasses.asdict takes longer than all else of reading a cached image.
        fields = dict(vars(self))
        if self.action_units is not None:
            fields["action_units"] = [list(pair) for pair in self.action_units]
        if self.camera is not None:
            fields["camera"] = {**vars(self.camera), "shift": list(self.camera.shift)}
        if self.light is not None:
            fields["light"] = dict(vars(self.light))
        return fields

    @property
    def key(self) -> str:
        """The name of the image's files: a hash of all fields."""
        return content_hash(json.dumps(self.to_json(), sort_keys=True))[:32]

    @property
    def identity(self) -> tuple[str, int, float]:
        """What images must share to share the baked ambient occlusion."""
        return self.head, self.seed, self.spread


def ensure_rendered(
    specs: Sequence[RenderSpec],
    folder: Path,
    *,
    text: str = "rendering",
    progress: bool | None = None,
    workers: int | None = None,
) -> list[CachedImage]:
    """Return the cached images of all specifications, rendering those that are lacking.

    Args:
        specs: one per image.
        folder: the cache.
        text: said by the progress bar.
        progress: see `progress_of`.
        workers: processes; default: as many as the cores, or none for a few images.

    Raises:
        NeuroferError: a head or an expression is unknown, or a process died.
    """
    from neurofer.faces import RENDERER_VERSION

    folder = folder / RENDERER_VERSION[:16]

    def render(lacking: list[RenderSpec], advance: Callable[[], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        several = cores() if len(lacking) > SERIAL else 0
        count = several if workers is None else workers
        if count <= 1:
            for _ in render_all(lacking, folder):
                advance()
        else:
            work = [[spec.to_json() for spec in chunk] for chunk in chunks(lacking, count)]
            run_in_processes(__name__, [str(folder)], work, advance, workers=count)

    return ensure(
        specs, lambda spec: read_rendered(spec, folder), render, text=text, progress=progress
    )


def chunks(specs: Sequence[RenderSpec], workers: int) -> list[list[RenderSpec]]:
    """Group specifications by identity, which share a bake, and split groups that are too long.

    About three chunks a worker keep all of them busy to the end; a bake costs about as much as
    an image, so that a chunk has at least four.
    """
    groups: dict[tuple[str, int, float], list[RenderSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.identity, []).append(spec)
    longest = max(4, -(-len(specs) // (3 * workers)))
    return [
        group[start : start + longest]
        for group in groups.values()
        for start in range(0, len(group), longest)
    ]


def read_rendered(spec: RenderSpec, folder: Path) -> CachedImage | None:
    """Return the cached image of a specification, None if it is not there, or is damaged."""
    return read_entry(folder / spec.key, spec.to_json(), lambda: list(render_all([spec], folder)))


def render_all(specs: Iterable[RenderSpec], folder: Path) -> Iterator[None]:
    """Render images into the cache, yielding after each; files are written meanwhile in threads."""
    pairs = ((spec, _draw(spec)) for spec in specs)
    yield from ahead(lambda pair: _write(*pair, folder), pairs, window=4)


def _draw(spec: RenderSpec) -> Rendering:
    from neurofer.faces import make_background

    seed, size = spec.background, spec.size
    return _renderer().render(
        _identity(spec),
        spec.expression,
        spec.strength,
        action_units=None if spec.action_units is None else dict(spec.action_units),
        size=size,
        camera=spec.camera,
        light=spec.light,
        scale_x=spec.scale_x,
        background=None if seed is None else make_background(seed, size),
        transport=spec.transport,
        wrinkles=spec.wrinkles,
    )


def _write(spec: RenderSpec, drawn: Rendering, folder: Path) -> None:
    write_entry(
        folder / spec.key,
        spec.to_json(),
        image=drawn.image,
        landmarks=drawn.landmarks,
        parts=drawn.parts,
        action_units={str(unit): float(w) for unit, w in drawn.action_units.items()},
    )


def _identity(spec: RenderSpec) -> Identity:
    from neurofer.faces import AVATARS, make_avatar, make_identity

    if spec.head in AVATARS:
        return make_avatar(spec.head)
    return make_identity(spec.seed, spec.head, spread=spec.spread)


@lru_cache(maxsize=1)
def _renderer() -> FaceRenderer:
    from neurofer.faces import FaceRenderer

    return FaceRenderer()


def main() -> None:
    """Render the lists of specifications that come on standard input into the folder argv[1]."""
    folder = Path(sys.argv[1])
    serve(lambda specs: render_all((RenderSpec.from_json(spec) for spec in specs), folder))


if __name__ == "__main__":
    main()
