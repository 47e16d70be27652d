from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest

from neurofer import closure
from neurofer.errors import NeuroferError
from neurofer.faces import (
    HEADS,
    LANDMARKS,
    PARTS,
    POSITION_LANDMARKS,
    RECIPES,
    RENDERER_VERSION,
    Camera,
    FaceRenderer,
    Light,
    Rendering,
    make_avatar,
    make_background,
    make_identity,
    version,
)
from neurofer.faces.heads import FRAMES
from neurofer.faces.landmarks import landmark_places

from .conftest import BACKENDS

NAMES = LANDMARKS + POSITION_LANDMARKS
SIZE = 96

GOLDEN = {
    "human neutral": "76defbfbce28d998",
    "monkey happy": "a68e0f907a775c66",
    "cartoon fear": "18488409c9f398ca",
    "human turned": "e72b5dd9af7960ba",
    "cartoon local": "bb72397994ddcef3",
    "avatar": "1a9b203e11b688fd",
    "human wrinkled": "b87c79e3ecdddabd",
}
"""Of image, parts, depth and landmarks. They hold on every platform, with either backend; when the
renderer is changed on purpose, look at `neurofer stimuli sheet bfs` and copy the new ones."""


def draw(renderer: FaceRenderer, name: str) -> Rendering:
    if name == "human turned":
        return renderer.render(
            make_identity(3, "human", spread=0.35),
            "disgust",
            0.75,
            size=SIZE,
            camera=Camera(yaw=35, pitch=-8, roll=5, zoom=1.1, shift=(0.05, -0.03)),
            light=Light(azimuth=50, elevation=10, key=0.9, fill=0.1, ambient=0.3),
            background=np.array([30, 60, 200]),
        )
    if name == "human wrinkled":
        return renderer.render(make_identity(2, "human"), "fear", size=SIZE, wrinkles=True)
    if name == "avatar":
        background = make_background(3, SIZE)
        units = {26: 0.6, 61: 1.0, 64: 0.5}
        return renderer.render(
            make_avatar("ilva"), action_units=units, size=SIZE, background=background
        )
    if name == "cartoon local":
        return renderer.render(
            make_identity(4, "cartoon"),
            action_units={43: 1.0, 12: 0.5},
            size=SIZE,
            scale_x=1.2,
            transport="local",
        )
    head, expression = name.split()
    return renderer.render(make_identity(1, head), expression, size=SIZE)


def digest(rendering: Rendering) -> str:
    hasher = hashlib.sha256()
    for array in (rendering.image, rendering.parts, rendering.depth, rendering.landmarks):
        assert array is not None
        hasher.update(str((array.shape, array.dtype.str)).encode())
        hasher.update(np.nan_to_num(array, nan=-1.0).tobytes())
    return hasher.hexdigest()[:16]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_hashes(renderers: dict[str, FaceRenderer], backend: str, name: str) -> None:
    assert digest(draw(renderers[backend], name)) == GOLDEN[name]


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_bytes_again_whatever_was_drawn_before(backend: str) -> None:
    renderer = FaceRenderer(backend)
    identity = make_identity(2, "cartoon")
    first = renderer.render(identity, "sad", size=48)
    renderer.render(make_identity(2, "monkey"), "happy", size=64)
    again = FaceRenderer(backend).render(make_identity(2, "cartoon"), "sad", size=48)
    assert digest(first) == digest(again) == digest(renderer.render(identity, "sad", size=48))


@pytest.mark.parametrize("head", HEADS)
def test_displacement_is_equal_across_heads_and_identities(
    renderer: FaceRenderer, head: str
) -> None:
    """The paper's basic face shapes move alike, landmark by landmark, to the last bit."""

    def moved(identity_head: str, seed: int, expression: str) -> np.ndarray:
        identity = make_identity(seed, identity_head)
        neutral, shown = (
            renderer.render(identity, e, size=32).vertices_3d for e in ("neutral", expression)
        )
        assert neutral is not None
        assert shown is not None
        return shown - neutral

    for expression in ("fear", "happy"):
        reference = moved("human", 1, expression)
        assert np.array_equal(moved(head, 2, expression), reference)
        assert np.abs(landmark_places(reference)).max() > 0.05


