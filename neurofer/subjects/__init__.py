"""Subjects: models of facial-expression coding that can be recorded from."""

from neurofer.subjects.registry import list_subjects, load_subject, register
from neurofer.subjects.subject import Subject

__all__ = ["Subject", "list_subjects", "load_subject", "register"]
