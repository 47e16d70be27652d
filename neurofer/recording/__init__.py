"""Recordings: one forward pass to all sites, in one xarray layout."""

from neurofer.recording.layout import check_recording
from neurofer.recording.neurons import read_neurons
from neurofer.recording.record import record
from neurofer.recording.sites import Batch, Recordable, Site
from neurofer.recording.steps import nearest_steps, record_steps, step_bins
from neurofer.recording.store import RecordingStore, load_recording, save_recording
from neurofer.recording.summary import common_stimuli, summarise_neurons

__all__ = [
    "Batch",
    "Recordable",
    "RecordingStore",
    "Site",
    "check_recording",
    "common_stimuli",
    "load_recording",
    "nearest_steps",
    "read_neurons",
    "record",
    "record_steps",
    "save_recording",
    "step_bins",
    "summarise_neurons",
]
