"""Grad-CAM++: which places of an image speak for what a convolutional network says of it.

Chattopadhyay, Sarkar, Howlader and Balasubramanian 2018, "Grad-CAM++: generalized gradient-based
visual explanations for deep convolutional networks", on the last convolution, as CIAO shows it
(Barros and Sciutti 2022, Figure 3). With a class score S, Y = exp(S), activity A of channel k and
its gradient g = dS/dA, a place's weight in Eq. 19 is g^2 / (2 g^2 + sum(A) g^3), which is
1 / (2 + sum(A) g) wherever g is not 0; the factor exp(S), which is common to a whole map, is left
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.face_crop import crop_box
from neurofer.subjects.face_net import FaceNetSubject
from neurofer.subjects.features import FeatureSubject
from neurofer.subjects.hooks import activity
from neurofer.subjects.networks import ARCHITECTURES
from neurofer.subjects.preprocess import resize
from neurofer.subjects.trained import TrainedSubject
from neurofer.subjects.trunk import image_tensor

Classes = int | str | Sequence[int] | Sequence[str] | np.ndarray | None

_AT_ONCE = 32  # images of a backward pass


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
    if not isinstance(subject, TrainedSubject | FaceNetSubject):
        raise NeuroferError(
            f"{type(subject).__name__} has no convolutional network that names classes; saliency "
            f"is for the networks {', '.join(ARCHITECTURES)} and for pretrained face networks"
        )
    chosen = _numbers(subject, classes, len(stimuli))
    shape = stimuli.image(0).shape
    boxes = _boxes(subject, stimuli, shape[0], shape[1])
    found = []
    for start in range(0, len(stimuli), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        images = [stimuli.image(i) for i in range(len(stimuli))[rows]]
        if any(image.shape != shape for image in images):
            raise NeuroferError(f"the images of {stimuli.name!r} differ in size; give one size")
        landmarks = None if stimuli.landmarks is None else stimuli.landmarks[rows]
        maps = _maps(
            subject,
            subject._seen(images, landmarks),
            None if chosen is None else chosen[rows],
            layer,
        )
        found.append(place_maps(maps, boxes[rows], (shape[0], shape[1])).numpy())
    return np.concatenate(found)


def seen_pixels(subject: FeatureSubject, stimuli: StimulusSet) -> np.ndarray:
    """Return which pixels of images a subject sees, (n, H, W) bool: all, or those of its crop."""
    if not isinstance(subject, TrainedSubject | FaceNetSubject):
        raise NeuroferError(f"{type(subject).__name__} has no maps; see saliency_maps")
    height, width = stimuli.image(0).shape[:2]
    boxes = _boxes(subject, stimuli, height, width)
    seen: np.ndarray = place_maps(torch.ones(len(boxes), 1, 1), boxes, (height, width)).numpy() > 0
    return seen


def class_maps(
    net: nn.Module,
    seen: torch.Tensor,
    classes: torch.Tensor | int | None = None,
    layer: str | None = None,
) -> torch.Tensor:
    """Return the Grad-CAM++ maps of images, (n, h, w) at least 0, at the places of a layer.

    The network is asked as in use (dropout off, running statistics); parameters may be frozen.

    Args:
        net: images to scores (n, classes).
        seen: what it takes, (n, ...).
        classes: which score, of all images or (n,); default: the largest of each image.
        layer: a module, "-t1" and so on where it is called several times; default: `last_layer`.

    Raises:
        NeuroferError: there is no such layer, it has no places or is negative somewhere, or the
            scores do not depend on it.
    """
    training = net.training
    net.eval()
    try:
        layer = layer or last_layer(net, seen)
        if layer.partition("-t")[0] not in dict(net.named_modules()):
            names = [name for name, _ in net.named_modules() if name]
            raise unknown_choice("layer", layer, names, type(net).__name__)
        with torch.inference_mode(False), torch.enable_grad():
            # A gradient is wanted of the layer, not of parameters, which may all be frozen.
            found = activity(net, seen.clone().requires_grad_(), (layer, ""))
            return _explain(found[layer], found[""], classes, layer)
    finally:
        net.train(training)


def grad_cam_plus_plus(activity: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Return maps (n, h, w), at least 0: Eqs. 19, 11 and 13 without the common factor exp(S).

    Args:
        activity: (n, channels, h, w), not negative.
        gradient: of the class score by the activity, of the same shape.
    """
    total = activity.sum((2, 3), keepdim=True)
    positive = gradient.clamp(min=0)
    weights = (positive / (2 + total * positive)).sum((2, 3), keepdim=True)
    return (weights * activity).sum(1)


def last_layer(net: nn.Module, seen: torch.Tensor) -> str:
    """Return the module whose output is that of the last convolution after its nonlinearity.

    That is the first output after the last convolution of a forward pass which has several places
    and is nowhere negative: of a ReLU, a residual block, an inhibited convolution.

    Args:
        net: any convolutional network.
        seen: images of the size that it takes, (n, C, H, W); only their shape counts.

    Raises:
        NeuroferError: there is no convolution, or no such output after it.
    """
    calls: dict[str, int] = {}
    order: list[tuple[str, int, torch.Tensor]] = []

    def hook(name: str) -> Any:
        def keep(module: nn.Module, given: object, output: object) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(output, torch.Tensor) and output.ndim == 4:
                order.append((name, calls[name] - 1, output))

        return keep

    modules = dict(net.named_modules())
    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        with torch.no_grad():
            random = torch.Generator().manual_seed(0)
            probe = torch.rand((1, *seen.shape[1:]), generator=random) * 2 - 1
            net(probe.to(seen))
    finally:
        for handle in handles:
            handle.remove()
    places = [k for k, (name, _, _) in enumerate(order) if isinstance(modules[name], nn.Conv2d)]
    last = places[-1] if places else len(order)
    # A shortcut may hand on what was there before the convolution: that is no output of it.
    before = {id(output) for _, _, output in order[:last]}
    for name, call, output in order[last + 1 :]:
        fits = output.shape[2:].numel() > 1 and bool((output >= 0).all())
        if fits and name and id(output) not in before:
            return f"{name}-t{call}" if calls[name] > 1 else name
    raise NeuroferError(
        f"{type(net).__name__} has no convolution that a rectified output follows; name the "
        "layer whose activity is to be explained"
    )


