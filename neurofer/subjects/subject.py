"""The base class of all subjects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from neurofer.closure import note_source
from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.files import content_hash
from neurofer.options import Option, Seed, like
from neurofer.recording.layout import presentation_coords
from neurofer.recording.record import check_sites, record
from neurofer.recording.sites import Batch, Site, all_sites
from neurofer.recording.steps import Timing, record_steps
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.facts import Facts


class Subject(ABC):
    """A model that is treated as an experimental subject.

    A subclass states `name`, `defaults` (its options and their default values), `choices` (the
    values that an option may have, where it is a choice) and `allowed` (an annotation, such as
    `Annotated[int, at_least(1)]`, where its default does not say what an option may be), sets
    `self.sites` and `self.default_sites` in its constructor, and implements `respond`. If it has
    weights it
    overrides `weights_hash`. If it is recurrent it states in `times` when a region responds whose
    sites are its steps: start of the first and length of each in ms, and their number. Options
    that only say where weights come from, which `weights_hash` stands for, are `hashed_otherwise`.

    It follows Brain-Score's BrainModel interface structurally: `identifier`, `visual_degrees`,
    `start_recording`, `start_task`, `look_at`.

    Attributes:
        options: every option with its value; printed with every result.
        sites: all recordable sites by name.
        default_sites: those that are recorded when none is named.
        training: the stimuli that it was trained on, None for an untrained one.
        training_images: their `image_sha256`.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {}
    allowed: ClassVar[Mapping[str, Any]] = {"seed": Seed}
    times: ClassVar[Mapping[str, Timing]] = {}
    hashed_otherwise: ClassVar[tuple[str, ...]] = ()

    sites: Mapping[str, Site]
    default_sites: tuple[str, ...]

    def __init__(self, training: StimulusSet | None = None, **options: Any) -> None:
        """Check and keep options and training stimuli.

        Raises:
            NeuroferError: an option or its value is unknown; the message names the choices.
        """
        self.training = training
        self.options: dict[str, Any] = self._resolve(options)
        self.training_images: frozenset[str] = frozenset(
            [] if training is None else training.table["image_sha256"]
        )
        self._target: tuple[str, ...] | None = None
        self._time_bins: list[tuple[int, int]] | None = None
        self._timing: Timing | None = None
        self._task: str | None = None
        self._labels: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Note the state of the source as it is imported, for the keys of caches."""
        super().__init_subclass__(**options)
        note_source(cls.__module__)

    @abstractmethod
    def respond(self, batch: Batch, sites: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the response of every named site, (n, ...) float32, from one forward pass."""

    @classmethod
    def facts(cls) -> Facts:
        """Return what is known of a subject of this kind before it is made; needs no weights."""
        return Facts()

    @classmethod
    def shapes(cls) -> Mapping[str, tuple[int, ...]] | None:
        """Return the shape of the response to one image at every site of `facts`, None if unknown.

        It needs no weights.
        """
        return None

    @property
    def weights_hash(self) -> str:
        """A hash of the weights and the preprocessing; "" for a subject that has none."""
        return ""

    @property
    def identifier(self) -> str:
        """The name and a hash of weights, options, preprocessing and training stimuli."""
        training = None if self.training is None else self.training.content
        options = {k: v for k, v in self.options.items() if k not in self.hashed_otherwise}
        digest = content_hash(self.name, options, self.weights_hash, training)
        return f"{self.name}-{digest[:8]}"

    @property
    def regions(self) -> dict[str, tuple[str, ...]]:
        """The sites of every Brain-Score region."""
        found: dict[str, tuple[str, ...]] = {}
        for site in self.sites.values():
            if site.region is not None:
                found[site.region] = (*found.get(site.region, ()), site.name)
        return found

    def visual_degrees(self) -> int:
        """Return the width of the visual field in degrees (Brain-Score scales images to it)."""
        return 8

    def check_sites(self, sites: Sequence[str] | None) -> tuple[str, ...]:
        """Return the names of sites (None: the default ones), or raise a NeuroferError."""
        return check_sites(self, sites)

    def start_recording(
        self, target: str | Sequence[str], time_bins: Sequence[tuple[int, int]] | None = None
    ) -> None:
        """Choose what `look_at` returns.

        Args:
            target: a Brain-Score region, a site or several sites.
            time_bins: (start, end) in ms, or None. In a region with `times` the nearest step
                answers in each; anything else responds at once and for ever, the same in every bin.

        Raises:
            NeuroferError: the target is neither a region nor a site of this subject.
        """
        regions = self.regions
        if not isinstance(target, str):
            self._target = self.check_sites(target)
        elif target in regions:
            self._target = regions[target]
        elif target in all_sites(self):
            self._target = (target,)
        else:
            where = f"subject {self.name!r}"
            raise unknown_choice("recording target", target, [*regions, *self.sites], where)
        self._time_bins = None if time_bins is None else [(int(a), int(b)) for a, b in time_bins]
        timed = time_bins is not None and isinstance(target, str) and target in regions
        self._timing = self.times.get(str(target)) if timed else None
        self._task = None

    def start_task(self, task: str, fitting_stimuli: Any = None) -> None:
        """Choose what `look_at` does: "passive" viewing, or "label" with a list of expressions.

        Raises:
            NeuroferError: another task, or labels that the subject cannot give.
        """
        if task not in ("passive", "label"):
            raise unknown_choice("task", task, ("passive", "label"), f"subject {self.name!r}")
        if task == "label":
            self._labels = self._answers(fitting_stimuli)
        self._task = task

    def look_at(self, stimuli: StimulusSet, number_of_trials: int = 1) -> xr.DataArray | None:
        """Show stimuli; return what `start_recording` or `start_task` asked for.

        That is a recording; in the task "label" an array presentation x choice (1) of
        expressions; in the task "passive" None. The subject is noiseless: `number_of_trials`
        does not change the average that is returned. Brain-Score's stimuli are shown through
        `neurofer.brainscore.as_brain_model`.

        Raises:
            NeuroferError: nothing was started before.
        """
        if not isinstance(stimuli, StimulusSet):
            raise NeuroferError(
                f"stimuli is a {type(stimuli).__name__}, not a neurofer StimulusSet; for stimuli "
                "of Brain-Score use neurofer.brainscore.as_brain_model(subject)"
            )
        if number_of_trials < 1:
            raise NeuroferError(f"number_of_trials={number_of_trials}; it is at least 1")
        if self._task == "passive":
            return None
        if self._task == "label":
            return self._label(stimuli)
        if self._target is None:
            raise NeuroferError(
                f"subject {self.name!r} was asked to look before start_recording(target) or "
                "start_task(task); call one of them first, or use neurofer.record"
            )
        if self._timing is not None:
            return record_steps(self, stimuli, self._target, self._timing, self._time_bins)
        return record(self, stimuli, sites=self._target, time_bins=self._time_bins)

    def _label(self, stimuli: StimulusSet) -> xr.DataArray:
        decision = record(self, stimuli, sites=["decision"])
        units = decision["unit"].to_numpy().tolist()
        columns = [units.index(label) for label in self._labels]
        activity = np.nan_to_num(decision.to_numpy()[:, columns], nan=-np.inf)
        answers = activity.argmax(axis=1)
        return xr.DataArray(
            np.asarray(self._labels, dtype=object)[answers][:, np.newaxis],
            coords=presentation_coords(stimuli.table, self.training_images),
            dims=("presentation", "choice"),
        )

    def _answers(self, labels: Any) -> tuple[str, ...]:
        known = self.sites["decision"].labels if "decision" in self.sites else None
        if known is None:
            raise NeuroferError(
                f"subject {self.name!r} has no site 'decision' with labels, so it cannot label; "
                "record its features and decode them instead"
            )
        if isinstance(labels, str) or not isinstance(labels, Sequence) or not len(labels):
            raise NeuroferError(
                f"labels={labels!r}; give a list of expressions out of {', '.join(known)}"
            )
        for label in labels:
            if label not in known:
                raise unknown_choice("label", label, known, f"subject {self.name!r}")
        return tuple(labels)

    def _resolve(self, options: Mapping[str, Any]) -> dict[str, Any]:
        where = f"subject {self.name!r}"
        for name in options:
            check_choice("option", name, self.defaults, where)
        known = {name: self._option(name) for name in options}
        read = {name: known[name].read(value, where) for name, value in options.items()}
        return {**self.defaults, **read}

    def _option(self, name: str) -> Option:
        default = self.defaults[name]
        if name in self.choices:
            return Option(name, Literal[tuple(self.choices[name])], default)
        if name in self.allowed:
            return Option(name, self.allowed[name], default)
        return like(name, default)
