from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from neurofer.analyses import analyse
from neurofer.errors import NeuroferError
from neurofer.faces import PARTS
from neurofer.recording import RecordingStore, record
from neurofer.recording.record import batches
from neurofer.recording.saliency import GROUPS, SITES, UNITS, part_shares
from neurofer.recording.sites import Batch
from neurofer.stimuli import StimulusSet, load_stimuli
from neurofer.subjects import Subject, load_subject
from neurofer.subjects.face_crop import crop_box, crop_face, square
from neurofer.subjects.preprocess import Preprocessing
from neurofer.subjects.pretrained.expression_net import ExpressionNetSubject
from neurofer.subjects.pretrained.face_net import FaceNetSubject, NamingSubject
from neurofer.subjects.registry import subject_factory
from neurofer.subjects.saliency import (
    MAP_SIDE,
    ExplainedSubject,
    placed_boxes,
    saliency_maps,
)
from neurofer.subjects.trained import TrainedSubject
from tests.subjects.test_contract import NAMES, options_of


@pytest.fixture(scope="module")
def faces() -> StimulusSet:
    return load_stimuli("bfs", seeds=[1], size=96)


def weightless_net(kind: type[FaceNetSubject], **options: Any) -> FaceNetSubject:
    """A subject of a pretrained network before its weights are loaded."""
    subject = kind.__new__(kind)
    Subject.__init__(subject, None, **options)
    torch.manual_seed(0)
    subject._hash, subject.net = "random", subject._empty_net().eval()
    subject._prepare(subject._feature_sites(), "pooled")
    return subject


