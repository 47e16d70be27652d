"""Which versions of which libraries can change a number."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

# Decide what a subject responds: they make weights, features and decoded images.
RESPONSE_LIBRARIES = ("numpy", "scipy", "torch", "scikit-learn", "pillow")
# Decide what an analysis makes of it.
LIBRARIES = (*RESPONSE_LIBRARIES, "pandas", "xarray", "statsmodels", "rsatoolbox")


@cache
def installed(package: str) -> str:
    """Return the version of an installed package, "not installed" where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def versions(packages: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Return the installed version of each of these packages by name."""
    return {name: installed(name) for name in packages}
