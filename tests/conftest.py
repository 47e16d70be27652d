"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A deadline fails on a loaded machine and never finds a fault: what is slow is seen in --durations.
settings.register_profile("neurofer", deadline=None)
settings.load_profile("neurofer")