class Coloured(nn.Module):
    """Says "happy" by what is red, "sad" by what is blue, and "happy" above all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        weights = torch.tensor([[1.0, -1, -1], [-1, -1, 1]])
        self.conv.weight.data.copy_(weights[:, :, None, None])
        self.relu, self.logits = nn.ReLU(), nn.Identity()

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        shown = self.relu(self.conv(seen))
        logits: torch.Tensor = self.logits(shown.mean((2, 3)) + torch.tensor([10.0, 0.0]))
        return logits


class ColouredSubject(NamingSubject):
    """Its answer depends on the mouth alone, where that is red."""

    name = "coloured"
    layers = ("conv", "logits")
    modules: ClassVar = {"conv": "relu"}
    explained = "conv"
    classes = ("happy", "sad")
    crop_size = 96

    @classmethod
    def prepare(cls, images: torch.Tensor) -> torch.Tensor:
        return images / 255

    @staticmethod
    def _empty_net() -> nn.Module:
        return Coloured()


def seen_pixels(subject: ExplainedSubject, stimuli: StimulusSet) -> np.ndarray:
    """Return which pixels of images a subject sees, (n, H, W) bool: all, or those of its crop."""
    (batch,) = batches(stimuli, len(stimuli))
    return placed_boxes(subject.seen(batch)[1], stimuli.image(0).shape)


@pytest.fixture(scope="module")
def painted(faces: StimulusSet) -> StimulusSet:
    """Gray faces with a red mouth and blue eyebrows, called happy and sad in turn."""
    masks = [faces.parts(k) for k in range(len(faces))]
    images = []
    for image, parts in zip(faces.images(), masks, strict=True):
        gray = np.repeat(image.mean(2, keepdims=True), 3, 2).astype(np.uint8)
        gray[np.isin(parts, [PARTS["lips"], PARTS["mouth"]])] = (255, 0, 0)
        gray[parts == PARTS["eyebrows"]] = (0, 0, 255)
        images.append(gray)
    table = faces.table.drop(columns="image_sha256")
    table["expression"] = [("happy", "sad")[k % 2] for k in range(len(table))]
    return StimulusSet.from_arrays("painted", table, images, faces.landmarks, masks)


def upper_part(stimuli: StimulusSet, rows: int) -> StimulusSet:
    """Return the images, which are then wider than high, without their lowest rows."""
    return StimulusSet.from_arrays(
        stimuli.name,
        stimuli.table.drop(columns="image_sha256"),
        [image[:rows] for image in stimuli.images()],
        stimuli.landmarks,
        [mask[:rows] for k in range(len(stimuli)) if (mask := stimuli.parts(k)) is not None],
    )


@pytest.mark.parametrize("rows", [96, 81])
def test_what_depends_on_one_part_has_its_saliency_there(painted: StimulusSet, rows: int) -> None:
    subject = weightless_net(ColouredSubject, crop="frame")
    painted = upper_part(painted, rows)
    recording = record(subject, painted, sites=["saliency", "saliency-shown"])
    answer = analyse("saliency", recording, site="saliency", n_bootstrap=20)
    shares = answer["share"].sel(head="all", answers="all").to_series()
    assert shares["mouth"] == pytest.approx(1)
    assert seen_pixels(subject, painted).all()
    assert shares.drop(["mouth", "features"]).max() == 0
    assert answer.attrs["explains"] == "the answer"
    happy = painted.table.set_index("stimulus_id")["expression"].sort_index() == "happy"
    np.testing.assert_array_equal(answer["image_correct"], happy)
    assert int(answer["n"].sel(head="all", answers="wrong")) == 10
    shown = analyse("saliency", recording, site="saliency-shown", n_bootstrap=20)
    assert shown.attrs["explains"] == "the expression shown"
    parts = shown["image_share"].to_pandas()
    parts.columns = shown["part"].to_numpy()
    np.testing.assert_allclose(parts["mouth"], happy)
    np.testing.assert_allclose(parts["eyebrows"], ~happy)


@pytest.mark.parametrize("crop", ["frame", "landmarks"])
def test_a_face_network_sees_photographs_as_squares(crop: str) -> None:
    subject = weightless_net(ColouredSubject, crop=crop)
    photograph = np.random.default_rng(0).integers(0, 256, (96, 40, 3), dtype=np.uint8)
    table = pd.DataFrame({"stimulus_id": ["a"], "expression": ["happy"]})
    found = [
        subject.respond(Batch([image], table), ["conv"])["conv"]
        for image in (photograph, square(photograph))
    ]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", NAMES)
def test_every_convolutional_subject_has_maps(name: str, faces: StimulusSet) -> None:
    """Others are refused by name; weights play no part."""
    kind: Any = subject_factory(name)
    few = faces.take([0, 5])
    if issubclass(kind, TrainedSubject):
        subject: Any = load_subject(name, **options_of(name))
    elif issubclass(kind, FaceNetSubject):
        subject = weightless_net(kind)
    elif name in ("lbp", "pixels"):
        with pytest.raises(NeuroferError, match=f"site='saliency' is not in subject '{name}-"):
            record(load_subject(name), few, sites=["saliency"])
        return
    else:
        assert not getattr(kind, "further_sites", {})
        return
    assert set(SITES).isdisjoint(subject.sites)
    recording = record(subject, few, sites=["saliency", "saliency-map"])
    units = recording[:, (recording["site"] == "saliency").to_numpy()]
    assert units["unit"].to_numpy().tolist() == list(UNITS)
    values = units.to_numpy()
    shares, areas = values[:, : len(GROUPS)], values[:, len(GROUPS) : 2 * len(GROUPS)]
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(areas.sum(1), 1, rtol=1e-5)
    maps = recording[:, (recording["site"] == "saliency-map").to_numpy()]
    assert maps.shape == (2, 2 * 96 * 96)
    assert np.isfinite(maps.to_numpy()).all()


def test_a_recording_holds_the_shares_and_maps_of_saliency_maps(
    faces: StimulusSet, tmp_path: Any
) -> None:
    few = faces.take([0, 3, 7])
    subject = load_subject("face-channel", weights="untrained", width=0.125, crop="landmarks")
    store = RecordingStore(tmp_path)
    sites = ["saliency", "saliency-map", "decide"]
    recording = store.record(subject, few, sites=sites, progress=False)
    again = store.record(subject, few, sites=sites, progress=False)
    np.testing.assert_array_equal(recording, again)
    maps, seen = saliency_maps(subject, few), seen_pixels(subject, few)  # type: ignore[arg-type]
    masks = np.stack([few.parts(k) for k in range(3)])  # type: ignore[arg-type]
    shares, areas = part_shares(maps, masks, seen=seen)
    site = recording["site"].to_numpy()
    assert (~seen).any()
    np.testing.assert_allclose(
        recording.to_numpy()[:, site == "saliency"][:, : 2 * len(GROUPS)],
        np.hstack([shares, areas]),
        rtol=1e-4, atol=1e-6,
    )  # fmt: skip
    pictures = recording.to_numpy()[:, site == "saliency-map"].reshape(3, 2, 96, 96)
    np.testing.assert_allclose(pictures[:, 0], maps, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(pictures[1, 1], few.image(1).mean(2), rtol=1e-4)
    # An untrained network names no expressions, so that no answer is right or wrong.
    assert np.isnan(recording.to_numpy()[:, site == "saliency"][:, UNITS.index("correct")]).all()


def test_large_maps_are_made_smaller(faces: StimulusSet) -> None:
    images = [np.repeat(np.repeat(faces.image(0), 3, 0), 2, 1)]  # 288 x 192
    large = StimulusSet.from_arrays("large", pd.DataFrame({"head": ["human"]}), images)
    subject = load_subject("face-channel", weights="untrained", width=0.125)
    recording = record(subject, large, sites=["saliency-map"])
    height, width = (int(recording[f"channel_{axis}"].max()) + 1 for axis in "yx")
    assert (height, width) == (MAP_SIDE, MAP_SIDE * 2 // 3)
    gray = recording.to_numpy().reshape(2, height, width)[1]
    assert gray.mean() == pytest.approx(images[0].mean(), rel=1e-4)


def test_what_has_no_saliency_is_said(faces: StimulusSet) -> None:
    subject: Any = load_subject("face-channel", weights="untrained", width=0.0625)
    photographs = StimulusSet.from_arrays(
        "mine", pd.DataFrame({"head": ["human"] * 2}), [faces.image(0)] * 2
    )
    with pytest.raises(NeuroferError, match=r"2 of 2 images have no part masks.*saliency-map"):
        record(subject, photographs, sites=["saliency"])
    assert record(subject, photographs, sites=["saliency-map"]).shape == (2, 2 * 96 * 96)
    with pytest.raises(NeuroferError, match="'neutral' is shown and subject 'face-channel-"):
        record(subject, faces.take([0]), sites=["saliency-shown"])
    sizes = [faces.image(0), faces.image(1)[:90]]
    mixed = StimulusSet.from_arrays("mixed", pd.DataFrame({"head": ["human"] * 2}), sizes)
    with pytest.raises(NeuroferError, match="differ in size"):
        saliency_maps(subject, mixed)


def test_the_box_of_a_crop_is_what_the_crop_shows(faces: StimulusSet) -> None:
    """A gradient of brightness tells where a pixel of the crop came from."""
    assert faces.landmarks is not None
    face = faces.landmarks[0]
    columns = np.tile(np.arange(96, dtype=np.uint8)[None, :, None], (96, 1, 3))
    crop, box = crop_face(columns, face, 1.75, 64), crop_box(face, 1.75)
    assert box is not None
    seen = box[0] + (np.arange(64) + 0.5) * (box[2] - box[0]) / 64 - 0.5
    inside = (seen > 1) & (seen < 94)
    np.testing.assert_allclose(crop[32, inside, 0], seen[inside], atol=0.75)


def test_a_subject_has_maps_at_the_pixels_of_its_images(faces: StimulusSet) -> None:
    subject = load_subject("face-channel", weights="untrained", width=0.125)
    found = saliency_maps(subject, faces)
    assert found.shape == (len(faces), 96, 96)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert (found.max((1, 2)) > 0).any()
    one = saliency_maps(subject, faces.take([3]))
    np.testing.assert_allclose(one[0], found[3], rtol=1e-4, atol=1e-7)
    assert not np.allclose(saliency_maps(subject, faces, 0), saliency_maps(subject, faces, 1))
    with pytest.raises(NeuroferError, match="class='happy'"):
        saliency_maps(subject, faces, "happy")
    with pytest.raises(NeuroferError, match="2 classes for 21 images"):
        saliency_maps(subject, faces, [1, 2])
    with pytest.raises(NeuroferError, match="LocalBinaryPatterns has no convolutional network"):
        saliency_maps(load_subject("lbp"), faces)  # type: ignore[arg-type]


def test_a_pretrained_face_network_is_explained_within_its_crop(faces: StimulusSet) -> None:
    stimuli = faces.take([0, 1])
    found = saliency_maps(weightless_net(ExpressionNetSubject), stimuli, ["happy", "sad"])
    seen = seen_pixels(weightless_net(ExpressionNetSubject), stimuli)
    assert (found[~seen] == 0).all()
    assert stimuli.landmarks is not None
    for one, face in zip(found, stimuli.landmarks, strict=True):
        box = crop_box(face, 1.75)
        assert box is not None
        x, y = np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5)
        inside = (x >= box[0]) & (y >= box[1]) & (x <= box[2]) & (y <= box[3])
        assert (one[~inside] == 0).all()
        assert one[inside].max() > 0
    for one, face in zip(seen, stimuli.landmarks, strict=True):
        box = crop_box(face, 1.75)
        assert box is not None
        clipped = np.clip(box, 0, 96)
        area = (clipped[2] - clipped[0]) * (clipped[3] - clipped[1])
        assert one.sum() == pytest.approx(area, rel=0.05)


def test_the_layer_of_a_pretrained_face_network_can_be_named(faces: StimulusSet) -> None:
    stimuli = faces.take([0])
    subject = weightless_net(ExpressionNetSubject)
    last, named, early = (
        saliency_maps(subject, stimuli, 0, layer) for layer in (None, "conv4_4", "conv2_1")
    )
    np.testing.assert_array_equal(last, named)
    assert not np.allclose(last, early)
    with pytest.raises(NeuroferError, match=r"layer='conv4_5'.*did you mean"):
        saliency_maps(subject, stimuli, 0, "conv4_5")


@pytest.mark.parametrize(("height", "width"), [(96, 96), (96, 128), (128, 96)])
def test_where_the_middle_is_cut_maps_lie_in_what_is_left(height: int, width: int) -> None:
    """Gradients of brightness tell which pixel of the image each pixel of the input came from."""
    subject = load_subject("face-channel", weights="untrained", width=0.0625)
    subject.preprocessing = Preprocessing(shorter_side=2 * subject.size)
    y, x = np.indices((height, width), dtype=np.uint8)
    images = np.stack([x, y, 0 * x], 2)[None]
    stimuli = StimulusSet.from_arrays("ramp", pd.DataFrame({"head": ["human"]}), images)
    shown = subject.preprocessing.pixels(images[0], subject.size)
    left, right, top, bottom = (f(shown[k]) for k in (0, 1) for f in (np.min, np.max))
    seen = seen_pixels(subject, stimuli)[0]
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert seen.sum() == len(rows) * len(columns)
    np.testing.assert_allclose(
        [columns[0], columns[-1], rows[0], rows[-1]], [left, right, top, bottom], atol=1.5
    )
    assert (saliency_maps(subject, stimuli)[0][~seen] == 0).all()
