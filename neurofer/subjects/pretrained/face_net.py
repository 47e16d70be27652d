"""The base of subjects that are pretrained networks from packages, recorded layer by layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from neurofer.recording.saliency import SITES as SALIENCY_SITES
from neurofer.recording.sites import Site
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.face_crop import square
from neurofer.subjects.facts import Facts, package_facts
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.networks.weightless import parameter_count, shapes_of, weightless
from neurofer.subjects.preprocess import resize
from neurofer.subjects.trunk import image_tensor
from neurofer.subjects.weight_files.sources import load_weights, parameters_hash

GRID = 6
# Of photographs of faces, 0 to 255: what face-api and dlib subtract.
MEAN_RGB = (122.782, 117.001, 104.298)


class FaceNet(torch.nn.Module):
    """A network that names what it computes, in the order in which it does."""

    layers: tuple[str, ...]

    @abstractmethod
    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Turn RGB images (n, 3, size, size), float32 in 0 to 255, into what the net expects."""

    @abstractmethod
    def steps(self, seen: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every layer's name and activity, (n, channels, height, width) or (n, units)."""

    def forward(self, images: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return the activity of layers; computation stops at the deepest of them.

        Args:
            images: RGB (n, 3, size, size), float32 in 0 to 255.
            layers: names out of `layers`.
        """
        found: dict[str, torch.Tensor] = {}
        with torch.inference_mode():
            seen = self.prepare(images).contiguous(memory_format=torch.channels_last)
            for name, activity in self.steps(seen):
                if name in layers:
                    found[name] = activity
                if len(found) == len(set(layers)):
                    break
        return found


class FaceNetSubject(FeatureSubject):
    """A pretrained network, mostly of faces; its subject's name is that of its weights.

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
    further_sites = SALIENCY_SITES
    net: FaceNet

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
    def _empty_net() -> FaceNet:
        """Return the network before its weights are loaded."""

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of it, without its weights."""
        with weightless():
            net = cls._empty_net()
        return Facts(
            size=cls.crop_size,
            gray=cls.gray,
            parameters=parameter_count(net),
            sites=(*net.layers, "pooled"),
            **package_facts(cls.name),
        )

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of its sites, without its weights."""
        with weightless():
            net = cls._empty_net().eval()
            found = net(torch.zeros(1, 3, cls.crop_size, cls.crop_size), net.layers)
        return shapes_of({**found, "pooled": pool(found[cls.defaults["layer"]])})

    def _feature_sites(self) -> dict[str, Site]:
        return {name: Site(name) for name in (*self.net.layers, "pooled")}

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
        layers = {self.options["layer"] if site == "pooled" else site for site in sites}
        seen = image_tensor([resize(image, self.crop_size) for image in images])
        activity = self.net(seen, list(layers))
        if "pooled" in sites:
            activity["pooled"] = pool(activity[self.options["layer"]])
        return {site: np.ascontiguousarray(activity[site].numpy()) for site in sites}


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


def pool(activity: torch.Tensor) -> torch.Tensor:
    """Average (n, C, H, W) to at most 6 x 6; (n, units) stays as it is."""
    if activity.ndim == 2 or max(activity.shape[2:]) <= GRID:
        return activity
    return functional.adaptive_avg_pool2d(activity, GRID)


def subtract_mean(images: torch.Tensor, divisor: float) -> torch.Tensor:
    """Return (RGB - MEAN_RGB) / divisor."""
    return (images - torch.tensor(MEAN_RGB).view(1, 3, 1, 1)) / divisor


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
