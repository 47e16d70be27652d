"""ResNet-50v2: residual blocks that normalise before they convolve.

He et al. 2016, "Identity mappings in deep residual networks", in the form in which the papers use
it, Keras's: the stride lies at the end of a stage, and the 7 x 7, the last 1 x 1 and the shortcut
convolutions have biases, which no batch normalisation follows.
"""

from __future__ import annotations

import torch
from torch import nn

EXPANSION = 4
DEPTHS = (3, 4, 6, 3)
STRIDES = (2, 2, 2, 1)  # of each stage's last block
EPSILON = 1.001e-5  # Keras's


class PreactivationBlock(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, each after normalisation and ReLU, and a shortcut.

    Args:
        inputs: channels that come in.
        width: channels of the 3 x 3 convolution; four times as many go out.
        stride: of the 3 x 3 convolution.
        project: whether the shortcut is a 1 x 1 convolution of the normalised input; else it is
            the input itself, of which a stride keeps every second place.
    """

    def __init__(self, inputs: int, width: int, stride: int, *, project: bool) -> None:
        super().__init__()
        self.preact = _normalise(inputs)
        self.project = nn.Conv2d(inputs, width * EXPANSION, 1) if project else None
        self.skip = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.act1 = _normalise(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.act2 = _normalise(width)
        self.conv3 = nn.Conv2d(width, width * EXPANSION, 1)

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        """Return the shortcut and the residual, added; nothing follows the sum."""
        normalised = self.preact(activity)
        shortcut = self.skip(activity) if self.project is None else self.project(normalised)
        residual = self.conv2(self.act1(self.conv1(normalised)))
        output: torch.Tensor = shortcut + self.conv3(self.act2(residual))
        return output


class ResNet50V2(nn.Module):
    """Images (n, 3, H, W) from -1 to 1 to logits (n, classes).

    Args:
        classes: units of the last layer.
        width: scales all channels; 1 is the published network.
    """

    def __init__(self, classes: int, *, width: float = 1.0) -> None:
        super().__init__()
        channels = [max(1, round(width * count)) for count in (64, 128, 256, 512)]
        inputs = channels[0]
        self.conv1 = nn.Conv2d(3, inputs, 7, 2, padding=3)
        # No ReLU has come before, so that the zeros at the border take part in the maximum.
        self.maxpool = nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))
        for stage, (count, depth) in enumerate(zip(channels, DEPTHS, strict=True), start=1):
            blocks = []
            for number in range(depth):
                stride = STRIDES[stage - 1] if number == depth - 1 else 1
                blocks.append(PreactivationBlock(inputs, count, stride, project=number == 0))
                inputs = count * EXPANSION
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.post = _normalise(inputs)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, classes)."""
        activity = self.maxpool(self.conv1(images))
        for stage in range(1, len(DEPTHS) + 1):
            activity = self.get_submodule(f"layer{stage}")(activity)
        logits: torch.Tensor = self.fc(self.avgpool(self.post(activity)).flatten(1))
        return logits


def _normalise(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels, eps=EPSILON), nn.ReLU())
