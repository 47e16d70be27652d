from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.recording import check_recording, record
from neurofer.subjects import load_subject
from neurofer.subjects.networks.siamese import SIZE, SiameseNet
from neurofer.subjects.weight_files.tensors import save_tensors
from tests.training.test_images import made

SMALL: dict[str, Any] = {"width": 0.0625, "embedding": 8}


def test_parameters_are_those_of_the_published_network() -> None:
    # Koch et al. 2015 with one output: 64 of 10x10, 128 of 7x7, 128 and 256 of 4x4, 9216 to 4096.
    layers = [(1, 64, 100), (64, 128, 49), (128, 128, 16), (128, 256, 16), (9216, 4096, 1)]
    expected = sum(inputs * outputs * area + outputs for inputs, outputs, area in layers) + 4097
    assert sum(p.numel() for p in SiameseNet().parameters()) == expected == 38_951_745


def test_the_comparison_is_symmetric_and_sees_differences_only() -> None:
    torch.manual_seed(0)
    net = SiameseNet(width=0.0625, embedding=8).eval()
    one, two = torch.rand(2, 3, 1, SIZE, SIZE)
    torch.testing.assert_close(net(one, two), net(two, one))
    torch.testing.assert_close(net(one, one), net.compare.bias.expand(3))
    assert (net(one, two) - net.compare.bias).abs().min() > 0
    assert net.embed(one).shape == (3, 8)
    assert (net.embed(one) < 0).any()  # no ReLU after the fully connected layer


def weight_file(folder: Path, **changes: torch.Tensor | None) -> Path:
    torch.manual_seed(7)
    tensors = {key: value.half() for key, value in SiameseNet(**SMALL).state_dict().items()}
    tensors.update({key.replace("__", "."): v for key, v in changes.items() if v is not None})
    dropped = [key.replace("__", ".") for key, value in changes.items() if value is None]
    kept = {key: value for key, value in tensors.items() if key not in dropped}
    network = {"name": "siamese", "options": SMALL, "size": SIZE}
    save_tensors(folder / "siamese.safetensors", kept, {"network": network})
    return folder / "siamese.safetensors"


def test_single_images_go_through_the_tower(tmp_path: Path) -> None:
    stimuli = made(identities=2, size=SIZE).take([0, 1, 2])
    subject = load_subject("siamese", weights=str(weight_file(tmp_path)))
    assert subject.options["embedding"] == 8
    sites = ("conv1", "relu1", "pool1", "conv4", "embedding", "pooled")
    recording = check_recording(record(subject, stimuli, sites=sites))
    torch.manual_seed(7)
    net = SiameseNet(**SMALL).half().float().eval()
    # The same by hand: luma of BT.601, rounded, to -1 to 1, and the tower's layers in turn.
    luma = np.rint(np.stack(list(stimuli.images())) @ np.array([0.299, 0.587, 0.114]))
    seen = torch.from_numpy(luma[:, None].astype(np.float32)) / 127.5 - 1
    with torch.inference_mode():
        expected, activity = {}, seen
        for name, layer in net.tower.named_children():
            activity = expected[name] = layer(activity)
    expected["pooled"] = expected["embedding"]
    for site in sites:
        found = recording.values[:, recording["site"].values == site]
        # Within what one gray value does, for in float32 a half is rounded otherwise.
        np.testing.assert_allclose(found, expected[site].flatten(1), atol=2e-3, err_msg=site)


def test_what_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    changes = {"compare__bias": None, "tower__conv1__bias": torch.zeros(5), "other": torch.ones(1)}
    path = weight_file(tmp_path, **changes)
    listed = (
        r"does not fit siamese: compare.bias is missing; other is unknown; "
        r"tower.conv1.bias has shape \(5,\), not \(4,\)"
    )
    with pytest.raises(NeuroferError, match=listed):
        load_subject("siamese", weights=str(path))
    with pytest.raises(NeuroferError, match="holds the network 'siamese'"):
        load_subject("resnet-18", weights=str(weight_file(tmp_path)))
