from __future__ import annotations

import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.subjects.networks.vgg import Vgg19
from tests.subjects.networks.test_resnet import count


@pytest.mark.parametrize(
    ("size", "classes", "expected"),
    [
        # Simonyan and Zisserman 2015, table 2: 144 million.
        (224, 1000, 143_667_240),
        # The convolutions have 20,024,384 at every size.
        (96, 7, 20_024_384 + 9 * 512 * 4096 + 4096 + 4096**2 + 4096 + 4096 * 7 + 7),
    ],
)
def test_parameters_are_the_published_ones(size: int, classes: int, expected: int) -> None:
    with torch.device("meta"):
        assert count(Vgg19(classes, size=size)) == expected


@pytest.mark.parametrize("size", [96, 112, 224])
def test_the_classifier_sees_the_last_pool_as_it_is(size: int) -> None:
    net = Vgg19(5, width=0.0625, size=size).eval()
    images = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        maps = net.encoder(images)
        assert maps.shape == (2, 32, size // 32, size // 32)
        torch.testing.assert_close(net(images), net.decide(net.hidden(maps)))
        assert net(torch.rand(1, 3, 160, 128)).shape == (1, 5)


def test_it_has_nineteen_layers_with_weights() -> None:
    layers = [
        module
        for module in Vgg19(5, width=0.0625).modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
    ]
    assert len(layers) == 19


def test_too_small_images_are_refused() -> None:
    with pytest.raises(NeuroferError, match="size=64"):
        Vgg19(5, size=64)
