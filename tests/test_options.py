from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.options import (
    Option,
    Resamples,
    Seed,
    above,
    at_least,
    check_options,
    checked,
    like,
    options_of,
    within,
)

if TYPE_CHECKING:
    from elsewhere import Unknown

Several = Literal[0] | Annotated[int, at_least(2)]


def run(
    recording: Any,
    site: str | None = None,
    *,
    folds: Annotated[int, at_least(2)] = 5,
    several: Several = 5,
    gain: float = 1.0,
    seen: int = 0,
    share: Annotated[float, above(0, below=1)] = 0.5,
    names: Sequence[str] = (),
    counts: Sequence[Annotated[int, at_least(1)]] | None = None,
    window: tuple[float, float] | None = None,
    bins: Sequence[tuple[int, int]] = (),
    kind: Literal["one", "other"] = "one",
    level: Literal[1, 2, "all"] = 1,
    flag: bool = True,
    where: Mapping[str, Annotated[int, within(0, 9)]] | None = None,
    path: str | os.PathLike[str] = "",
    seed: Seed = 0,
    unknown: Unknown | None = None,
    bare=None,
) -> None:
    """An example."""


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("folds", 20.0, 20),
        ("folds", np.int64(3), 3),
        ("folds", np.float32(4), 4),
        ("several", 0, 0),
        ("several", 2.0, 2),
        ("share", 0.25, 0.25),
        ("site", np.str_("a"), "a"),
        ("site", None, None),
        ("names", ["a", "b"], ["a", "b"]),
        ("names", np.array(["a"]), ("a",)),
        ("names", (), ()),
        ("counts", (1.0, 2), (1, 2)),
        ("counts", range(1, 3), (1, 2)),
        ("window", [0, 10.5], [0.0, 10.5]),
        ("bins", [(0, 10.0)], [(0, 10)]),
        ("level", 1.0, 1),
        ("level", "all", "all"),
        ("flag", np.bool_(False), False),
        ("where", {"a": 3.0}, {"a": 3}),
        ("path", Path("x"), Path("x")),
        ("seed", 2**32 - 1, 2**32 - 1),
        ("unknown", "anything", "anything"),
        ("bare", 3, 3),
    ],
)
def test_what_is_meant_is_read(name: str, given: Any, read: Any) -> None:
    found = check_options(run, {name: given})[name]
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("folds", 1, "folds=1: give a whole number, at least 2"),
        ("folds", "20", "folds='20': give a whole number"),
        ("folds", True, "folds=True: give a whole number"),
        ("folds", None, "folds=None: give a whole number"),
        ("folds", 1.5, r"folds=1\.5: give a whole number"),
        ("folds", float("inf"), "folds=inf: give a whole number"),
        ("folds", np.array([3]), r"folds=array\(\[3\]\): give a whole number"),
        ("folds", 3 + 0j, "folds="),
        ("gain", True, "gain=True: give a number"),
        ("gain", np.bool_(True), "gain=.*: give a number"),
        ("seen", False, "seen=False: give a whole number"),
        ("several", 1, "several=1: give 0 or a whole number, at least 2"),
        ("several", False, "several=False: give 0 or"),
        ("share", 1, "share=1: give a number, between 0 and 1"),
        ("share", float("nan"), "share=nan: give a number"),
        ("share", "0.5", "share='0.5': give a number"),
        ("site", 3, "site=3: give a text or None"),
        ("names", "a", "names='a': give a list of texts"),
        ("names", None, "names=None: give a list of texts"),
        ("names", ["a", 3], r"names=\['a', 3\]: give a list of texts"),
        ("names", {"a": 1}, "names="),
        ("counts", [0], r"counts=\[0\]: give a list of whole numbers, at least 1 or None"),
        ("window", [0], r"window=\[0\]: give 2 values: a number, a number or None"),
        ("window", 3, "window=3: give 2 values"),
        ("bins", [(0, 1, 2)], "bins="),
        ("kind", "oter", "kind='oter' is unknown; choose from one, other; did you mean 'other'"),
        ("kind", None, "kind=None is unknown; choose from one, other"),
        ("kind", ["one"], r"kind=\['one'\] is unknown"),
        ("level", True, "level=True is unknown; choose from 1, 2, all"),
        ("level", "1", "level='1' is unknown"),
        ("flag", 1, "flag=1: give true or false"),
        ("flag", "no", "flag='no': give true or false"),
        ("where", ["a"], r"where=\['a'\]: give a mapping or None"),
        ("where", {"a": 10}, r"where=\{'a': 10\}: give a mapping"),
        ("path", 3, "path=3: give a text or a path"),
        ("seed", -1, "seed=-1: give a whole number, from 0 to 4294967295"),
        ("seed", 2**70, "seed=1180591620717411303424: give"),
        ("fold", 3, "option='fold' is not in analysis 'x'; it has .*did you mean 'folds'"),
        ("recording", 3, "option='recording' is not in analysis 'x'"),
    ],
)
def test_what_is_not_allowed_is_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(NeuroferError, match=message) as caught:
        check_options(run, {name: value}, "analysis 'x'")
    assert "analysis 'x'" in str(caught.value)


def test_long_values_are_cut() -> None:
    with pytest.raises(NeuroferError) as caught:
        check_options(run, {"folds": "x" * 10_000})
    assert len(str(caught.value)) < 200


def test_options_are_described_from_the_signature() -> None:
    found = options_of(run, skip=1)
    assert list(found)[:2] == ["site", "folds"]
    assert found["folds"].default == 5
    assert found["kind"].allowed == "one of one, other"
    assert found["unknown"].allowed == found["bare"].allowed == ""


def test_a_function_is_checked_however_it_is_called() -> None:
    @checked
    def draw(n: Resamples, *rest: int, seed: Seed = 0, **more: int) -> tuple[Any, ...]:
        """Draw."""
        return n, rest, seed, more

    assert draw(3.0, 7, seed=2.0, other=1) == (3, (7,), 2, {"other": 1})
    assert draw(n=5) == (5, (), 0, {})
    for wrong in ({"n": 0}, {"n": 1, "seed": -1}):
        with pytest.raises(NeuroferError, match="give a whole number"):
            draw(**wrong)
    with pytest.raises(TypeError):
        draw()
    assert draw.__doc__ == "Draw."
    assert options_of(draw)["seed"].allowed == "a whole number, from 0 to 4294967295"


@pytest.mark.parametrize(
    ("default", "good", "bad"),
    [
        (3, 4.0, "4"),
        (0.5, 1, "1"),
        (True, False, 1),
        ("a", Path("b"), 3),
        ("", "b", None),
        (None, object(), ...),
        ((1, 2), "anything", ...),
    ],
)
def test_a_default_says_what_is_meant(default: Any, good: Any, bad: Any) -> None:
    option = like("x", default)
    assert isinstance(option, Option)
    option.read(good)
    if bad is not ...:
        with pytest.raises(NeuroferError, match="x="):
            option.read(bad)


def test_without_a_place_choices_are_listed() -> None:
    with pytest.raises(NeuroferError, match="x='d' is unknown; choose from a, b"):
        Option("x", Literal["a", "b"]).read("d")
