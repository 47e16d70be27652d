"""The one exception of the package, and the wording of its commonest case."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NeuroferError(Exception):
    """An error that the user can mend: it says what was passed, what is allowed and what to do.

    The command line prints it without a traceback and exits with status 2.
    """


def unknown_choice(
    name: str, value: object, choices: Iterable[object], where: str = ""
) -> NeuroferError:
    """Build the error for a value that is not among the choices.

    `where` names the thing that holds the choices ("stimulus set 'bfs'").

    Args:
        name: of the argument.
        value: that was passed.
        choices: that are allowed.
        where: names the thing that holds the choices ("stimulus set 'bfs'").

    >>> print(unknown_choice("head", "monky", ["human", "monkey"], "stimulus set 'bfs'"))
    head='monky' is not in stimulus set 'bfs'; it has human, monkey; did you mean 'monkey'?
    >>> print(unknown_choice("layer", 3, ["conv1_1"]))
    layer=3 is unknown; choose from conv1_1
    """
    allowed = [str(choice) for choice in choices]
    listed = ", ".join(allowed) if allowed else "nothing"
    message = f"{name}={value!r} is " + (
        f"not in {where}; it has {listed}" if where else f"unknown; choose from {listed}"
    )
    folded = {choice.casefold(): choice for choice in reversed(allowed)}
    close = get_close_matches(str(value), allowed, n=1) or [
        folded[one] for one in get_close_matches(str(value).casefold(), folded, n=1)
    ]
    if close:
        message += f"; did you mean {close[0]!r}?"
    return NeuroferError(message)


def check_choice(name: str, value: object, choices: Iterable[object], where: str = "") -> None:
    """Raise the error of `unknown_choice` unless the value is among the choices.

    Args:
        name: of the argument.
        value: that was passed.
        choices: that are allowed.
        where: names the thing that holds the choices.
    """
    allowed = list(choices)
    if value not in allowed:
        raise unknown_choice(name, value, allowed, where)
