"""FaceChannel: a light VGG-like network whose last convolution is inhibited.

Barros, Churamani and Sciutti 2020, "The FaceChannel: a fast and furious deep neural network for
facial expression recognition": gray images of 64 x 64 pixels, ten 3 x 3 convolutions.
"""

from __future__ import annotations

import torch
from torch import nn

from neurofer.subjects.networks.ciao import ShuntingInhibition

SIZE = 64
BLOCKS = ((64, 64), (128, 128), (128, 128, 128), (256, 256, 256))


class FaceChannel(nn.Module):
    """Gray images (n, 1, 64, 64) to outputs (n, classes).

    Args:
        classes: logits of expressions, or 2 for valence and arousal (put through tanh by the loss).
        width: scales the channels; 1 is the published network.
        hidden: units of the fully connected layer.
    """

    def __init__(self, classes: int, *, width: float = 1.0, hidden: int = 200) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for block in BLOCKS:
            for number, count in enumerate(block, start=1):
                outputs = max(1, round(width * count))
                convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
                if block is BLOCKS[-1] and number == len(block):
                    layers.append(shunting(convolution))
                else:
                    layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
        self.convolutions = nn.Sequential(*layers)
        self.hidden = nn.Linear(inputs * 16, hidden)
        self.decide = nn.Linear(hidden, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs, (n, classes)."""
        hidden = self.hidden(self.convolutions(images).flatten(1)).relu()
        outputs: torch.Tensor = self.decide(hidden)
        return outputs


def shunting(convolution: nn.Conv2d) -> ShuntingInhibition:
    """Inhibit a convolution by a twin with weights of its own and a fixed term of 0.5."""
    layer = ShuntingInhibition(convolution, trainable=True)
    nn.init.xavier_uniform_(layer.inhibitory.weight)
    layer.raw_integration.requires_grad_(False)
    return layer
