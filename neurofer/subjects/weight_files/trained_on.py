"""Which images weights were trained on: the first digits of their hashes, in the weight file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from neurofer.errors import NeuroferError
from neurofer.recording.layout import HASH_DIGITS

KEY = "trained_on"
_BYTES = HASH_DIGITS // 2


def pack_images(hashes: Iterable[str]) -> str:
    """Return image hashes as a text for the description of a weight file, 11 letters per image.

    Args:
        hashes: `image_sha256`, whole or their first `HASH_DIGITS` digits.
    """
    digits = sorted({value[:HASH_DIGITS] for value in hashes})
    return base64.b64encode(bytes.fromhex("".join(digits))).decode("ascii")


def trained_on(about: Mapping[str, Any]) -> frozenset[str]:
    """Return the first `HASH_DIGITS` digits of `image_sha256` of every image trained on.

    That includes the images of the weights that the training started from. A recording marks such
    images as `in_training`.

    Args:
        about: the description in a weight file, of `load_tensors`; an older one names no images.

    Raises:
        NeuroferError: what the file says is not such a list.

    >>> sorted(trained_on({"trained_on": pack_images(["ab" * 32, "01" * 32])}))
    ['0101010101010101', 'abababababababab']
    >>> trained_on({})
    frozenset()
    """
    stated = about.get(KEY, "")
    try:
        packed = base64.b64decode(stated, validate=True)
    except (TypeError, ValueError) as error:
        raise NeuroferError(
            f"a weight file says that it was trained on {str(stated)[:20]!r}...: no hashes of "
            f"images ({error}); train or fetch it again"
        ) from error
    starts = range(0, len(packed), _BYTES)
    return frozenset(packed[start : start + _BYTES].hex() for start in starts)
