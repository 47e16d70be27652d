"""What a module imports is found by name, and code that changed is never taken for what runs."""

import importlib
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from neurofer import closure as closing
from neurofer.closure import closure, closure_hash, note_source, source_hash


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of neurofer."""
    folder = tmp_path / "neurofer"
    files = {
        "__init__.py": 'LAZY = {"a": "neurofer.rooms"}\n__version__ = "1"\n',
        "errors.py": "class E(Exception): ...\n",
        "files.py": "from neurofer.errors import E\n",
        "lazy.py": "def f():\n    from neurofer.files import E\n",
        "typed.py": "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import neurofer.files\nelse:\n    import neurofer.errors\n",
        "named.py": 'TASKS = {"one": "neurofer.rooms.one", "two": "neurofer.rooms.two:read"}\n',
        "spoken.py": '"""Like neurofer.files, but neurofer.nothing is not."""\n',
        "version.py": "from neurofer import __version__\n",
        "rooms/__init__.py": "from neurofer.rooms.one import one\nfrom .two import two as second\n"
        "own = 1\n",
        "rooms/one.py": "import neurofer.errors\none = 1\n",
        "rooms/two.py": "from . import one\nfrom ..files import E\ntwo = read = 2\n",
        "uses_one.py": "from neurofer.rooms import one\n",
        "uses_second.py": "from neurofer.rooms import second\n",
        "uses_own.py": "from neurofer.rooms import own\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(closing, "PACKAGE", folder)
    monkeypatch.setattr(closing, "_STAMPS", {})
    monkeypatch.setattr(closing, "_HASHES", {})
    caches = (closing._path, closing._tree, closing._imports, closing._defining)
    for one in caches:
        one.cache_clear()
    yield folder
    for one in caches:
        one.cache_clear()


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("errors", {"errors"}),
        ("files", {"files", "errors"}),
        ("lazy", {"lazy", "files", "errors"}),
        ("typed", {"typed", "errors"}),
        ("named", {"named", "rooms.one", "rooms.two", "files", "errors"}),
        ("spoken", {"spoken"}),
        ("version", {"version", ""}),
        ("uses_one", {"uses_one", "rooms.one", "errors"}),
        ("uses_second", {"uses_second", "rooms.two", "rooms.one", "files", "errors"}),
        ("uses_own", {"uses_own", "rooms", "rooms.one", "rooms.two", "files", "errors"}),
    ],
)
def test_closure_follows_names(package, module, expected):
    full = {f"neurofer.{name}".removesuffix(".") for name in expected}
    assert set(closure(f"neurofer.{module}")) == full


def test_what_is_left_out_takes_with_it_what_only_it_imports(package):
    left = closure("neurofer.named", without=["neurofer.rooms.two"])
    assert left == ("neurofer.errors", "neurofer.named", "neurofer.rooms.one")
    assert closure("neurofer.uses_own", without=["neurofer.rooms"]) == ("neurofer.uses_own",)


def test_several_threads_may_ask_at_once():
    for cached in (closing._tree, closing._imports):
        cached.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        asked = ["neurofer.training.tasks.heads", "neurofer.studies.bench"] * 2
        found = list(pool.map(closure_hash, asked))
    assert found[:2] == found[2:]


def test_an_unknown_module_is_named(package):
    with pytest.raises(ValueError, match=r"neurofer\.fyles"):
        closure("neurofer.fyles")


def test_a_changed_file_changes_the_hash_of_what_imports_it_only(package, monkeypatch):
    def hashes():
        monkeypatch.setattr(closing, "_STAMPS", {})
        monkeypatch.setattr(closing, "_HASHES", {})
        return [closure_hash(f"neurofer.{name}") for name in ("uses_one", "uses_second", "lazy")]

    before = hashes()
    (package / "rooms" / "two.py").write_text("two = read = 3\n")
    closing._tree.cache_clear()
    closing._imports.cache_clear()
    after = hashes()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]


def test_a_file_that_changed_after_the_import_is_never_found_in_a_cache(package):
    file = package / "errors.py"
    closing._STAMPS[str(file)] = closing._stamp(file)
    file.write_text("class E(Exception): one = 1\n")
    with pytest.warns(UserWarning, match=r"errors\.py has changed since it was imported"):
        first = closure_hash("neurofer.files")
    closing._HASHES.clear()
    with pytest.warns(UserWarning, match="has changed"):
        assert closure_hash("neurofer.files") != first


def test_a_file_that_changed_after_it_was_hashed_keeps_its_hash(package):
    first = closure_hash("neurofer.files")
    (package / "errors.py").write_text("class E(Exception): two = 2\n")
    assert closure_hash("neurofer.files") == first


def user_module(folder, name, text):
    (folder / f"{name}.py").write_text(textwrap.dedent(text))
    importlib.invalidate_caches()
    sys.modules.pop(name, None)
    return importlib.import_module(name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(closing, "_HASHES", {})
    yield tmp_path
    for name in ("my_lab", "my_gain"):
        sys.modules.pop(name, None)


def lab_hash(folder, gain, monkeypatch):
    monkeypatch.setattr(closing, "_HASHES", {})
    monkeypatch.setattr(closing, "_STAMPS", {})
    closing._tree.cache_clear()
    user_module(folder, "my_gain", f"GAIN = {gain}")
    made = user_module(folder, "my_lab", "import numpy\nfrom my_gain import GAIN\nclass Mine: ...")
    return source_hash(made.Mine)


def test_a_users_own_source_and_what_it_imports_decide(folder, monkeypatch):
    one = lab_hash(folder, 1, monkeypatch)
    assert lab_hash(folder, 1, monkeypatch) == one
    assert lab_hash(folder, 10, monkeypatch) != one


def test_a_users_file_that_changed_since_its_class_was_made_is_said(folder, monkeypatch):
    monkeypatch.setattr(closing, "_STAMPS", {})
    made = user_module(folder, "my_lab", "class Mine: ...")
    note_source("my_lab")
    (folder / "my_lab.py").write_text("class Mine: gain = 10")
    with pytest.warns(UserWarning, match=r"my_lab\.py has changed"):
        assert source_hash(made.Mine)


def test_what_was_typed_at_a_prompt_has_no_source():
    space = {"__name__": "typed_at_a_prompt"}
    exec("class Mine: ...", space)
    assert source_hash(space["Mine"]) is None


def test_a_subclass_of_ours_hashes_both(folder, monkeypatch):
    text = "from neurofer.errors import NeuroferError\nclass Mine(NeuroferError): ..."
    made = user_module(folder, "my_lab", text)
    closing._tree.cache_clear()
    monkeypatch.setattr(closing, "_HASHES", {})
    both = source_hash(made.Mine)
    own = source_hash(made.NeuroferError)
    assert own == source_hash(made.NeuroferError)
    assert both not in (None, own)
