"""Stimuli: tables of images, rendered on the spot or read from a folder."""

from neurofer.stimuli.catalogue import list_stimuli, load_stimuli
from neurofer.stimuli.folder import read_stimuli
from neurofer.stimuli.splits import held_out, protocol
from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import COLUMNS, EXPRESSIONS

__all__ = [
    "COLUMNS",
    "EXPRESSIONS",
    "StimulusSet",
    "held_out",
    "list_stimuli",
    "load_stimuli",
    "protocol",
    "read_stimuli",
]
