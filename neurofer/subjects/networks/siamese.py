"""A Siamese network for face verification: one convolutional tower, seen twice.

The architecture of Koch, Zemel and Salakhutdinov 2015, "Siamese neural networks for one-shot image
recognition", with ReLU everywhere but after the fully connected layer, as on the poster of
Schwartz et al. (identity to expression); the two embeddings are compared by their absolute
difference.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

SIZE = 105
"""Height and width of the gray images in pixels."""


class SiameseNet(nn.Module):
    """Two gray images (n, 1, 105, 105) to the logit that they show one person, (n,).

    Args:
        width: scales the channels of the convolutions; 1 is the published network.
        embedding: units of the fully connected layer.
    """

    def __init__(self, *, width: float = 1.0, embedding: int = 4096) -> None:
        super().__init__()
        a, b, c, d = (max(1, round(width * count)) for count in (64, 128, 128, 256))
        self.tower = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, a, 10),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(a, b, 7),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                conv3=nn.Conv2d(b, c, 4),
                relu3=nn.ReLU(),
                pool3=nn.MaxPool2d(2),
                conv4=nn.Conv2d(c, d, 4),
                relu4=nn.ReLU(),
                flatten=nn.Flatten(),
                embedding=nn.Linear(d * 36, embedding),
            )
        )
        self.compare = nn.Linear(embedding, 1)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embeddings, (n, embedding)."""
        embeddings: torch.Tensor = self.tower(images)
        return embeddings

    def forward(self, images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Return the logit of "the same person" for each pair, (n,)."""
        difference = (self.embed(images) - self.embed(others)).abs()
        logits: torch.Tensor = self.compare(difference)
        return logits[:, 0]