def test_displacement_is_linear_in_strength_and_stretches_with_scale_x(
    renderer: FaceRenderer,
) -> None:
    identity = make_identity(1, "monkey")

    def vertices(strength: float, scale_x: float = 1.0) -> np.ndarray:
        shown = renderer.render(identity, "surprise", strength, size=32, scale_x=scale_x)
        assert shown.vertices_3d is not None
        return shown.vertices_3d

    neutral, full = vertices(0.0), vertices(1.0)
    for strength in (0.25, 0.5, 0.75):
        moved = vertices(strength) - neutral
        assert moved == pytest.approx(strength * (full - neutral), abs=1e-7)
    assert np.array_equal(vertices(1.0, 0.8), full * [0.8, 1.0, 1.0])


def test_landmarks_are_linear_in_the_image_too(renderer: FaceRenderer) -> None:
    """Perspective bends the paths of landmarks by less than a tenth of a pixel."""
    identity = make_identity(2, "human")
    places = [renderer.render(identity, "fear", s, ground_truth=False).landmarks for s in
              (0.0, 0.25, 0.5, 0.75, 1.0)]  # fmt: skip
    for step, place in enumerate(places):
        expected = places[0] + step / 4 * (places[-1] - places[0])
        assert np.abs(place - expected).max() < 0.1


def test_local_transport_moves_the_lids_of_a_cartoon_farther(renderer: FaceRenderer) -> None:
    identity = make_identity(1, "cartoon")
    visible = {}
    for transport in ("identical", "local"):
        shown = renderer.render(identity, action_units={43: 1.0}, size=SIZE, transport=transport)
        visible[transport] = int((shown.parts == PARTS["left_eye"]).sum())
    assert visible["identical"] > 50
    assert visible["local"] == 0


def test_local_transport_leaves_humans_as_they_are(renderer: FaceRenderer) -> None:
    identity = make_identity(1, "human")
    same, local = (
        renderer.render(identity, "happy", size=32, transport=t).vertices_3d
        for t in ("identical", "local")
    )
    assert local == pytest.approx(same, abs=1e-6)


def around(rendering: Rendering, landmark: str, radius: int) -> set[int]:
    """Labels near a landmark."""
    assert rendering.parts is not None
    x, y = np.rint(rendering.landmarks[NAMES.index(landmark)]).astype(int)
    rows = slice(max(y - radius, 0), y + radius + 1)
    return set(rendering.parts[rows, max(x - radius, 0) : x + radius + 1].ravel().tolist())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("expression", RECIPES)
def test_landmarks_lie_in_their_parts(renderer: FaceRenderer, head: str, expression: str) -> None:
    shown = renderer.render(make_identity(1, head, spread=0.35), expression)
    for landmark in NAMES:
        if "eyebrow" in landmark:
            parts, radius = {"eyebrows"}, 2
        elif "mouth" in landmark:
            parts, radius = {"lips"}, 2
        elif "eyelid" in landmark:
            parts, radius = {"lashes", "left_eye", "right_eye"}, 3
        elif "eye" in landmark:
            parts, radius = {landmark, "lashes"}, 3
        else:
            parts, radius = {"nose"}, 0
        labels = {PARTS[part] for part in parts}
        assert around(shown, landmark, radius) & labels, landmark


@pytest.mark.parametrize("head", HEADS)
def test_mouth_corners_are_the_ends_of_the_lips(renderer: FaceRenderer, head: str) -> None:
    shown = renderer.render(make_identity(2, head), size=224)
    assert shown.parts is not None
    lips = np.isin(shown.parts, (PARTS["lips"], PARTS["mouth"]))
    columns, rows = np.flatnonzero(lips.any(axis=0)), np.flatnonzero(lips.any(axis=1))
    left, top, right, down = shown.landmarks[4:8]
    assert left[0] == pytest.approx(columns[0], abs=2.5)
    assert right[0] == pytest.approx(columns[-1], abs=2.5)
    assert top[1] == pytest.approx(rows[0], abs=2.5)
    assert down[1] == pytest.approx(rows[-1], abs=2.5)


