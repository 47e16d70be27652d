"""One's own pictures: a folder that a card of `kind: folder` describes."""

from neurofer.stimuli.licensed import load
from neurofer.stimuli.licensed_card import FolderCard

CARD = FolderCard

__all__ = ["CARD", "load"]
