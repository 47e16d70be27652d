"""Hair: locks laid over the skull, each a ribbon that tapers to a point.

A lock grows from the scalp, follows its style's direction, lies on the skull or hangs from it, and
is cut where the style ends; nothing hangs before the brows. What lies between the locks is the
scalp itself, painted with hair (`materials`). Lengths are decimetres, the origin is between the
eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neurofer.faces.elements import bump, clip01, mix, smoothstep, square, unit
from neurofer.faces.identities import Identity
from neurofer.faces.landmarks import landmark_places
from neurofer.faces.mesh import HeadMesh
from neurofer.faces.random import Random, random_bytes
from neurofer.faces.skull import CENTRE, Skull, cross, directed, dot

NODES = 8
"""Points along a lock, from root to tip; two vertices each."""

_STEPS = 16
_ABOVE_BROWS = 0.17  # where a fringe ends: a raised brow stays free


@dataclass(frozen=True)
class Cut:
    """A hairstyle.

    Attributes:
        locks: how many.
        flow: where hair is combed: "crown" (from the whorl), "back", "parted", "out".
        length: of the locks; they differ by a fifth.
        lift: height above the skull on top, and at the sides.
        tip: further height of the tips.
        width: of a lock.
        gravity: how much of the direction at the tip is downwards.
        part: x of the parting.
        wave: amplitude and number of the turns of a lock.
        fringe, side, nape: heights below which hair is cut: before the forehead above the brows'
            own height, beside the face, and behind.
        line, temples: how much higher than usual the hairline is, everywhere and at the temples.
        knot: centre of a bun, and its radius; nothing without.
        roots: how much cover it takes for a lock to root.
    """

    locks: int
    flow: str = "crown"
    length: float = 0.5
    lift: tuple[float, float] = (0.06, 0.03)
    tip: float = 0.0
    width: float = 0.10
    gravity: float = 0.3
    part: float = 0.0
    wave: tuple[float, float] = (0.01, 1.0)
    fringe: float = 0.0
    side: float = 0.03
    nape: float = -0.62
    line: float = 0.0
    temples: float = 0.0
    knot: tuple[float, float, float, float] | None = None
    roots: float = 0.35


CUTS: dict[str, Cut] = {
    "bald": Cut(0),
    "receding": Cut(300, "back", 0.28, (0.03, 0.03), 0.01, 0.09, line=0.16, temples=0.30),
    "crop": Cut(460, "crown", 0.22, (0.05, 0.03), 0.015, 0.09, 0.1, fringe=0.2, temples=0.04),
    "short": Cut(440, "crown", 0.42, (0.12, 0.05), 0.03, 0.12, 0.2, wave=(0.02, 0.7), fringe=0.16),
    "parting": Cut(440, "parted", 0.75, (0.13, 0.06), 0.01, 0.13, 0.35, part=-0.28),
    "quiff": Cut(400, "back", 0.50, (0.17, 0.03), 0.02, 0.13, 0.0, wave=(0.02, 0.8)),
    "fringe": Cut(440, "crown", 0.95, (0.10, 0.09), 0.0, 0.13, 0.5, side=-0.15),
    "curls": Cut(520, "out", 0.30, (0.14, 0.12), 0.08, 0.13, 0.0, wave=(0.07, 2.2), nape=-0.7),
    "bob": Cut(
        440, "parted", 1.9, (0.11, 0.13), 0.0, 0.16, 0.9, 0.12, (0.01, 1.0), 0.0, -0.78, -0.82
    ),
    "long": Cut(
        480, "parted", 3.2, (0.10, 0.13), 0.0, 0.17, 0.9, 0.0, (0.04, 1.5), 0.0, -2.3, -2.4
    ),
    "bun": Cut(
        360, "knot", 1.6, (0.05, 0.04), 0.0, 0.12, 0.0, nape=-0.9, knot=(0.0, 1.05, -1.15, 0.28)
    ),
    "spikes": Cut(150, "out", 0.40, (0.12, 0.08), 0.16, 0.26, 0.0, wave=(0.0, 0.0)),
    "fur": Cut(
        900,
        "crown",
        0.17,
        (0.01, 0.01),
        0.035,
        0.035,
        0.3,
        0.0,
        (0.0, 0.0),
        0.1,
        -1.0,
        -1.0,
        roots=0.9,
    ),
}
"""Name -> hairstyle."""

HAIRSTYLES: tuple[str, ...] = tuple(style for style in CUTS if style != "fur")
"""Those that heads with hair can wear; "fur" is the monkey's."""