@pytest.mark.parametrize("head", HEADS)
def test_left_is_left_in_the_image(renderer: FaceRenderer, head: str) -> None:
    shown = renderer.render(make_identity(1, head), size=SIZE)
    places = dict(zip(NAMES, shown.landmarks, strict=True))
    for name in NAMES:
        if name.startswith("left_"):
            assert places[name][0] < places[name.replace("left_", "right_")][0] - 3
    assert shown.parts is not None
    left, right = (np.argwhere(shown.parts == PARTS[p])[:, 1] for p in ("left_eye", "right_eye"))
    assert left.max() < right.min()


@pytest.mark.parametrize("head", HEADS)
def test_head_is_in_the_frame(renderer: FaceRenderer, head: str) -> None:
    """Crown, ears and chin; the neck and the chest are cut by the lower border."""
    for seed in (1, 2, 3, 4, 5, 11, 12):
        parts = renderer.render(make_identity(seed, head), size=64).parts
        assert parts is not None
        assert not parts[0].any()
        assert not parts[:40, [0, -1]].any()
        face = np.isin(parts, [PARTS[p] for p in ("skin", "nose", "lips", "ears")])
        assert not face[-1].any()
        assert np.flatnonzero(face.any(axis=1))[-1] > 48  # and it is large


@pytest.mark.parametrize("head", HEADS)
def test_exposure_is_sensible(renderer: FaceRenderer, head: str) -> None:
    for seed in (1, 2, 3, 6):
        shown = renderer.render(make_identity(seed, head), size=64)
        assert shown.parts is not None
        skin = shown.image[shown.parts == PARTS["skin"]].astype(float)
        assert 40 < np.median(skin) < 225
        assert (skin == 255).all(axis=1).mean() < 0.02


def test_every_part_is_seen_somewhere(renderer: FaceRenderer) -> None:
    seen: set[int] = set()
    for head in HEADS:
        parts = renderer.render(make_identity(1, head), "happy").parts
        assert parts is not None
        seen |= set(np.unique(parts).tolist())
    assert seen == set(PARTS.values())


def test_vertices_depth_and_parts_agree(renderer: FaceRenderer) -> None:
    """The depth where a landmark falls is that of its vertex, seen from the camera's plane."""
    camera = Camera(yaw=20)
    identity = make_identity(1, "human")
    shown = renderer.render(identity, camera=camera)
    assert shown.depth is not None
    assert shown.parts is not None
    assert shown.vertices_2d is not None
    assert shown.vertices_3d is not None
    assert np.array_equal(np.isnan(shown.depth), shown.parts == PARTS["background"])
    assert landmark_places(shown.vertices_2d) == pytest.approx(shown.landmarks, abs=0.05)
    nose = NAMES.index("nose")
    x, y = np.rint(shown.landmarks[nose]).astype(int)
    depth = 14.0 - landmark_places(camera.turn(shown.vertices_3d, FRAMES["human"]))[nose, 2]
    assert shown.depth[y, x] == pytest.approx(depth, abs=0.05)


def test_camera_moves_the_face_as_documented(renderer: FaceRenderer) -> None:
    identity = make_identity(1, "human")

    def landmarks(**camera: float | tuple[float, float]) -> np.ndarray:
        return renderer.render(
            identity,
            size=100,
            camera=Camera(**camera),
            ground_truth=False,  # type: ignore[arg-type]
        ).landmarks

    front, nose, eyes = landmarks(), NAMES.index("nose"), slice(10, 12)
    assert landmarks(shift=(0.1, -0.05)) == pytest.approx(front + np.array([10, -5]))
    assert landmarks(yaw=30)[nose, 0] > front[nose, 0] + 5
    assert landmarks(pitch=20)[nose, 1] > front[nose, 1] + 3
    tilted = landmarks(roll=10)[eyes]
    assert tilted[0, 1] > tilted[1, 1]  # against the clock: the left eye sinks
    width = [np.ptp(m[:, 0]) for m in (front, landmarks(zoom=1.5))]
    assert width[1] == pytest.approx(1.5 * width[0])


