from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neurofer.errors import NeuroferError
from neurofer.subjects import load_subject
from neurofer.subjects.vgg16 import pool


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def untrained():
    return load_subject("vgg16-untrained")


def test_pooled_is_the_mean_of_4_by_4_cells_of_conv3_3(untrained, images):
    found = untrained.features(images, ["pooled", "conv3_3"])
    assert found["conv3_3"].shape == (2, 256, 56, 56)
    expected = found["conv3_3"].reshape(2, 256, 14, 4, 14, 4).mean((3, 5))
    np.testing.assert_allclose(found["pooled"], expected, rtol=1e-4, atol=1e-4)


def test_layers_are_torchs_own_convolutions(untrained, images):
    """The first two layers by plain torch modules in float64."""
    trunk = untrained.trunk
    x = torch.from_numpy(np.stack(images)[..., ::-1].astype(np.float64)).permute(0, 3, 1, 2)
    x = x - torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64).view(1, 3, 1, 1)
    for layer in ("conv1_1", "conv1_2"):
        weight = trunk.encoder.get_parameter(f"{layer}.weight").double()
        convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1).double()
        convolution.weight.data, convolution.bias.data = (
            weight,
            trunk.encoder.get_parameter(f"{layer}.bias").double(),
        )
        x = convolution(x).relu()
    found = untrained.features(images, ["conv1_2"])["conv1_2"]
    np.testing.assert_allclose(found, x.detach().numpy(), rtol=1e-3, atol=1e-2)


def test_channels_are_normalised_at_each_location_before_pooling():
    activity = torch.rand(1, 5, 28, 28, generator=torch.Generator().manual_seed(0))
    found = pool(activity, normalise=True)
    cell = activity[0, :, 2:4, 6:8].reshape(5, 4).numpy()
    expected = (cell / (np.linalg.norm(cell, axis=0) + 0.05)).mean(1)
    np.testing.assert_allclose(found[0, :, 1, 3], expected, rtol=1e-5)
    assert not torch.allclose(found, pool(activity))


def test_the_seed_decides_the_untrained_weights(untrained):
    assert load_subject("vgg16-untrained").identifier == untrained.identifier
    assert load_subject("vgg16-untrained", seed=1).identifier != untrained.identifier


def test_images_of_another_size_are_brought_to_224(untrained, images):
    small = [image[:100, :150] for image in images]
    assert untrained.features(small, ["pooled"])["pooled"].shape == (2, 256, 14, 14)


def test_the_trunk_sees_a_smaller_image_where_asked(untrained, images):
    small = load_subject("vgg16-untrained", size=112)
    assert small.identifier != untrained.identifier
    found = small.features(images, ["conv3_3", "pooled"])
    assert found["conv3_3"].shape == (2, 256, 28, 28)
    expected = found["conv3_3"].reshape(2, 256, 14, 2, 14, 2).mean((3, 5))
    np.testing.assert_allclose(found["pooled"], expected, rtol=1e-4, atol=1e-4)


def test_unknown_layer_names_the_choices():
    with pytest.raises(
        NeuroferError, match="subject 'vgg16-untrained': layer='conv9_9' is unknown"
    ):
        load_subject("vgg16-untrained", layer="conv9_9")


@pytest.mark.weights
def test_pretrained_features_differ_from_untrained_ones(untrained, images):
    trained = load_subject("vgg16-bsds")
    assert trained.identifier.startswith("vgg16-bsds-")
    a, b = (one.features(images, ["conv3_3"])["conv3_3"] for one in (trained, untrained))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.5
