"""The networks that `neurofer train` makes, as subjects: untrained, or with a weight file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import nn

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import content_hash
from neurofer.options import above, at_least
from neurofer.recording.sites import Batch, Site
from neurofer.recording.steps import Timing
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.face_crop import middles
from neurofer.subjects.facts import OWN_LICENCE, Facts
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.hooks import activity, layer_responses, pool
from neurofer.subjects.networks.architectures import ARCHITECTURES, make_network
from neurofer.subjects.networks.encoders import SCHEMES
from neurofer.subjects.networks.weightless import parameter_count, shapes_of, weightless
from neurofer.subjects.preprocess import Preprocessing
from neurofer.subjects.registry import register
from neurofer.subjects.saliency import ExplainedSubject
from neurofer.subjects.stored_network import load_network
from neurofer.subjects.weight_files.published import PUBLISHED, published_file
from neurofer.subjects.weight_files.shipped import weight_file
from neurofer.subjects.weight_files.tensors import read_about, tensors_hash
from neurofer.subjects.weight_files.trained_on import trained_on

UNTRAINED = "untrained"
REGIONS = ("V1", "V2", "V4", "IT")
_OUTPUTS = 7  # of a network that has learned nothing: as many as there are expressions


class TrainedSubject(ExplainedSubject, FeatureSubject):
    """A network of `neurofer.subjects.networks.architectures`.

    Sites: the architecture's, (n, C, H, W) or (n, units), and `pooled`, one of them averaged to
    6 x 6 where it is larger; readouts, on `pooled`, as in `FeatureSubject`. The last site has the
    names of what the network was trained to say as its units. Where they are named: saliency, see
    `neurofer.recording.saliency`. Pixels are scaled to -1 to 1, unless the weight file states
    another preprocessing.

    Options, besides those of the readouts:
        weights: a shipped file by its name, the path of a file that `neurofer train` or
            `neurofer weights add` wrote, "published" for the authors' own weights (after
            `neurofer weights add`), or "untrained".
        seed: of untrained weights.
        width: scales the channels of an untrained network; a weight file brings its own.
        size: of what an untrained network sees, in pixels; 0 for that of its paper. A weight file
            brings its own.
        layer: which site is pooled; the one before the last layer by default.
        precision: "float32", or "bfloat16" for twice the speed where the processor has it.
    """

    architecture: ClassVar[str]
    shipped: ClassVar[str] = UNTRAINED  # the weights that it has by default
    hashed_otherwise = ("weights", "seed", "size")
    defaults: ClassVar[Mapping[str, Any]] = {
        **FeatureSubject.defaults,
        "weights": UNTRAINED,
        "seed": 0,
        "width": 1.0,
        "size": 0,
        "layer": "",
        "precision": "float32",
    }
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {
        **FeatureSubject.choices,
        "precision": ("float32", "bfloat16"),
    }
    allowed: ClassVar[Mapping[str, Any]] = {
        **FeatureSubject.allowed,
        "width": Annotated[float, above(0)],
        "size": Annotated[int, at_least(0)],
        "embedding": Annotated[int, at_least(1)],
    }

    def __init_subclass__(cls, **options: Any) -> None:
        """Let the default weights be those that are shipped."""
        super().__init_subclass__(**options)
        cls.defaults = {**cls.defaults, "weights": cls.shipped}

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

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it with its default weights, without reading them."""
        net, size, about = cls._weightless()
        stated, weights = ARCHITECTURES[cls.architecture], cls.shipped
        return Facts(
            size=size,
            gray=stated.gray,
            preprocessing="pixels from -1 to 1",
            parameters=parameter_count(net),
            sites=(*stated.sites, "pooled"),
            weights="shipped" if about else UNTRAINED,
            licence=OWN_LICENCE,
            source=f"{weights}, trained on {about['data']['source']} faces" if about else "",
        )

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its sites with its default weights, without reading them."""
        net, size, _ = cls._weightless()
        stated = ARCHITECTURES[cls.architecture]
        with weightless():
            seen = torch.zeros(1, 1 if stated.gray else 3, size, size)
            found = activity(net.get_submodule(stated.tower), seen, stated.sites)
        return shapes_of({**found, "pooled": pool(found[stated.features])})

    @classmethod
    def _weightless(cls) -> tuple[nn.Module, int, dict[str, Any]]:
        """Return the default network without numbers, its input's size, what its file says."""
        stated, weights = ARCHITECTURES[cls.architecture], cls.shipped
        about = {} if weights == UNTRAINED else read_about(weight_file(weights))
        network = about.get("network", {})
        outputs = 1 if stated.tower else len(about.get("outputs", range(_OUTPUTS)))
        with weightless():
            net = make_network(cls.architecture, outputs, **network.get("options", {}))
        return net.eval(), network.get("size", stated.size), about

    def _load(self) -> tuple[str, ...] | None:
        """Make the network; return the names of its outputs, None for an untrained one."""
        self.net: nn.Module
        self._source = UNTRAINED
        self.preprocessing = Preprocessing()
        if self.options["weights"] == UNTRAINED:
            self.size = self.options["size"] or ARCHITECTURES[self.architecture].size
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.options["seed"])
                outputs = 1 if ARCHITECTURES[self.architecture].tower else _OUTPUTS
                self.net = make_network(self.architecture, outputs, **self._network_options())
            labels = None
        else:
            weights = self.options["weights"]
            is_published = weights == PUBLISHED
            file = published_file(self.architecture) if is_published else weight_file(weights)
            self.net, about = load_network(file)
            stated = about["network"].get("preprocessing", {})
            self.preprocessing = Preprocessing.stated(stated)
            self._source = about.get("data", {}).get("source", "").replace(", ", "-")
            self.size = about["network"]["size"]
            if about["network"]["name"] != self.architecture:
                raise NeuroferError(
                    f"{self.options['weights']} holds the network {about['network']['name']!r}; "
                    f"subject {self.name!r} needs {self.architecture!r}"
                )
            if self.options["size"] not in (0, self.size):
                raise NeuroferError(
                    f"size={self.options['size']}, but {self.options['weights']} sees {self.size} "
                    f"pixels: leave size out, or pass weights={UNTRAINED!r} as well"
                )
            self._take_options(about["network"].get("options", {}))
            self.training_images |= trained_on(about)
            labels = tuple(about["outputs"]) if "outputs" in about else None
        self.options["size"] = self.size
        self._hash = tensors_hash(self.net.state_dict())
        self.net = self.net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return labels

    def _network_options(self) -> dict[str, Any]:
        taken = ARCHITECTURES[self.architecture].options
        stated = {**self.options, "size": self.options["size"] or self.size}
        return {name: value for name, value in stated.items() if name in taken}

    def _take_options(self, held: Mapping[str, Any]) -> None:
        """Set the network's options to those of its weight file; others that were given clash."""
        for name, given in self._network_options().items():
            own = held.get(name, self.defaults[name])
            if given not in (own, self.defaults[name]):
                raise NeuroferError(
                    f"{name}={given!r}, but {self.options['weights']} holds a network with "
                    f"{name}={own!r}: leave {name} out, or pass weights={UNTRAINED!r} as well"
                )
            self.options[name] = own

    @property
    def weights_hash(self) -> str:
        """A hash of the weights, with the size of what the network sees, and how it does."""
        usual = self.preprocessing == Preprocessing()
        return f"{self._hash}-{self.size}" + (
            "" if usual else f"-{content_hash(self.preprocessing)}"
        )

    @property
    def identifier(self) -> str:
        """The name, what its weights come from (nothing, rendered faces), and a hash."""
        digest = super().identifier.removeprefix(f"{self.name}-")
        return "-".join(part for part in (self.name, self._source, digest) if part)

    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return sites and `pooled`, float32, in one forward pass that ends at the last of them."""
        fast = self.options["precision"] == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            return layer_responses(self.explained_net(), self._input(images), sites, self._layer)

    def _input(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        gray, seen = ARCHITECTURES[self.architecture].gray, self.preprocessing
        pixels = np.stack([seen.pixels(image, self.size, colourless=gray) for image in images])
        return seen.scaled(torch.from_numpy(pixels))

    def seen(self, batch: Batch) -> tuple[torch.Tensor, np.ndarray]:
        """Return what the network takes, (n, C, H, W), and its place in each image, (n, 4)."""
        height, width, _ = batch.images[0].shape
        boxes = self._boxes(batch, np.array([0.0, 0.0, width, height]))
        shorter_side = self.preprocessing.shorter_side
        if shorter_side is not None:
            boxes = middles(boxes, self.size, shorter_side)
        return self._input(self._seen(batch.images, batch.landmarks)), boxes

    def explained_net(self) -> nn.Module:
        """Return the network, or the part of it that a single image goes through."""
        return self.net.get_submodule(ARCHITECTURES[self.architecture].tower)

    def explained_layer(self, layer: str | None) -> str | None:
        """Return the layer: it is called as its module."""
        return layer

    def output_names(self) -> tuple[str, ...]:
        """Return the names of what the network was trained to say, () of an untrained one."""
        return self.sites[ARCHITECTURES[self.architecture].sites[-1]].labels or ()


def _region(site: str) -> str | None:
    area = site.split(".")[0]
    return area if area in REGIONS else None


@register("cornet-s")
class CornetS(TrainedSubject):
    """CORnet-S (Kubilius et al. 2019); its areas carry Brain-Score's regions and times."""

    architecture = "cornet-s"
    shipped = "cornet-s-compact"
    times: ClassVar[Mapping[str, Timing]] = {
        "V1": (50, 100, 1),
        "V2": (70, 100, 2),
        "V4": (90, 50, 4),
        "IT": (100, 100, 2),
    }


