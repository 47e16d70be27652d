"""Whether the letters of a report can be set: the PDF shows a box for one that no font has."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata

_FIRST = 0x0590  # the fonts of the PDF hold all scripts before: Latin, Greek, Cyrillic, Armenian
_MOST = 40  # letters that are looked for; one of a script stands for the rest


def lacking_letters(text: str) -> str:
    """Return the letters of a text that no installed font has, as far as the system tells.

    fontconfig is asked, which Linux systems have; elsewhere nothing is known to lack.
    """
    letters = dict.fromkeys(
        one for one in text if ord(one) >= _FIRST and unicodedata.category(one)[0] == "L"
    )
    if not letters or shutil.which("fc-list") is None:
        return ""
    return "".join(one for one in [*letters][:_MOST] if not _has(one))


def _has(letter: str) -> bool:
    asked = ["fc-list", f":charset={ord(letter):x}", "family"]
    try:
        return bool(subprocess.run(asked, capture_output=True, check=True, timeout=20).stdout)
    except (OSError, subprocess.SubprocessError):
        return True
