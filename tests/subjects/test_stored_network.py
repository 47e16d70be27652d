"""What a weight file says is checked before a network is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.subjects import load_subject
from neurofer.subjects.networks.architectures import make_network
from neurofer.subjects.norm_referenced import heatmap
from neurofer.subjects.stored_network import load_network
from neurofer.subjects.weight_files.tensors import save_tensors
from tests.subjects.test_trained import weight_file

NETWORK: dict[str, Any] = {"name": "resnet-18", "options": {"width": 0.0625}, "size": 32}


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    net, about = load_network(weight_file(tmp_path))
    torch.manual_seed(5)
    same = make_network("resnet-18", 3, width=0.0625).half().float()
    for ours, theirs in zip(net.parameters(), same.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert about["network"] == NETWORK


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": []}, r"states network=\[\]; it is a mapping"),
        ({"network": {}}, "does not say which network"),
        ({"network": {**NETWORK, "name": "../../../outside"}}, "does not say which network"),
        ({"network": {**NETWORK, "name": ["resnet-18"]}}, "does not say which network"),
        ({"network": {"name": "resnet-18", "size": 32}}, r"layer1\.0\.conv1\.weight has shape"),
        ({"network": {"name": "resnet-18", "options": {}}}, "states size=None"),
        ({"network": {**NETWORK, "size": 1 << 40}}, "states size=1099511627776"),
        ({"network": {**NETWORK, "options": [1]}}, r"states options=\[1\]"),
        ({"network": {**NETWORK, "options": {"width": "wide"}}}, "options={'width': 'wide'}"),
        ({"network": {**NETWORK, "options": {"width": 1e5}}}, "has shape"),
        ({"network": {**NETWORK, "options": {"width": 1e30}}}, "options={'width': 1e"),
        ({"network": {**NETWORK, "options": {"depth": 2}}}, "option='depth' is not in"),
        (
            {"network": {**NETWORK, "preprocessing": {"mean": 3}}},
            "preprocessing that is not possible",
        ),
        ({"network": {**NETWORK, "preprocessing": "caffe"}}, "states preprocessing='caffe'"),
        ({"outputs": 3}, "states outputs=3"),
        ({"outputs": [1, 2, 3]}, r"states outputs=\[1, 2, 3\]"),
        ({"data": ["rendered"]}, "states data="),
        ({"data": {"source": "../../outside"}}, "source of the data in .* cannot name a file"),
        ({"data": {"source": 3}}, "source of the data in .* cannot name a file"),
        ({"trained_on": "no hashes!"}, "trained on 'no hashes!'"),
        ({"trained_on": 5}, "trained on '5'"),
    ],
)
def test_a_description_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = weight_file(tmp_path, **changes)
    with pytest.raises(NeuroferError, match=said):
        load_subject("resnet-18", weights=str(path))


@pytest.mark.parametrize("channels", [[1 << 20] * 4, ["8"] * 4, [8, 24, 48], 3, [8, 8, 8, -8]])
def test_a_heatmap_net_has_the_channels_of_its_tensors(tmp_path: Path, channels: Any) -> None:
    net = heatmap.HeatmapNet((4, 4, 4, 4))
    path = tmp_path / "x.safetensors"
    save_tensors(path, net.state_dict(), {"channels": channels})
    with pytest.raises(NeuroferError, match="does not hold a heatmap net"):
        heatmap.load(path)


@pytest.mark.parametrize("source", ["rendered", "photograph, rendered", "simulated"])
def test_the_source_is_in_the_identifier(tmp_path: Path, source: str) -> None:
    path = weight_file(tmp_path, data={"source": source})
    start = f"resnet-18-{source.replace(', ', '-')}-"
    assert load_subject("resnet-18", weights=str(path)).identifier.startswith(start)
