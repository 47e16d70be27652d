"""Random numbers that are the same on every platform and with every version of numpy.

numpy's `Generator` may change its streams between versions; SplitMix64 is ten lines of integer
arithmetic (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)

T = TypeVar("T")


def _scramble(value: int) -> int:
    value = ((value ^ (value >> 30)) * _FACTORS[0]) & _MASK
    value = ((value ^ (value >> 27)) * _FACTORS[1]) & _MASK
    return value ^ (value >> 31)


class Random:
    """A stream of random numbers, named by integers and strings.

    >>> Random(1, "human").uniform() == Random(1, "human").uniform()
    True
    >>> Random(1, "human").uniform() == Random(1, "monkey").uniform()
    False
    """

    def __init__(self, *key: int | str) -> None:
        state = 0
        for part in key:
            data = part.encode() if isinstance(part, str) else str(int(part)).encode() + b"#"
            for byte in data:
                state = _scramble(((state ^ byte) + _STEP) & _MASK)
        self._state = state

    def integer(self, below: int) -> int:
        """Return an integer in [0, below); the bias is under below / 2**64."""
        self._state = (self._state + _STEP) & _MASK
        return (_scramble(self._state) * below) >> 64

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high), a multiple of 2**-53 before scaling."""
        return low + (high - low) * (self.integer(1 << 53) / float(1 << 53))

    def choice(self, values: Sequence[T]) -> T:
        """Return one of the values."""
        return values[self.integer(len(values))]

    def sample(self, values: Sequence[T], count: int) -> list[T]:
        """Return `count` different values in random order (Fisher-Yates)."""
        pool = list(values)
        for position in range(count):
            other = position + self.integer(len(pool) - position)
            pool[position], pool[other] = pool[other], pool[position]
        return pool[:count]


def random_bytes(seed: int, count: int) -> np.ndarray:
    """Return `count` random bytes, (count,) uint8: the SplitMix64 stream of `seed`, top bits."""
    with np.errstate(over="ignore"):
        value = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(_FACTORS[0])
        value = (value ^ (value >> np.uint64(27))) * np.uint64(_FACTORS[1])
    return ((value ^ (value >> np.uint64(31))) >> np.uint64(56)).astype(np.uint8)
