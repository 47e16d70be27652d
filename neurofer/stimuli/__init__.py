"""Stimuli: tables of images, rendered on the spot or read from a folder."""

from neurofer.stimuli.stimulus_set import StimulusSet
from neurofer.stimuli.table import COLUMNS, EXPRESSIONS

__all__ = ["COLUMNS", "EXPRESSIONS", "StimulusSet"]
