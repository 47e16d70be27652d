"""Saliency of subjects: Grad-CAM++ at the pixels of their images, and as sites of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.recording.record import batches
from neurofer.recording.saliency import EXPLAINED, saliency_units
from neurofer.recording.sites import Batch
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.face_crop import crop_box, square_box
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.grad_cam import class_maps_and_answers, explain, place_maps
from neurofer.subjects.networks.architectures import ARCHITECTURES
from neurofer.subjects.preprocess import resize
from neurofer.subjects.pretrained.face_net import FaceNetSubject
from neurofer.subjects.trained import TrainedSubject
from neurofer.subjects.trunk import image_tensor

Classes = int | str | Sequence[int] | Sequence[str] | np.ndarray | None
Convolutional = TrainedSubject | FaceNetSubject

MAP_SIDE = 96  # pixels of the longer side of a recorded map
_AT_ONCE = 32  # images of a backward pass


class Explained(NamedTuple):
    """Maps of images and what the network answered.

    Attributes:
        maps: (n, H, W) float32, at least 0, at the images' pixels.
        seen: (n, H, W) bool, the pixels that the subject sees.
        answers: (n,) the number of the largest output.
        places: how many places a map had before it was interpolated.
    """

    maps: np.ndarray
    seen: np.ndarray
    answers: np.ndarray
    places: int


def saliency_maps(
    subject: FeatureSubject,
    stimuli: StimulusSet,
    classes: Classes = None,
    layer: str | None = None,
) -> np.ndarray:
    """Return what speaks for a class in images as a subject sees them.

    A map has the few places of the subject's last convolution (7 x 7 in CORnet-S); between them it
    is interpolated bilinearly. Beyond what the subject sees (`crop`) it is 0.

    Args:
        subject: a convolutional one with a network.
        stimuli: images of one size.
        classes: which output, by its number or name, of all images or one an image; by default
            the largest of each image.
        layer: a module of the network whose activity is not negative; default: the last
            convolution, after its nonlinearity.

    Returns:
        (n, H, W) float32, at least 0, at the images' pixels; a map's scale is arbitrary.

    Raises:
        NeuroferError: the subject has no such network, layer or class, or images differ in size.
    """
    net = _convolutional(subject)
    chosen = _numbers(net, classes, len(stimuli))
    found = []
    for k, batch in enumerate(batches(stimuli, _AT_ONCE)):
        rows = slice(k * _AT_ONCE, k * _AT_ONCE + len(batch))
        found.append(_explained(net, batch, None if chosen is None else chosen[rows], layer).maps)
    if len({one.shape[1:] for one in found}) > 1:
        raise _sizes_differ()
    return np.concatenate(found)


def seen_pixels(subject: FeatureSubject, stimuli: StimulusSet) -> np.ndarray:
    """Return which pixels of images a subject sees, (n, H, W) bool: all, or those of its crop."""
    shape = stimuli.image(0).shape
    boxes = _boxes(_convolutional(subject), stimuli.landmarks, len(stimuli), shape)
    return _placed_boxes(boxes, shape)


def saliency(subject: FeatureSubject, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the response of the sites of `neurofer.recording.saliency.SITES`, (n, ...) float32.

    Args:
        subject: whose network is explained.
        batch: of images.
        sites: names.

    Raises:
        NeuroferError: see `saliency_maps`; an image has no part masks; or an expression that is
            shown and to be explained is none that the network names.
    """
    net, responses = _convolutional(subject), {}
    for name in EXPLAINED:
        if name not in sites and f"{name}-map" not in sites:
            continue
        expressions = [str(expression) for expression in batch.table["expression"]]
        classes = _shown(net, expressions) if name == "saliency-shown" else None
        found = _explained(net, batch, classes)
        if name in sites:
            correct = _correct(net, found.answers, expressions)
            masks = _masks(batch)
            responses[name] = saliency_units(found.maps, masks, found.seen, correct, found.places)
        if f"{name}-map" in sites:
            responses[f"{name}-map"] = _pictures(found.maps, batch.images)
    return responses


def _explained(
    subject: Convolutional,
    batch: Batch,
    classes: torch.Tensor | None,
    layer: str | None = None,
) -> Explained:
    shape = batch.images[0].shape
    if any(image.shape != shape for image in batch.images):
        raise _sizes_differ()
    boxes = _boxes(subject, batch.landmarks, len(batch), shape)
    maps, answers = _maps(subject, subject._seen(batch.images, batch.landmarks), classes, layer)
    placed = place_maps(maps, boxes, (shape[0], shape[1])).numpy()
    places = maps.shape[1:].numel()
    return Explained(placed, _placed_boxes(boxes, shape), answers.numpy(), places)


def _sizes_differ() -> NeuroferError:
    return NeuroferError("the images differ in size and maps lie on their pixels; give one size")


def _convolutional(subject: FeatureSubject) -> Convolutional:
    if not isinstance(subject, TrainedSubject | FaceNetSubject):
        raise NeuroferError(
            f"{type(subject).__name__} has no convolutional network that names classes; saliency "
            f"is for the networks {', '.join(ARCHITECTURES)} and for pretrained face networks"
        )
    return subject


