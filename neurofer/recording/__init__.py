"""Recordings: one forward pass to all sites, in one xarray layout."""

from neurofer.recording.layout import check_recording
from neurofer.recording.record import record
from neurofer.recording.sites import Batch, Recordable, Site
from neurofer.recording.store import RecordingStore, load_recording, save_recording

__all__ = [
    "Batch",
    "Recordable",
    "RecordingStore",
    "Site",
    "check_recording",
    "load_recording",
    "record",
    "save_recording",
]
