"""Draw heads: identity, expression, camera and light in; image and ground truth out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.faces.actions import CLOSING, action_units_of, fine_displacement
from neurofer.faces.avatars import frame_of
from neurofer.faces.camera import DISTANCE, Camera
from neurofer.faces.checks import check_number
from neurofer.faces.elements import noise_table
from neurofer.faces.hair import lock_axes
from neurofer.faces.identities import Identity
from neurofer.faces.landmarks import landmark_places
from neurofer.faces.lighting import (
    DEPTH_UNITS,
    SHADOW_WIDTH,
    Light,
    lighting,
    shadow_coordinates,
)
from neurofer.faces.mesh import LASHES, LEFT_EYE, RIGHT_EYE, fine_component, head_mesh
from neurofer.faces.paint import exposure
from neurofer.faces.raster import SUBPIXELS, TRIANGLE_BITS, to_grid
from neurofer.faces.relief import brow_smoother
from neurofer.faces.sculpt import Sculpture, local_displacement, sculpt
from neurofer.faces.shading import Scene
from neurofer.faces.wrinkles import Creases, creases

BACKENDS = ("auto", "numpy", "numba")
TRANSPORTS = ("identical", "local")

_SAMPLES = 2  # along each side of a pixel
_CACHED_IDENTITIES = 16
_EYES_FARTHER = 0.10 * DEPTH_UNITS  # so that closed lids cover them
_LASHES_NEARER = int(0.09 * DEPTH_UNITS)  # so that a fold of the lid does not bury them


@dataclass(frozen=True)
class Rendering:
    """An image and the truth about it.

    Attributes:
        image: (size, size, 3) uint8.
        landmarks: (13, 2) float64, x and y in pixels, where (0, 0) is the centre of the top left
            pixel: `LANDMARKS`, then `POSITION_LANDMARKS`.
        vertices_2d: (V', 2) float64, all vertices likewise.
        vertices_3d: (V', 3) float64, in decimetres, before the camera turns them.
        parts: (size, size) uint8, labels of `PARTS`.
        depth: (size, size) float32, distance from the camera's plane in decimetres, nan where the
            background is.
        action_units: strength of every action unit shown.
        identity: whom the image shows.

    The four arrays from vertices_2d to depth are None without ground truth.
    """

    image: np.ndarray
    landmarks: np.ndarray
    vertices_2d: np.ndarray | None
    vertices_3d: np.ndarray | None
    parts: np.ndarray | None
    depth: np.ndarray | None
    action_units: dict[int, float]
    identity: Identity


class FaceRenderer:
    """Draws heads; keeps what it has computed for the last identities.

    `backend` is numba where it is installed ("auto"), or as named. Both draw the same bytes. Give
    every thread a renderer of its own.

    Raises:
        NeuroferError: an unknown backend, or numba is asked for and not installed.

    >>> from neurofer.faces import FaceRenderer, make_identity
    >>> rendering = FaceRenderer("numpy").render(make_identity(1, "human"), "happy", size=48)
    >>> rendering.image.shape, rendering.landmarks.shape
    ((48, 48, 3), (13, 2))
    """

    def __init__(self, backend: str = "auto") -> None:
        self._backend = _backend(backend)
        self._mesh = head_mesh()
        component = fine_component(self._mesh)
        self._lashes = np.flatnonzero(component == LASHES)
        self._eyes = np.flatnonzero(np.isin(component, (LEFT_EYE, RIGHT_EYE)))
        self._brow = brow_smoother(self._mesh)
        self._sculptures: OrderedDict[Identity, Sculpture] = OrderedDict()

    def render(
        self,
        identity: Identity,
        expression: str = "neutral",
        strength: float = 1.0,
        *,
        action_units: Mapping[int, float] | None = None,
        size: int = 224,
        camera: Camera | None = None,
        light: Light | None = None,
        scale_x: float = 1.0,
        background: np.ndarray | None = None,
        transport: str = "identical",
        wrinkles: bool = False,
        ground_truth: bool = True,
    ) -> Rendering:
        """Draw one image.

        Args:
            identity: from `make_identity` or `make_avatar`.
            expression: a name in `RECIPES`.
            strength: scales the expression; 3-D displacements are linear in it.
            action_units: action unit -> strength; replaces the recipe, and is scaled too.
            size: width and height in pixels.
            camera: how the head is turned and framed; frontal by default.
            light: the light, fixed to the camera.
            scale_x: stretches the head and its movements horizontally.
            background: (size, size, 3) uint8 image or (3,) colour 0 ... 255; grey by default.
            transport: "identical" gives every head the same displacements, "local" scales them by
                the Jacobian of the head's warp.
            wrinkles: whether action units draw wrinkles: a cue that is not linear in strength.
            ground_truth: whether to return vertices, parts and depth.

        Raises:
            NeuroferError: an unknown expression, action unit or transport, or a bad number.
        """
        _check(size, scale_x, strength, transport)
        camera, light = camera or Camera(), light or Light()
        units = action_units_of(expression, strength)
        if action_units is not None:
            units = {unit: strength * value for unit, value in action_units.items()}
        sculpture = self._sculpture(identity)
        key = tuple(sorted(units.items()))
        local = transport == "local"
        moved = local_displacement(identity, key) if local else fine_displacement(key)
        vertices = sculpture.neutral + moved
        stretch = np.array([scale_x, 1.0, 1.0])
        vertices = vertices * stretch
        frame = frame_of(identity.head)
        turned = camera.turn(np.concatenate([vertices, sculpture.locks * stretch]), frame)
        places = camera.project(turned, frame, size)
        closed = min(max(units.get(CLOSING, 0.0), 0.0), 1.0)
        depths = creases(units if wrinkles else {}, identity.paint.wrinkles)
        scene = self._scene(
            identity, sculpture, turned, places, light, size, background, depths, closed
        )
        shaded = self._backend.shade(scene)
        return Rendering(
            image=shaded.image,
            landmarks=camera.project(landmark_places(turned), frame, size),
            vertices_2d=places[: len(vertices)] if ground_truth else None,
            vertices_3d=vertices if ground_truth else None,
            parts=shaded.parts if ground_truth else None,
            depth=shaded.depth if ground_truth else None,
            action_units=units,
            identity=identity,
        )

    def _sculpture(self, identity: Identity) -> Sculpture:
        """Return an identity's sculpture, made on first use."""
        if identity not in self._sculptures:
            self._sculptures[identity] = sculpt(identity, self._backend)
            while len(self._sculptures) > _CACHED_IDENTITIES:
                self._sculptures.popitem(last=False)
        self._sculptures.move_to_end(identity)
        return self._sculptures[identity]

    def _scene(
        self,
        identity: Identity,
        sculpture: Sculpture,
        turned: np.ndarray,
        places: np.ndarray,
        light: Light,
        size: int,
        background: np.ndarray | None,
        depths: Creases,
        closed: float,
    ) -> Scene:
        """Find out what every sample shows, and collect what shading reads."""
        mesh, backend = self._mesh, self._backend
        width = size * _SAMPLES
        x = to_grid((places[:, 0] + 0.5) * _SAMPLES, SUBPIXELS)
        y = to_grid((places[:, 1] + 0.5) * _SAMPLES, SUBPIXELS)
        z = to_grid(DISTANCE - turned[:, 2], DEPTH_UNITS)
        z[self._lashes] -= _LASHES_NEARER
        z[self._eyes] += int(_EYES_FARTHER * closed)
        buffer = backend.rasterise(x, y, z, sculpture.triangles, sculpture.two_sided, width)
        head = len(sculpture.neutral)
        normals = backend.quad_normals(turned[:head], mesh.subdivision.quads)
        normals[self._brow.zone] = self._brow.smooth(normals)
        lock_normals, directions = lock_axes(turned[head:])
        paint = identity.paint
        constants = lighting(light, exposure(paint.skin))
        lit = shadow_coordinates(constants, turned)
        return Scene(
            size=size,
            samples=_SAMPLES,
            buffer=buffer,
            ink=backend.outline(buffer, width) if paint.outline else np.zeros(width**2, np.uint8),
            background=_background(background, size),
            x=x,
            y=y,
            triangles=sculpture.triangles,
            shaders=sculpture.shaders,
            fields=sculpture.fields,
            labels=sculpture.labels,
            normals=np.concatenate([normals, lock_normals]),
            directions=directions,
            lit=lit,
            depth_map=self._depth_map(lit, sculpture),
            table=noise_table(),
            surface=sculpture.surface,
            light=constants,
            creases=depths,
            creased=max(depths) > 0,
            outline=paint.outline,
        )

    def _depth_map(self, lit: np.ndarray, sculpture: Sculpture) -> np.ndarray:
        """Return the depths that the key light sees, (SHADOW_WIDTH ** 2,) int64."""
        x, y = to_grid(lit[:, 0], SUBPIXELS), to_grid(lit[:, 1], SUBPIXELS)
        z = to_grid(lit[:, 2], 1.0)
        buffer = self._backend.rasterise(
            x, y, z, sculpture.mirrored, sculpture.two_sided, SHADOW_WIDTH
        )
        return buffer >> TRIANGLE_BITS


def _backend(name: str) -> ModuleType:
    if name not in BACKENDS:
        raise unknown_choice("backend", name, BACKENDS)
    from neurofer.faces import numpy_backend

    if name == "numpy":
        return numpy_backend
    try:
        from neurofer.faces import numba_backend
    except ImportError as error:
        if name == "auto":
            return numpy_backend
        raise NeuroferError(
            "backend='numba' needs numba; install neurofer[fast], or choose backend='numpy'"
        ) from error
    return numba_backend


def _check(size: int, scale_x: float, strength: float, transport: str) -> None:
    if transport not in TRANSPORTS:
        raise unknown_choice("transport", transport, TRANSPORTS)
    check_number("size", size, 8, 2048)
    check_number("scale_x", scale_x, 0.2, 5)
    check_number("strength", strength, -4, 4)


@lru_cache(maxsize=4)
def _backdrop(size: int) -> np.ndarray:
    """Return the default background, (size, size, 3) uint8: grey, darker below."""
    above, below = np.array([205.0, 211.0, 216.0]), np.array([172.0, 177.0, 186.0])
    down = (np.arange(size) + 0.5) / size
    rows = np.floor(above + (below - above) * down[:, None] + 0.5).astype(np.uint8)
    return np.repeat(rows[:, None], size, axis=1)


def _background(background: np.ndarray | None, size: int) -> np.ndarray:
    if background is None:
        return _backdrop(size)
    given = np.asarray(background)
    if given.shape == (3,) and given.min() >= 0 and given.max() <= 255:
        return np.broadcast_to(given.astype(np.uint8), (size, size, 3)).copy()
    if given.shape == (size, size, 3) and given.dtype == np.uint8:
        return np.ascontiguousarray(given)
    raise NeuroferError(
        f"background has shape {given.shape} and type {given.dtype}; it must be an image "
        f"({size}, {size}, 3) uint8 or a colour (3,) from 0 to 255"
    )
