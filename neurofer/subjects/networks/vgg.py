"""VGG19 with its classifier, to be trained: Simonyan and Zisserman 2015, configuration E."""

from __future__ import annotations

import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.networks.encoders import vgg_encoder

SMALLEST = 96
SHRINK = 32  # the five pools together


class Vgg19(nn.Module):
    """Images (n, 3, H, W), H and W of 96 pixels or more, to logits (n, classes).

    Args:
        classes: units of the last layer.
        width: scales the channels and the hidden units; 1 is the published network.
        hidden: units of the two fully connected layers.
        size: height and width that the classifier is made for. Images of another size are brought
            to its grid after the last pool, by averages.

    Raises:
        NeuroferError: the size is under 96 pixels.
    """

    def __init__(
        self, classes: int, *, width: float = 1.0, hidden: int = 4096, size: int = 224
    ) -> None:
        super().__init__()
        if size < SMALLEST:
            raise NeuroferError(f"size={size}; VGG19 is for images of {SMALLEST} pixels or more")
        grid = size // SHRINK
        channels, units = (max(1, round(width * count)) for count in (512, hidden))
        self.encoder = vgg_encoder(width=width, architecture="vgg19")
        self.grid = nn.AdaptiveAvgPool2d(grid)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * grid**2, units),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(units, units),
            nn.ReLU(),
            nn.Dropout(0.5),
        )
        self.decide = nn.Linear(units, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, classes)."""
        logits: torch.Tensor = self.decide(self.hidden(self.grid(self.encoder(images))))
        return logits
