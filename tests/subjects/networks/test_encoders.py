from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects.networks.ciao import ShuntingInhibition
from neurofer.subjects.networks.encoders import ENCODERS, SCHEMES, DecisionNet, Variant
from neurofer.subjects.networks.face_channel import FaceChannel
from neurofer.subjects.networks.vgg import vgg_encoder

VARIANTS = tuple(Variant(*parts) for parts in product(ENCODERS, SCHEMES, (False, True)))

VGG, VGG_LAST, VGG_MASK = 14_714_688, 2_359_808, 2_359_808 + 512
PK, PK_LAST, PK_MASK = 4_306_560, 3_277_312, 3_277_312 + 512
LEARNED = {
    "vgg-full": VGG,
    "vgg-full-ciao": VGG + VGG_MASK,
    "vgg-last-convolution": VGG_LAST,
    "vgg-last-convolution-ciao": VGG_LAST + VGG_MASK,
    "vgg-decision": 0,
    "vgg-decision-ciao": VGG_MASK,
    "pk-full": PK,
    "pk-full-ciao": PK + PK_MASK,
    "pk-last-convolution": PK_LAST,
    "pk-last-convolution-ciao": PK_LAST + PK_MASK,
    "pk-decision": 0,
    "pk-decision-ciao": PK_MASK,
}
"""Beside the decision layer: what Figure 4 of the paper counts."""


def name_of(variant: Variant) -> str:
    return "-".join([variant.encoder, variant.scheme, *(["ciao"] if variant.ciao else [])])


def trainable(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_every_variant_trains_what_its_scheme_says(variant: Variant) -> None:
    net = DecisionNet(variant, 8, hidden=2)
    assert trainable(net) - trainable(net.decide) == LEARNED[name_of(variant)]
    masks = [module for module in net.modules() if isinstance(module, ShuntingInhibition)]
    assert len(masks) == variant.ciao


def test_the_twelve_are_there() -> None:
    assert {name_of(variant) for variant in VARIANTS} == set(LEARNED)


def test_features_have_the_published_sizes() -> None:
    with torch.no_grad():
        assert vgg_encoder()(torch.zeros(1, 3, 96, 96)).numel() == 4_608
    small = DecisionNet(Variant("pk", "decision", True), 3, width=0.125)
    assert small(torch.rand(2, 3, 96, 96)).shape == (2, 3)


def test_frozen_parts_get_no_gradient() -> None:
    net = DecisionNet(Variant("vgg", "decision", True), 3, hidden=4, width=0.0625)
    net(torch.rand(2, 3, 96, 96)).sum().backward()
    for name, parameter in net.named_parameters():
        learns = name.startswith("decide") or "inhibitory" in name or "integration" in name
        assert (parameter.grad is not None) == learns, name


def test_unknown_parts_are_named() -> None:
    with pytest.raises(NeuroferError, match=r"encoder='vg'.*did you mean 'vgg'"):
        DecisionNet(Variant("vg", "full", True), 3)
    with pytest.raises(NeuroferError, match=r"scheme='all'.*full, last-convolution, decision"):
        DecisionNet(Variant("vgg", "all", True), 3)


def test_face_channel_inhibits_its_last_convolution_with_a_fixed_term() -> None:
    net = FaceChannel(8, width=0.125)
    assert net(torch.rand(2, 1, 64, 64)).shape == (2, 8)
    (layer,) = (module for module in net.modules() if isinstance(module, ShuntingInhibition))
    torch.testing.assert_close(layer.integration, torch.full((32,), 0.5))
    assert not layer.raw_integration.requires_grad
    assert not torch.equal(layer.excitatory.weight, layer.inhibitory.weight)
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 10 + 1