def test_light_comes_from_where_it_is_said(renderer: FaceRenderer) -> None:
    identity = make_identity(2, "human")
    sides = []
    for azimuth in (-60, 60):
        image = renderer.render(identity, size=64, light=Light(azimuth=azimuth)).image
        sides.append((image[30:45, 22:28].mean(), image[30:45, 36:42].mean()))
    assert sides[0][0] > sides[0][1] + 15
    assert sides[1][1] > sides[1][0] + 15


def test_background_is_kept(renderer: FaceRenderer) -> None:
    identity = make_identity(1, "human")
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3)).astype(np.uint8)
    shown = renderer.render(identity, size=48, background=picture)
    assert np.array_equal(shown.image[:3], picture[:3])
    plain = renderer.render(identity, size=48, background=np.array([1, 2, 3]))
    assert plain.image[0, 0].tolist() == [1, 2, 3]
    assert np.array_equal(plain.landmarks, shown.landmarks)


def test_ground_truth_can_be_left_out(renderer: FaceRenderer) -> None:
    identity = make_identity(1, "human")
    bare = renderer.render(identity, "happy", 0.5, size=32, ground_truth=False)
    full = renderer.render(identity, "happy", 0.5, size=32)
    assert np.array_equal(bare.image, full.image)
    assert bare.parts is bare.depth is bare.vertices_2d is bare.vertices_3d is None
    assert bare.action_units == {u: 0.5 * w for u, w in RECIPES["happy"].items()}
    assert bare.identity == identity


def test_memory_is_bounded() -> None:
    renderer = FaceRenderer()
    for seed in range(20):
        renderer.render(make_identity(seed, "human"), size=8, ground_truth=False)
    assert len(renderer._sculptures) == 16


def test_version_names_the_sources() -> None:
    assert len(RENDERER_VERSION) == 16
    int(RENDERER_VERSION, 16)


@pytest.mark.parametrize(
    ("source", "same"),
    [("faces/shading.py", False), ("faces/version.py", False), ("faces/asset/build.py", True)],
)
def test_version_is_that_of_the_sources_as_they_were_imported(
    monkeypatch: pytest.MonkeyPatch, source: str, same: bool
) -> None:
    assert version._renderer_version() == RENDERER_VERSION
    monkeypatch.setitem(closure._HASHES, str(closure.PACKAGE / source), "changed")
    assert (version._renderer_version() == RENDERER_VERSION) == same


def test_auto_is_numpy_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neurofer.faces.numba_backend", None)
    monkeypatch.delattr("neurofer.faces.numba_backend", raising=False)
    assert FaceRenderer()._backend.__name__.endswith("numpy_backend")
    with pytest.raises(NeuroferError, match=r"neurofer\[fast\]"):
        FaceRenderer("numba")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expression": "angri"}, "expression='angri' .* did you mean 'angry'"),
        ({"action_units": {99: 1.0}}, "action unit=99"),
        ({"transport": "lokal"}, "transport='lokal' .* identical, local"),
        ({"size": 4}, "size=4 .* from 8 to 2048"),
        ({"scale_x": 0.0}, "scale_x=0.0"),
        ({"strength": float("nan")}, "strength=nan"),
        ({"action_units": {12: float("nan")}}, "action unit 12=nan"),
        ({"background": np.zeros((5, 5, 3), np.uint8)}, r"background has shape \(5, 5, 3\)"),
        ({"background": np.array([0, 0, 300])}, "background"),
    ],
)
def test_bad_arguments_are_refused(renderer: FaceRenderer, arguments: dict, message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        renderer.render(make_identity(1, "human"), **{"size": 32, **arguments})


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (Camera, {"zoom": 0.0}, "zoom=0.0 .* from 0.1 to 20"),
        (Camera, {"yaw": float("inf")}, "yaw=inf"),
        (Camera, {"shift": (0.0, 3.0)}, "shift=3.0"),
        (Light, {"key": float("nan")}, "key=nan"),
        (Light, {"elevation": 1000.0}, "elevation=1000.0"),
    ],
)
def test_bad_cameras_and_lights_are_refused(make: type, arguments: dict, message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        make(**arguments)


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(NeuroferError, match=r"backend='nunba' .* did you mean 'numba'"):
        FaceRenderer("nunba")
