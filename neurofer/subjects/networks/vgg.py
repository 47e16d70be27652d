"""VGG networks: Simonyan and Zisserman 2015, configurations D (16 layers) and E (19)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.networks.vgg_layers import BLOCKS, layer_names, rectified

SMALLEST = 96
SHRINK = 32  # the five pools together


def vgg_encoder(*, width: float = 1.0, architecture: str = "vgg16") -> nn.Sequential:
    """Make VGG16's convolutions: images (n, 3, 96, 96) to (n, 512, 3, 3), 14,714,688 parameters.

    Simonyan and Zisserman 2015, configuration D ("vgg19": E), to the last pool.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for name in layer_names(architecture):
        block, number = int(name[4]), int(name[6])
        outputs = max(1, round(width * min(64 * 2 ** (block - 1), 512)))
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        layers[name] = convolution
        layers[rectified(name)] = nn.ReLU()
        if number == BLOCKS[architecture][block - 1]:
            layers[f"pool{block}"] = nn.MaxPool2d(2)
        inputs = outputs
    return nn.Sequential(layers)


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
