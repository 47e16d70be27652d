"""Published checkpoints: made in their authors' layouts, added, and asked for their answers."""

from __future__ import annotations

import dataclasses
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neurofer.cli import app as cli
from neurofer.errors import NeuroferError
from neurofer.subjects import load_subject
from neurofer.subjects.networks.architectures import make_network
from neurofer.subjects.networks.cornet_s import CORnetS
from neurofer.subjects.weight_files import published
from neurofer.subjects.weight_files.published import add_published, convert, published_path
from neurofer.subjects.weight_files.tensors import load_tensors, save_tensors
from tests.subjects import published_files as files

CLASSES = 5
WIDTH = 8  # channels of the first convolution, of 64
MEAN = np.array([131.0912, 103.8827, 91.4953], np.float32)  # of red, green and blue


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of an eighth of the channels and five classes, else as they are."""
    for name, network in published.NETWORKS.items():
        layouts = tuple(
            dataclasses.replace(layout, options={**layout.options, "width": WIDTH / 64})
            for layout in network.layouts
        )
        made = dataclasses.replace(network, layouts=layouts, outputs=network.outputs[:CLASSES])
        monkeypatch.setitem(published.NETWORKS, name, made)


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return files.made_arrays(WIDTH, CLASSES)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """One as it comes from a camera, one square."""
    random = np.random.default_rng(1)
    coarse = [random.integers(0, 256, shape, dtype=np.uint8) for shape in ((6, 9, 3), (8, 8, 3))]
    sizes = ((420, 290), (224, 224))
    return [
        np.asarray(Image.fromarray(image).resize(size))
        for image, size in zip(coarse, sizes, strict=True)
    ]


def middle(image: np.ndarray, side: int, size: int = 224) -> np.ndarray:
    """The middle of an image whose shorter side is resized, as torchvision does both."""
    height, width = image.shape[:2]
    factor = side / min(height, width)
    picture = Image.fromarray(image).resize((int(width * factor), int(height * factor)), 2)
    top, left = (picture.height - size) // 2, (picture.width - size) // 2
    return np.asarray(picture)[top : top + size, left : left + size]


def whole(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((224, 224), 2))


def tensor(images: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images).astype(np.float32)).permute(0, 3, 1, 2)


def cornet(seed: int = 0) -> CORnetS:
    torch.manual_seed(seed)
    net = CORnetS(CLASSES, width=WIDTH / 64).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net


def write_cornet(path: Path, net: torch.nn.Module, *, new: bool = True, **more: object) -> Path:
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    checkpoint = {
        "flags": {"lr": 0.1, "model": "S"},
        "epoch": 43,
        "state_dict": state,
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": []},
        **more,
    }
    torch.save(checkpoint, path, _use_new_zipfile_serialization=new)
    return path


def write_oxford(path: Path, arrays: dict[str, np.ndarray]) -> None:
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)


def write_cydonia(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.write_bytes(files.python2_pickle(files.as_cydonia(arrays), 2))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("new", [True, False], ids=["zip", "older"])
def test_cornet_s_answers_as_its_authors_network(
    tmp_path: Path, images: list[np.ndarray], new: bool
) -> None:
    net = cornet()
    path = add_published("cornet-s", write_cornet(tmp_path / "cornet_s.pth", net, new=new))
    assert path == published_path("cornet-s")
    subject = load_subject("cornet-s", weights="published")
    sites = ["decoder.linear", "V4.output-t2"]
    found = subject.features(images, sites)  # type: ignore[attr-defined]
    seen = tensor([middle(image, 224) for image in images]) / 255
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(
        2, 1, 3, 1, 1
    )
    with torch.inference_mode():
        expected = net((seen - mean) / deviation)
    np.testing.assert_allclose(found["decoder.linear"], expected.numpy(), rtol=1e-3, atol=1e-4)
    assert found["V4.output-t2"].shape == (2, 32, 14, 14)
    assert subject.sites["decoder.linear"].labels == tuple(f"imagenet-{k}" for k in range(CLASSES))


WRITERS: dict[str, tuple[Callable[..., None], str]] = {
    "oxford": (write_oxford, "resnet50_ft_dag.pth"),
    "cydonia": (write_cydonia, "resnet50_ft_weight.pkl"),
    "keras": (files.write_keras, "rcmalli_vggface_tf_resnet50.h5"),
}
SEEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "oxford": lambda image: middle(image, 224) - MEAN,
    "cydonia": lambda image: (middle(image, 256) - MEAN)[..., ::-1],
    "keras": lambda image: (whole(image) - MEAN)[..., ::-1],
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("layout", WRITERS)
def test_resnet_50_answers_as_its_publishers_network(
    tmp_path: Path, arrays: dict[str, np.ndarray], images: list[np.ndarray], layout: str
) -> None:
    write, name = WRITERS[layout]
    write(tmp_path / name, arrays)
    path = add_published("resnet-50", tmp_path / name)
    assert load_tensors(path)[1]["file"]["layout"] == layout
    subject = load_subject("resnet-50", weights="published")
    found = subject.features(images, ["fc", "layer1"])  # type: ignore[attr-defined]
    seen = tensor([SEEN[layout](image) for image in images])
    expected = files.answers(arrays, seen, keras=layout == "keras").numpy()
    assert np.ptp(expected, axis=0).min() > 0.1  # the images do not look alike to it
    np.testing.assert_allclose(found["fc"], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    side = 55 if layout == "keras" else 56
    assert found["layer1"].shape == (2, 4 * WIDTH, side, side)


@pytest.mark.usefixtures("small")
def test_layouts_of_the_same_weights_differ_as_stated(
    tmp_path: Path, arrays: dict[str, np.ndarray], images: list[np.ndarray]
) -> None:
    identifiers, answers = [], []
    for write, name in WRITERS.values():
        write(tmp_path / name, arrays)
        path = add_published("resnet-50", tmp_path / name)
        subject = load_subject("resnet-50", weights="published")
        identifiers.append(subject.identifier)
        answers.append(subject.features(images[1:], ["fc"])["fc"])  # type: ignore[attr-defined]
    assert len(set(identifiers)) == 3
    assert all(name.startswith("resnet-50-published-") for name in identifiers)
    assert all(np.abs(answers[0] - other).max() > 0.01 for other in answers[1:])
    tensors, about = load_tensors(path)
    again = tmp_path / "elsewhere.safetensors"
    save_tensors(again, tensors, about)
    moved = load_subject("resnet-50", weights=str(again))
    np.testing.assert_array_equal(
        moved.features(images[1:], ["fc"])["fc"],  # type: ignore[attr-defined]
        answers[-1],
    )
    del about["network"]["preprocessing"]
    save_tensors(again, tensors, about)
    usual = load_subject("resnet-50", weights=str(again))
    assert usual.weights_hash != moved.weights_hash


def test_names_and_sizes_are_those_of_the_published_networks(tmp_path: Path) -> None:
    norm = ("weight", "bias", "running_mean", "running_var")
    expected = [
        "V1.conv1.weight",
        "V1.conv2.weight",
        "decoder.linear.weight",
        "decoder.linear.bias",
    ]
    norms = ["V1.norm1", "V1.norm2"]
    for area, steps in (("V2", 2), ("V4", 4), ("IT", 2)):
        expected += [
            f"{area}.{k}.weight" for k in ("conv_input", "skip", "conv1", "conv2", "conv3")
        ]
        norms += [f"{area}.norm_skip"]
        norms += [f"{area}.norm{place}_{step}" for place in (1, 2, 3) for step in range(steps)]
    expected += [f"{name}.{part}" for name in norms for part in norm]
    torch.save({"state_dict": {"module.V1.conv1.weight": torch.zeros(1)}}, tmp_path / "one.pth")
    with pytest.raises(NeuroferError) as error:
        convert("cornet-s", tmp_path / "one.pth")
    listed = str(error.value).partition("'cornet': ")[2].split("; ")
    assert listed[-1] == "V1.conv1.weight has shape (1,), not (64, 3, 7, 7)"
    assert {line.partition(" ")[0] for line in listed} == set(expected)
    with torch.device("meta"):
        net = make_network(
            "resnet-50", len(published.NETWORKS["resnet-50"].outputs), stride="first"
        )
    # torchvision's 25,557,032 with 8,631 classes instead of 1,000
    assert sum(p.numel() for p in net.parameters()) == 25_557_032 + 2049 * (8631 - 1000)
    assert len(files.layers(64)) == 53


class Creates:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def bad_files(folder: Path, arrays: dict[str, np.ndarray]) -> dict[str, tuple[str, Path, str]]:
    """Name -> network, path, and a pattern of the message."""
    made: dict[str, tuple[str, Path, str]] = {}
    trap = Creates(folder / "trap")

    def bad(name: str, network: str, path: Path, pattern: str) -> None:
        made[name] = (network, path, pattern)

    for new in (True, False):
        path = folder / f"code-{new}.pth"
        write_cornet(path, torch.nn.Identity(), new=new, flags=trap)
        bad(path.stem, "cornet-s", path, r"asks for posix\.mkdir to be run.*arrays alone")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = folder / f"code-{protocol}.pkl"
        path.write_bytes(pickle.dumps({"conv1.weight": trap}, protocol))
        bad(path.stem, "resnet-50", path, r"asks for posix\.mkdir to be run")
    (folder / "empty.pth").touch()
    bad("empty", "cornet-s", folder / "empty.pth", "is empty")
    (folder / "folder.pth").mkdir()
    bad("folder", "cornet-s", folder / "folder.pth", "is a folder")
    bad("absent", "cornet-s", folder / "absent.pth", "there is no file")
    (folder / "page.pth").write_text("<!doctype html>\n<html>Virus scan warning")
    bad("page", "resnet-50", folder / "page.pth", "it is a web page")
    (folder / "text.pth").write_text("hello")
    bad(
        "text",
        "resnet-50",
        folder / "text.pth",
        "neither a torch file, nor safetensors, nor h5, nor a pickle",
    )
    for layout, (write, name) in WRITERS.items():
        write(folder / name, arrays)
        content = (folder / name).read_bytes()
        (folder / f"cut-{name}").write_bytes(content[: len(content) * 2 // 3])
        bad(f"truncated-{layout}", "resnet-50", folder / f"cut-{name}", "or is truncated")
        bad(f"other-{layout}", "cornet-s", folder / name, "run neurofer weights add resnet-50 FILE")
    write_cornet(folder / "cornet.pth", cornet())
    seems = r"holds no resnet-50.*'oxford', 'cydonia', 'keras'.*add cornet-s FILE"
    bad("other-cornet", "resnet-50", folder / "cornet.pth", seems)
    write_oxford(folder / "none.pth", {"a.weight": np.zeros(2)})
    bad("unknown", "resnet-50", folder / "none.pth", r"it has 1 arrays, the first are a\.weight$")
    wrong = dict(arrays)
    wrong["conv9_1_3x3.weight"] = wrong.pop("conv2_1_3x3.weight")
    wrong["conv1_7x7_s2.weight"] = np.zeros((WIDTH, 1, 7, 7), np.float32)
    wrong["classifier.bias"] = np.full(CLASSES, np.nan, np.float32)
    write_oxford(folder / "wrong.pth", wrong)
    bad(
        "wrong",
        "resnet-50",
        folder / "wrong.pth",
        r"'oxford': conv2_1_3x3.weight is missing; conv9_1_3x3.weight is unknown; "
        rf"conv1_7x7_s2.weight has shape \({WIDTH}, 1, 7, 7\), not \({WIDTH}, 3, 7, 7\); "
        r"classifier.bias holds values that are not finite$",
    )
    torch.save({"state_dict": {"a": "b", "c": 1}}, folder / "words.pth")
    bad("words", "cornet-s", folder / "words.pth", "a is a str; c is a int")
    torch.save(torch.zeros(3), folder / "tensor.pth")
    bad("tensor", "cornet-s", folder / "tensor.pth", "holds no named arrays but a Tensor")
    bad("network", "cornet", folder / "cornet.pth", "did you mean 'cornet-s'")
    return made


@pytest.mark.usefixtures("small")
def test_what_cannot_be_read_is_named_and_nothing_is_written(
    tmp_path: Path,
    arrays: dict[str, np.ndarray],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import re

    for name, (network, path, pattern) in bad_files(tmp_path, arrays).items():
        with pytest.raises(NeuroferError) as error:
            add_published(network, path)
        message = str(error.value)
        assert re.search(pattern, message), (name, message)
        assert "weights_only" not in message  # torch would advise to run what lies in the file
        monkeypatch.setattr(sys, "argv", ["neurofer", "weights", "add", network, str(path)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 2, name
        assert capsys.readouterr().err.strip() == f"neurofer: {message}"
        assert not (tmp_path / "trap").exists(), name
        assert [file for file in cache.rglob("*") if file.is_file()] == [], name


@pytest.mark.usefixtures("small")
def test_the_command_line_adds_and_a_failure_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cornet(tmp_path / "cornet.pth", cornet())
    monkeypatch.setattr(sys, "argv", ["neurofer", "weights", "add", "cornet-s", str(path)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert str(published_path("cornet-s")) in capsys.readouterr().out
    before = published_path("cornet-s").read_bytes()
    with pytest.raises(NeuroferError, match="truncated"):
        path.write_bytes(path.read_bytes()[:-100])
        add_published("cornet-s", path)
    assert published_path("cornet-s").read_bytes() == before


def test_published_weights_that_were_not_added_say_the_command() -> None:
    with pytest.raises(NeuroferError, match="run: neurofer weights add cornet-s FILE"):
        load_subject("cornet-s", weights="published")
    with pytest.raises(
        NeuroferError, match=r"published network='resnet-18'.*did you mean 'resnet-50'"
    ):
        load_subject("resnet-18", weights="published")
