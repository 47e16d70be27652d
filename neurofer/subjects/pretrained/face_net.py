"""The base of subjects that are pretrained networks from packages, recorded layer by layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neurofer.errors import check_choice
from neurofer.recording.sites import Batch, Site
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.face_crop import square, square_box
from neurofer.subjects.facts import Facts
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.hooks import activity, layer_responses, pool
from neurofer.subjects.networks.weightless import parameter_count, shapes_of, weightless
from neurofer.subjects.preprocess import image_tensor, preprocess, resize
from neurofer.subjects.saliency import ExplainedSubject
from neurofer.subjects.weight_files.sources import (
    load_weights,
    package_facts,
    parameters_hash,
    weight_source,
)


class FaceNetSubject(ExplainedSubject, FeatureSubject):
    """A pretrained network, mostly of faces; its subject's name is that of its weights.

    A subclass states `layers`, those of the network that can be recorded, in their order, with
    `modules` where one is called otherwise in the network; and `explained`, the last layer with
    several places that is never negative.

    Sites: every layer, (n, C, H, W) or (n, units), and `pooled`, one layer averaged to 6 x 6
    where it is larger; readouts, on `pooled`, as in `FeatureSubject`; where they are named,
    saliency (`neurofer.recording.saliency`).

    Options, besides those of the readouts:
        layer: which layer is pooled; "top", the last one before any classes, by default.
        crop: "landmarks" by default, for such a network expects a face that fills the image.

    Where the whole frame is seen and it is not square, its border is continued to a square, so
    that no face is stretched.
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        **FeatureSubject.defaults,
        "crop": "landmarks",
        "layer": "top",
    }
    gray: ClassVar[bool] = False
    layers: ClassVar[tuple[str, ...]]
    modules: ClassVar[Mapping[str, str]] = {}
    explained: ClassVar[str]
    net: nn.Module

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        super().__init__(training, **options)
        weights = load_weights(self.name)
        self._hash = parameters_hash({key: values.numpy() for key, values in weights.items()})
        self.net = self._empty_net().eval()
        # Convolutions with channels last are the faster ones on CPUs (oneDNN).
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net.load_state_dict(weights)
        self._prepare(self._feature_sites(), "pooled")

    @staticmethod
    @abstractmethod
    def _empty_net() -> nn.Module:
        """Return the network before its weights are loaded."""

    @classmethod
    def prepare(cls, images: torch.Tensor) -> torch.Tensor:
        """Turn RGB images (n, 3, size, size), float32 in 0 to 255, into what the net expects."""
        return preprocess(images, weight_source(cls.name).preprocessing)

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it, without its weights."""
        with weightless():
            net = cls._empty_net()
        return Facts(
            size=cls.crop_size,
            gray=cls.gray,
            parameters=parameter_count(net),
            sites=(*cls.layers, "pooled"),
            **package_facts(cls.name),
        )

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its sites, without its weights."""
        with weightless():
            net = cls._empty_net().eval()
            seen = cls.prepare(torch.zeros(1, 3, cls.crop_size, cls.crop_size))
            found = activity(net, seen, [cls.modules.get(layer, layer) for layer in cls.layers])
        shown = dict(zip(cls.layers, found.values(), strict=True))
        return shapes_of({**shown, "pooled": pool(shown[cls.defaults["layer"]])})

    def _feature_sites(self) -> dict[str, Site]:
        return {name: Site(name) for name in (*self.layers, "pooled")}

    @property
    def weights_hash(self) -> str:
        """A hash of the weights, with the size, width and shape of what the network sees."""
        return f"{self._hash}-{self.crop_size}-{self.crop_width}-square"

    def _seen(
        self, images: Sequence[np.ndarray], landmarks: np.ndarray | None
    ) -> Sequence[np.ndarray]:
        return [square(image) for image in super()._seen(images, landmarks)]

    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return layers and `pooled`, float32, in one forward pass."""
        seen = self._input(images)
        return layer_responses(self.net, seen, sites, self.options["layer"], self.modules)

    def _input(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        return self.prepare(image_tensor([resize(image, self.crop_size) for image in images]))

    def seen(self, batch: Batch) -> tuple[torch.Tensor, np.ndarray]:
        """Return what the network takes, (n, C, H, W), and its place in each image, (n, 4)."""
        images = self._seen(batch.images, batch.landmarks)
        return self._input(images), self._boxes(batch, square_box(batch.images[0].shape))

    def explained_net(self) -> nn.Module:
        """Return the network."""
        return self.net

    def explained_layer(self, layer: str | None) -> str:
        """Return the module of a layer, by default of the last one that can be explained."""
        layer = layer or self.explained
        check_choice("layer", layer, self.layers, f"subject {self.name!r}")
        return self.modules.get(layer, layer)

    def output_names(self) -> tuple[str, ...]:
        """Return none: the outputs of most have no names."""
        return ()


class NamingSubject(FaceNetSubject):
    """A network whose last layer, `logits`, names expressions by itself.

    Sites, besides those of the layers: `own`, the logits. Without training stimuli that is also
    its `decision`; with them, `decision` is a readout.
    """

    classes: ClassVar[tuple[str, ...]]

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it, without its weights."""
        facts = super().facts()
        return replace(facts, sites=(*(facts.sites or ()), "own", "decision"))

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its sites, without its weights."""
        return {**super().shapes(), **dict.fromkeys(("own", "decision"), (len(cls.classes),))}

    def output_names(self) -> tuple[str, ...]:
        """Return the expressions that `logits` names."""
        return self.classes

    def _feature_sites(self) -> dict[str, Site]:
        names = ("own", "decision") if self.training is None else ("own",)
        named = {name: Site(name, labels=self.classes) for name in ("logits", *names)}
        return {**super()._feature_sites(), **named}

    def features(self, images: Sequence[np.ndarray], sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return layers, `pooled` and its own answers, float32, in one forward pass."""
        own = [site for site in sites if site in ("own", "decision")]
        needed = [site for site in sites if site not in own]
        found = super().features(images, [*needed, *(["logits"] if own else [])])
        return {site: found["logits" if site in own else site] for site in sites}


class Mean(nn.Module):
    """The mean over places."""

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        """Return (n, C) of (n, C, H, W)."""
        return activity.mean((2, 3))


def pad_as_tensorflow(
    activity: torch.Tensor, kernel: int, stride: int, value: float = 0.0
) -> torch.Tensor:
    """Pad with a value as TensorFlow's "SAME": the odd row and column at the bottom and right.

    Args:
        activity: (n, channels, H, W).
        kernel: width of the window.
        stride: of the window.
        value: of the padding.
    """
    sides: list[int] = []
    for size in (activity.shape[3], activity.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides += [total // 2, total - total // 2]
    return functional.pad(activity, sides, value=value)
