from __future__ import annotations

import subprocess
import sys

import pytest

import neurofer

HEAVY = ("torch", "pandas", "xarray", "scipy", "sklearn", "plotly", "rsatoolbox", "numba")


def test_import_loads_nothing_heavy():
    # A count of modules cannot be fooled by a noisy machine, as a clock can.
    code = f"import sys, neurofer; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [n for n in neurofer.__all__ if not n.startswith("__")])
def test_every_public_name_is_there(name):
    assert getattr(neurofer, name).__doc__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'recrod'"):
        _ = neurofer.recrod


def test_analyses_are_found_after_import_neurofer():
    code = "import neurofer; print(neurofer.analyses.tuning.fit_table.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fit_table"