class Hair(NamedTuple):
    """The locks of an identity: (N, NODES) points with two vertices each.

    The vertices are numbered lock by lock, from root to tip, left edge before right.
    """

    vertices: np.ndarray  # (N * NODES * 2, 3) float64
    triangles: np.ndarray  # (T, 3) int32, numbered from 0
    across: np.ndarray  # (N * NODES * 2,) place across the lock, in decimetres
    along: np.ndarray  # likewise, along it
    lock: np.ndarray  # a number for every lock, to tell them apart
    height: np.ndarray  # above the scalp, 0 to 1 for the outermost


def hairline(cut: Cut, rest: np.ndarray) -> np.ndarray:
    """Return how much higher than usual a style's hairline is at points of the base head (V,)."""
    x, _, z = rest.T
    temples = cut.temples * bump(square((np.abs(x) - 0.45) / 0.30))
    return (cut.line + temples) * smoothstep(-0.1, 0.5, z)


def grow(identity: Identity, mesh: HeadMesh, neutral: np.ndarray, cover: np.ndarray) -> Hair:
    """Grow the hair of an identity.

    Args:
        identity: whose `paint.hairstyle` is grown.
        mesh: the head mesh.
        neutral: (V', 3) fine vertices of the neutral head.
        cover: (V',) how much hair covers each of them, 0 to 1: where locks may root.
    """
    cut = CUTS[identity.paint.hairstyle]
    draw = _Draws(Random(identity.seed, identity.head, "hair").integer(1 << 62), cut.locks)
    roots = _roots(cut, mesh, neutral, cover, draw)
    draw.count = len(roots)
    skull = Skull(mesh, neutral)
    brows = landmark_places(neutral)[:4]
    lines = _trace(cut, skull, roots, brows, draw)
    if cut.knot is not None:
        lines = np.concatenate([lines, _knot(cut.knot, draw)])
    return _ribbons(cut, lines, draw)


class _Draws:
    """Streams of random numbers in [0, 1), one number per lock."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed = seed
        self.count = count
        self._stream = 0

    def __call__(self, low: float = 0.0, high: float = 1.0, count: int | None = None) -> np.ndarray:
        count = self.count if count is None else count
        self._stream += 1
        data = random_bytes(self._seed + self._stream * 1000003, 2 * count).astype(np.float64)
        return low + (high - low) * (data[::2] * 256.0 + data[1::2]) / 65536.0


def _roots(
    cut: Cut, mesh: HeadMesh, neutral: np.ndarray, cover: np.ndarray, draw: _Draws
) -> np.ndarray:
    """Choose points on the scalp, spread evenly over its area, and some along its edge, (N, 3)."""
    a, b, c = (cover[mesh.triangles[:, k]] for k in range(3))
    least = np.minimum(np.minimum(a, b), c)
    inner = np.flatnonzero(least > cut.roots)
    edge = inner[least[inner] < 0.97]
    rims = draw.count // 5 if len(edge) else 0
    chosen = np.concatenate(
        [
            _spread(mesh.triangles[some], neutral, draw(count=count))
            for some, count in ((edge, rims), (inner, draw.count - rims))
            if len(some)
        ]
        or [np.zeros((0, 3), np.int64)]
    )
    s, t = draw(count=len(chosen)), draw(count=len(chosen))
    s, t = np.where(s + t > 1.0, 1.0 - s, s), np.where(s + t > 1.0, 1.0 - t, t)
    a, b, c = (neutral[chosen[:, k]] for k in range(3))
    return a + s[:, None] * (b - a) + t[:, None] * (c - a)


def _spread(triangles: np.ndarray, neutral: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Choose triangles (n, 3) in proportion to their area, one for each number in `jitter`."""
    a, b, c = (neutral[triangles[:, k]] for k in range(3))
    across = cross(b - a, c - a)
    ends = np.cumsum(np.sqrt(dot(across, across)[:, 0]))
    picks = (np.arange(len(jitter)) + jitter) * (ends[-1] / max(len(jitter), 1))
    return triangles[np.minimum(np.searchsorted(ends, picks), len(triangles) - 1)]


def _radial(points: np.ndarray) -> np.ndarray:
    """Return the direction out of the head at points (N, 3): level below the skull's middle."""
    x, y, z = (points - CENTRE).T
    return np.stack(unit(x, np.maximum(y, 0.0), z), axis=1)


