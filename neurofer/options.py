"""Options, checked against the annotations of the function that takes them.

The bounds of an option stand once, in the signature, and are read from there by the check and by
whoever lists options:

    def run(recording, *, n_bootstrap: Annotated[int, within(1, 10**6)] = 2000,
            decoder: Literal["ridge", "lda"] = "ridge") -> xr.Dataset: ...
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from neurofer.errors import NeuroferError, check_choice, unknown_choice

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Bounds:
    """Where a number lies: `low` to `high`, which are allowed themselves unless `open`."""

    low: float = -math.inf
    high: float = math.inf
    open: bool = False

    def hold(self, value: float) -> bool:
        """Return whether a value lies there."""
        if self.open:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'above' if self.open else 'at least'} {self.low}"
        if self.low == -math.inf:
            return f"{'below' if self.open else 'at most'} {self.high}"
        return (
            f"{'between' if self.open else 'from'} {self.low} {'and' if self.open else 'to'} "
            + (str(self.high))
        )


def at_least(low: float) -> Bounds:
    """Return the bounds of numbers from `low` on."""
    return Bounds(low)


def at_most(high: float) -> Bounds:
    """Return the bounds of numbers up to `high`."""
    return Bounds(high=high)


def within(low: float, high: float) -> Bounds:
    """Return the bounds of numbers from `low` to `high`, both allowed."""
    return Bounds(low, high)


def above(low: float, below: float = math.inf) -> Bounds:
    """Return the bounds of numbers above `low` and, where given, below another; neither allowed."""
    return Bounds(low, below, open=True)


@dataclass(frozen=True)
class Different:
    """Of a list: it has an entry, and none twice."""

    def hold(self, value: Sequence[Any]) -> bool:
        """Return whether it is so."""
        return 0 < len(value) == len(set(value))

    def __str__(self) -> str:
        return "all different, one or more"


MOST_RESAMPLES = 10**6
_NOTES = (Bounds, Different)
Resamples = Annotated[int, within(1, MOST_RESAMPLES)]
Seed = Annotated[int, within(0, 2**32 - 1)]


@dataclass(frozen=True)
class Option:
    """An option of a function: its annotation (Any where there is none) and its default."""

    name: str
    annotation: Any
    default: Any = inspect.Parameter.empty

    @property
    def allowed(self) -> str:
        """What may be given, in words; "" where anything may."""
        return _described(self.annotation)

    def read(self, value: Any, where: str = "") -> Any:
        """Return a value as its annotation has it: 20.0 as 20 where whole numbers are meant.

        Raises:
            NeuroferError: names the option, the value and what is allowed.
        """
        try:
            return _read(value, self.annotation)
        except _NotAllowedError:
            raise _refused(self.name, value, self.annotation, where) from None


def options_of(function: Callable[..., Any], skip: int = 0) -> dict[str, Option]:
    """Return the options of a function by name, without its first `skip` parameters.

    >>> def run(recording, *, folds: Annotated[int, at_least(2)] = 5): ...
    >>> options_of(run, skip=1)["folds"].allowed
    'a whole number, at least 2'
    """
    return {option.name: option for option in _options(function)[skip:]}


def check_options(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    where: str = "",
    *,
    skip: int = 1,
    what: str = "option",
) -> dict[str, Any]:
    """Return options as the annotations of a function have them.

    Args:
        function: that takes the options, after `skip` parameters that are none.
        given: name -> value.
        where: whose options they are, for messages: "analysis 'rsa'".
        skip: how many parameters of the function are not options.
        what: they are called.

    Raises:
        NeuroferError: the function has no such option (the message lists what it has), or a value
            is not allowed.
    """
    known = options_of(function, skip)
    for name in given:
        check_choice(what, name, known, where)
    return {name: known[name].read(value, where) for name, value in given.items()}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Check what a function is called with against its annotations, before it runs.

    >>> @checked
    ... def draw(seed: Seed = 0) -> int:
    ...     return seed
    >>> draw(seed=3.0)
    3
    >>> draw(seed=-1)
    Traceback (most recent call last):
    neurofer.errors.NeuroferError: seed=-1: give a whole number, from 0 to 4294967295
    """
    run: Callable[..., R] = function

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        known = _options(function)
        read = [option.read(value) for option, value in zip(known, args, strict=False)]
        rest = args[len(read) :]
        by_name = {option.name: option for option in known}
        named = {
            name: by_name[name].read(value) if name in by_name else value
            for name, value in kwargs.items()
        }
        return run(*read, *rest, **named)

    return call


def like(name: str, default: Any) -> Option:
    """Return the option that a default stands for: of its kind, where that is a plain one."""
    if isinstance(default, str):
        return Option(name, str | os.PathLike[str], default)
    return Option(name, type(default) if type(default) in (bool, int, float) else Any, default)


class _NotAllowedError(Exception):
    """A value is not what an annotation says."""


@lru_cache(maxsize=256)
def _options(function: Callable[..., Any]) -> tuple[Option, ...]:
    plain = inspect.unwrap(function)
    return tuple(
        Option(parameter.name, _annotation(parameter.annotation, plain), parameter.default)
        for parameter in inspect.signature(plain).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )


