"""Reports: what a study found, as HTML and PDF, beside the files that hold every number."""

from neurofer.reports.write import Report, run_study, write_report

__all__ = ["Report", "run_study", "write_report"]
