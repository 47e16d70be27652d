"""Networks that their authors published: a checkpoint of theirs, converted once to ours.

`neurofer weights add cornet-s FILE` and `neurofer weights add resnet-50 FILE` put the converted
file into the cache; `load_subject("cornet-s", weights="published")` records it. It sees pixels as
at its authors', not as networks that are trained here do.

Which facts were seen in public code, and which are inferred:

- "cornet" (dicarlolab/CORnet): names, the prefix `module.`, the entry `state_dict`, the mean and
  standard deviation of ImageNet, the shorter side of 224 pixels in the authors' own feature
  extraction: seen. That an image which is not square loses its ends: inferred, for all sites here
  have one size.
- "oxford" (the PyTorch files of the VGGFace2 group, converted from Caffe): names, the classifier
  as a 1 x 1 convolution, strides and stem, RGB with the mean 131.0912, 103.8827, 91.4953, the
  middle of a shorter side of 224 pixels: seen, in the group's extractor for its ResNet-50-128D and
  in copies of the network's definition. Caffe's mean is the same in the order BGR; these files
  take RGB.
- "cydonia" (cydonia999/VGGFace2-pytorch, a pickle): names, strides and stem, BGR, the middle 224
  pixels of 256: seen. The pickle's bytes: inferred from how its authors read it (`latin1`); what
  Python 2 and 3 write in every protocol is read. The names in a torch file are read too.
- "keras" (rcmalli/keras-vggface, h5): names, BGR, padding, pooling, an epsilon of 1e-3 in every
  normalisation where Caffe has 1e-5: seen; so it is not quite the network that the others are.
  That images are brought to 224 x 224 pixels whole: from its example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import cache_folder, sha256_file
from neurofer.subjects.preprocess import IMAGENET, Preprocessing
from neurofer.subjects.weight_files.foreign import read_arrays

if TYPE_CHECKING:
    import torch

PUBLISHED = "published"
"""What `weights` is for a published network, and what its identifier says."""

_VGGFACE2_RGB = (131.0912, 103.8827, 91.4953)
_VGGFACE2_BGR = _VGGFACE2_RGB[::-1]
_PARTS = {"conv1": "1x1_reduce", "conv2": "3x3", "conv3": "1x1_increase", "downsample": "1x1_proj"}
_KERAS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
_KERAS |= {"running_var": "moving_variance"}


@dataclass(frozen=True)
class Layout:
    """How one publisher names and orders the arrays of a network.

    Attributes:
        name: of the layout, see the module.
        formats: those of `read_arrays` that it comes in.
        theirs: from our name of a parameter to theirs.
        preprocessing: what the network sees.
        options: of the architecture.
        channels_last: kernels are (height, width, in, out), matrices (in, out).
        pointwise: the classifier is a 1 x 1 convolution.
        more_variance: what is added to the variances, for an epsilon that is larger than ours.
    """

    name: str
    formats: tuple[str, ...]
    theirs: Callable[[str], str]
    preprocessing: Preprocessing
    options: Mapping[str, Any] = field(default_factory=dict)
    channels_last: bool = False
    pointwise: bool = False
    more_variance: float = 0.0

    def shape(self, name: str, ours: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that a parameter of ours has in this layout."""
        if self.channels_last and len(ours) > 1:
            return (*ours[2:], ours[1], ours[0])
        return (*ours, 1, 1) if self.pointwise and name == "fc.weight" else ours

    def ours(self, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return an array of theirs as a parameter of ours, of our shape.

        Args:
            name: of our parameter.
            array: theirs.
            shape: ours.
        """
        if self.channels_last and array.ndim > 1:
            array = np.moveaxis(array, (-1, -2), (0, 1))
        if name.endswith("running_var"):
            array = array + np.float32(self.more_variance)
        return np.array(array.reshape(shape), order="C")  # a copy: what was read may be locked


@dataclass(frozen=True)
class PublishedNetwork:
    """A network that can be added: its layouts, the names of its outputs, what it is."""

    layouts: tuple[Layout, ...]
    outputs: tuple[str, ...]
    note: str
    licence: str
    size: int = 224


def _same(name: str) -> str:
    return name


def _oxford(name: str) -> str:
    layer, parameter, norm = _caffe_layer(name)
    return f"{layer}{'_bn' if norm else ''}.{parameter}"


def _keras(name: str) -> str:
    layer, parameter, norm = _caffe_layer(name)
    layer = layer.replace("conv1_7x7", "conv1/7x7")
    if norm:
        return f"{layer}/bn/{_KERAS[parameter]}"
    return f"{layer}/{'kernel' if parameter == 'weight' else parameter}"


def _caffe_layer(name: str) -> tuple[str, str, bool]:
    """Return Caffe's layer of a parameter of ours, the parameter, and whether it is of a norm."""
    *path, layer, parameter = name.split(".")
    if layer == "fc":
        return "classifier", parameter, False
    norm = layer.startswith("bn") or (path[-1:] == ["downsample"] and layer == "1")
    if not path:
        return "conv1_7x7_s2", parameter, norm
    stage, block = int(path[0].removeprefix("layer")), int(path[1])
    part = "downsample" if path[-1] == "downsample" else layer.replace("bn", "conv")
    return f"conv{stage + 1}_{block + 1}_{_PARTS[part]}", parameter, norm


NETWORKS: dict[str, PublishedNetwork] = {
    "cornet-s": PublishedNetwork(
        (
            Layout(
                "cornet",
                ("torch",),
                _same,
                replace(IMAGENET, shorter_side=224),
            ),
        ),
        tuple(f"imagenet-{number}" for number in range(1000)),
        "CORnet-S as its authors trained it on ImageNet (Kubilius et al. 2019).",
        "GPL-3.0, that of the authors' repository",
    ),
    "resnet-50": PublishedNetwork(
        (
            Layout(
                "oxford",
                ("torch", "pickle"),
                _oxford,
                Preprocessing("RGB", 1.0, _VGGFACE2_RGB, shorter_side=224),
                {"stride": "first"},
                pointwise=True,
            ),
            Layout(
                "cydonia",
                ("pickle", "torch"),
                _same,
                Preprocessing("BGR", 1.0, _VGGFACE2_BGR, shorter_side=256),
                {"stride": "first"},
            ),
            Layout(
                "keras",
                ("h5",),
                _keras,
                Preprocessing("BGR", 1.0, _VGGFACE2_BGR),
                {"stride": "first", "stem": "keras"},
                channels_last=True,
                more_variance=1e-3 - 1e-5,
            ),
        ),
        tuple(f"vggface2-{number}" for number in range(8631)),
        "ResNet-50 trained to name the 8,631 people of VGGFace2 (Cao et al. 2018).",
        "that of whoever published the file; for research alone, as keras-vggface has it",
    ),
}


def published_path(network: str) -> Path:
    """Return where the converted file of a published network lies (or would lie).

    Raises:
        NeuroferError: no published checkpoint of this network can be read.
    """
    if network not in NETWORKS:
        raise unknown_choice("published network", network, NETWORKS)
    return cache_folder("weights") / f"{network}-{PUBLISHED}.safetensors"


def published_file(network: str) -> Path:
    """Return the converted file of a published network.

    Raises:
        NeuroferError: none can be read, or none was added; the message holds the command.
    """
    path = published_path(network)
    if not path.is_file():
        raise NeuroferError(f"{path} is missing; run: {command(network)}")
    return path


def command(network: str) -> str:
    """Return the command line that puts a published network into the cache."""
    return f"neurofer weights add {network} FILE"


def list_published() -> list[dict[str, Any]]:
    """Return one row for each published network, as `weights.list_weights` does."""
    return [
        {
            "name": f"{name}-{PUBLISHED}",
            "present": published_path(name).is_file(),
            "path": str(published_path(name)),
            "command": command(name),
            "note": network.note,
            "licence": network.licence,
            "package": None,
        }
        for name, network in NETWORKS.items()
    ]


def add_published(network: str, path: str | Path) -> Path:
    """Convert the published checkpoint of a network; return the file in the cache.

    Args:
        network: out of `NETWORKS`.
        path: the file as its authors published it; its layout is recognised.

    Raises:
        NeuroferError: the file cannot be read (`read_arrays`), or is of another network; if only
            some names or shapes or values are wrong, all of them are listed. Nothing is written.
    """
    from neurofer.subjects.weight_files.tensors import save_tensors

    target, path = published_path(network), Path(path)
    layout, tensors = convert(network, path)
    published = NETWORKS[network]
    about = {
        "network": {
            "name": network,
            "options": dict(layout.options),
            "size": published.size,
            "preprocessing": asdict(layout.preprocessing),
        },
        "outputs": published.outputs,
        "data": {"source": PUBLISHED, "note": published.note},
        "file": {"name": path.name, "layout": layout.name, "sha256": sha256_file(path)},
    }
    save_tensors(target, tensors, about)
    return target


def convert(network: str, path: Path) -> tuple[Layout, dict[str, torch.Tensor]]:
    """Return the layout of a published checkpoint and its weights under our names."""
    import torch

    from neurofer.subjects.weight_files.tensors import mismatches

    kind, arrays = read_arrays(path)
    arrays = {k: v for k, v in arrays.items() if not _counts(k)}
    layout = _recognise(network, path, kind, arrays)
    own = _own_shapes(network, layout)
    expected = {layout.theirs(name): name for name in own if not _counts(name)}
    wrong = mismatches(
        {name: array.shape for name, array in arrays.items()},
        {name: layout.shape(ours, own[ours]) for name, ours in expected.items()},
    ) + [
        f"{name} holds values that are not finite"
        for name in expected
        if name in arrays and not np.isfinite(arrays[name]).all()
    ]
    if wrong:
        raise NeuroferError(
            f"{path} does not fit {network} in the layout {layout.name!r}: {'; '.join(wrong)}"
        )
    tensors = {
        ours: torch.from_numpy(layout.ours(ours, arrays[name], own[ours]))
        for name, ours in expected.items()
    }
    # Older files do not count batches, and in recording the count is of no use.
    return layout, tensors | {name: torch.tensor(0) for name in own if _counts(name)}


def _counts(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _own_shapes(network: str, layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a network in the options of a layout."""
    from neurofer.subjects.networks.architectures import make_network
    from neurofer.subjects.networks.weightless import weightless
    from neurofer.subjects.weight_files.tensors import shapes

    with weightless():
        net = make_network(network, len(NETWORKS[network].outputs), **layout.options)
    return shapes(net.state_dict())


def _recognise(network: str, path: Path, kind: str, arrays: Mapping[str, np.ndarray]) -> Layout:
    """Return the layout that most of a file's names are from."""
    shares = {
        (other, layout.name): _share(other, layout, arrays)
        for other, published in NETWORKS.items()
        for layout in published.layouts
        if kind in layout.formats
    }
    best = max(shares, key=lambda place: shares[place])
    if shares[best] == 0 or best[0] != network:
        known = ", ".join(repr(layout.name) for layout in NETWORKS[network].layouts)
        hint = f"; it seems to be {best[0]}: run {command(best[0])}" if shares[best] else ""
        raise NeuroferError(
            f"{path} holds no {network} in any layout that is known ({known}): it has "
            f"{len(arrays)} arrays, the first are {', '.join(list(arrays)[:4])}{hint}"
        )
    return next(layout for layout in NETWORKS[network].layouts if layout.name == best[1])


def _share(network: str, layout: Layout, arrays: Mapping[str, np.ndarray]) -> float:
    """Return which share of a network's parameters a file has under a layout's names."""
    names = [layout.theirs(name) for name in _own_shapes(network, layout) if not _counts(name)]
    return sum(name in arrays for name in names) / len(names)
