"""The processes of a training run: one, or as many as `torchrun` started, and their device.

Every process holds the same network and sees its share of each batch; gradients, and the
statistics of batch normalisation, are averaged over all, so that several processes take the same
steps as one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from neurofer.errors import NeuroferError, unknown_choice

DEVICES = ("auto", "cpu", "cuda")
_FEW = 8  # input channels, see `spoils_memory`


@dataclass(frozen=True)
class World:
    """One process of `size`, number `rank`, that computes on `device`."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return the part of a batch of `count` that this process sees.

        Raises:
            NeuroferError: the batch cannot be divided evenly.
        """
        if count % self.size:
            raise NeuroferError(
                f"a batch of {count} cannot be divided among {self.size} processes; choose a "
                "batch_size that is a multiple"
            )
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, in one exchange."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def any(self, flag: bool) -> bool:
        """Return whether the flag is up in any process, so that all stop at the same step."""
        if self.size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(flags)
        return bool(flags.item() > 0)

    def mean(self, value: torch.Tensor) -> float:
        """Return the mean of a number over the processes."""
        if self.size == 1:
            return value.item()
        total = value.detach().double().clone()
        distributed.all_reduce(total)
        return total.item() / self.size

    def agreed(self, value: float) -> float:
        """Return the first process's value in all, so that all decide alike."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.broadcast(told, 0)
        return float(told.item())

    def gather(self, values: torch.Tensor) -> torch.Tensor:
        """Join the rows (n, ...) of all processes, in the order of ranks; gradients flow back."""
        if self.size == 1:
            return values
        joined_rows: torch.Tensor = _Join.apply(values, self.rank, self.size)
        return joined_rows


def sent(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on a device; a GPU goes on with its work meanwhile.

    A plain copy would wait for all that the GPU was told to do before.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def channels_last(net: nn.Module) -> nn.Module:
    """Lay a network's kernels out with channels last, with which convolutions are quicker.

    Not so where `spoils_memory` says that torch would write beyond its arrays.
    """
    if spoils_memory(net):
        return net
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def spoils_memory(net: nn.Module) -> bool:
    """Return whether channels last is unsafe for a network on the CPU.

    torch 2.13.0 corrupts the heap there in the backward pass of 1 x 1 convolutions of stride 2 or
    more with eight or fewer input channels.
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
        and layer.in_channels <= _FEW
        for layer in net.modules()
    )


@contextmanager
def joined(device: str = "auto") -> Iterator[World]:
    """Yield this process's place among those of `torchrun`, or a world of one.

    Args:
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        NeuroferError: an unknown device, or CUDA where there is none.
    """
    if device not in DEVICES:
        raise unknown_choice("device", device, DEVICES)
    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise NeuroferError("device='cuda', but torch finds no CUDA device; choose 'cpu' or 'auto'")
    on_cuda = cuda and device != "cpu"
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local) if on_cuda else torch.device("cpu")
    if on_cuda:
        torch.cuda.set_device(place)
    if size == 1:
        yield World(device=place)
        return
    distributed.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield World(distributed.get_rank(), size, place)
    finally:
        distributed.destroy_process_group()


@contextmanager
def torch_settings(threads: int | None, world: World) -> Iterator[None]:
    """Set threads; ask for deterministic kernels on the CPU, the fastest on CUDA; put all back."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    tried = torch.backends.cudnn.benchmark
    torch.set_num_threads(threads or before[0])
    torch.use_deterministic_algorithms(world.device.type == "cpu")
    torch.backends.cudnn.benchmark = world.device.type == "cuda"  # batches are all of one shape
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = tried


def share_statistics(net: nn.Module, world: World) -> None:
    """Let every batch normalisation of a network see the batches of all processes, in place.

    torch's own SyncBatchNorm does the same on CUDA only.
    """
    if world.size == 1:
        return
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.forward = _SharedStatistics(module)  # type: ignore[method-assign, assignment]


class _SharedStatistics:
    """The forward pass of a batch normalisation over all processes (Ioffe and Szegedy 2015)."""

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        self.norm = norm

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if not norm.training:
            return type(norm).forward(norm, values)
        axes = [axis for axis in range(values.ndim) if axis != 1]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        wide = values if values.dtype == torch.float64 else values.float()
        count = values.numel() / values.shape[1] * distributed.get_world_size()
        mean = _Sum.apply(wide.sum(axes)) / count
        centred = wide - mean.view(shape)
        variance = _Sum.apply((centred * centred).sum(axes)) / count
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
            norm.running_mean.lerp_(mean, norm.momentum or 0.1)
            norm.running_var.lerp_(variance * count / (count - 1), norm.momentum or 0.1)
        scaled = centred * (variance + norm.eps).rsqrt().view(shape)
        return (scaled * norm.weight.view(shape) + norm.bias.view(shape)).to(values.dtype)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over the processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class _Join(torch.autograd.Function):
    """The rows of all processes; a process gets the gradients that all of them have for its own.

    They are summed: `average_gradients` divides by the number of processes later.
    """

    @staticmethod
    def forward(context: Any, values: torch.Tensor, rank: int, size: int) -> torch.Tensor:
        context.rows = slice(rank * len(values), (rank + 1) * len(values))
        parts = [torch.empty_like(values) for _ in range(size)]
        distributed.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # type: ignore[override]
        total = gradient.clone()
        distributed.all_reduce(total)
        return total[context.rows], None, None