def place_maps(maps: torch.Tensor, boxes: np.ndarray, shape: tuple[int, int]) -> torch.Tensor:
    """Return maps of parts of images at the images' pixels, 0 outside of the parts.

    Args:
        maps: (n, h, w), each over the whole of its box.
        boxes: (n, 4) left, top, right and bottom, in pixels from the image's corner.
        shape: height and width of the images.

    Returns:
        (n, height, width) float32, interpolated bilinearly, constant beyond a box's outer cells.
    """
    height, width = shape
    left, top, right, bottom = torch.from_numpy(np.asarray(boxes, np.float32)).T[:, :, None]
    x = 2 * (torch.arange(width) + 0.5 - left) / (right - left) - 1
    y = 2 * (torch.arange(height) + 0.5 - top) / (bottom - top) - 1
    grid = torch.stack(
        [x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], 3
    )
    placed = functional.grid_sample(
        maps[:, None].float(), grid, padding_mode="border", align_corners=False
    )
    inside = (grid.abs() <= 1).all(3)
    return placed[:, 0] * inside


def _explain(
    shown: torch.Tensor, outputs: torch.Tensor, classes: torch.Tensor | int | None, layer: str
) -> torch.Tensor:
    """Return the maps of a layer's activity from the graph that leads from it to the outputs."""
    if shown.ndim != 4 or shown.shape[2:].numel() < 2:
        raise NeuroferError(
            f"layer {layer!r} has the shape {tuple(shown.shape)}: it has no places; name a "
            "convolutional one"
        )
    if (shown < 0).any():
        raise NeuroferError(
            f"layer {layer!r} is negative somewhere; Grad-CAM++ needs activity after its "
            "nonlinearity"
        )
    scores = outputs.flatten(1)
    if classes is None:
        chosen = scores.detach().argmax(1)
    else:
        chosen = torch.as_tensor(classes).expand(len(scores)).to(scores.device)
    if ((chosen < 0) | (chosen >= scores.shape[1])).any():
        raise NeuroferError(
            f"classes {sorted(set(chosen.tolist()))}: the network has {scores.shape[1]} outputs, "
            "counted from 0"
        )
    score = scores.gather(1, chosen[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, shown, allow_unused=True)
    if gradient is None:
        raise NeuroferError(f"the outputs do not depend on layer {layer!r}; name another")
    return grad_cam_plus_plus(shown.detach(), gradient)


def _maps(
    subject: TrainedSubject | FaceNetSubject,
    shown: Sequence[np.ndarray],
    classes: torch.Tensor | None,
    layer: str | None,
) -> torch.Tensor:
    if isinstance(subject, TrainedSubject):
        seen = subject.preprocessing.scaled(subject._pixels(shown))
        net = subject.net.get_submodule(ARCHITECTURES[subject.architecture].tower)
        return class_maps(net, seen, classes, layer)
    with torch.inference_mode(False), torch.enable_grad():
        images = image_tensor([resize(image, subject.crop_size) for image in shown])
        found = dict(subject.net.steps(subject.net.prepare(images).requires_grad_()))
        layer = layer or _last_of(subject)
        if layer not in found:
            raise unknown_choice("layer", layer, found, f"subject {subject.name!r}")
        return _explain(found[layer], list(found.values())[-1], classes, layer)


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
    subject: TrainedSubject | FaceNetSubject, stimuli: StimulusSet, height: int, width: int
) -> np.ndarray:
    """Return the part of each image that the subject sees, (n, 4) as `place_maps` takes it."""
    frame = np.array([0.0, 0.0, width, height])
    if subject.options["crop"] == "frame" or stimuli.landmarks is None:
        found = np.tile(frame, (len(stimuli), 1))
    else:
        crops = [crop_box(face, subject.crop_width) for face in stimuli.landmarks]
        found = np.stack([frame if box is None else box for box in crops])
    return _middles(subject, found) if isinstance(subject, TrainedSubject) else found


def _middles(subject: TrainedSubject, boxes: np.ndarray) -> np.ndarray:
    """Return the part of each box that is left where a network's preprocessing cuts the middle."""
    shorter_side = subject.preprocessing.shorter_side
    if shorter_side is None:
        return boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    kept = sides.min(axis=1, keepdims=True) * subject.size / shorter_side
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.hstack([middle - kept / 2, middle + kept / 2])


def _numbers(
    subject: TrainedSubject | FaceNetSubject, classes: Classes, count: int
) -> torch.Tensor | None:
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


def _names(subject: TrainedSubject | FaceNetSubject) -> tuple[str, ...]:
    if isinstance(subject, TrainedSubject):
        return subject.sites[ARCHITECTURES[subject.architecture].sites[-1]].labels or ()
    return tuple(getattr(subject, "classes", ()))
