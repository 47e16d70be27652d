"""The names of a study that become files: safe alone, put together, and beside the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from neurofer.errors import NeuroferError
from neurofer.files import LONGEST_NAME, checked_name

if TYPE_CHECKING:
    from neurofer.studies.study import Study


def check_file_names(study: Study) -> None:
    """Refuse names that cannot be files, before anything is computed.

    Raises:
        NeuroferError: names the thing, and what is wrong with its name.
    """
    checked_name(study.name, "study")
    analyses = [item.name for item in study.analyses]
    parts = {"stimuli": [*study.stimuli], "subject": [*study.subjects], "analysis": analyses}
    for what, names in parts.items():
        _check_unlike(what, names)
        for name in names:
            if "." in checked_name(name, what):
                raise NeuroferError(
                    f"the {what} {name!r} cannot name a file: results are named "
                    "analysis.stimuli.subject, so that no part may hold a dot"
                )
    longest = ".".join(max(names, key=_bytes, default="") for names in parts.values())
    if _bytes(longest) > LONGEST_NAME:
        raise NeuroferError(
            f"the names of an analysis, its stimuli and its subject have {_bytes(longest)} bytes "
            f"together, {LONGEST_NAME} are allowed for the name of a result: shorten them"
        )
    for figure in study.figures:
        checked_name(figure.name, "figure")
    _check_unlike("figure", [figure.name for figure in study.figures])


def _bytes(name: str) -> int:
    return len(name.encode("utf-8"))


def _check_unlike(what: str, names: Iterable[str]) -> None:
    """Refuse names that differ in capitals alone: some systems make one file of them."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise NeuroferError(
                f"the {what} {name!r} and {other!r} would be one file where capitals do not count: "
                "rename one"
            )
