"""Names and labels made safe for where they are shown: Markdown, HTML, plotly, screen, table.

A label comes from a study, a file or another laboratory, and may hold any character. Each function
returns text that is read there as the very characters of the label. (typst needs none: the PDF
takes its text from a JSON file as strings.)
"""

from __future__ import annotations

import html as _html
import re
from typing import Any

from neurofer.files import steers

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def markdown(text: object) -> str:
    r"""Return a label for Markdown and for the texts of a report.

    >>> print(markdown("a*b_c"))
    a\*b\_c
    """
    return _MARKDOWN.sub(r"\\\1", printable(text, lines=False))


def code(text: object) -> str:
    """Return a label as code in Markdown and in the texts of a report.

    >>> code("bfs-1a2b")
    '`bfs-1a2b`'
    """
    return f"`{printable(text, lines=False).replace('`', chr(39))}`"


def html(text: object) -> str:
    """Return a label for HTML, also between the quotes of an attribute.

    >>> html('<b>"x"')
    '&lt;b&gt;&quot;x&quot;'
    """
    return _html.escape(printable(text))


def plot(text: object) -> str:
    """Return a label for plotly, which reads `<b>`, `<br>` and links in every text that it draws.

    >>> plot("a<b>c")
    'a&lt;b&gt;c'
    """
    return _html.escape(printable(text, lines=False), quote=False)


def printable(text: object, *, lines: bool = True) -> str:
    r"""Return text for a terminal: what would steer it (colours, titles, direction) is shown.

    Args:
        text: what is printed.
        lines: whether line ends and tabs stay; else they are shown as well.

    >>> print(printable("red \x1b[31m"))
    red \x1b[31m
    """
    kept = "\n\t" if lines else ""
    return "".join(
        letter if letter in kept or not steers(letter) else _shown(letter) for letter in str(text)
    )


def cell(value: Any) -> Any:
    """Return a value for a CSV file: text that a spreadsheet would compute gets an apostrophe.

    Numbers, also those written as text, are left as they are.

    >>> cell("=1+2"), cell("-0.5"), cell("happy")
    ("'=1+2", '-0.5', 'happy')
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _shown(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
