"""A device that is far away: tensors on it are tagged, and whatever would wait for it is raised.

`FAR` is spelt "cpu:0", which torch computes on as on "cpu" and which can be told from it. A `Far`
tensor holds a plain one; operations between the two kinds, and those whose result must be known on
the host, are what would wait for a GPU (or fail on one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

FAR, HERE = torch.device("cpu", 0), torch.device("cpu")

# Their results, or the shapes of their results, have to be known on the host.
ASKED: tuple[str, ...] = (
    "item",
    "_local_scalar_dense",
    "is_nonzero",
    "nonzero",
    "masked_select",
    "equal",
)
ASKED += ("_unique2", "unique_dim", "unique_consecutive", "bincount", "linalg_inv_ex", "histc")
TAKEN = ("cpu", "numpy", "tolist", "item", "__bool__", "__float__", "__int__", "__array__")


class Waits(AssertionError):  # noqa: N818 -- it says what it does
    """Raised where a GPU would be waited for."""


class Far(torch.Tensor):
    """A tensor on the far device."""

    near: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Far:
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=FAR,
        )
        made.near = inner
        return made  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The far one."""
        return FAR

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Far({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return torch._C._disabled_torch_function_impl(func, types, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return dispatched(func, args, kwargs or {})


def dispatched(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Compute on what the far tensors hold; raise `Waits` where a GPU would be waited for."""
    name = func._schema.name.partition("::")[2]
    leaves = tree_leaves((args, dict(kwargs)))
    far = [leaf for leaf in leaves if isinstance(leaf, Far)]
    near = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Far)]
    asked = kwargs.get("device")
    if far:
        if name.removesuffix("_") in ASKED or name in ASKED:
            raise Waits(name)
        # A single number of the host travels with the call.
        if any(leaf.ndim for leaf in near):
            raise Waits(f"{name} mixes tensors of the host and of the device")
        if name.startswith("index") and len(args) > 1 and isinstance(args[1], (list, tuple)):
            masks = [i for i in args[1] if i is not None and i.dtype in (torch.bool, torch.uint8)]
            if masks:
                raise Waits(f"{name} by a mask")
        if asked is not None and asked.index is None and name in ("_to_copy", "to"):
            raise Waits(f"{name} to the host")
    elif asked is not None and asked.index == 0 and near and name in ("_to_copy", "to"):
        raise Waits(f"{name} to the device")
    is_far = bool(far) or (asked is not None and asked.index == 0)
    held: Callable[[Any], Any] = lambda leaf: leaf.near if isinstance(leaf, Far) else leaf  # noqa: E731
    options = dict(kwargs)
    if asked is not None:
        options["device"] = HERE
    found = func(*tree_map(held, tuple(args)), **tree_map(held, options))
    wrappers = {id(leaf.near): leaf for leaf in far}

    def back(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or isinstance(value, Far) or not is_far:
            return value
        return (
            wrappers[id(value)] if func._schema.is_mutable and id(value) in wrappers else Far(value)
        )

    return tree_map(back, found)


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatched(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """What does not reach the dispatcher: values taken to the host, and lists that are sent."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, options = getattr(func, "__name__", ""), kwargs or {}
        first = args[0] if args else None
        if isinstance(first, Far):
            if name in TAKEN or name == "new_tensor":
                raise Waits(f"{name} of a tensor on the device")
            if name == "__getitem__" and _lists(args[1]):
                raise Waits("an index from the host")
            if name == "to" and torch.device("cpu") in (*args[1:], *options.values()):
                raise Waits("to the host")
        elif name in ("tensor", "as_tensor") and options.get("device") == FAR:
            raise Waits(f"torch.{name} of values of the host")
        elif (
            name == "to"
            and isinstance(first, torch.Tensor)
            and FAR in (*args[1:], *options.values())
        ):
            raise Waits("to the device")
        return func(*args, **options)


def _lists(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, (list, np.ndarray)) for part in parts)


def moved(net: nn.Module) -> nn.Module:
    """Return a network whose parameters and buffers lie on the far device."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        return net._apply(Far)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def sent(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Stand in for `neurofer.training.world.sent`, which a GPU does not wait for."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return Far(tensor) if device == FAR else tensor


@contextmanager
def far_away() -> Iterator[None]:
    """Raise `Waits` for what is done here and would wait for a GPU."""
    with _Dispatch(), _Calls():
        yield
