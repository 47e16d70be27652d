"""The feature trunk: VGG convolutions up to a named layer, after ReLU.

The paper's trunk is VGG19 at `block3_conv3` (here `conv3_3`), which sees 224 x 224 pixels through
a stride of 4 (Stettler et al. 2023, section 5). `vgg16-bsds` has the same first seven layers in
shape; its weights are others (see `neurofer.subjects.weight_files.sources`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from neurofer.errors import unknown_choice
from neurofer.subjects.hooks import activity
from neurofer.subjects.networks.vgg import vgg_encoder
from neurofer.subjects.networks.vgg_layers import BLOCKS, layer_names, rectified
from neurofer.subjects.networks.weightless import weightless
from neurofer.subjects.preprocess import preprocess
from neurofer.subjects.weight_files.sources import (
    SOURCES,
    load_weights,
    parameters_hash,
    weight_source,
)

DEFAULT_LAYER = "conv3_3"
UNTRAINED = "vgg16-untrained"
_CONVERTED = tuple(name for name, one in SOURCES.items() if one.architecture in BLOCKS)
TRUNKS = (*_CONVERTED, UNTRAINED)


def layer_stride(layer: str) -> int:
    """Return how many pixels lie between neighbouring units of a layer.

    >>> layer_stride("conv1_2"), layer_stride("conv3_3")
    (1, 4)
    """
    return int(2 ** (int(layer[4]) - 1))


def to_map(pixels: np.ndarray, stride: int) -> np.ndarray:
    """Turn pixel-centre coordinates into units of a map whose cells cover `stride` pixels."""
    return (np.asarray(pixels, dtype=np.float64) - (stride - 1) / 2) / stride


def to_pixels(units: np.ndarray, stride: int) -> np.ndarray:
    """Turn map units into pixel-centre coordinates; the inverse of `to_map`."""
    return np.asarray(units, dtype=np.float64) * stride + (stride - 1) / 2


class Trunk(torch.nn.Module):
    """The convolutions of a VGG network, 3 x 3 with ReLU, max-pooled between blocks.

    Args:
        weights: `conv1_1.weight` (out, in, 3, 3), `conv1_1.bias` (out,) and so on.
        architecture: "vgg16" or "vgg19".
        preprocessing: "caffe" or "torchvision".
        name: what results call it.
    """

    def __init__(
        self,
        weights: dict[str, torch.Tensor],
        architecture: str = "vgg16",
        preprocessing: str = "caffe",
        name: str = "trunk",
    ) -> None:
        super().__init__()
        self.name = name
        self.preprocessing = preprocessing
        self.layers = tuple(
            layer for layer in layer_names(architecture) if f"{layer}.weight" in weights
        )
        with weightless():
            whole = vgg_encoder(width=len(weights["conv1_1.bias"]) / 64, architecture=architecture)
        names = [name for name, _ in whole.named_children()]
        self.encoder = whole[: 1 + names.index(rectified(self.layers[-1]))]
        self.encoder.load_state_dict(weights, assign=True)
        # Convolutions with channels last are the faster ones on CPUs (oneDNN), see the tests.
        self.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoder.requires_grad_(False)
        self.identifier = parameters_hash({key: value.numpy() for key, value in weights.items()})

    def channels(self, layer: str) -> int:
        """Return the number of channels of a layer."""
        self._check((layer,))
        return len(self.encoder.get_parameter(f"{layer}.bias"))

    def forward(
        self, images: torch.Tensor, layers: Sequence[str] = (DEFAULT_LAYER,)
    ) -> dict[str, torch.Tensor]:
        """Return the activity after ReLU of each layer asked, (n, channels, height, width).

        Computation stops at the deepest of them.

        Args:
            images: RGB (n, 3, H, W), float32 in 0 to 255, not yet preprocessed.
            layers: names such as "conv3_3".
        """
        with torch.inference_mode():
            return self.layer_activity(images, layers)

    def layer_activity(
        self, images: torch.Tensor, layers: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        """Return what `forward` does, through which gradients can flow back to the images."""
        self._check(layers)
        layers = list(dict.fromkeys(layers))
        seen = preprocess(images, self.preprocessing)
        seen = seen.contiguous(memory_format=torch.channels_last)
        found = activity(self.encoder, seen, [rectified(layer) for layer in layers])
        return dict(zip(layers, found.values(), strict=True))

    def _check(self, layers: Sequence[str]) -> None:
        for layer in layers:
            if layer not in self.layers:
                raise unknown_choice("layer", layer, self.layers)


def load_trunk(name: str = "vgg16-bsds", *, seed: int = 0) -> Trunk:
    """Return a trunk by the name of its weights.

    Args:
        name: "vgg16-bsds", a VGG file that was added ("vgg19-keras", ...), or "vgg16-untrained".
        seed: of the random weights of "vgg16-untrained"; unused otherwise.

    Raises:
        NeuroferError: the name is unknown or the weights are not in the cache.
    """
    if name == UNTRAINED:
        return Trunk(untrained_weights("vgg16", seed), "vgg16", "caffe", name)
    if name not in TRUNKS:
        raise unknown_choice("trunk", name, TRUNKS)
    source = weight_source(name)
    return Trunk(load_weights(name), source.architecture, source.preprocessing, name)


def untrained_weights(
    architecture: str = "vgg16", seed: int = 0, *, width: int = 64, blocks: int = 5
) -> dict[str, torch.Tensor]:
    """Return random weights: He-normal kernels (He et al. 2015), zero biases, from a seed.

    Args:
        architecture: "vgg16" or "vgg19".
        seed: of the random numbers.
        width: channels of the first block; each block doubles them up to eight times as many.
        blocks: how many blocks to make; tests make small trunks with it.
    """
    random = np.random.default_rng(seed)
    weights, channels = {}, 3
    for layer in layer_names(architecture):
        block = int(layer[4])
        if block > blocks:
            break
        out = width * min(2 ** (block - 1), 8)
        scale = np.sqrt(2.0 / (9 * channels))
        kernel = random.standard_normal((out, channels, 3, 3), dtype=np.float32) * np.float32(scale)
        weights[f"{layer}.weight"] = torch.from_numpy(kernel)
        weights[f"{layer}.bias"] = torch.zeros(out)
        channels = out
    return weights