def _annotation(annotation: Any, function: Callable[..., Any]) -> Any:
    """Return an annotation, evaluated; Any where there is none or it names what is not imported."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    maker = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    names = getattr(maker, "__globals__", {})
    try:
        return eval(annotation, names)  # noqa: S307  (the source of the function itself)
    except (NameError, AttributeError, TypeError):
        return Any


def _read(value: Any, annotation: Any) -> Any:
    """Return a value as an annotation has it, or raise _NotAllowedError."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        made = _read(value, arguments[0])
        if not all(one.hold(made) for one in arguments[1:] if isinstance(one, _NOTES)):
            raise _NotAllowedError
        return made
    if origin in (typing.Union, types.UnionType):
        return _read_any(value, arguments)
    if origin is Literal:
        return _read_choice(value, arguments)
    if annotation in _PLAIN:
        return _PLAIN[annotation](value)
    if isinstance(origin, type):
        if issubclass(origin, Mapping):
            return _read_mapping(value, arguments)
        if issubclass(origin, Sequence):
            return _read_list(value, arguments, fixed=origin is tuple)
        if issubclass(origin, os.PathLike):
            return _of(value, os.PathLike)
    return value


def _read_any(value: Any, members: tuple[Any, ...]) -> Any:
    for member in members:
        try:
            return _read(value, member)
        except _NotAllowedError:
            continue
    raise _NotAllowedError


def _read_choice(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        # True is not 1, though they are equal.
        if isinstance(value, bool) == isinstance(choice, bool) and _is(value, choice):
            return choice
    raise _NotAllowedError


def _is(value: Any, choice: Any) -> bool:
    return isinstance(value, (str, numbers.Real, bool, type(None))) and value == choice


def _read_mapping(value: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    held = arguments[1] if len(arguments) > 1 else Any
    return {key: _read(one, held) for key, one in _of(value, Mapping).items()}


def _read_list(value: Any, arguments: tuple[Any, ...], fixed: bool) -> Any:
    one_text = isinstance(value, (str, bytes, Mapping))
    if one_text or not isinstance(value, Iterable) or getattr(value, "ndim", 1) != 1:
        raise _NotAllowedError
    values = list(value)
    if fixed and arguments and arguments[-1] is not Ellipsis:
        if len(values) != len(arguments):
            raise _NotAllowedError
        held = list(arguments)
    else:
        held = [arguments[0] if arguments else Any] * len(values)
    made = [_read(one, kind) for one, kind in zip(values, held, strict=True)]
    return made if isinstance(value, list) else tuple(made)


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise _NotAllowedError
    return value


def _truth(value: Any) -> bool:
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):  # numpy's as well
        return bool(value)
    raise _NotAllowedError


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _NotAllowedError
    if not math.isfinite(value):
        raise _NotAllowedError
    return float(value)


def _whole(value: Any) -> int:
    if not isinstance(value, bool) and isinstance(value, numbers.Integral):
        return int(value)
    number = _number(value)
    if not number.is_integer():
        raise _NotAllowedError
    return int(number)


def _text(value: Any) -> str:
    return str(_of(value, str))


def _none(value: Any) -> None:
    if value is not None:
        raise _NotAllowedError


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    bool: _truth,
    int: _whole,
    float: _number,
    str: _text,
    None: _none,
    type(None): _none,
    Path: lambda value: _of(value, Path),
}


def _refused(name: str, value: Any, annotation: Any, where: str) -> NeuroferError:
    if typing.get_origin(annotation) is Literal:
        said = str(unknown_choice(name, value, typing.get_args(annotation)))
    else:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        said = f"{name}={shown}: give {_described(annotation)}"
    return NeuroferError(f"{where}: {said}" if where else said)


def _described(annotation: Any) -> str:
    """Return what an annotation allows, in words; "" for anything."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        notes = [str(one) for one in arguments[1:] if isinstance(one, _NOTES)]
        return ", ".join([_described(arguments[0]), *notes])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(filter(None, map(_described, arguments)))
    if origin is Literal:
        words = ", ".join(map(str, arguments))
        return f"one of {words}" if len(arguments) > 1 else words
    if annotation in _WORDS:
        return _WORDS[annotation]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            return f"{len(arguments)} values: {', '.join(map(_described, arguments))}"
        return f"a list of {_plural(arguments[0])}" if arguments else "a list"
    if isinstance(origin, type) and issubclass(origin, os.PathLike):
        return "a path"
    return ""


def _plural(annotation: Any) -> str:
    if typing.get_origin(annotation) is Annotated:
        held, *notes = typing.get_args(annotation)
        return ", ".join([_plural(held), *(str(one) for one in notes if isinstance(one, _NOTES))])
    words = _described(annotation)
    if annotation in (str, int, float):
        return words.removeprefix("a ") + "s"
    return f"entries, each {words}" if words else "entries"


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    None: "None",
    type(None): "None",
    Path: "a path",
}
