"""Cards: what there is to say about a stimulus set, and how to get its images."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError, check_choice, unknown_choice
from neurofer.files import checked_name, content_folder
from neurofer.schema import Strict, load_yaml, validated

KINDS = {
    "drawn": "neurofer.stimuli.rendered.drawn",
    "folder": "neurofer.stimuli.own",
    "licensed": "neurofer.stimuli.licensed.sets",
    "rendered": "neurofer.stimuli.rendered.sets",
    "simulated": "neurofer.stimuli.rendered.simulated",
}
"""Kind of card -> the module that reads it, with its `CARD`, a class of cards, and its `load`."""


class Card(Strict):
    """What every card says, whatever its kind."""

    name: str
    title: str
    kind: str
    description: str
    licence: str
    citation: str

    @classmethod
    def placed(cls, content: dict[str, Any], path: Path) -> dict[str, Any]:
        """Return the content of a card's file; paths that it names are those beside the file."""
        return content

    def sets(self) -> dict[str, str]:
        """Return the sets of this card: name -> one line that says what it is."""
        return {self.name: self.title}

    def methods(self) -> str:
        """Return what a methods section says of the set, in sentences."""
        return " ".join(self.description.split())


def read_card(path: Path) -> Card:
    """Read one card.

    Raises:
        NeuroferError: it is not YAML, or a key is missing, unknown or has a wrong value.
    """
    content = load_yaml(path)
    kind = content.get("kind")
    check_choice("kind", kind, KINDS, str(path))
    model: type[Card] = module_of(str(kind)).CARD
    card = validated(model, model.placed(content, path), str(path))
    try:
        for name in card.sets():
            checked_name(name, "stimulus set")
    except NeuroferError as error:
        raise NeuroferError(f"{path}: {error}") from error
    return card


def find_card(name: str) -> tuple[str, Card]:
    """Return a set's name and its card: one of `read_cards`, or the file of a card of the user's.

    Raises:
        NeuroferError: there is no set of that name (the message lists the choices), or its card
            is wrong.
    """
    if name.lower().endswith((".yaml", ".yml")):
        card = read_card(Path(name))
        return next(iter(card.sets())), card
    cards = read_cards()
    if name not in cards:
        if Path(name).is_dir():
            raise NeuroferError(
                f"{name!r} is a folder, not the name of a stimulus set: read_stimuli({name!r}) "
                "reads one with a table.csv and images; of other pictures write a card of "
                "`kind: folder` and load that: load_stimuli('card.yaml')"
            )
        raise NeuroferError(
            f"{no_such_set('stimulus set', name, sorted(cards))} A folder of your own is read by "
            "read_stimuli(FOLDER)"
        )
    return name, cards[name]


def module_of(kind: str) -> Any:
    """Return the module that reads cards of a kind and loads their sets."""
    return import_module(KINDS[kind])


def read_cards() -> dict[str, Card]:
    """Return every set's card by the set's name, in the order of the cards' files.

    Cards that are wrong are left out: `broken_cards` says why.
    """
    return _cards()[0]


def broken_cards() -> dict[str, NeuroferError]:
    """Return what is wrong with the cards that cannot be read, by the card's file name."""
    return _cards()[1]


def no_such_set(kind: str, name: str, choices: Iterable[str]) -> NeuroferError:
    """Build the error for a set that has no card, or one that cannot be read.

    Args:
        kind: of the argument.
        name: that was asked for.
        choices: the sets that there are.
    """
    broken = broken_cards()
    if f"{name}.yaml" in broken:
        return broken[f"{name}.yaml"]
    said = "".join(f"; a card cannot be read: {error}" for error in broken.values())
    return NeuroferError(f"{unknown_choice(kind, name, choices)}{said}")


@lru_cache(maxsize=1)
def _cards() -> tuple[dict[str, Card], dict[str, NeuroferError]]:
    found: dict[str, Card] = {}
    broken: dict[str, NeuroferError] = {}
    for path in sorted(content_folder("stimuli").glob("*.yaml")):
        try:
            card = read_card(path)
            for name in card.sets():
                if name in found:
                    raise NeuroferError(f"{path}: the set {name!r} is in another card as well")
        except NeuroferError as error:
            broken[path.name] = error
        else:
            found |= dict.fromkeys(card.sets(), card)
    return found, broken
