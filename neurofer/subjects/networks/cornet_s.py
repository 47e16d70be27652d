"""CORnet-S: four areas after the ventral stream, recurrent within an area.

Kubilius et al. 2019, "Brain-Like Object Recognition with High-Performing Shallow Recurrent ANNs".
The layers carry the names of the authors' published checkpoint, so that it can be read.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

BOTTLENECK = 4  # the middle of a block has this many times the channels of its ends
STEPS = {"V2": 2, "V4": 4, "IT": 2}
"""Recurrent area -> how many times its block runs in one forward pass."""


class CORnetS(nn.Module):
    """CORnet-S: images (n, 3, H, W), preprocessed, to logits (n, classes).

    At 224 x 224 pixels the areas have 64 x 56 x 56 (V1), 128 x 28 x 28 (V2), 256 x 14 x 14 (V4) and
    512 x 7 x 7 (IT) units; with width 1 and 1,000 classes there are 53,416,616 parameters.

    Args:
        classes: units of the last layer.
        width: scales the channels of every area; 1 is the published network.
    """

    def __init__(self, classes: int = 1000, *, width: float = 1.0) -> None:
        super().__init__()
        channels = [max(1, round(width * count)) for count in (64, 128, 256, 512)]
        self.V1 = _first_area(channels[0])
        for (area, steps), inputs, outputs in zip(
            STEPS.items(), channels[:3], channels[1:], strict=True
        ):
            self.add_module(area, RecurrentArea(inputs, outputs, steps))
        self.decoder = nn.Sequential(
            OrderedDict(
                avgpool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                linear=nn.Linear(channels[3], classes),
                output=nn.Identity(),
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, (2.0 / fan_out) ** 0.5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, classes)."""
        activity = self.V1(images)
        for area in STEPS:
            activity = self.get_submodule(area)(activity)
        logits: torch.Tensor = self.decoder(activity)
        return logits


class RecurrentArea(nn.Module):
    """A bottleneck block that runs `steps` times on its own output, with the same convolutions.

    The first step halves the resolution. Every step has batch normalisations of its own, for the
    statistics of activity differ from step to step.
    """

    def __init__(self, inputs: int, outputs: int, steps: int) -> None:
        super().__init__()
        middle = outputs * BOTTLENECK
        self.steps = steps
        self.conv_input = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.skip = nn.Conv2d(outputs, outputs, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(outputs, middle, 1, bias=False)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride=2, padding=1, bias=False)
        self.conv3 = nn.Conv2d(middle, outputs, 1, bias=False)
        for step in range(steps):
            self.add_module(f"norm1_{step}", nn.BatchNorm2d(middle))
            self.add_module(f"norm2_{step}", nn.BatchNorm2d(middle))
            self.add_module(f"norm3_{step}", nn.BatchNorm2d(outputs))
        self.output = nn.Identity()  # where each step's result can be recorded

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        """Return the activity after the last step."""
        activity = self.conv_input(activity)
        for step in range(self.steps):
            norm1, norm2, norm3 = (self.get_submodule(f"norm{k}_{step}") for k in (1, 2, 3))
            first = step == 0
            skip = self.norm_skip(self.skip(activity)) if first else activity
            stride = 2 if first else 1
            activity = norm1(self.conv1(activity)).relu()
            activity = nn.functional.conv2d(activity, self.conv2.weight, stride=stride, padding=1)
            activity = norm2(activity).relu()
            activity = self.output((norm3(self.conv3(activity)) + skip).relu())
        return activity


def _first_area(channels: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
            norm1=nn.BatchNorm2d(channels),
            nonlin1=nn.ReLU(),
            pool=nn.MaxPool2d(3, stride=2, padding=1),
            conv2=nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(channels),
            nonlin2=nn.ReLU(),
            output=nn.Identity(),
        )
    )
