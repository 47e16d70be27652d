"""YAML files whose every mistake is named: place, key, what is allowed, what may be meant."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from neurofer.errors import NeuroferError, unknown_choice


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which refuses a key given twice instead of dropping the first."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node)  # type: ignore[no-untyped-call]
        if isinstance(key, (list, dict)):
            continue
        if key in seen:
            line = key_node.start_mark.line + 1
            raise NeuroferError(f"line {line}: the key {key!r} is given twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        NeuroferError: the file cannot be read, is no YAML, has a key twice or holds no mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NeuroferError(f"{file} cannot be read: {error}") from None
    try:
        # Derived from SafeLoader: it makes plain values only.
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise NeuroferError(f"{file} is not valid YAML: {_first_lines(error)}") from None
    except NeuroferError as error:
        raise NeuroferError(f"{file}, {error}") from None
    if not isinstance(raw, dict):
        raise NeuroferError(f"{file} must hold a mapping of keys to values, not {_kind(raw)}")
    return raw


def validation_message(error: ValidationError, model: type[BaseModel]) -> str:
    """Return what is wrong, in one line a mistake: the place, the key, the allowed keys."""
    return "; ".join(_one_message(problem, model) for problem in error.errors())


def known(kind: str, value: str, choices: Any, where: str) -> None:
    """Raise unless the value is among the choices."""
    if value not in choices:
        raise unknown_choice(kind, value, choices, where)


def unique(place: str, names: list[str]) -> None:
    """Raise where a name is given twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise NeuroferError(f"{place} has {twice[0]!r} twice; give each a name of its own")


def _one_message(problem: Any, model: type[BaseModel]) -> str:
    location = tuple(problem["loc"])
    place = _place(location[:-1]) or "the top level"
    if problem["type"] == "extra_forbidden":
        holder = _model_at(model, location[:-1])
        return str(unknown_choice("key", str(location[-1]), holder.model_fields, place))
    if problem["type"] == "missing":
        return f"{place} lacks the key {location[-1]!r}"
    value = problem["input"]
    shown = repr(value) if not isinstance(value, (dict, list)) else _kind(value)
    return f"{_place(location)}={shown}: {problem['msg'].removeprefix('Value error, ')}"


def _place(location: tuple[Any, ...]) -> str:
    """Return a location as a person would write it: `analyses[2].options`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _model_at(model: type[BaseModel], location: tuple[Any, ...]) -> type[BaseModel]:
    """Follow a location through the fields of nested models, lists and mappings."""
    found: Any = model
    for part in location:
        if isinstance(found, type) and issubclass(found, BaseModel):
            found = found.model_fields[str(part)].annotation
        else:
            found = typing.get_args(found)[0 if isinstance(part, int) else 1]
        found = _without_none(found)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return found
    raise AssertionError(f"no model at {location}")


def _without_none(annotation: Any) -> Any:
    members = [item for item in typing.get_args(annotation) if item is not type(None)]
    optional = type(None) in typing.get_args(annotation)
    return members[0] if optional and len(members) == 1 else annotation


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else type(value).__name__


def _first_lines(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
