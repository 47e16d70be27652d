"""Neurons whose truth is known: simulated recordings, named as simulated wherever they appear."""

from neurofer.simulation.neurons import (
    Faces,
    coding_units,
    exemplar_units,
    join,
    noise_units,
    norm_referenced_units,
    simulated_faces,
)

__all__ = [
    "Faces",
    "coding_units",
    "exemplar_units",
    "join",
    "noise_units",
    "norm_referenced_units",
    "simulated_faces",
]
