"""The subjects that see the convolutions of VGG16: pretrained, and with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from neurofer.recording.sites import Site
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.facts import OWN_LICENCE, Facts
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.hooks import activity
from neurofer.subjects.networks.vgg import vgg_encoder
from neurofer.subjects.networks.vgg_layers import layer_names, rectified
from neurofer.subjects.networks.weightless import parameter_count, shapes_of, weightless
from neurofer.subjects.preprocess import image_tensor, in_words, resize
from neurofer.subjects.registry import register
from neurofer.subjects.trunk import Trunk, load_trunk
from neurofer.subjects.weight_files.sources import package_facts

SIZES = (112, 224)
GRID = 14
LAYERS = layer_names("vgg16")
SMALL = 0.05  # keeps the direction of a silent location from being noise


class ConvolutionalSubject(FeatureSubject):
    """A VGG trunk; images of another size are brought to that of the option `size`.

    Sites: every convolution after ReLU, (n, C, H, W), and `pooled`, one layer averaged to 14 x 14;
    readouts, on `pooled`, as in `FeatureSubject`.

    Options, besides those of the readouts:
        layer: which layer is pooled.
        normalise: "channels" divides the channels at each location by their norm before they are
            pooled; "none" leaves them.
        size: side of what the trunk sees, in pixels; 112 takes a quarter of the time.
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        **FeatureSubject.defaults,
        "layer": "conv3_3",
        "normalise": "none",
        "size": 224,
    }
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {
        **FeatureSubject.choices,
        "layer": LAYERS,
        "normalise": ("none", "channels"),
        "size": SIZES,
    }

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it, without its weights."""
        with weightless():
            parameters = parameter_count(vgg_encoder())
        sites = (*LAYERS, "pooled")
        return Facts(size=cls.defaults["size"], gray=False, parameters=parameters, sites=sites)

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its sites, without its weights."""
        size = cls.defaults["size"]
        with weightless():
            modules = [rectified(layer) for layer in LAYERS]
            found = activity(vgg_encoder(), torch.zeros(1, 3, size, size), modules)
        maps = dict(zip(LAYERS, found.values(), strict=True))
        return shapes_of({**maps, "pooled": pool(maps[cls.defaults["layer"]])})

    def _set_trunk(self, trunk: Trunk) -> None:
        self.trunk = trunk
        self.crop_size = self.options["size"]
        names = (*trunk.layers, "pooled")
        self._prepare({name: Site(name) for name in names}, "pooled")

    @property
    def weights_hash(self) -> str:
        """A hash of the trunk's weights, with its preprocessing and the input's size."""
        return f"{self.trunk.identifier}-{self.trunk.preprocessing}-{self.crop_size}"

    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return layers (n, C, H, W) and `pooled` (n, C, 14, 14), float32, in one forward pass."""
        layers = {self.options["layer"] if site == "pooled" else site for site in sites}
        activity = self.trunk(
            image_tensor([resize(image, self.crop_size) for image in images]), list(layers)
        )
        found = {site: activity[site] for site in sites if site != "pooled"}
        if "pooled" in sites:
            normalise = self.options["normalise"] == "channels"
            found["pooled"] = pool(activity[self.options["layer"]], normalise=normalise)
        return {site: np.ascontiguousarray(value.numpy()) for site, value in found.items()}


@register("vgg16-bsds")
class Vgg16Bsds(ConvolutionalSubject):
    """VGG16 trained on ImageNet, then a little on edges (see `weight_files.sources`)."""

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it, without its weights."""
        return replace(super().facts(), **package_facts(cls.name))

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        self._set_trunk(load_trunk("vgg16-bsds"))


@register("vgg16-untrained")
class Vgg16Untrained(ConvolutionalSubject):
    """VGG16 with random weights (He-normal, zero biases) of the option `seed`."""

    defaults: ClassVar[Mapping[str, Any]] = {**ConvolutionalSubject.defaults, "seed": 0}

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it."""
        facts = super().facts()
        seen = in_words("caffe")
        return replace(facts, preprocessing=seen, weights="untrained", licence=OWN_LICENCE)

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        self._set_trunk(load_trunk("vgg16-untrained", seed=self.options["seed"]))


def pool(activity: torch.Tensor, *, normalise: bool = False) -> torch.Tensor:
    """Average (n, C, H, W) to (n, C, 14, 14), each location's channels normalised if wanted."""
    if normalise:
        activity = activity / (activity.norm(dim=1, keepdim=True) + SMALL)
    return functional.adaptive_avg_pool2d(activity, GRID)
