"""The Prior-Knowledge encoder: an adversarial autoencoder of faces with its critics.

Barros, Parisi and Wermter 2019, "A personalized affective memory model for improving emotion
recognition", as CIAO uses it: images of 96 x 96 pixels in [-1, 1], and the last of four strided
convolutions as the representation, 512 x 6 x 6 = 18,432 features. The parent is the conditional
adversarial autoencoder of Zhang, Song and Qi 2017.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

SIZE = 96
LATENT = 50
_AFFECT = 2  # valence and arousal


class Encoder(nn.Module):
    """Images (n, 3, 96, 96) in [-1, 1] to a latent vector (n, 50) in (-1, 1).

    Four 5 x 5 convolutions of stride 2 with "same" padding, which puts the odd pixel to the right
    and below, 4,306,560 parameters at width 1; then a fully connected layer.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        channels = [3, *(max(1, round(width * count)) for count in (64, 128, 256, 512))]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (inputs, outputs) in enumerate(pairwise(channels), 1):
            layers[f"pad{number}"] = nn.ZeroPad2d((1, 2, 1, 2))
            layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, 5, stride=2)
            layers[f"relu{number}"] = nn.ReLU()
        self.convolutions = nn.Sequential(layers)
        self.latent = nn.Linear(channels[-1] * 36, LATENT)
        initialise(self)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the representation, (n, 512, 6, 6) at width 1."""
        activity: torch.Tensor = self.convolutions(images)
        return activity

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the latent vectors, (n, 50)."""
        return self.latent(self.features(images).flatten(1)).tanh()


class Generator(nn.Module):
    """Latent vectors (n, 50) and affect (n, 2), valence and arousal, to images (n, 3, 96, 96)."""

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        channels = [max(1, round(width * count)) for count in (1024, 512, 256, 128, 64, 32)]
        self.base = channels[0]
        self.expand = nn.Linear(LATENT * (1 + _AFFECT), channels[0] * 36)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels[:5]):
            layers += [
                nn.ConvTranspose2d(inputs, outputs, 5, 2, padding=2, output_padding=1),
                nn.ReLU(),
            ]
        layers += [nn.Conv2d(channels[4], channels[5], 5, padding=2), nn.ReLU()]
        layers += [nn.Conv2d(channels[5], 3, 5, padding=2), nn.Tanh()]
        self.decode = nn.Sequential(*layers)
        initialise(self)

    def forward(self, latent: torch.Tensor, affect: torch.Tensor) -> torch.Tensor:
        """Return images in (-1, 1)."""
        told = affect.repeat_interleave(LATENT, dim=1)
        activity = self.expand(torch.cat([latent, told], dim=1)).relu()
        images: torch.Tensor = self.decode(activity.view(-1, self.base, 6, 6))
        return images


class ImageCritic(nn.Module):
    """Images (n, 3, 96, 96) and affect (n, 2) to the logit that they are real, (n,)."""

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        a, b, c, d = (max(1, round(width * count)) for count in (16, 32, 64, 128))
        self.first = _halve(3, a)
        self.more = nn.Sequential(_halve(a + 16 * _AFFECT, b), _halve(b, c), _halve(c, d))
        hidden = max(1, round(width * 1024))
        self.hidden = nn.Linear(d * 36, hidden)
        self.real = nn.Linear(hidden, 1)
        initialise(self)

    def forward(self, images: torch.Tensor, affect: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        activity = self.first(images)
        told = affect.repeat_interleave(16, dim=1)[:, :, None, None]
        activity = torch.cat([activity, told.expand(-1, -1, *activity.shape[2:])], dim=1)
        hidden = functional.leaky_relu(self.hidden(self.more(activity).flatten(1)), 0.2)
        logits: torch.Tensor = self.real(hidden)
        return logits[:, 0]


class LatentCritic(nn.Module):
    """Latent vectors (n, 50) to `outputs` numbers each, (n, outputs).

    With one output it judges whether a vector comes from the prior, uniform on (-1, 1); with two it
    reads valence and arousal.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, width in ((LATENT, 64), (64, 32), (32, 16)):
            layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(16, outputs))
        initialise(self)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        outputs: torch.Tensor = self.layers(latent)
        return outputs


def initialise(module: nn.Module) -> None:
    """Draw weights from a normal distribution of 0.02, cut at two deviations; biases are 0."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.trunc_normal_(layer.weight, 0.0, 0.02, -0.04, 0.04)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialise_by_inputs(module: nn.Module) -> None:
    """Draw weights after He et al. 2015: activity then keeps its size from layer to layer.

    From the published weights it fades, and a narrow network learns nothing for thousands of steps.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            inputs = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):  # every stride-th value is an input
                inputs = layer.weight[:, 0].numel() // (layer.stride[0] * layer.stride[1])
            nn.init.normal_(layer.weight, 0.0, (2 / inputs) ** 0.5)


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ZeroPad2d((1, 2, 1, 2)),
        nn.Conv2d(inputs, outputs, 5, stride=2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
