"""Stimuli: tables of images, rendered on the spot or read from a folder."""

from neurofer.stimuli.catalogue import list_stimuli, load_stimuli
from neurofer.stimuli.folder import read_stimuli
from neurofer.stimuli.protocols import held_out, protocol
from neurofer.stimuli.splits import Split, split
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import COLUMNS, EXPRESSIONS

__all__ = [
    "COLUMNS",
    "EXPRESSIONS",
    "Split",
    "StimulusSet",
    "held_out",
    "list_stimuli",
    "load_stimuli",
    "protocol",
    "read_stimuli",
    "split",
]
