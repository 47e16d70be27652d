"""Makes checkpoints in the layouts of their publishers, and what their networks should answer.

The names, strides and paddings are written down here a second time, from the sources alone.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional


class Layer(NamedTuple):
    caffe: str  # as Oxford's files have it
    torch: str  # of the convolution, as cydonia999's files have it
    norm: str  # of its normalisation, likewise
    shape: tuple[int, ...]  # (out, in, height, width)


def layers(width: int) -> list[Layer]:
    """ResNet-50's 53 convolutions; `width` is the number of channels of the first."""
    found = [Layer("conv1_7x7_s2", "conv1", "bn1", (width, 3, 7, 7))]
    inputs = width
    for stage, depth in enumerate((3, 4, 6, 3)):
        middle, outputs = width * 2**stage, 4 * width * 2**stage
        for block in range(depth):
            ours, theirs = f"layer{stage + 1}.{block}", f"conv{stage + 2}_{block + 1}"
            found += [
                Layer(
                    f"{theirs}_1x1_reduce", f"{ours}.conv1", f"{ours}.bn1", (middle, inputs, 1, 1)
                ),
                Layer(f"{theirs}_3x3", f"{ours}.conv2", f"{ours}.bn2", (middle, middle, 3, 3)),
                Layer(
                    f"{theirs}_1x1_increase",
                    f"{ours}.conv3",
                    f"{ours}.bn3",
                    (outputs, middle, 1, 1),
                ),
            ]
            if block == 0:
                names = (f"{ours}.downsample.0", f"{ours}.downsample.1")
                found.append(Layer(f"{theirs}_1x1_proj", *names, (outputs, inputs, 1, 1)))
            inputs = outputs
    return found


def made_arrays(width: int, classes: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under the names of Oxford's PyTorch files."""
    random = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for layer in layers(width):
        scale = (2 / np.prod(layer.shape[1:])) ** 0.5
        arrays[f"{layer.caffe}.weight"] = random.normal(0, scale, layer.shape)
        channels = layer.shape[0]
        arrays[f"{layer.caffe}_bn.weight"] = random.uniform(0.5, 1, channels)
        arrays[f"{layer.caffe}_bn.bias"] = random.normal(0, 0.3, channels)
        arrays[f"{layer.caffe}_bn.running_mean"] = random.normal(0, 0.3, channels)
        # Some small enough that an epsilon of 1e-3 instead of 1e-5 shows.
        arrays[f"{layer.caffe}_bn.running_var"] = random.uniform(0.01, 2, channels)
    arrays["classifier.weight"] = random.normal(0, 0.1, (classes, 32 * width, 1, 1))
    arrays["classifier.bias"] = random.normal(0, 1, classes)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def as_cydonia(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    renamed = {
        "fc.weight": arrays["classifier.weight"][:, :, 0, 0],
        "fc.bias": arrays["classifier.bias"],
    }
    for layer in layers(len(arrays["conv1_7x7_s2.weight"])):
        renamed[f"{layer.torch}.weight"] = arrays[f"{layer.caffe}.weight"]
        for part in ("weight", "bias", "running_mean", "running_var"):
            renamed[f"{layer.norm}.{part}"] = arrays[f"{layer.caffe}_bn.{part}"]
    return renamed


def write_keras(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Keras 2's h5: a group for each layer, which lists its weights by their scoped names."""
    import h5py

    stored: dict[str, dict[str, np.ndarray]] = {}
    for layer in layers(len(arrays["conv1_7x7_s2.weight"])):
        name = layer.caffe.replace("conv1_7x7", "conv1/7x7")
        stored[name] = {"kernel": arrays[f"{layer.caffe}.weight"].transpose(2, 3, 1, 0)}
        norm = f"{layer.caffe}_bn."
        stored[f"{name}/bn"] = {
            "gamma": arrays[norm + "weight"],
            "beta": arrays[norm + "bias"],
            "moving_mean": arrays[norm + "running_mean"],
            "moving_variance": arrays[norm + "running_var"],
        }
        stored[f"activation_{len(stored)}"] = {}  # layers without weights are listed too
    stored["classifier"] = {
        "kernel": arrays["classifier.weight"][:, :, 0, 0].T,
        "bias": arrays["classifier.bias"],
    }
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in stored]
        for name, weights in stored.items():
            group = file.create_group(name) if name not in file else file[name]
            group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in weights]
            for part, values in weights.items():
                group.create_dataset(f"{name}/{part}:0", data=values)


def answers(
    arrays: dict[str, np.ndarray], seen: torch.Tensor, *, keras: bool = False
) -> torch.Tensor:
    """The logits of ResNet-50 as Oxford, or as keras-vggface, computes it; strides lie first."""
    epsilon = 1e-3 if keras else 1e-5

    def unit(x: torch.Tensor, name: str, **where: int) -> torch.Tensor:
        x = functional.conv2d(x, torch.from_numpy(arrays[f"{name}.weight"]), **where)
        gain, bias, mean, variance = (
            torch.from_numpy(arrays[f"{name}_bn.{part}"]).view(1, -1, 1, 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return gain * (x - mean) / (variance + epsilon).sqrt() + bias

    if keras:  # TensorFlow's "same": the zeros that a stride of 2 needs, the odd one at the end
        pads = []
        for side in (seen.shape[3], seen.shape[2]):
            total = max((-(-side // 2) - 1) * 2 + 7 - side, 0)
            pads += [total // 2, total - total // 2]
        x = unit(functional.pad(seen, pads), "conv1_7x7_s2", stride=2).relu()
    else:
        x = unit(seen, "conv1_7x7_s2", stride=2, padding=3).relu()
    x = functional.max_pool2d(x, 3, 2, ceil_mode=not keras)
    for stage, depth in enumerate((3, 4, 6, 3), start=2):
        for block in range(1, depth + 1):
            name, stride = f"conv{stage}_{block}", 2 if stage > 2 and block == 1 else 1
            y = unit(x, f"{name}_1x1_reduce", stride=stride).relu()
            y = unit(unit(y, f"{name}_3x3", padding=1).relu(), f"{name}_1x1_increase")
            x = unit(x, f"{name}_1x1_proj", stride=stride) if block == 1 else x
            x = (x + y).relu()
    weight = torch.from_numpy(arrays["classifier.weight"][:, :, 0, 0])
    return x.mean((2, 3)) @ weight.T + torch.from_numpy(arrays["classifier.bias"])


def python2_pickle(arrays: dict[str, np.ndarray], protocol: int) -> bytes:
    """What Python 2 writes of a dictionary of arrays: their bytes are text to Python 3."""
    text = protocol == 0

    def string(value: bytes) -> bytes:
        if text:
            return b"S" + repr(value)[1:].encode() + b"\n"
        return b"T" + struct.pack("<I", len(value)) + value

    def number(value: int) -> bytes:
        return b"I%d\n" % value if text else b"J" + struct.pack("<i", value)

    found = [b"(d" if text else b"\x80\x02}"]
    for name, array in arrays.items():
        found += [string(name.encode()), b"cnumpy.core.multiarray\n_reconstruct\n"]
        found += [b"(cnumpy\nndarray\n(", number(0), b"t", string(b"b"), b"tR(", number(1), b"("]
        found += [*map(number, array.shape), b"tcnumpy\ndtype\n(", string(b"f4"), number(0)]
        found += [number(1), b"tR(", number(3), string(b"<"), b"NNN", number(-1), number(-1)]
        found += [number(0), b"tb", b"I00\n" if text else b"\x89", string(array.tobytes()), b"tbs"]
    return b"".join([*found, b"."])
