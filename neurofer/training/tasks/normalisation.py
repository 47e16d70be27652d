"""Batch normalisation for networks that were published without it, in training only.

Deep networks without it, as VGG16 is, hardly begin to learn from nothing. After training it is
folded into the layers, which then compute the same: what is stored is the published network.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval


class _Normalised(nn.Sequential):
    """A layer and the batch normalisation of its output."""


def normalise(net: nn.Module) -> None:
    """Put a batch normalisation between every layer of a sequence that learns and its ReLU."""
    for parent in list(net.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        for (name, layer), (_, following) in pairwise(list(parent.named_children())):
            learns = any(parameter.requires_grad for parameter in layer.parameters())
            if not learns or not isinstance(following, nn.ReLU):
                continue
            if isinstance(layer, nn.Conv2d):
                setattr(parent, name, _Normalised(layer, nn.BatchNorm2d(layer.out_channels)))
            elif isinstance(layer, nn.Linear):
                setattr(parent, name, _Normalised(layer, nn.BatchNorm1d(layer.out_features)))


def fold(net: nn.Module) -> None:
    """Fold what `normalise` put there into the layers, in place, as it is in evaluation."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _Normalised):
                layer, norm = child.eval()
                setattr(parent, name, _fused(layer, norm))


def _fused(layer: nn.Module, norm: nn.Module) -> nn.Module:
    assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    if isinstance(layer, nn.Conv2d):
        return fuse_conv_bn_eval(layer, norm)
    assert isinstance(layer, nn.Linear)
    return fuse_linear_bn_eval(layer, norm)
