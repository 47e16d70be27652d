"""Recording from any network: the outputs of its modules, step by step, and no step too many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neurofer.errors import NeuroferError

GRID = 6
_STEP = re.compile(r"(.+)-t(\d+)$")


class _Enough(Exception):  # noqa: N818 -- it is not an error
    """Raised when the last of the activity that was asked for has been computed."""


def activity(net: nn.Module, inputs: torch.Tensor, sites: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return the output of modules, from one forward pass that ends at the last of them.

    Args:
        net: any network of one input.
        inputs: what it takes, (n, ...).
        sites: names of modules; "IT.output-t1" is the second output of "IT.output" in one pass,
            as Brain-Score counts the steps of a recurrent network.

    Returns:
        (n, ...) a site, in the order of `sites`.

    Raises:
        NeuroferError: a module is called less often than a site's number says.
    """
    names = {name for name, _ in net.named_modules()}
    wanted = {site: _module_and_step(names, site) for site in sites}
    calls: dict[str, int] = {}
    found: dict[str, torch.Tensor] = {}

    def hook(name: str) -> object:
        def keep(module: nn.Module, given: object, output: torch.Tensor) -> None:
            call = calls.get(name, 0)
            calls[name] = call + 1
            for site, place in wanted.items():
                if place == (name, call):
                    found[site] = output
            if len(found) == len(wanted):
                raise _Enough

        return keep

    handles = [
        net.get_submodule(name).register_forward_hook(hook(name))  # type: ignore[arg-type]
        for name in {name for name, _ in wanted.values()}
    ]
    try:
        net(inputs)
    except _Enough:
        return {site: found[site] for site in sites}
    finally:
        for handle in handles:
            handle.remove()
    missing = [site for site in sites if site not in found]
    raise NeuroferError(
        f"{', '.join(missing)} did not respond in a forward pass of {type(net).__name__}; its "
        f"modules were called {calls or 'not at all'}"
    )


def layer_responses(
    net: nn.Module,
    inputs: torch.Tensor,
    sites: Sequence[str],
    pooled: str,
    modules: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Return the response of layers, and of `pooled`, one of them averaged; see `activity`.

    Args:
        net: any network of one input.
        inputs: what it takes, (n, ...).
        sites: names of layers, and "pooled".
        pooled: the layer that is averaged by `pool`.
        modules: those of layers that carry another name in the network.

    Returns:
        (n, ...) float32 a site, in the order of `sites`.
    """
    layers = list(dict.fromkeys(pooled if site == "pooled" else site for site in sites))
    places = [(modules or {}).get(layer, layer) for layer in layers]
    # Convolutions with channels last are the faster ones on CPUs (oneDNN).
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        activities = activity(net, inputs, places).values()
    found = {layer: shown.float() for layer, shown in zip(layers, activities, strict=True)}
    if "pooled" in sites:
        found["pooled"] = pool(found[pooled])
    return {site: np.ascontiguousarray(found[site].numpy()) for site in sites}


def _module_and_step(names: set[str], site: str) -> tuple[str, int]:
    numbered = _STEP.match(site)
    if site not in names and numbered is not None and numbered[1] in names:
        return numbered[1], int(numbered[2])
    return site, 0


def pool(activity: torch.Tensor) -> torch.Tensor:
    """Average (n, C, H, W) to at most 6 x 6; (n, units) stays as it is."""
    if activity.ndim == 2 or max(activity.shape[2:]) <= GRID:
        return activity
    return functional.adaptive_avg_pool2d(activity, GRID)
