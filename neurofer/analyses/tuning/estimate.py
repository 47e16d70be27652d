"""How long tuning curves will take, measured on a few resamples and said before the work begins."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from neurofer.analyses.statistics import can_resample
from neurofer.analyses.tuning.describe import Job, Settings
from neurofer.analyses.tuning.fitting import OK, fit
from neurofer.analyses.tuning.resampling import bootstrap

# What takes less is not worth the measurement: fits of one strength take milliseconds a unit.
FEWEST_FITS = 20_000
# Seconds from which on the user is told.
LONG = 60.0
TRIED = 8


def seconds_of(job: Job, total: int, settings: Settings) -> float:
    """Return about how many seconds the bootstrap of `total` such units will take.

    The slowest model is fitted to a few resamples of the first unit that can be fitted: an upper
    estimate, as other models are best for some units.

    Args:
        job: its first units stand for all.
        total: number of units.
        settings: of the comparison of models.
    """
    units = min(total, job.responses.shape[1])
    name = settings.models[-1]
    one = fit(job.x, job.responses, name, likelihood=settings.likelihood, **job.options())
    live = (one.status == OK).nonzero()[0]
    if not units or not len(live) or not can_resample(job.identity, job.strata):
        return 0.0
    part = job.of(live[:1])
    options = {"likelihood": settings.likelihood, "n_bootstrap": TRIED} | part.options()
    start = time.monotonic()
    bootstrap(part.x, part.responses, part.identity, part.strata, name, **options)  # type: ignore[arg-type]
    return (time.monotonic() - start) / TRIED * settings.n_bootstrap * total


def announce(job: Job, total: int, settings: Settings) -> None:
    """Say on standard error how long it will take, where that is long, and what shortens it.

    Args:
        job: its first units stand for all.
        total: number of units.
        settings: of the comparison of models.
    """
    if not settings.features or total * settings.n_bootstrap < FEWEST_FITS:
        return
    seconds = seconds_of(job, total, replace(settings))
    if seconds < LONG:
        return
    sys.stderr.write(
        f"tuning: {total} units with {settings.n_bootstrap} resamples each will take about "
        f"{spoken(seconds)} for their intervals; n_bootstrap=100 takes "
        f"{spoken(100 * seconds / settings.n_bootstrap)}, n_bootstrap=0 none\n"
    )


def spoken(seconds: float) -> str:
    """Return a duration in words.

    >>> spoken(40), spoken(600), spoken(10800)
    ('40 seconds', '10 minutes', '3.0 hours')
    """
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