def _combed(cut: Cut, points: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Return the direction in which hair is combed at points (N, 3), not yet along the skull."""
    ones = np.ones(len(points))
    if cut.flow == "back":
        return np.stack([0.25 * points[:, 0], 0.1 * ones, -ones], axis=1)
    if cut.flow == "knot" and cut.knot is not None:
        return np.array(cut.knot[:3]) - points
    if cut.flow == "parted":
        aside = np.where(roots[:, 0] > cut.part, 1.0, -1.0)
        return np.stack([aside, 0.0 * ones, -0.55 * ones], axis=1)
    if cut.flow == "out":
        return points - np.array([0.0, 0.9, -1.1])
    return points - np.array([0.08, 1.1, -1.25])


def _ends(cut: Cut, points: np.ndarray, brows: np.ndarray, ragged: np.ndarray) -> np.ndarray:
    """Return the height below which hair is cut at points (N, 3)."""
    x, _, z = points.T
    outer = np.abs(brows[:, 0]).max() + 0.05
    fringe = brows[:, 1].max() + _ABOVE_BROWS + cut.fringe + 0.10 * ragged
    before = smoothstep(-0.35, -0.15, z) * smoothstep(outer + 0.08, outer, np.abs(x))
    behind = smoothstep(-0.85, -1.15, z)
    low = mix(cut.side, cut.nape, behind) + 0.12 * (ragged - 0.5)
    return mix(low, fringe, before)


def _trace(
    cut: Cut, skull: Skull, roots: np.ndarray, brows: np.ndarray, draw: _Draws
) -> np.ndarray:
    """Follow the locks from their roots and resample them, (N, NODES, 3)."""
    length = cut.length * draw(0.8, 1.2)
    layer, ragged, phase = draw(0.35, 1.0), draw(), draw()
    stray = np.stack([draw(-0.22, 0.22) for _ in range(3)], axis=1)
    step = (length / _STEPS)[:, None]
    points, _ = _laid(skull, roots, 0.3 * cut.lift[1] * layer, np.zeros(len(roots)))
    path, kept = [points], np.ones(len(roots))
    free = np.zeros(len(roots))
    alive = np.ones(len(roots), bool)
    for number in range(1, _STEPS + 1):
        t = number / _STEPS
        out = _radial(points)
        way = _combed(cut, points, roots) + stray
        way = directed(directed(way - out * dot(way, out)) + stray * 0.5)
        fall = cut.gravity * float(smoothstep(0.0, 0.6, np.float64(t)))
        back = -0.5 * smoothstep(-0.75, -0.3, points[:, 2])
        down = np.stack([0.0 * back, -1.0 + 0.0 * back, back], axis=1)
        way = way * (1.0 - fall) + down * fall
        points = points + step * directed(way)
        height = mix(cut.lift[1], cut.lift[0], smoothstep(0.1, 0.8, points[:, 1])) * layer
        height = height * mix(0.3, 1.0, smoothstep(0.0, 0.3, np.float64(t))) + cut.tip * layer * t
        points, free = _laid(skull, points, height, free)
        alive = alive & (points[:, 1] > _ends(cut, points, brows, ragged))
        kept = kept + alive
        path.append(points)
    return _curled(cut, _resampled(np.stack(path, axis=1), kept), layer, phase)


def _laid(
    skull: Skull, points: np.ndarray, height: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move points to a height above the skull; below its middle hair hangs, and is kept out."""
    x, y, z = (points - CENTRE).T
    up = np.maximum(y, 0.0)
    radius = np.sqrt(x * x + up * up + z * z)
    wanted = skull.reach(points) + height
    hangs = smoothstep(0.15, -0.15, y)
    wanted = mix(wanted, np.maximum(wanted, np.maximum(radius, free)), hangs)
    scale = (wanted / np.maximum(radius, 1e-6)) - 1.0
    return points + np.stack([x, up, z], axis=1) * scale[:, None], wanted


def _resampled(path: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Take NODES points evenly from the first `kept` ones of each path (N, steps, 3)."""
    places = (np.arange(NODES) / (NODES - 1))[None] * (kept - 1.0)[:, None]
    before = np.minimum(np.floor(places).astype(int), path.shape[1] - 2)
    share = (places - before)[:, :, None]
    rows = np.arange(len(path))[:, None]
    return mix(path[rows, before], path[rows, before + 1], share)


def _curled(cut: Cut, lines: np.ndarray, layer: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Wind locks about themselves, more towards the tip."""
    amplitude, turns = cut.wave
    along = np.arange(NODES) / (NODES - 1)
    side = directed(cross(_forward(lines), lines - CENTRE))
    angle = turns * along[None] * (0.7 + 0.6 * layer[:, None]) + phase[:, None]
    swing = amplitude * smoothstep(0.0, 0.3, along)[None]
    out = directed(lines - CENTRE)
    return (
        lines
        + side * (swing * _swing(angle))[:, :, None]
        + out * (swing * 0.6 * _swing(angle + 0.25))[:, :, None]
    )


def _swing(turns: np.ndarray) -> np.ndarray:
    """Stand in for sin(2 pi turns): two parabolas."""
    x = turns - np.floor(turns + 0.5)
    return 8.0 * x * (1.0 - 2.0 * np.abs(x))


def _forward(lines: np.ndarray) -> np.ndarray:
    """Return the directions of locks (N, NODES, 3)."""
    ahead = np.concatenate([lines[:, 1:], lines[:, -1:]], axis=1)
    behind = np.concatenate([lines[:, :1], lines[:, :-1]], axis=1)
    return directed(ahead - behind)


def _knot(knot: tuple[float, float, float, float], draw: _Draws) -> np.ndarray:
    """Wind locks about a ball, (90, NODES, 3)."""
    count = 90
    radius = knot[3] * draw(0.9, 1.06, count)
    axis = directed(np.stack([draw(-0.5, 0.5, count), np.ones(count), draw(-0.5, 0.5, count)], 1))
    first = directed(cross(axis, np.array([0.3, 0.1, 1.0])[None] + 0 * axis))
    second = cross(axis, first)
    height, start = draw(-0.92, 0.92, count), draw(count=count)
    ring = np.sqrt(1.0 - height * height)[:, None, None]
    angle = start[:, None] + 0.35 * (np.arange(NODES) / (NODES - 1))[None]
    circle = (
        first[:, None] * _swing(angle + 0.25)[:, :, None]
        + second[:, None] * _swing(angle)[:, :, None]
    )
    ball = circle * ring + axis[:, None] * height[:, None, None]
    return np.array(knot[:3]) + directed(ball) * radius[:, None, None]


def _ribbons(cut: Cut, lines: np.ndarray, draw: _Draws) -> Hair:
    """Give locks (N, NODES, 3) their width, and number their vertices."""
    count = len(lines)
    along = np.arange(NODES) / (NODES - 1)
    blunt = 0.5 * float(clip01(np.float64(cut.length - 0.6)))
    taper = 0.6 + 0.4 * smoothstep(0.0, 0.25, along)
    taper = taper * smoothstep(1.08 + blunt, 0.45 + blunt, along)
    width = cut.width * draw(0.6, 1.3, count)
    side = directed(cross(lines - CENTRE, _forward(lines)))
    half = 0.5 * width[:, None, None] * taper[None, :, None] * side
    vertices = np.stack([lines - half, lines + half], axis=2)
    moved = lines[:, 1:] - lines[:, :-1]
    steps = np.sqrt(dot(moved, moved)[..., 0])
    length = np.concatenate([np.zeros((count, 1)), np.cumsum(steps, axis=1)], axis=1)
    lock = np.arange(count) * 1.618 + draw(0, 1, count)
    left = (np.arange(count) * NODES * 2)[:, None] + 2 * np.arange(NODES - 1)[None]
    corners = [left, left + 1, left + 3, left, left + 3, left + 2]
    wide = np.stack([-0.5 * width, 0.5 * width], axis=1)
    height = draw(0.55, 1.0, count)[:, None] * (0.55 + 0.45 * smoothstep(0.0, 0.5, along))[None]
    return Hair(
        vertices=vertices.reshape(-1, 3),
        triangles=np.stack(corners, axis=2).reshape(-1, 3).astype(np.int32),
        across=np.repeat(wide[:, None], NODES, axis=1).ravel(),
        along=np.repeat(length, 2),
        lock=np.repeat(lock, NODES * 2),
        height=np.repeat(height, 2),
    )


def lock_axes(turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit normals and directions of locks from their turned vertices, (H, 3) each.

    A lock is round: at its edges the normals point aside. It faces the camera from both sides.
    """
    pairs = turned.reshape(-1, NODES, 2, 3)
    forward = _forward((pairs[:, :, 0] + pairs[:, :, 1]) * 0.5)
    side = directed(pairs[:, :, 1] - pairs[:, :, 0])
    normal = cross(forward, side)
    normal = np.where(normal[..., 2:] < 0.0, -normal, normal)
    edges = np.stack([normal - 0.6 * side, normal + 0.6 * side], axis=2)
    both = np.repeat(forward[:, :, None], 2, axis=2)
    return directed(edges).reshape(-1, 3), both.reshape(-1, 3)
