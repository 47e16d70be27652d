"""Studies: which subjects are shown which stimuli, how it is analysed and what is claimed."""

from neurofer.studies.claims import ClaimRow
from neurofer.studies.reading import read_study
from neurofer.studies.run import StudyOutcome, compute_study, write_results
from neurofer.studies.study import Study

__all__ = ["ClaimRow", "Study", "StudyOutcome", "compute_study", "read_study", "write_results"]
