from __future__ import annotations

import re

import pytest

from neurofer import labels

HOSTILE = ["a*b**c", "`x`", "<b>bold</b>", '"><script>1</script>', "a|b", "\\", "[x](y)", "&lt;"]


@pytest.mark.parametrize("label", HOSTILE)
def test_html_and_plot_give_back_the_very_characters(label):
    import html

    assert html.unescape(labels.html(label)) == label
    assert html.unescape(labels.plot(label)) == label
    assert not re.search(r'[<>"]', labels.html(label))
    assert "<" not in labels.plot(label)


@pytest.mark.parametrize("label", HOSTILE)
def test_markdown_escapes_every_mark(label):
    escaped = labels.markdown(label)
    assert re.sub(r"\\(.)", r"\1", escaped) == label
    assert not re.search(r"(?<!\\)(\\\\)*[`*|<]", escaped.replace("\\\\", ""))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\u202eb", r"a\u202eb"),
        ("a\x9b31m", r"a\x9b31m"),
        ("half \ud800", r"half \ud800"),
        ("two\nlines\t.", "two\nlines\t."),
        ("é 顔 −", "é 顔 −"),
        (3, "3"),
    ],
)
def test_printable_shows_what_would_steer_a_terminal(text, shown):
    assert labels.printable(text) == shown


def test_code_and_plot_stay_in_one_line():
    assert labels.code("a`b\nc") == r"`a'b\nc`"
    assert labels.plot("a\nb") == r"a\nb"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+2", "'+1+2"),
        ("-cmd", "'-cmd"),
        ("@x", "'@x"),
        ("\t=1", "'\t=1"),
        ("-1.5e-3", "-1.5e-3"),
        ("+2", "+2"),
        ("a=b", "a=b"),
        (-2.5, -2.5),
        (None, None),
    ],
)
def test_cell_keeps_numbers_and_disarms_formulas(value, written):
    assert labels.cell(value) == written
