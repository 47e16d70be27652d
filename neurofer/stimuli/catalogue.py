"""The catalogue: every stimulus set that has a card, by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from neurofer.stimuli.folder_table import add_landmarks
from neurofer.stimuli.stimulus_set import StimulusSet

if TYPE_CHECKING:
    from neurofer.stimuli.cards import Card


def list_stimuli() -> list[str]:
    """Return the names of all sets.

    >>> [name for name in list_stimuli() if name.startswith("bfs-l")]
    ['bfs-l', 'bfs-l-full']
    """
    from neurofer.stimuli.cards import read_cards

    return sorted(read_cards())


def stimuli_card(name: str) -> Card:
    """Return the card of a set.

    Raises:
        NeuroferError: there is no set of that name (the message lists the choices), or its card
            is wrong.
    """
    from neurofer.stimuli.cards import find_card

    return find_card(name)[1]


def load_stimuli(
    name: str,
    *,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    landmarks: str | os.PathLike[str] | None = None,
    **parameters: Any,
) -> StimulusSet:
    """Return a stimulus set: a rendered one is drawn, a licensed one read from the user's copy.

    Args:
        name: one of `list_stimuli()`, or the file of a card of your own ("faces.yaml").
        cache: folder of rendered images, and of indexes of copies; default: in the user's cache.
        progress: None shows a bar on terminals if it takes over two seconds, True always,
            False never.
        landmarks: a file of landmarks for the set, a table as `StimulusSet.save` writes it:
            `stimulus_id`, `left_eyebrow_ext.x`, ...; empty cells are not known.
        parameters: of rendered sets: `seeds`, the identity seeds (default 1 to 5; the first is
            the training identity), and `size` in pixels (default 224). Of simulated sets: `size`
            and those of `simulated.load`. Of licensed sets: `path` of the copy (default: what
            `neurofer stimuli add` remembers) and, where the card has them, `layout`, `subset`,
            `rule` (of votes) and `rate` (frames a second).

    Raises:
        NeuroferError: the name or a parameter is unknown or has a wrong value, or there is no copy
            of a licensed set.

    Your own pictures, here one, with a card that says what their names mean:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> card = '''
    ... {name: mine, title: Mine, kind: folder, folder: ., source: photograph,
    ... description: one face, licence: CC0, citation: none,
    ... layouts: {files: {reader: folder, pattern: "(?P<who>[a-z]+)-(?P<what>[a-z]+)[.]png"}},
    ... columns: {stimulus_id: "{who}-{what}", identity: "{who}", expression: "{what}"}}
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "faces.yaml").write_text(card)
    ...     Image.new("RGB", (32, 32), "red").save(Path(folder, "anna-happy.png"))
    ...     stimuli = load_stimuli(f"{folder}/faces.yaml", cache=folder)
    ...     stimuli.table["expression"].tolist()
    ['happy']
    """
    from neurofer.stimuli.cards import find_card, module_of

    name, card = find_card(name)
    stimuli: StimulusSet = module_of(card.kind).load(
        name, card, cache=cache, progress=progress, **parameters
    )
    return stimuli if landmarks is None else add_landmarks(stimuli, landmarks)