@register("resnet-50")
class ResNet50(TrainedSubject):
    """ResNet-50 (He et al. 2016), trained on identity; on which diet, a weight file says."""

    architecture = "resnet-50"
    shipped = "resnet-50-identity-compact"


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


class CiaoSubject(TrainedSubject):
    """An encoder of the CIAO paper with a decision layer, one of its twelve variants.

    Options, besides those of every trained network; a weight file brings its own:
        scheme: what learns of the encoder: all ("full"), its "last-convolution", or nothing
            ("decision").
        ciao: whether the inhibitory mask is attached to the encoder's last convolution.
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        **TrainedSubject.defaults,
        "scheme": "full",
        "ciao": False,
    }
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {
        **TrainedSubject.choices,
        "scheme": SCHEMES,
        "ciao": (False, True),
    }


@register("ciao-vgg")
class CiaoVgg(CiaoSubject):
    """VGG16's convolutions with a decision layer; with CIAO by the option `ciao`."""

    architecture = "vgg"
    shipped = "ciao-vgg-decision-ciao-compact"


@register("ciao-pk")
class CiaoPk(CiaoSubject):
    """The Prior-Knowledge encoder with a decision layer; with CIAO by the option `ciao`."""

    architecture = "pk"
    shipped = "ciao-pk-decision-ciao-compact"


@register("face-channel")
class FaceChannelSubject(TrainedSubject):
    """FaceChannel, with its shunting layer."""

    architecture = "face-channel"


@register("siamese")
class Siamese(TrainedSubject):
    """The tower of a Siamese network that verifies faces (Koch et al. 2015), shown one image.

    Options, besides those of every trained network:
        embedding: units of the tower's last layer in an untrained network.
    """

    architecture = "siamese"
    shipped = "siamese-compact"
    defaults: ClassVar[Mapping[str, Any]] = {**TrainedSubject.defaults, "embedding": 4096}
