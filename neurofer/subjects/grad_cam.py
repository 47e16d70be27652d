"""Grad-CAM++: which places of an image speak for what a convolutional network says of it.

Chattopadhyay, Sarkar, Howlader and Balasubramanian 2018, "Grad-CAM++: generalized gradient-based
visual explanations for deep convolutional networks", on the last convolution, as CIAO shows it
(Barros and Sciutti 2022, Figure 3). With a class score S, Y = exp(S), activity A of channel k and
its gradient g = dS/dA, a place's weight in Eq. 19 is g^2 / (2 g^2 + sum(A) g^3), which is
1 / (2 + sum(A) g) wherever g is not 0; the factor exp(S), which is common to a whole map, is left
out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.subjects.hooks import activity


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
    return class_maps_and_answers(net, seen, classes, layer)[0]


def class_maps_and_answers(
    net: nn.Module,
    seen: torch.Tensor,
    classes: torch.Tensor | int | None = None,
    layer: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `class_maps`, and the number of the largest score of each image, (n,).

    Args:
        net: to explain.
        seen: (n, channels, H, W) what the net is shown.
        classes: as for `class_maps`.
        layer: as for `class_maps`.
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
            return explain(found[layer], found[""], classes, layer)
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
    # A shortcut may hand on what was there before the convolution: that is not one of its outputs.
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


def explain(
    shown: torch.Tensor, outputs: torch.Tensor, classes: torch.Tensor | int | None, layer: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return maps and answers from the graph that leads from a layer to the outputs.

    Args:
        shown: activity of the layer, (n, channels, h, w), with its graph.
        outputs: (n, ...) scores.
        classes: see `class_maps`.
        layer: its name, for errors.

    Raises:
        NeuroferError: see `class_maps`.
    """
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
    answers = chosen = scores.detach().argmax(1)
    if classes is not None:
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
    return grad_cam_plus_plus(shown.detach(), gradient), answers
