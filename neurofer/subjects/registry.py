"""The registry of subjects: a file in this folder, a class, `@register("name")`, nothing more."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from neurofer.closure import note_source
from neurofer.errors import NeuroferError, unknown_choice
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.subjects.subject import Subject

Factory = TypeVar("Factory", bound=Callable[..., Subject])

_FOLDER = Path(__file__).resolve().parent
_DECORATOR = re.compile(r'^@register\(\s*"([^"]+)"\s*\)', re.MULTILINE)
_FACTORIES: dict[str, Callable[..., Subject]] = {}


def register(name: str) -> Callable[[Factory], Factory]:
    """Make a subclass of Subject, or a function that returns a Subject, known by a name.

    Write it as a literal, `@register("pixels")`, at the left margin: `list_subjects` finds names
    in the source, so that it imports neither the subject nor torch.
    """

    def decorate(factory: Factory) -> Factory:
        if name in _FACTORIES and _FACTORIES[name].__module__ != factory.__module__:
            raise ValueError(f"two subjects are registered as {name!r}")
        _FACTORIES[name] = factory
        note_source(factory.__module__)
        if isinstance(factory, type) and "name" not in vars(factory):
            factory.name = name  # type: ignore[attr-defined]
        return factory

    return decorate


@lru_cache(maxsize=1)
def _modules() -> dict[str, str]:
    """Return name -> module of every `@register` in this folder and below."""
    found: dict[str, str] = {}
    for file in sorted(_FOLDER.rglob("*.py")):
        relative = file.relative_to(_FOLDER).with_suffix("")
        module = ".".join(["neurofer.subjects", *relative.parts])
        for name in _DECORATOR.findall(file.read_text(encoding="utf-8")):
            if name in found:
                raise ValueError(f"{name!r} is registered in {found[name]} and in {module}")
            found[name] = module.removesuffix(".__init__")
    return found


def list_subjects() -> list[str]:
    """Return the names of all subjects, sorted; imports none of them."""
    return sorted({*_modules(), *_FACTORIES})


def subject_factory(name: str) -> Callable[..., Subject]:
    """Return what makes a subject, mostly its class; the errors are those of `load_subject`."""
    if name not in _FACTORIES:
        if name not in _modules():
            raise unknown_choice("subject", name, list_subjects())
        import_module(_modules()[name])
    return _FACTORIES[name]


def subject_source(name: str) -> Callable[..., Subject] | str:
    """Return what makes a subject: a module of this package, not imported, or a user's own class.

    Raises:
        NeuroferError: the name is unknown; the message lists the choices.
    """
    if name in _modules():
        return _modules()[name]
    return subject_factory(name)


def load_subject(name: str, *, training: StimulusSet | None = None, **options: Any) -> Subject:
    """Make a subject.

    Args:
        name: one of `list_subjects()`.
        training: the stimuli that it learns from; None for a subject that needs none.
        options: of this subject; its `defaults` say which.

    Raises:
        NeuroferError: the name or an option is unknown (the message lists the choices), or the
            subject needs training stimuli or weights that it was not given.

    >>> subject = load_subject("pixels")
    >>> list(subject.sites)
    ['pixels']
    >>> load_subject("pixel")
    Traceback (most recent call last):
    ...
    neurofer.errors.NeuroferError: ...
    """
    subject = subject_factory(name)(training=training, **options)
    if not isinstance(subject, Subject):
        raise NeuroferError(f"{name!r} is registered but makes a {type(subject).__name__}")
    return subject
