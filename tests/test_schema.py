from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field

from neurofer.errors import NeuroferError
from neurofer.files import content_folder
from neurofer.schema import Strict, dump_yaml, load_yaml, read_settings, read_yaml, validated

PACKAGED = [
    *content_folder("stimuli").glob("*.yaml"),
    *content_folder("analyses").glob("*.yaml"),
    *(Path(__file__).parents[1] / "neurofer" / "training" / "recipes").glob("*.yaml"),
]


class Disc(Strict):
    kind: Literal["disc"]
    radius: float = Field(gt=0)


class Box(Strict):
    kind: Literal["box"]
    sides: tuple[float, float]


class Inner(Strict):
    size: int = Field(default=3, ge=1)
    shares: tuple[float, ...] = ()
    shapes: dict[str, Annotated[Disc | Box, Field(discriminator="kind")]] = Field(
        default_factory=dict
    )


class Outer(Strict):
    steps: int = Field(default=1, gt=0)
    width: float = 1.0
    compile: bool = False
    title: str = ""
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    free: dict[str, Any] = Field(default_factory=dict)


def read(text: str) -> Outer:
    return validated(Outer, read_yaml(text, "here"), "here")


def test_values_are_those_of_yaml_1_2() -> None:
    text = "[1e2, -1.5E-3, 20.0, .5, 3, true, null, ~, no, on, 1:30, 010, 1_000, 2020-01-01, 0x1f]"
    assert read_yaml(text, "here") == [
        *(100.0, -0.0015, 20.0, 0.5, 3, True, None, None),
        *("no", "on", "1:30", "010", "1_000", "2020-01-01", "0x1f"),
    ]


def test_keys_are_texts() -> None:
    assert read_yaml("{no: 1, 1: 2, true: 3, 1.50: 4, ~: 5}", "here") == {
        "no": 1,
        "1": 2,
        "true": 3,
        "1.50": 4,
        "~": 5,
    }


