"""YAML files and the models that they are read into; every mistake is named with its place.

Cards of stimulus sets, recipes, studies and `--set KEY=VALUE` are all read here, and each into
models derived from `Strict`. Numbers, truth values and texts are those of YAML 1.2: `no` and `on`
are texts, `1e2` is a number, `1:30` is not one, and keys are always texts.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, LiteralString, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from neurofer.errors import NeuroferError, unknown_choice

MOST_BYTES = 4_000_000
MOST_VALUES = 100_000
"""A file larger than these, or grown beyond them by its aliases, was not written by hand."""

_MISTAKEN: LiteralString = "mistaken"
_TAG = "tag:yaml.org,2002:"
_NUMBER = r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_RESOLVERS = (
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", rf"{_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
)


class Strict(BaseModel):
    """A part of a YAML file: it does not change, and refuses what it does not know.

    Numbers are finite, and neither `true` nor a text is taken for one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _as_meant(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(given)
        for name in cls.model_fields if isinstance(given, Mapping) else ():
            for value, what in _mistaken(given.get(name), getattr(made, name)):
                said = {"key": name, "value": _shown(value), "what": what}
                raise PydanticCustomError(_MISTAKEN, "{key}={value}: is not {what}", said)
        return made


Model = TypeVar("Model", bound=BaseModel)


def load_yaml(file: Path | Traversable) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        NeuroferError: the file cannot be read, is not YAML in UTF-8, has a key twice or holds no
            mapping.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise NeuroferError(f"{file} cannot be read: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise NeuroferError(f"{file} has more than {MOST_BYTES} bytes, too many for such a file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise NeuroferError(
            f"{file} is not in UTF-8 (byte 0x{content[error.start]:02x} in line {line}): save it "
            "in that encoding"
        ) from None
    raw = read_yaml(text, str(file))
    if not isinstance(raw, dict):
        raise NeuroferError(f"{file} must hold a mapping of keys to values, not {_kind(raw)}")
    return raw


def read_yaml(text: str, where: str) -> Any:
    """Return what a text of YAML says; the errors are those of `load_yaml`.

    >>> read_yaml("{a: [1e2, no, 1:30], 1: true}", "here")
    {'a': [100.0, 'no', '1:30'], '1': True}
    """
    try:
        # Derived from SafeLoader: it makes plain values only.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise NeuroferError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise NeuroferError(f"{where} is nested too deeply") from None
    except NeuroferError as error:
        raise NeuroferError(f"{where}, {error}") from None


def read_settings(settings: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Return the values of `KEY=VALUE` texts, each value read as YAML.

    >>> read_settings(["identities=10", "views=[frontal, half-left]"])
    {'identities': 10, 'views': ['frontal', 'half-left']}

    Raises:
        NeuroferError: a text has no key, a value is not YAML, or a key is given twice.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip()
        if not equals or not key:
            raise NeuroferError(f"{option} {setting!r}: give KEY=VALUE, such as identities=10")
        if key in values:
            raise NeuroferError(f"{option} {setting!r}: the key {key!r} is given twice")
        values[key] = read_yaml(value, f"{option} {setting!r}")
    return values


def dump_yaml(content: Any) -> str:
    """Return plain values as YAML that `load_yaml` reads back as they were."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def validated(model: type[Model], content: Any, where: str) -> Model:
    """Return the content of a file as a model.

    Args:
        model: a class of models.
        content: what was read.
        where: names the file.

    Raises:
        NeuroferError: one sentence per mistake, each with its place, the key and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise NeuroferError(f"{where}: {validation_message(error, model)}") from None


def validation_message(error: ValidationError, model: type[BaseModel]) -> str:
    """Return what is wrong, in one sentence per mistake: the place, the key, what is allowed."""
    sentences = (_one_message(problem, model) for problem in error.errors(include_url=False))
    return "; ".join(dict.fromkeys(sentences))


def unique(place: str, names: list[str]) -> None:
    """Raise where a name is given twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise NeuroferError(f"{place} has {twice[0]!r} twice; give each a name of its own")


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which refuses what would be lost, changed or grown in silence."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", f"{_TAG}str"):
            raise NeuroferError(f"{_line(event)}: the tag {tag} is not read; leave it out")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for i, (key, value) in enumerate(node.value):
            if not isinstance(key, yaml.ScalarNode):
                raise NeuroferError(f"{_line(key)}: a key is a text, not a list or a mapping")
            if key.value in seen:
                raise NeuroferError(f"{_line(key)}: the key {key.value!r} is given twice")
            seen.add(key.value)
            if key.tag != f"{_TAG}merge":
                name = yaml.ScalarNode(f"{_TAG}str", key.value, key.start_mark, key.end_mark)
                node.value[i] = (name, value)
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            _grown(node, {})
        return node


def _grown(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return how many values a node holds with its aliases written out."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise NeuroferError(f"{_line(node)}: an alias stands within what it names")
        return sizes[id(node)]
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, yaml.MappingNode):
        size += sum(_grown(value, sizes) for _, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        size += sum(_grown(item, sizes) for item in node.value)
    if size > MOST_VALUES:
        raise NeuroferError(
            f"{_line(node)}: more than {MOST_VALUES} values, with what its aliases stand for"
        )
    sizes[id(node)] = size
    return size


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    try:
        return int(node.value)
    except ValueError:  # thousands of digits
        raise NeuroferError(f"{_line(node)}: {node.value[:20]}... is too long a number") from None


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    number = math.nan if node.value.lower().endswith(("nan", "inf")) else float(node.value)
    if not math.isfinite(number):
        raise NeuroferError(f"{_line(node)}: {node.value} is not a finite number")
    return number


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return bool(node.value.lower() == "true")


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would take for something else than a text."""


for _tag, _pattern, _first in _RESOLVERS:
    for _class in (_Loader, _Dumper):
        _compiled = re.compile(rf"^(?:{_pattern})$")
        _class.add_implicit_resolver(f"{_TAG}{_tag}", _compiled, list(_first))  # type: ignore[no-untyped-call]
_Loader.add_constructor(f"{_TAG}int", _whole)
_Loader.add_constructor(f"{_TAG}float", _number)
_Loader.add_constructor(f"{_TAG}bool", _truth)


def _line(marked: Any) -> str:
    return f"line {marked.start_mark.line + 1}"


def _mistaken(given: Any, made: Any) -> Iterator[tuple[Any, str]]:
    """Yield what pydantic took for a number or a truth value without its being one."""
    if isinstance(given, Mapping) and isinstance(made, Mapping):
        given, made = list(given.values()), list(made.values())
    if isinstance(given, (list, tuple)) and isinstance(made, (list, tuple)):
        for one, other in zip(given, made, strict=False):
            yield from _mistaken(one, other)
    elif isinstance(made, bool):
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            yield given, "true or false"
    elif isinstance(made, (int, float)) and isinstance(given, (bool, str)):
        yield given, f"a {'whole ' if isinstance(made, int) else ''}number"


_WORDS = (
    (r"int_.*", "is not a whole number"),
    (r"float_.*", "is not a number"),
    (r"finite_number", "is not a finite number"),
    (r"string_type", "is not a text; where one is meant, put it in quotes"),
    (r"bool_.*", "is neither true nor false"),
    (r"(tuple|list|set)_type", "is not a list"),
    (r"(dict|mapping|model)_type|model_attributes_type", "is not a mapping of keys to values"),
    (r"path_type", "is not a path"),
    (r"greater_than_equal", "must be at least {ge}"),
    (r"greater_than", "must be above {gt}"),
    (r"less_than_equal", "must be at most {le}"),
    (r"less_than", "must be below {lt}"),
    (r"too_short", "needs at least {min_length} entries"),
    (r"too_long", "takes at most {max_length} entries"),
    (r"string_pattern_mismatch", "must have the form {pattern}"),
)
"""Kind of pydantic's error -> our words, filled with the error's context."""


def _one_message(problem: Any, model: type[BaseModel]) -> str:
    location, kind, value = tuple(problem["loc"]), str(problem["type"]), problem["input"]
    context = problem.get("ctx", {})
    if kind in ("extra_forbidden", "missing"):
        path, holder = _followed(model, location[:-1])
        place = _place(path) or "the top level"
        if kind == "missing":
            return f"{place} lacks the key {location[-1]!r}"
        choices = () if holder is None else tuple(holder.model_fields)
        return str(unknown_choice("key", str(location[-1]), choices, place))
    place = _place(_followed(model, location)[0])
    if kind == "literal_error":
        choices = tuple(re.findall(r"'([^']*)'", context["expected"]))
        return str(unknown_choice(place, value, choices))
    if kind.startswith("union_tag"):
        tag = str(context["discriminator"]).strip("'")
        if kind == "union_tag_not_found":
            return f"{place or 'the top level'} lacks the key {tag!r}"
        choices = tuple(re.findall(r"'([^']*)'", context["expected_tags"]))
        return str(unknown_choice(f"{place}.{tag}".lstrip("."), context["tag"], choices))
    said = str(problem["msg"]).removeprefix("Value error, ")
    if kind == _MISTAKEN:
        return f"{place}.{said}".lstrip(".")
    for pattern, words in _WORDS:
        if re.fullmatch(pattern, kind):
            said = words.format(**context)
            break
    if not place:
        return said
    if kind == "value_error" and isinstance(value, Mapping):
        return f"{place}: {said}"
    shown = _kind(value) if isinstance(value, (dict, list, tuple)) else _shown(value)
    return f"{place}={shown}: {said}"


def _shown(value: Any) -> str:
    """Return a value as it stands in the file: `true` and not `True`."""
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else repr(value)


def _place(location: Iterable[Any]) -> str:
    """Return a location as a person would write it: `analyses[2].options`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _followed(
    model: type[BaseModel], location: tuple[Any, ...]
) -> tuple[list[Any], type[BaseModel] | None]:
    """Follow a location of pydantic's through models, lists, mappings and unions.

    Returns the location without what pydantic inserts (the names of a union's members, "[key]"),
    and the model that stands there, if one does.
    """
    found: Any = model
    path: list[Any] = []
    for part in location:
        members = _members(found)
        if len(members) > 1:
            found = next((one for one in members if part in _called(one)), None)
            continue
        found = members[0] if members else None
        if part != "[key]" and not str(part).startswith("function-"):
            path.append(part)
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = found.model_fields.get(str(part))
            found = None if field is None else field.annotation
        else:
            arguments = typing.get_args(found)
            found = arguments[0 if isinstance(part, int) else -1] if arguments else None
    members = _members(found)
    last = members[0] if len(members) == 1 else None
    return path, last if isinstance(last, type) and issubclass(last, BaseModel) else None


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union without None, or the annotation alone."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [one for one in typing.get_args(annotation) if one is not type(None)]
    return [annotation]


def _called(member: Any) -> set[str]:
    """Return what pydantic calls a member of a union: its name, or the tags that choose it."""
    names = {str(getattr(member, "__name__", member)), str(member)}
    if isinstance(member, type) and issubclass(member, BaseModel):
        for field in member.model_fields.values():
            if typing.get_origin(field.annotation) is typing.Literal:
                names |= set(map(str, typing.get_args(field.annotation)))
    return names


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__
