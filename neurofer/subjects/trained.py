"""The networks that `neurofer train` makes, as subjects: untrained, or with a weight file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import content_hash
from neurofer.recording.sites import Site
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.face_net import pool
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.hooks import activity
from neurofer.subjects.networks import ARCHITECTURES, make_network
from neurofer.subjects.preprocess import Preprocessing
from neurofer.subjects.published import PUBLISHED, published_file
from neurofer.subjects.registry import register
from neurofer.subjects.tensors import load_tensors, tensors_hash

UNTRAINED = "untrained"
REGIONS = ("V1", "V2", "V4", "IT")
_OUTPUTS = 7  # of a network that has learned nothing: as many as there are expressions


class TrainedSubject(FeatureSubject):
    """A network of `neurofer.subjects.networks`.

    Sites: the architecture's, (n, C, H, W) or (n, units), and `pooled`, one of them averaged to
    6 x 6 where it is larger; readouts, on `pooled`, as in `FeatureSubject`. The last site has the
    names of what the network was trained to say as its units. Pixels are scaled to -1 to 1, unless
    the weight file states another preprocessing.

    Options, besides those of the readouts:
        weights: the path of a file that `neurofer train` or `neurofer weights add` wrote,
            "published" for the authors' own weights (after `neurofer weights add`), or "untrained".
        seed: of untrained weights.
        width: scales the channels of an untrained network; a weight file brings its own.
        layer: which site is pooled; the one before the last layer by default.
        precision: "float32", or "bfloat16" for twice the speed where the processor has it.
    """

    architecture: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {
        **FeatureSubject.defaults,
        "weights": UNTRAINED,
        "seed": 0,
        "width": 1.0,
        "layer": "",
        "precision": "float32",
    }
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {
        **FeatureSubject.choices,
        "precision": ("float32", "bfloat16"),
    }

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        stated = ARCHITECTURES[self.architecture]
        self._layer = self.options["layer"] or stated.features
        if self._layer not in stated.sites:
            raise unknown_choice("layer", self._layer, stated.sites, f"subject {self.name!r}")
        labels = self._load()
        sites = {name: Site(name, region=_region(name)) for name in (*stated.sites, "pooled")}
        if labels is not None:
            sites[stated.sites[-1]] = Site(stated.sites[-1], labels=labels)
        self._prepare(sites, "pooled")

    def _load(self) -> tuple[str, ...] | None:
        """Make the network; return the names of its outputs, None for an untrained one."""
        self.net: nn.Module
        self.preprocessing = Preprocessing()
        if self.options["weights"] == UNTRAINED:
            self.size = ARCHITECTURES[self.architecture].size
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.options["seed"])
                self.net = make_network(self.architecture, _OUTPUTS, width=self.options["width"])
            labels = None
        else:
            weights = self.options["weights"]
            is_published = weights == PUBLISHED
            file = published_file(self.architecture) if is_published else Path(weights)
            self.net, about = load_network(file)
            stated = about["network"].get("preprocessing", {})
            self.preprocessing = Preprocessing.stated(stated)
            self.size = about["network"]["size"]
            if about["network"]["name"] != self.architecture:
                raise NeuroferError(
                    f"{self.options['weights']} holds the network {about['network']['name']!r}; "
                    f"subject {self.name!r} needs {self.architecture!r}"
                )
            labels = tuple(about["outputs"])
        self._hash = tensors_hash(self.net.state_dict())
        self.net = self.net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return labels

    @property
    def weights_hash(self) -> str:
        """A hash of the weights, with the size of what the network sees, and how it does."""
        usual = self.preprocessing == Preprocessing()
        seen = "" if usual else f"-{content_hash(self.preprocessing)}"
        return f"{self._hash}-{self.size}{seen}"

    @property
    def identifier(self) -> str:
        """The name, "untrained" where it is so, and a hash as of every subject."""
        digest = super().identifier.removeprefix(f"{self.name}-")
        untrained = self.options["weights"] == UNTRAINED
        return "-".join([self.name, *([UNTRAINED] if untrained else []), digest])

    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return sites and `pooled`, float32, in one forward pass that ends at the last of them."""
        layers = list(dict.fromkeys(self._layer if site == "pooled" else site for site in sites))
        seen = self.preprocessing.scaled(self._pixels(images))
        seen = seen.contiguous(memory_format=torch.channels_last)
        fast = self.options["precision"] == "bfloat16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast):
            found = {k: v.float() for k, v in activity(self.net, seen, layers).items()}
        if "pooled" in sites:
            found["pooled"] = pool(found[self._layer])
        return {site: np.ascontiguousarray(found[site].numpy()) for site in sites}

    def _pixels(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        colourless = ARCHITECTURES[self.architecture].gray
        shown = [
            self.preprocessing.pixels(image, self.size, colourless=colourless) for image in images
        ]
        return torch.from_numpy(np.stack(shown))


def load_network(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network in a weight file that `neurofer train` wrote, and what the file says.

    Raises:
        NeuroferError: there is no such file, or names or shapes are not those of the network that
            it says it holds; all mismatches are listed.
    """
    tensors, about = load_tensors(path)
    stated = about.get("network", {})
    if stated.get("name") not in ARCHITECTURES:
        raise NeuroferError(
            f"{path} does not say which network it holds; it is no weight file of "
            f"{', '.join(ARCHITECTURES)}"
        )
    net = make_network(stated["name"], len(about["outputs"]), **stated["options"])
    own = net.state_dict()
    wrong = [f"{key} is missing" for key in own if key not in tensors]
    wrong += [f"{key} is unknown" for key in tensors if key not in own]
    wrong += [
        f"{key} has shape {tuple(tensors[key].shape)}, not {tuple(own[key].shape)}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    if wrong:
        raise NeuroferError(f"{path} does not fit {stated['name']}: {'; '.join(wrong)}")
    net.load_state_dict({key: tensors[key].to(own[key].dtype) for key in own})
    return net, about


def _region(site: str) -> str | None:
    area = site.split(".")[0]
    return area if area in REGIONS else None


@register("cornet-s")
class CornetS(TrainedSubject):
    """CORnet-S (Kubilius et al. 2019); its areas carry Brain-Score's regions."""

    architecture = "cornet-s"


@register("resnet-50")
class ResNet50(TrainedSubject):
    """ResNet-50 (He et al. 2016), trained on identity where a weight file says so."""

    architecture = "resnet-50"


@register("resnet-18")
class ResNet18(TrainedSubject):
    """ResNet-18 for faces of 128 pixels."""

    architecture = "resnet-18"


@register("resnet-50v2")
class ResNet50V2Subject(TrainedSubject):
    """ResNet-50v2 (He et al. 2016), a rival in the papers."""

    architecture = "resnet-50v2"


@register("vgg19")
class Vgg19Subject(TrainedSubject):
    """VGG19 with its classifier (Simonyan and Zisserman 2015), a rival in the papers."""

    architecture = "vgg19"


@register("ciao-vgg")
class CiaoVgg(TrainedSubject):
    """VGG16's convolutions with a decision layer; with CIAO where a weight file says so."""

    architecture = "vgg"


@register("ciao-pk")
class CiaoPk(TrainedSubject):
    """The Prior-Knowledge encoder with a decision layer; with CIAO where a weight file says so."""

    architecture = "pk"


@register("face-channel")
class FaceChannelSubject(TrainedSubject):
    """FaceChannel, with its shunting layer."""

    architecture = "face-channel"
