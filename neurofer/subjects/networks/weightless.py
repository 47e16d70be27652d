"""Networks without numbers: how many parameters they have and what shapes their sites, quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class _NoNumbers(TorchFunctionMode):
    """Skip the drawing of random weights: without numbers it does nothing, but loads sympy."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        # torch.nn.init.normal_ and the method of tensors that others there call.
        if getattr(func, "__name__", "") == "normal_":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


@contextmanager
def weightless() -> Iterator[None]:
    """Let networks and tensors that are made here have shapes only."""
    with torch.device("meta"), _NoNumbers():
        yield


def parameter_count(net: nn.Module) -> int:
    """Return how many numbers a network has learned or may learn."""
    return sum(values.numel() for values in net.parameters())


def shapes_of(found: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of the response to one image at every site, of activity (1, ...)."""
    return {site: tuple(values.shape[1:]) for site, values in found.items()}
