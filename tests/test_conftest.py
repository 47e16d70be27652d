"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import settings


def test_no_generated_test_is_timed():
    assert settings().deadline is None
    assert settings(max_examples=3).deadline is None
