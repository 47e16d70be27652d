"""neurofer compares models of facial-expression coding the way one compares neurons.

>>> import neurofer
>>> "bfs" in neurofer.list_stimuli()
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import neurofer.closure  # noqa: F401 - notes the state of the source as it is imported
from neurofer.errors import NeuroferError

if TYPE_CHECKING:
    from neurofer.analyses import analyse as analyse
    from neurofer.recording.record import record as record
    from neurofer.reports import run_study as run_study
    from neurofer.stimuli import list_stimuli as list_stimuli
    from neurofer.stimuli import load_stimuli as load_stimuli
    from neurofer.subjects import list_subjects as list_subjects
    from neurofer.subjects import load_subject as load_subject

__version__ = "0.1.0"

# Imported at first use, so that `import neurofer` stays fast.
_LAZY = {
    "list_stimuli": "neurofer.stimuli",
    "load_stimuli": "neurofer.stimuli",
    "list_subjects": "neurofer.subjects",
    "load_subject": "neurofer.subjects",
    "record": "neurofer.recording",
    "analyse": "neurofer.analyses",
    "run_study": "neurofer.reports",
}

# Parts that are found after `import neurofer`, as in `neurofer.analyses.tuning.fit_table`.
_PARTS = ("analyses", "recording", "reports", "simulation", "stimuli", "studies", "subjects")

__all__ = ["NeuroferError", "__version__", *sorted(_LAZY)]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _PARTS:
        return import_module(f"neurofer.{name}")
    raise AttributeError(f"module 'neurofer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
