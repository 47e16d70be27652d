"""Which source decides what a module computes: itself and all that it imports, followed by name.

A cache is keyed by the closure of the code that fills it, so that a changed file voids what it can
have changed and nothing else. Imports are read from the source (`ast`), also those inside
functions; `from package import name` leads to the module that defines the name, not to all that
the package's `__init__` imports. A string that is the name of a module, as in a registry, counts
as an import of it.

The hash of a file is that of the code which was imported: where a file was changed after Python
started, what lies there now says nothing of what runs, and nothing is found in a cache any more.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

PACKAGE = Path(__file__).resolve().parent
_ROOT = PACKAGE.name


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
            yield from _walk(entry.path)
        elif entry.name.endswith(".py"):
            yield entry


def _stamp(file: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        stat = os.stat(file)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


# Taken when neurofer is imported: a file that has another stamp later was changed meanwhile.
_STAMPS: dict[str, tuple[int, int] | None] = {
    entry.path: (entry.stat().st_mtime_ns, entry.stat().st_size) for entry in _walk(str(PACKAGE))
}
_HASHES: dict[str, str] = {}
_PARSING = Lock()


def note_source(module: str) -> None:
    """Remember the state of a user's module when its classes are made; see `source_hash`."""
    file = _file_of(module)
    if file is not None:
        _STAMPS.setdefault(str(file), _stamp(file))


def closure(*modules: str, without: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of the package's modules that these import, themselves included, sorted.

    Args:
        modules: names such as "neurofer.analyses.tuning.analysis".
        without: modules or packages that are left out, with all that only they import: those whose
            effect is in the key already.

    Raises:
        ValueError: a name is not a module of this package.

    >>> "neurofer.errors" in closure("neurofer.files")
    True
    >>> closure("neurofer.versions", without=["neurofer.errors"])
    ('neurofer.versions',)
    """
    left = list(modules)
    cut = tuple(without)
    for name in left:
        if _path(name) is None:
            raise ValueError(f"{name!r} is not a module of {_ROOT}")
    found: set[str] = set()
    while left:
        name = left.pop()
        if name in found or any(name == one or name.startswith(f"{one}.") for one in cut):
            continue
        found.add(name)
        left += _imports(name)
    return tuple(sorted(found))


def closure_hash(*modules: str, without: Iterable[str] = ()) -> str:
    """Return a hash of the source of `closure(...)`, as it was imported."""
    digest = hashlib.sha256()
    for name in closure(*modules, without=without):
        path = _path(name)
        assert path is not None
        digest.update(f"{name} {file_hash(path)}\n".encode())
    return digest.hexdigest()


def package_hash() -> str:
    """Return a hash of all source of this package, as it was imported."""
    digest = hashlib.sha256()
    for entry in sorted(_walk(str(PACKAGE)), key=lambda entry: entry.path):
        name = Path(entry.path).relative_to(PACKAGE).as_posix()
        digest.update(f"{name} {file_hash(entry.path)}\n".encode())
    return digest.hexdigest()


def source_hash(made: Any, without: Iterable[str] = ()) -> str | None:
    """Return a hash of the source of a class or function and of what it imports.

    Of this package that is `closure_hash` of its module. Of a user's own code it is every file of
    theirs that the module imports, without the libraries that they installed.

    Args:
        made: a class or function.
        without: modules of this package that are left out, as in `closure`.

    Returns:
        None where there is no source: what was typed at a prompt or run from a string.
    """
    kinds = [one for one in made.__mro__ if one is not object] if isinstance(made, type) else [made]
    names = {str(one.__module__) for one in kinds} - set(sys.stdlib_module_names)
    ours = sorted(name for name in names if name.split(".")[0] == _ROOT)
    parts = [closure_hash(*ours, without=without)] if ours else []
    if ours and names == set(ours):
        return parts[0]
    for name in sorted(names - set(ours)):
        files = _foreign_files(name)
        if files is None:
            return None
        parts += [file_hash(file) for file in sorted(files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def file_hash(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a source file as it was imported; one never met before if it changed.

    The latter is said once in a warning.
    """
    name = str(path)
    if name in _HASHES:
        return _HASHES[name]
    now = _stamp(name)
    if now is None or _STAMPS.setdefault(name, now) != now:
        warnings.warn(
            f"{name} has changed since it was imported; nothing that it decides is taken from a "
            "cache until Python is started again",
            stacklevel=2,
        )
        _HASHES[name] = f"changed-{uuid4().hex}"
    else:
        _HASHES[name] = hashlib.sha256(Path(name).read_bytes()).hexdigest()
    return _HASHES[name]


@cache
def _path(module: str) -> Path | None:
    """Return the file of a module of this package."""
    parts = module.split(".")
    if parts[0] != _ROOT:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    if len(parts) > 1 and base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    return base / "__init__.py" if (base / "__init__.py").is_file() else None


@cache
def _tree(path: Path) -> ast.Module:
    with _PARSING:  # Python 3.11 miscounts its recursion where two threads parse at once
        return ast.parse(path.read_bytes())


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the modules of this package that one imports, or names in a string."""
    path = _path(module)
    assert path is not None
    if module == _ROOT:  # its table of lazy names leads everywhere, and decides nothing
        return ()
    found: list[str] = []
    for node in _nodes(_tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [_defining(_absolute(node, module), alias.name) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value.split(":")[0]] if node.value.startswith(f"{_ROOT}.") else []
    return tuple(dict.fromkeys(name for name in found if _path(name) is not None))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without what only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from _nodes(other)
            continue
        yield node
        yield from _nodes(node)


def _absolute(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    path = _path(module)
    package = module.split(".")
    up = node.level - (path is not None and path.name == "__init__.py")
    package = package[: len(package) - up] if up else package
    return ".".join([*package, *([node.module] if node.module else [])])


@cache
def _defining(package: str, name: str) -> str:
    """Return the module that `from package import name` takes the name from."""
    if _path(f"{package}.{name}") is not None:
        return f"{package}.{name}"
    path = _path(package)
    if path is None or path.name != "__init__.py" or package == _ROOT:
        return package
    for node in _nodes(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _defining(_absolute(node, package), alias.name)
    return package


def _file_of(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None


def _foreign_files(module: str) -> set[Path] | None:
    """Return the files of a user's module and of those of theirs that it imports."""
    first = _file_of(module)
    if first is None:
        return None
    own = module.split(".")[0]
    found: set[Path] = set()
    left = [module]
    while left:
        name = left.pop()
        file = _file_of(name)
        if file is None or file in found or file.suffix != ".py" or not _theirs(name, file, own):
            continue
        found.add(file)
        for node in _nodes(_tree(file)):
            if isinstance(node, ast.Import):
                left += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                package = name if file.name == "__init__.py" else name.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) - max(node.level - 1, 0)]
                base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
                left += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found


def _theirs(module: str, file: Path, own: str) -> bool:
    """Whether a module is a user's own: not of Python, of this package or an installed library."""
    top = module.split(".")[0]
    if top in (_ROOT, *sys.stdlib_module_names) and top != own:
        return False
    return top == own or not any(file.is_relative_to(folder) for folder in _libraries())


@cache
def _libraries() -> tuple[Path, ...]:
    """Return the folders into which libraries are installed."""
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    return tuple(Path(folder).resolve() for folder in folders if folder)
