"""Residual networks for identity: ResNet-50 in both stride conventions, and a small ResNet-18.

He et al. 2016, "Deep residual learning for image recognition". Layers carry torchvision's names.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Stride = Literal["first", "middle"]
Stem = Literal["imagenet", "caffe", "keras", "small"]


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut.

    `stride` lies on the first convolution in the original (and in VGGFace2's networks, "first"),
    on the 3 x 3 one in torchvision's ("middle").
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, where: Stride) -> None:
        super().__init__()
        outputs = width * self.expansion
        first, middle = (stride, 1) if where == "first" else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=middle, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        """Return the block's output after ReLU."""
        residual = self.bn1(self.conv1(activity)).relu()
        residual = self.bn2(self.conv2(residual)).relu()
        residual = self.bn3(self.conv3(residual))
        shortcut: torch.Tensor = self.downsample(activity)
        return (residual + shortcut).relu()


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; the stride lies on the first, `where` is unused."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, where: Stride) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        """Return the block's output after ReLU."""
        residual = self.bn2(self.conv2(self.bn1(self.conv1(activity)).relu()))
        shortcut: torch.Tensor = self.downsample(activity)
        return (residual + shortcut).relu()


class ResNet(nn.Module):
    """A residual network: images (n, 3, H, W), preprocessed, to logits (n, classes).

    Args:
        block: `Bottleneck` or `BasicBlock`.
        depths: blocks of the four stages.
        classes: units of the last layer.
        width: scales all channels.
        stride: where a bottleneck's stride lies.
        stem: "imagenet" is 7 x 7 with stride 2 and a max-pool; "caffe" the same with the pool's
            windows unpadded and the last one cut off at the border, as VGGFace2's networks have it;
            "keras" what Keras makes of that: at an even size one pixel less of zeros above and to
            the left, and whole windows only, so that 224 pixels leave 55 x 55 units, not 56 x 56;
            "small" is 3 x 3 with stride 1 and no pool.
    """

    def __init__(
        self,
        block: type[Bottleneck] | type[BasicBlock],
        depths: tuple[int, int, int, int],
        classes: int,
        *,
        width: float = 1.0,
        stride: Stride = "middle",
        stem: Stem = "imagenet",
    ) -> None:
        super().__init__()
        channels = [max(1, round(width * count)) for count in (64, 128, 256, 512)]
        kernel, step = (3, 1) if stem == "small" else (7, 2)
        padding = 0 if stem == "keras" else kernel // 2
        self.pad = nn.ZeroPad2d((2, 3, 2, 3)) if stem == "keras" else nn.Identity()
        self.conv1 = nn.Conv2d(3, channels[0], kernel, step, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU()
        self.maxpool: nn.Module = {
            "imagenet": nn.MaxPool2d(3, 2, padding=1),
            "caffe": nn.MaxPool2d(3, 2, ceil_mode=True),
            "keras": nn.MaxPool2d(3, 2),
            "small": nn.Identity(),
        }[stem]
        inputs = channels[0]
        for stage, (count, depth) in enumerate(zip(channels, depths, strict=True), start=1):
            blocks = []
            for number in range(depth):
                step = 2 if number == 0 and stage > 1 else 1
                blocks.append(block(inputs, count, step, stride))
                inputs = count * block.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n, classes)."""
        activity = self.maxpool(self.relu(self.bn1(self.conv1(self.pad(images)))))
        for stage in range(1, 5):
            activity = self.get_submodule(f"layer{stage}")(activity)
        logits: torch.Tensor = self.fc(self.avgpool(activity).flatten(1))
        return logits


def resnet50(
    classes: int, *, width: float = 1.0, stride: Stride = "middle", stem: Stem | None = None
) -> ResNet:
    """Make a ResNet-50; `stride="first"` gives the convention and the stem of VGGFace2's.

    Args:
        classes: number of outputs.
        width: multiplies the number of channels.
        stride: the convolution of a block that has the stride, "middle" or "first".
        stem: the first layers; None for those of the paper.
    """
    stem = stem or ("caffe" if stride == "first" else "imagenet")
    return ResNet(Bottleneck, (3, 4, 6, 3), classes, width=width, stride=stride, stem=stem)


def resnet18(classes: int, *, width: float = 1.0) -> ResNet:
    """Make the ResNet-18 for 128-pixel faces: a 3 x 3 stem with stride 1 and no pool."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes, width=width, stem="small")


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
    )
