"""Saliency of subjects: Grad-CAM++ at the pixels of their images, and as sites of a recording."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.recording.record import batches
from neurofer.recording.saliency import EXPLAINED, SITES, saliency_units
from neurofer.recording.sites import Batch
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.grad_cam import class_maps_and_answers, place_maps
from neurofer.subjects.subject import Subject

Classes = int | str | Sequence[int] | Sequence[str] | np.ndarray | None

MAP_SIDE = 96  # pixels of the longer side of a recorded map
_AT_ONCE = 32  # images of a backward pass


class ExplainedSubject(Subject):
    """A subject that is a convolutional network and answers what saliency asks of it.

    It has the sites of `neurofer.recording.saliency.SITES`, where they are named.
    """

    further_sites = SITES

    @abstractmethod
    def explained_net(self) -> nn.Module:
        """Return the network, from what it sees of images to scores, (n, classes)."""

    @abstractmethod
    def explained_layer(self, layer: str | None) -> str | None:
        """Return the module of a layer, by default of the one to be explained.

        None is the last convolution after its nonlinearity, to be looked for.
        """

    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """Return the expressions that the scores are of, () where they have no names."""

    @abstractmethod
    def seen(self, batch: Batch) -> tuple[torch.Tensor, np.ndarray]:
        """Return what the network takes of images of one size, and where it lies in each.

        Returns:
            (n, C, H, W), and (n, 4) as `place_maps` takes it.
        """

    def further(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the response of further sites, (n, ...) float32; see `saliency`."""
        return saliency(self, batch, sites)


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
    subject: ExplainedSubject,
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
        classes: which output, by its number or name, of all images or one per image; by default
            the largest of each image.
        layer: a module of the network whose activity is not negative; default: the last
            convolution, after its nonlinearity.

    Returns:
        (n, H, W) float32, at least 0, at the images' pixels; a map's scale is arbitrary.

    Raises:
        NeuroferError: the subject has no such network, layer or class, or images differ in size.
    """
    if not isinstance(subject, ExplainedSubject):
        raise NeuroferError(
            f"{type(subject).__name__} has no convolutional network that names classes; saliency "
            "is for the networks that can be trained here and for pretrained face networks"
        )
    chosen = _numbers(subject, classes, len(stimuli))
    found = []
    for k, batch in enumerate(batches(stimuli, _AT_ONCE)):
        rows = slice(k * _AT_ONCE, k * _AT_ONCE + len(batch))
        wanted = None if chosen is None else chosen[rows]
        found.append(_explained(subject, batch, wanted, layer).maps)
    if len({one.shape[1:] for one in found}) > 1:
        raise _sizes_differ()
    return np.concatenate(found)


def saliency(
    subject: ExplainedSubject, batch: Batch, sites: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return the response of the sites of `neurofer.recording.saliency.SITES`, (n, ...) float32.

    Args:
        subject: whose network is explained.
        batch: of images.
        sites: names.

    Raises:
        NeuroferError: see `saliency_maps`; an image has no part masks; or an expression that is
            shown and to be explained is none that the network names.
    """
    responses: dict[str, np.ndarray] = {}
    for name in EXPLAINED:
        if name not in sites and f"{name}-map" not in sites:
            continue
        expressions = [str(expression) for expression in batch.table["expression"]]
        classes = _shown(subject, expressions) if name == "saliency-shown" else None
        found = _explained(subject, batch, classes)
        if name in sites:
            correct = _correct(subject, found.answers, expressions)
            masks = _masks(batch)
            responses[name] = saliency_units(found.maps, masks, found.seen, correct, found.places)
        if f"{name}-map" in sites:
            responses[f"{name}-map"] = _pictures(found.maps, batch.images)
    return responses


def _explained(
    subject: ExplainedSubject,
    batch: Batch,
    classes: torch.Tensor | None,
    layer: str | None = None,
) -> Explained:
    shape = batch.images[0].shape
    if any(image.shape != shape for image in batch.images):
        raise _sizes_differ()
    seen, boxes = subject.seen(batch)
    net, layer = subject.explained_net(), subject.explained_layer(layer)
    maps, answers = class_maps_and_answers(net, seen, classes, layer)
    placed = place_maps(maps, boxes, (shape[0], shape[1])).numpy()
    places = maps.shape[1:].numel()
    return Explained(placed, placed_boxes(boxes, shape), answers.numpy(), places)


def _sizes_differ() -> NeuroferError:
    return NeuroferError("the images differ in size and maps lie on their pixels; give one size")


def placed_boxes(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return which pixels of images of a shape lie in each box, (n, H, W) bool."""
    placed = place_maps(torch.ones(len(boxes), 1, 1), boxes, (shape[0], shape[1]))
    seen: np.ndarray = placed.numpy() > 0
    return seen


def _numbers(subject: ExplainedSubject, classes: Classes, count: int) -> torch.Tensor | None:
    """Return the number of the class of each image, (count,)."""
    if classes is None:
        return None
    given = [classes] * count if isinstance(classes, int | str) else list(classes)
    if len(given) != count:
        raise NeuroferError(f"{len(given)} classes for {count} images; give one per image")
    names = subject.output_names()
    for one in given:
        if isinstance(one, str) and one not in names:
            raise unknown_choice("class", one, names, f"subject {subject.identifier!r}")
    return torch.tensor([names.index(one) if isinstance(one, str) else int(one) for one in given])


def _shown(subject: ExplainedSubject, expressions: Sequence[str]) -> torch.Tensor:
    names = subject.output_names()
    unknown = sorted(set(expressions) - set(names))
    if unknown:
        raise NeuroferError(
            f"{', '.join(map(repr, unknown))} is shown and subject {subject.identifier!r} does "
            "not name it: there is no output to explain; record 'saliency', which explains the "
            "answer"
        )
    return torch.tensor([names.index(expression) for expression in expressions])


def _correct(
    subject: ExplainedSubject, answers: np.ndarray, expressions: Sequence[str]
) -> np.ndarray:
    """Return 1 where the answer is the expression shown, 0 where not, NaN where it is none."""
    names = subject.output_names()
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
