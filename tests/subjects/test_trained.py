from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.subjects import load_subject
from neurofer.subjects.networks.architectures import make_network, scale_pixels
from neurofer.subjects.weight_files.tensors import save_tensors
from tests.training.test_images import made


@pytest.fixture
def stimuli() -> StimulusSet:
    return made(identities=2, size=32)


def weight_file(folder: Path, name: str = "resnet-18", **changes: object) -> Path:
    torch.manual_seed(5)
    net = make_network(name, 3, width=0.0625)
    about = {
        "network": {"name": name, "options": {"width": 0.0625}, "size": 32},
        "outputs": ["neutral", "happy", "sad"],
        **changes,
    }
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    save_tensors(folder / "net.safetensors", tensors, about)
    return folder / "net.safetensors"


def test_a_weight_file_becomes_a_subject_that_says_what_the_network_says(
    tmp_path: Path, stimuli: StimulusSet
) -> None:
    path = weight_file(tmp_path)
    subject = load_subject("resnet-18", weights=str(path))
    assert subject.sites["fc"].labels == ("neutral", "happy", "sad")
    images = list(stimuli.take([0, 1, 2]).images())
    found = subject.features(images, ["fc", "layer2", "pooled"])  # type: ignore[attr-defined]
    torch.manual_seed(5)
    net = make_network("resnet-18", 3, width=0.0625).half().float().eval()
    with torch.inference_mode():
        seen = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        expected = net(scale_pixels(seen)).numpy()
    np.testing.assert_allclose(found["fc"], expected, atol=1e-4)
    assert found["pooled"].shape == (3, 32, 1, 1)
    assert found["layer2"].shape == (3, 8, 16, 16)


def test_the_identifier_follows_the_weights(tmp_path: Path) -> None:
    one, two, same = (
        load_subject("resnet-18", weights="untrained", width=0.0625, seed=seed).identifier
        for seed in (0, 1, 0)
    )
    assert one == same != two
    assert one.startswith("resnet-18-untrained-")
    trained = load_subject("resnet-18", weights=str(weight_file(tmp_path))).identifier
    assert "untrained" not in trained


def test_bfloat16_is_close(stimuli: StimulusSet) -> None:
    images = list(stimuli.take([0, 1]).images())
    slow, fast = (
        load_subject("resnet-18", width=0.0625, precision=precision).features(images, ["fc"])["fc"]  # type: ignore[attr-defined]
        for precision in ("float32", "bfloat16")
    )
    assert fast.dtype == np.float32
    np.testing.assert_allclose(slow, fast, atol=0.05 * np.abs(slow).max())
    assert (slow != fast).any()


def test_cornet_s_has_brain_score_s_regions() -> None:
    subject = load_subject("cornet-s", weights="untrained", width=0.0625)
    assert subject.regions["IT"] == ("IT.output-t0", "IT.output-t1")
    assert list(subject.regions) == ["V1", "V2", "V4", "IT"]
    assert len(subject.regions["V4"]) == 4


def test_what_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    path = weight_file(tmp_path)
    with pytest.raises(NeuroferError, match=r"holds the network 'resnet-18'; .*'resnet-50'"):
        load_subject("resnet-50", weights=str(path))
    wider = {"name": "resnet-18", "options": {"width": 0.125}, "size": 32}
    path = weight_file(tmp_path, network=wider)
    with pytest.raises(NeuroferError, match=r"does not fit resnet-18: conv1.weight has shape.*fc"):
        load_subject("resnet-18", weights=str(path))
    with pytest.raises(NeuroferError, match="does not say which network"):
        load_subject("resnet-18", weights=str(weight_file(tmp_path, network={})))
    with pytest.raises(NeuroferError, match="there is no weight file"):
        load_subject("resnet-18", weights=str(tmp_path / "nothing.safetensors"))
    with pytest.raises(NeuroferError, match=r"layer='layer9' is not in subject 'resnet-18'"):
        load_subject("resnet-18", layer="layer9")
