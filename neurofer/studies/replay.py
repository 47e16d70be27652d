"""A result is made again from what it says of its making (see `origin`), and compared."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofer.errors import NeuroferError
from neurofer.schema import validated
from neurofer.studies.bench import Bench
from neurofer.studies.cell import plan_cells
from neurofer.studies.checks import check_names
from neurofer.studies.origin import DECIDED, RECIPE
from neurofer.studies.results import read_result
from neurofer.studies.study import Study

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Replay:
    """A result beside what came when it was made again.

    Attributes:
        result: as it was made now.
        differs: what differs in the values, in words, by variable or coordinate; empty where every
            value is the same.
        changed: what decided the two and is not the same: "versions.numpy: 1.26 before, 2.0 now".
    """

    result: xr.Dataset
    differs: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


def replay(path: str | os.PathLike[str]) -> Replay:
    """Make a result again from its file alone, and compare.

    Stimuli are rendered or read, the subject is made and recorded and the analysis run anew, in a
    cache of its own. The stimuli's folder, the recording or the weights that it names must be
    where they were.

    Args:
        path: a result as a study writes it, `results/*.nc`.

    Raises:
        NeuroferError: the file is not a result of a study, or it cannot be made again.

    >>> replay("nothing.nc")
    Traceback (most recent call last):
    neurofer.errors.NeuroferError: there is no result at nothing.nc
    """
    before = read_result(Path(path))
    if RECIPE not in before.attrs:
        raise NeuroferError(
            f"{path} does not say how it was made; only results that a study wrote do"
        )
    study = validated(Study, json.loads(before.attrs[RECIPE]), f"the recipe in {path}")
    check_names(study)
    with tempfile.TemporaryDirectory(prefix="neurofer-replay-") as folder:
        outcome = Bench(study, Path(folder)).work(plan_cells(study)[0])
        if outcome.failures:
            raise NeuroferError("; ".join(f"{f.place}: {f.message}" for f in outcome.failures))
        now = read_result(next(iter(outcome.results.values())))
    return Replay(now, differences(before, now), tuple(_changed(before, now)))


def differences(before: xr.Dataset, now: xr.Dataset) -> dict[str, str]:
    """Return by variable or coordinate how two results differ, in words; NaN equals NaN."""
    found: dict[str, str] = {}
    names = dict.fromkeys([*map(str, before.variables), *map(str, now.variables)])
    for name in names:
        if name not in before.variables or name not in now.variables:
            found[name] = "only before" if name in before.variables else "only now"
            continue
        one, two = before[name].to_numpy(), now[name].to_numpy()
        if one.shape != two.shape:
            found[name] = f"shape {one.shape} before, {two.shape} now"
        elif one.dtype.kind in "fc":
            same = (one == two) | (np.isnan(one) & np.isnan(two))
            if not same.all():
                apart = np.abs(one - two)[~same]
                largest = apart[np.isfinite(apart)].max(initial=0)
                found[name] = f"{(~same).sum()} of {same.size} values"
                found[name] += f", by up to {largest:.3g}" if largest else ", finite in one only"
        elif not (one == two).all():
            found[name] = f"{(one != two).sum()} of {one.size} entries"
    return found


def _changed(before: xr.Dataset, now: xr.Dataset) -> list[str]:
    was, is_ = (_flat(json.loads(one.attrs[DECIDED])) for one in (before, now))
    names = dict.fromkeys([*was, *is_])
    said = [(name, was.get(name, "nothing"), is_.get(name, "nothing")) for name in names]
    return [f"{name}: {one} before, {two} now" for name, one, two in said if one != two]


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = str(value)
    return flat
