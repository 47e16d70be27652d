"""Fixtures of the tests of the command line, which are those of what it calls."""

from tests.stimuli.conftest import renderer  # noqa: F401
from tests.studies.conftest import folder  # noqa: F401
