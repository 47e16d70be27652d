"""Batch normalisation for networks that were published without it, in training only.

Deep networks without it, as VGG16 is, hardly begin to learn from nothing. After training it is
folded into the convolutions, which then compute the same: what is stored is the published network.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class _Normalised(nn.Sequential):
    """A convolution and the batch normalisation of its output."""


def normalise(net: nn.Module) -> None:
    """Put a batch normalisation behind every convolution of a network, in place."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                setattr(parent, name, _Normalised(child, nn.BatchNorm2d(child.out_channels)))


def fold(net: nn.Module) -> None:
    """Fold what `normalise` put there into the convolutions, in place, as it is in evaluation."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _Normalised):
                convolution, norm = child.eval()
                assert isinstance(convolution, nn.Conv2d)
                assert isinstance(norm, nn.BatchNorm2d)
                setattr(parent, name, fuse_conv_bn_eval(convolution, norm))
