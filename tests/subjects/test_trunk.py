"""The trunk against torch's own modules, its preprocessing and its coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.subjects.preprocess import image_tensor, preprocess
from neurofer.subjects.trunk import (
    Trunk,
    layer_stride,
    load_trunk,
    to_map,
    to_pixels,
    untrained_weights,
)
from neurofer.subjects.weight_files.sources import weights_path


@pytest.fixture(scope="module")
def weights():
    return untrained_weights(seed=3, width=4)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)


def reference(weights, images, preprocessing):
    """The same network from torch.nn modules, one after the other."""
    x = image_tensor(images)
    if preprocessing == "caffe":
        x = x[:, [2, 1, 0]] - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    else:
        mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        x = (x / 255 - mean[:, None, None]) / sd[:, None, None]
    activity, block = {}, "1"
    for key in weights:
        layer, part = key.split(".")
        if part == "bias":
            continue
        if layer[4] != block:
            x, block = torch.nn.MaxPool2d(2)(x), layer[4]
        out, into = weights[key].shape[:2]
        convolution = torch.nn.Conv2d(into, out, 3, padding=1)
        convolution.weight.data = weights[key]
        convolution.bias.data = weights[f"{layer}.bias"]
        x = torch.relu(convolution(x))
        activity[layer] = x.detach()
    return activity


@pytest.mark.parametrize("preprocessing", ["caffe", "torchvision"])
def test_layers_equal_torch_modules(weights, images, preprocessing):
    trunk = Trunk(weights, "vgg16", preprocessing)
    asked = ("conv1_2", "conv3_3", "conv5_3")
    found = trunk(image_tensor(images), asked)
    expected = reference(weights, images, preprocessing)
    assert tuple(found) == asked
    for layer in asked:
        torch.testing.assert_close(found[layer], expected[layer], rtol=1e-4, atol=1e-3)
        assert found[layer].shape[1] == trunk.channels(layer)
        assert found[layer].shape[2] == 32 // layer_stride(layer)


def test_computation_stops_at_the_deepest_layer(weights, images, monkeypatch):
    calls = []
    convolve = torch.nn.functional.conv2d
    monkeypatch.setattr(
        torch.nn.functional, "conv2d", lambda *a, **k: calls.append(1) or convolve(*a, **k)
    )
    Trunk(weights)(image_tensor(images), ("conv2_1", "conv1_1"))
    assert len(calls) == 3


def test_unknown_names_are_refused(weights, images):
    with pytest.raises(NeuroferError, match="layer='conv9_1'"):
        Trunk(weights)(image_tensor(images), ("conv9_1",))
    with pytest.raises(NeuroferError, match="trunk='vgg11'"):
        load_trunk("vgg11")
    with pytest.raises(NeuroferError, match="preprocessing='keras'"):
        preprocess(image_tensor(images), "keras")


def test_images_must_agree_in_shape(images):
    with pytest.raises(NeuroferError, match="one shape"):
        image_tensor([images[0], images[1][:10]])
    with pytest.raises(NeuroferError, match="one shape"):
        image_tensor([images[0][..., 0]])


def test_untrained_weights_come_from_the_seed():
    one, same, other = (untrained_weights(seed=s, width=4, blocks=2) for s in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["conv1_1.weight"], other["conv1_1.weight"])
    assert Trunk(one).identifier == Trunk(same).identifier != Trunk(other).identifier
    assert list(one)[-1] == "conv2_2.bias"
    big = untrained_weights(seed=0, blocks=2)["conv2_2.weight"]
    assert abs(float(big.var()) - 2 / (9 * 128)) < 1e-5  # He et al. 2015, eq. 10


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_coordinates_return(stride):
    pixels = np.array([[0.0, 7.5], [223.0, 112.25]])
    np.testing.assert_allclose(to_pixels(to_map(pixels, stride), stride), pixels)
    # The middle of the first cell is the middle of its pixels.
    assert to_pixels(np.zeros(2), stride)[0] == np.mean(np.arange(stride))


def test_features_move_with_the_image(weights):
    """A shift by the stride moves the map by one cell (away from the border)."""
    image = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    shifted = np.roll(image, 4, axis=2)
    trunk = Trunk(weights)
    one, two = (trunk(image_tensor(i), ("conv3_1",))["conv3_1"] for i in (image, shifted))
    torch.testing.assert_close(one[..., 5:10, 5:10], two[..., 5:10, 6:11], rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(
    not weights_path("vgg16-bsds").is_file(),
    reason="the weights are not in the cache: run `neurofer weights fetch vgg16-bsds`",
)
def test_the_pretrained_trunk_prefers_edges_to_noise():
    """Trained kernels of the first layer are smooth: neighbours in a kernel correlate."""
    trunk = load_trunk("vgg16-bsds")
    kernel = trunk.encoder.get_parameter("conv1_1.weight").numpy()
    flat = np.stack([kernel[..., 1, 0].ravel(), kernel[..., 1, 1].ravel()])
    random = untrained_weights(seed=0, blocks=1)["conv1_1.weight"].numpy()
    flat_random = np.stack([random[..., 1, 0].ravel(), random[..., 1, 1].ravel()])
    assert np.corrcoef(flat)[0, 1] > 0.2 > abs(np.corrcoef(flat_random)[0, 1])
    assert trunk.channels("conv3_3") == 256