@pytest.mark.parametrize("text", ["a", "1e2", "1:30", "no", "", "010", "1.5", "~", "<<", " x"])
def test_texts_come_back_from_what_is_dumped(text: str) -> None:
    content = {"a": text, "b": [1e-7, 1, True, None, 1e22, {text: text}]}
    assert read_yaml(dump_yaml(content), "here") == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is given twice"),
        ("a: {b: 1, 'b': 2}", "line 1: the key 'b' is given twice"),
        ("a: 1\n1: 2\n'1': 3", "line 3: the key '1' is given twice"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  <<: *x", "line 4: the key '<<' is given twice"),
        ("a: 1\nb: .nan", "line 2: .nan is not a finite number"),
        ("a: [-.inf]", "line 1: -.inf is not a finite number"),
        ("a: 1e999", "1e999 is not a finite number"),
        ("a: " + "9" * 5000, r"line 1: 9+\.\.\. is too long a number"),
        ("? [a, b]\n: 1", "line 1: a key is a text"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: the tag .* is not read"),
        ("a: !!bool maybe", "the tag .* is not read"),
        ("a: &x [*x]", "line 1: an alias stands within what it names"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ("a: [", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
        ("a: *nothing", "not valid YAML"),
    ],
)
def test_what_would_be_lost_or_changed_is_refused(text: str, message: str) -> None:
    with pytest.raises(NeuroferError, match=message) as caught:
        read_yaml(text, "here")
    assert str(caught.value).startswith("here")


def test_aliases_do_not_grow() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 9)]
    with pytest.raises(NeuroferError, match=r"line \d: more than 100000 values"):
        read_yaml("\n".join(lines), "here")
    merged = "a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\n"
    assert read_yaml(merged, "here")["d"] == {"b": 1, "c": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: é".encode("latin-1"), r"not in UTF-8 \(byte 0xe9 in line 1\)"),
        ("a: 1\nb: é".encode("utf-16"), r"not in UTF-8"),
        (b"- a\n", "must hold a mapping .* not a list"),
        (b"", "must hold a mapping .* not nothing"),
        (b"a: 1 #" + b"x" * 4_000_000, "more than 4000000 bytes"),
    ],
)
def test_files_that_are_none_of_ours(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file.yaml").write_bytes(content)
    with pytest.raises(NeuroferError, match=rf"file\.yaml.* {message}"):
        load_yaml(tmp_path / "file.yaml")


def test_a_mark_of_utf_8_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_bytes("a: é".encode("utf-8-sig"))
    assert load_yaml(tmp_path / "file.yaml") == {"a": "é"}
    with pytest.raises(NeuroferError, match="cannot be read: No such file"):
        load_yaml(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("path", PACKAGED, ids=lambda path: path.name)
def test_packaged_files_say_what_they_say_to_other_readers(path: Path) -> None:
    assert load_yaml(path) == yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: true", "steps=true: is not a whole number"),
        ("steps: 1:30", "steps='1:30': is not a whole number"),
        ("steps: '20'", "steps='20': is not a whole number"),
        ("steps: 1.5", "steps=1.5: is not a whole number"),
        ("steps: 0", "steps=0: must be above 0"),
        ("width: true", "width=true: is not a number"),
        ("width: '2'", "width='2': is not a number"),
        ("compile: 1", "compile=1: is not true or false"),
        ("compile: maybe", "compile='maybe': is neither true nor false"),
        ("title: 1", "title=1: is not a text"),
        ("mode: fsat", "mode='fsat' is unknown; choose from fast, slow; did you mean 'fast'"),
        ("no: 1", "key='no' is not in the top level; it has steps, width"),
        ("1: 1", "key='1' is not in the top level"),
        ("inner: 3", "inner=3: is not a mapping"),
        ("inner: {sise: 3}", "key='sise' is not in inner; .*did you mean 'size'"),
        ("inner: {shares: [0.5, true]}", r"inner\.shares=true: is not a number"),
        ("inner: {shares: 0.5}", r"inner\.shares=0\.5: is not a list"),
        ("several: [{}, {size: true}]", r"several\[1\]\.size=true: is not a whole number"),
        ("several: [{}, {syze: 1}]", r"key='syze' is not in several\[1\]; .*mean 'size'"),
        (
            "inner: {shapes: {a: {kind: disc, raduis: 1}}}",
            r"inner\.shapes\.a lacks the key 'radius'; key='raduis' is not in inner\.shapes\.a; "
            "it has kind, radius; did you mean 'radius'",
        ),
        (
            "inner: {shapes: {1: {kind: disk}}}",
            r"inner\.shapes\.1\.kind='disk' is unknown; choose from disc, box; did you mean 'disc'",
        ),
        ("inner: {shapes: {a: {}}}", r"inner\.shapes\.a lacks the key 'kind'"),
        ("inner: {shapes: {a: {kind: box, sides: [1]}}}", r"inner\.shapes\.a"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, message: str) -> None:
    with pytest.raises(NeuroferError, match=f"^here: {message}"):
        read(text)


def test_numbers_may_be_written_in_several_ways() -> None:
    made = read("{steps: 1e2, width: 3, compile: true, free: {a: true, b: '1'}, several: [{}]}")
    assert (made.steps, made.width, made.compile) == (100, 3.0, True)
    assert made.free == {"a": True, "b": "1"}
    with pytest.raises(NeuroferError, match=r"width=nan: is not a finite number"):
        validated(Outer, {"width": float("nan")}, "here")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["identities=["], r"--set 'identities=\[' is not valid YAML"),
        (["identities"], "give KEY=VALUE"),
        (["=3"], "give KEY=VALUE"),
        (["a=1", "a=2"], "the key 'a' is given twice"),
        (["a={b: 1, b: 2}"], "line 1: the key 'b' is given twice"),
        (["a=.nan"], "not a finite number"),
    ],
)
def test_settings_are_read_as_strictly(settings: list[str], message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        read_settings(settings)


def test_a_setting_is_a_value_of_yaml() -> None:
    assert read_settings(["a=1e2", "b=no", "c=[1, x]", "d=", " e =x=y"]) == {
        "a": 100.0,
        "b": "no",
        "c": [1, "x"],
        "d": None,
        "e": "x=y",
    }
