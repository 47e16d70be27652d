from __future__ import annotations

import pytest

from neurofer.faces import FaceRenderer


def has_numba() -> bool:
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


needs_numba = pytest.mark.skipif(not has_numba(), reason="numba is not installed")

BACKENDS = ["numpy", pytest.param("numba", marks=needs_numba)]


@pytest.fixture(scope="session")
def renderer() -> FaceRenderer:
    return FaceRenderer()


@pytest.fixture(scope="session")
def renderers() -> dict[str, FaceRenderer]:
    """One renderer a backend, so that identities are prepared once."""
    names = ["numpy", "numba"] if has_numba() else ["numpy"]
    return {name: FaceRenderer(name) for name in names}
