"""The two encoders of CIAO, their decision layers, and what learns in each of its schemes.

Barros and Sciutti 2022, sections III and IV. An encoder with a decision layer is trained in one of
three schemes, each with and without CIAO: twelve variants a data set.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from neurofer.errors import unknown_choice
from neurofer.subjects.networks import prior_knowledge
from neurofer.subjects.networks.ciao import ShuntingInhibition, attach, last_convolution
from neurofer.subjects.networks.vgg import vgg_encoder

ENCODERS = ("vgg", "pk")
SCHEMES = ("full", "last-convolution", "decision")

_CELLS = {"vgg": 3 * 3, "pk": 6 * 6}  # of the last map of 96 pixels


class Variant(NamedTuple):
    """One of the twelve: encoder, scheme, and whether CIAO is attached."""

    encoder: str
    scheme: str
    ciao: bool


def pk_encoder(*, width: float = 1.0) -> nn.Sequential:
    """Make the Prior-Knowledge encoder's convolutions: (n, 3, 96, 96) to (n, 512, 6, 6)."""
    return prior_knowledge.Encoder(width=width).convolutions


class DecisionNet(nn.Module):
    """An encoder and a decision layer: images (n, 3, 96, 96) to outputs (n, outputs).

    Args:
        variant: encoder, scheme and CIAO; what the scheme does not train is frozen.
        outputs: of the decision layer.
        hidden: units of its one hidden layer.
        width: scales the encoder's channels.
    """

    def __init__(
        self, variant: Variant, outputs: int, *, hidden: int = 500, width: float = 1.0
    ) -> None:
        super().__init__()
        if variant.encoder not in ENCODERS:
            raise unknown_choice("encoder", variant.encoder, ENCODERS)
        if variant.scheme not in SCHEMES:
            raise unknown_choice("scheme", variant.scheme, SCHEMES)
        self.variant = variant
        self.encoder = {"vgg": vgg_encoder, "pk": pk_encoder}[variant.encoder](width=width)
        features = _CELLS[variant.encoder] * list(self.encoder.parameters())[-1].numel()
        self.decide = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, outputs),
        )
        if variant.ciao:
            attach(self.encoder)
        self.freeze()

    def freeze(self) -> None:
        """Let learn what the scheme trains: always the decision layer and CIAO."""
        scheme = self.variant.scheme
        self.encoder.requires_grad_(scheme == "full")
        for module in self.encoder.modules():
            if isinstance(module, ShuntingInhibition):
                module.requires_grad_(True)
                module.excitatory.requires_grad_(scheme != "decision")
        if scheme == "last-convolution" and not self.variant.ciao:
            self.encoder.get_submodule(last_convolution(self.encoder)).requires_grad_(True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs, (n, outputs)."""
        outputs: torch.Tensor = self.decide(self.encoder(images))
        return outputs
