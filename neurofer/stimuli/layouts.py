"""Write a rendered set into the folders and file names of the set that it stands for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from neurofer.errors import NeuroferError, unknown_choice
from neurofer.files import write_folder_whole
from neurofer.sealed import write_sealed_json
from neurofer.stimuli.images import ahead, write_image
from neurofer.stimuli.licensed.copies import NOTE
from neurofer.stimuli.pairs import write_pairs
from neurofer.stimuli.rendered.plans import AVATAR_WORDS
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.verification import MOST, verification_pairs


@dataclass(frozen=True)
class _Layout:
    """The names of a set's files.

    Attributes:
        file: with the table's columns (and `word`, FERG's for the expression) in braces.
        pattern: what such a name must be.
        says: which columns make it so.
    """

    file: str
    pattern: str
    says: str


_LAYOUTS = {
    "kdef": _Layout(
        "KDEF/{session}{identity}/{stimulus_id}.JPG",
        r"KDEF/([AB][FM]\d\d)/\1(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)\.JPG",
        "session A or B, identity such as F01, stimulus_id such as AF01HAHL",
    ),
    "ferg": _Layout(
        "FERG_DB_256/{head}/{head}_{word}/{stimulus_id}.png",
        rf"FERG_DB_256/([a-z]+)/\1_({'|'.join(AVATAR_WORDS.values())})/\1_\2_\d+\.png",
        "head of small letters, stimulus_id such as avatar_joy_1 that fits the expression",
    ),
    "lfw": _Layout(
        "lfw/{identity}/{stimulus_id}.jpg",
        r"lfw/(\w+)/\1_\d{4}\.jpg",
        "stimulus_id such as Name_0001 of identity Name",
    ),
}


def write_layout(stimuli: StimulusSet, card: str, folder: str | os.PathLike[str]) -> Path:
    """Write a rendered set as the files of another: its folders, names and formats.

    KDEF: KDEF/AF01/AF01AFS.JPG. FERG: FERG_DB_256/avatar/avatar_joy/avatar_joy_1.png. LFW:
    lfw/Name/Name_0001.jpg and three lists of pairs (`verification_pairs`, seed 0). The file
    neurofer-simulated.json says what the images are. A name holds only what the original's says:
    strengths, seeds and landmarks are lost.

    Args:
        stimuli: rendered or simulated; of LFW's layout with at least 20 identities.
        card: "kdef", "ferg" or "lfw".
        folder: new or empty, or written by this function before; it is written whole or not at
            all.

    Raises:
        NeuroferError: the layout is unknown, the set holds photographs or has no names of this
            layout, or the folder holds other things.
    """
    if card not in _LAYOUTS:
        raise unknown_choice("layout", card, _LAYOUTS)
    folder = Path(folder)
    if folder.is_file() or (
        folder.exists() and not (folder / NOTE).is_file() and any(folder.iterdir())
    ):
        raise NeuroferError(f"{folder} holds other things; name a new folder")
    note = {
        "set": stimuli.name,
        "source": _source(stimuli, card),
        "card": card,
        "identifier": stimuli.identifier,
    }
    names = _names(stimuli.table, card, stimuli.name)
    lists = verification_pairs(stimuli) if card == "lfw" else None
    try:
        with write_folder_whole(folder) as partial:
            _write_images(stimuli, [partial / name for name in names])
            if lists is not None:
                for name in MOST:
                    write_pairs(lists[lists["list"] == name], partial / f"{name}.txt")
            write_sealed_json(partial / NOTE, note)
    except OSError as error:
        raise NeuroferError(
            f"{folder} cannot be written ({error.strerror or error}); make room, or name another"
        ) from error
    return folder


def _source(stimuli: StimulusSet, card: str) -> str:
    """Return what the images are; refuse photographs and a set that has the original's name."""
    sources = set(stimuli.table["source"])
    if len(sources) != 1 or not sources <= {"rendered", "simulated"} or stimuli.name == card:
        said = ", ".join(sorted(repr(source) for source in sources))
        raise NeuroferError(
            f"stimulus set {stimuli.name!r} with source {said} is not written in the layout of "
            f"{card!r}: only a set that is rendered, or simulated, as its name says, may be"
        )
    return str(sources.pop())


def _names(table: pd.DataFrame, card: str, name: str) -> list[str]:
    """Return the file name of every stimulus, below the folder."""
    layout = _LAYOUTS[card]
    names = []
    for row in table.to_dict("records"):
        row["word"] = AVATAR_WORDS.get(row["expression"], "")
        file = layout.file.format_map({str(key): value for key, value in row.items()})
        if not re.fullmatch(layout.pattern, file):
            raise NeuroferError(
                f"stimulus {row['stimulus_id']!r} of {name!r} has no name in the layout of "
                f"{card!r}, which needs {layout.says}"
            )
        names.append(file)
    return names


def _write_images(stimuli: StimulusSet, paths: list[Path]) -> None:
    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)

    def write(i: int) -> None:
        if paths[i].suffix == ".png":
            write_image(paths[i], stimuli.image(i))
        else:
            # Colour at full resolution: faces of 144 pixels have few to spare.
            image = Image.fromarray(stimuli.image(i))
            image.save(paths[i], format="JPEG", quality=95, subsampling=0)

    for _ in ahead(write, range(len(paths))):
        pass