def _maps(
    subject: Convolutional,
    shown: Sequence[np.ndarray],
    classes: torch.Tensor | None,
    layer: str | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return maps at the places of a layer, and answers."""
    if isinstance(subject, TrainedSubject):
        seen = subject.preprocessing.scaled(subject._pixels(shown))
        net = subject.net.get_submodule(ARCHITECTURES[subject.architecture].tower)
        return class_maps_and_answers(net, seen, classes, layer)
    with torch.inference_mode(False), torch.enable_grad():
        images = image_tensor([resize(image, subject.crop_size) for image in shown])
        found = dict(subject.net.steps(subject.net.prepare(images).requires_grad_()))
        layer = layer or _last_of(subject)
        if layer not in found:
            raise unknown_choice("layer", layer, found, f"subject {subject.name!r}")
        return explain(found[layer], list(found.values())[-1], classes, layer)


def _last_of(subject: FaceNetSubject) -> str:
    """Return the last layer with several places that is not negative, of noise as of any image."""
    random = torch.Generator().manual_seed(0)
    noise = 255 * torch.rand((1, 3, subject.crop_size, subject.crop_size), generator=random)
    with torch.no_grad():
        found = dict(subject.net.steps(subject.net.prepare(noise)))
    return [
        name
        for name, shown in found.items()
        if shown.ndim == 4 and shown.shape[2:].numel() > 1 and bool((shown >= 0).all())
    ][-1]


def _boxes(
    subject: Convolutional, landmarks: np.ndarray | None, n: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the part of each image that the subject sees, (n, 4) as `place_maps` takes it."""
    pads = isinstance(subject, FaceNetSubject)
    frame = square_box(shape) if pads else np.array([0.0, 0.0, shape[1], shape[0]])
    if subject.options["crop"] == "frame" or landmarks is None:
        found = np.tile(frame, (n, 1))
    else:
        crops = [crop_box(face, subject.crop_width) for face in landmarks]
        found = np.stack([frame if box is None else box for box in crops])
    return _middles(subject, found) if isinstance(subject, TrainedSubject) else found


def _placed_boxes(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return which pixels of images of a shape lie in each box, (n, H, W) bool."""
    placed = place_maps(torch.ones(len(boxes), 1, 1), boxes, (shape[0], shape[1]))
    seen: np.ndarray = placed.numpy() > 0
    return seen


def _middles(subject: TrainedSubject, boxes: np.ndarray) -> np.ndarray:
    """Return the part of each box that is left where a network's preprocessing cuts the middle."""
    shorter_side = subject.preprocessing.shorter_side
    if shorter_side is None:
        return boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = sides.min(axis=1, keepdims=True) * subject.size / shorter_side
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.hstack([middle - kept / 2, middle + kept / 2])


def _numbers(subject: Convolutional, classes: Classes, count: int) -> torch.Tensor | None:
    """Return the number of the class of each image, (count,)."""
    if classes is None:
        return None
    given = [classes] * count if isinstance(classes, int | str) else list(classes)
    if len(given) != count:
        raise NeuroferError(f"{len(given)} classes for {count} images; give one an image")
    names = _names(subject)
    for one in given:
        if isinstance(one, str) and one not in names:
            raise unknown_choice("class", one, names, f"subject {subject.identifier!r}")
    return torch.tensor([names.index(one) if isinstance(one, str) else int(one) for one in given])


def _shown(subject: Convolutional, expressions: Sequence[str]) -> torch.Tensor:
    names = _names(subject)
    unknown = sorted(set(expressions) - set(names))
    if unknown:
        raise NeuroferError(
            f"{', '.join(map(repr, unknown))} is shown and subject {subject.identifier!r} does "
            "not name it: there is no output to explain; record 'saliency', which explains the "
            "answer"
        )
    return torch.tensor([names.index(expression) for expression in expressions])


def _names(subject: Convolutional) -> tuple[str, ...]:
    if isinstance(subject, TrainedSubject):
        return subject.sites[ARCHITECTURES[subject.architecture].sites[-1]].labels or ()
    return tuple(getattr(subject, "classes", ()))


def _correct(subject: Convolutional, answers: np.ndarray, expressions: Sequence[str]) -> np.ndarray:
    """Return 1 where the answer is the expression shown, 0 where not, NaN where it is none."""
    names = _names(subject)
    return np.array(
        [
            float(names[answer] == expression) if expression in names else np.nan
            for answer, expression in zip(answers, expressions, strict=True)
        ]
    )


def _masks(batch: Batch) -> np.ndarray:
    known = [mask for mask in batch.parts if mask is not None]
    if len(known) < len(batch):
        raise NeuroferError(
            f"{len(batch) - len(known)} of {len(batch)} images have no part masks, by which "
            "saliency is shared out; rendered sets have them (bfs, identities-sim, kdef-sim). "
            "Maps without shares need none: record the site 'saliency-map'"
        )
    return np.stack(known)


def _pictures(maps: np.ndarray, images: Sequence[np.ndarray]) -> np.ndarray:
    """Return each map and the gray image under it, (n, 2, h, w) float32, made smaller."""
    longer = max(maps.shape[1:])
    height, width = (max(1, round(side * min(1, MAP_SIDE / longer))) for side in maps.shape[1:])

    def small(plane: np.ndarray) -> np.ndarray:
        whole = Image.fromarray(plane.astype(np.float32))
        return np.asarray(whole.resize((width, height), Image.Resampling.BOX))

    gray = [image.astype(np.float32).mean(2) for image in images]
    return np.stack([[small(m), small(g)] for m, g in zip(maps, gray, strict=True)])
