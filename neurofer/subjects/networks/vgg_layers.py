"""The convolutions of VGG16 and VGG19 by name; no network is made for them."""

from __future__ import annotations

from neurofer.errors import unknown_choice

# Convolutions in each of the five blocks (Simonyan & Zisserman 2015, configurations D and E).
BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def layer_names(architecture: str) -> tuple[str, ...]:
    """Return the convolutions of an architecture in order.

    >>> layer_names("vgg16")[:5]
    ('conv1_1', 'conv1_2', 'conv2_1', 'conv2_2', 'conv3_1')
    """
    if architecture not in BLOCKS:
        raise unknown_choice("architecture", architecture, BLOCKS)
    return tuple(
        f"conv{block}_{index}"
        for block, count in enumerate(BLOCKS[architecture], start=1)
        for index in range(1, count + 1)
    )


def rectified(layer: str) -> str:
    """Return the module of a network that is a convolution after its ReLU, "relu1_1"."""
    return f"relu{layer[4:]}"
