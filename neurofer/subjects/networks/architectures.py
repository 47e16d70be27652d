"""The networks that can be trained here, by name: how each is made, what it sees, what it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from neurofer.errors import NeuroferError, check_choice
from neurofer.options import check_options
from neurofer.subjects.networks.cornet_s import STEPS, CORnetS
from neurofer.subjects.networks.encoders import DecisionNet, Variant
from neurofer.subjects.networks.face_channel import FaceChannel
from neurofer.subjects.networks.resnet import resnet18, resnet50
from neurofer.subjects.networks.resnet_v2 import ResNet50V2
from neurofer.subjects.networks.siamese import SIZE, SiameseNet
from neurofer.subjects.networks.vgg import Vgg19


@dataclass(frozen=True)
class Architecture:
    """A network that turns images into `outputs` numbers.

    Attributes:
        make: from the number of outputs, and options, to a new network.
        size: height and width of its images in pixels, as published.
        gray: whether it sees one channel.
        features: the site before the last layer, which stands for the network as a representation.
        sites: modules to record from, with "-t0" and so on where one is called several times.
        tower: the part that a single image goes through, in a network that compares two; the sites
            are its modules. "" is the whole network.
    """

    make: Callable[..., nn.Module]
    size: int
    features: str
    sites: tuple[str, ...]
    gray: bool = False
    tower: str = ""

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that `make` takes."""
        return tuple(inspect.signature(self.make).parameters)[1:]


def _encoder(encoder: str) -> Callable[..., DecisionNet]:
    def make(
        outputs: int,
        *,
        width: float = 1.0,
        hidden: int = 500,
        scheme: Literal["full", "last-convolution", "decision"] = "full",
        ciao: bool = False,
    ) -> DecisionNet:
        return DecisionNet(Variant(encoder, scheme, ciao), outputs, hidden=hidden, width=width)

    return make


def _siamese(outputs: int, *, width: float = 1.0, embedding: int = 4096) -> SiameseNet:
    if outputs != 1:
        raise NeuroferError(
            f"outputs={outputs}; the Siamese network has one, whether two images show one person: "
            "train it with the task verification"
        )
    return SiameseNet(width=width, embedding=embedding)


_STAGES = tuple(f"layer{stage}" for stage in range(1, 5))
_POOLS = tuple(f"encoder.pool{block}" for block in range(1, 6))

ARCHITECTURES: dict[str, Architecture] = {
    "cornet-s": Architecture(
        CORnetS,
        224,
        "decoder.flatten",
        (
            "V1.output",
            *(f"{area}.output-t{step}" for area, steps in STEPS.items() for step in range(steps)),
            "decoder.flatten",
            "decoder.linear",
        ),
    ),
    "resnet-50": Architecture(resnet50, 224, "avgpool", ("maxpool", *_STAGES, "avgpool", "fc")),
    "resnet-18": Architecture(resnet18, 128, "avgpool", ("maxpool", *_STAGES, "avgpool", "fc")),
    "vgg": Architecture(
        _encoder("vgg"),
        96,
        "encoder",
        (*_POOLS[:-1], "encoder", "decide.1", "decide"),
    ),
    "pk": Architecture(
        _encoder("pk"),
        96,
        "encoder",
        (*(f"encoder.relu{number}" for number in range(1, 4)), "encoder", "decide.1", "decide"),
    ),
    "resnet-50v2": Architecture(
        ResNet50V2, 224, "avgpool", ("maxpool", *_STAGES, "post", "avgpool", "fc")
    ),
    "vgg19": Architecture(Vgg19, 224, "hidden", (*_POOLS, "hidden.2", "hidden", "decide")),
    "face-channel": Architecture(
        FaceChannel, 64, "hidden", ("convolutions", "hidden", "decide"), gray=True
    ),
    "siamese": Architecture(
        _siamese,
        SIZE,
        "embedding",
        (
            *(f"{kind}{k}" for k in range(1, 4) for kind in ("conv", "relu", "pool")),
            *("conv4", "relu4", "embedding"),
        ),
        gray=True,
        tower="tower",
    ),
}


def make_network(name: str, outputs: int, **options: Any) -> nn.Module:
    """Make a new network with random weights, which are torch's.

    Args:
        name: out of `ARCHITECTURES`.
        outputs: units of its last layer.
        options: of the architecture: `width` scales the channels.

    Raises:
        NeuroferError: an unknown name or option (the message lists the choices), or a value that
            is not allowed.
    """
    read = check_network(name, options)
    if outputs < 1:
        raise NeuroferError(f"outputs={outputs}; a network needs at least one")
    return ARCHITECTURES[name].make(outputs, **read)


def check_network(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a network, checked before anything is made or loaded.

    Raises:
        NeuroferError: an unknown name or option, or a value that is not allowed.
    """
    check_choice("network", name, ARCHITECTURES)
    where = f"network {name!r}"
    read = check_options(ARCHITECTURES[name].make, options, where)
    for option in {"width", "hidden", "embedding"} & set(read):
        if read[option] <= 0:
            raise NeuroferError(f"{where}: {option}={read[option]!r}: give a number above 0")
    return read


def scale_pixels(images: torch.Tensor) -> torch.Tensor:
    """Turn pixels 0 to 255 into -1 to 1: what every network that is trained here sees."""
    return images.float() / 127.5 - 1.0
