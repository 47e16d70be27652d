"""The figures of a report: interactive ones as HTML, and SVG, drawn by kaleido in one batch."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neurofer.errors import NeuroferError
from neurofer.files import cache_folder, content_hash, write_whole
from neurofer.reports.blocks import Figure
from neurofer.reports.numbers import counted, listed
from neurofer.studies.cells import Failure, ResultKey, failure_of
from neurofer.studies.descriptions import SubjectDescription
from neurofer.studies.recorded import RECORDED
from neurofer.studies.run import StudyOutcome
from neurofer.studies.study import FigureSpec

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH, HEIGHT = 900, 520
NO_BROWSER = (
    "Chromium is missing, which draws the figures of the PDF. Install it (Debian and Ubuntu: "
    "`sudo apt-get install chromium`; macOS: `brew install --cask chromium`; anywhere: "
    "`kaleido_get_chrome`) and run again"
)


class FigureError(NeuroferError):
    """The figures could not be drawn as SVG."""


def make_figures(outcome: StudyOutcome) -> tuple[list[Figure], list[Failure]]:
    """Return the figures of a study, without SVG files, and what could not be made."""
    figures, failures = [], []
    for spec in outcome.study.figures:
        try:
            figures.append(_figure(spec, outcome))
        except Exception as error:
            failures.append(failure_of(f"figure {spec.name}", error))
    return figures, failures


def write_svgs(figures: Sequence[Figure], folder: Path) -> list[Figure]:
    """Write every figure as SVG into a folder; those that were drawn before come from the cache.

    Raises:
        FigureError: there is no browser, or it could not draw.
    """
    cache = cache_folder("figures")
    drawn = {figure.name: cache / f"{_key(figure)}.svg" for figure in figures}
    lacking = {f.name: f for f in figures if not drawn[f.name].is_file()}
    if lacking:
        _draw(lacking, drawn)
    found = []
    for figure in figures:
        path = folder / f"{figure.name}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn[figure.name], path)
        found.append(replace(figure, svg=path))
    return found


def _figure(spec: FigureSpec, outcome: StudyOutcome) -> Figure:
    from neurofer.analyses import ANALYSES

    item = outcome.study.analysis(spec.analysis)
    subjects = spec.subjects or item.subjects
    asked = [(item, subject) for subject in subjects]
    for other in map(outcome.study.analysis, spec.beside):
        asked += [(other, subject) for subject in other.subjects]
    keys = [
        ResultKey(one.name, spec.stimuli if spec.stimuli in shown else shown[0], subject)
        for one, subject in asked
        for shown in [outcome.study.shown(one, subject)]
    ]
    results = {
        outcome.study.label(key.subject): outcome.results[key]
        for key in keys
        if key in outcome.results
    }
    if not results:
        raise NeuroferError(f"none of its results could be computed ({keys[0]} ...)")
    plot = ANALYSES[item.analysis].figure(results, **spec.options)
    plot.update_layout(font_family=FONT)
    return Figure(spec.name, _sentence(spec.title), plot, _caption(spec, keys, outcome))


def _caption(spec: FigureSpec, keys: Sequence[ResultKey], outcome: StudyOutcome) -> str:
    """Return the study's words, then what every figure must say: the data, their kind and n."""
    data = []
    for stimuli in dict.fromkeys(key.stimuli for key in keys if key.stimuli != RECORDED):
        shown = outcome.descriptions[stimuli]
        heads = listed(f"{len(names)} of {head}" for head, names in shown.identities.items())
        data.append(f"`{shown.identifier}`, {shown.n} {shown.kind} images, identities: {heads}")
    for subject in dict.fromkeys(key.subject for key in keys if key.stimuli == RECORDED):
        if (made := outcome.subjects.get((subject, RECORDED))) is not None:
            data.append(recording_words(outcome.study.label(subject), made))
    files = dict.fromkeys(f"`results/{key.analysis}.{key.stimuli}.*.csv`" for key in keys)
    return " ".join(
        part
        for part in (spec.caption, f"Data: {'; '.join(data)}. Results: {listed(files)}.")
        if part
    )


def recording_words(label: str, made: SubjectDescription) -> str:
    """Return what a recording holds: its neurons, presentations, identities and kind."""
    said = made.recorded
    return (
        f"{label}: {counted(said['neurons'], 'neuron')} ({said['kind']}), "
        f"{counted(said['presentations'], 'presentation')} of "
        f"{counted(said['identities'], 'identity', 'identities')}, `{said['stimuli']}`"
    )


def _key(figure: Figure) -> str:
    return content_hash(
        figure.plot.to_json(), version("plotly"), version("kaleido"), _size(figure.plot)
    )


def _size(plot: Any) -> tuple[int, int]:
    return int(plot.layout.width or WIDTH), int(plot.layout.height or HEIGHT)


def _draw(figures: Mapping[str, Figure], paths: Mapping[str, Path]) -> None:
    """Draw all figures with one start of the browser."""
    if find_browser() is None:
        raise FigureError(NO_BROWSER)
    with tempfile.TemporaryDirectory() as name:
        files = {figure: Path(name) / f"{figure}.svg" for figure in figures}
        _write_images([f.plot for f in figures.values()], list(files.values()))
        for figure, file in files.items():
            text = _steady(file.read_text(encoding="utf-8"), figure)
            with write_whole(paths[figure]) as partial:
                partial.write_text(text, encoding="utf-8")


def find_browser() -> str | None:
    """Return the path of a Chromium-like browser, as kaleido finds it; None if there is none."""
    from choreographer.browsers.chromium import Chromium

    try:
        found = Chromium.find_browser(skip_local=False)
    except Exception:
        return None
    return str(found) if found else None


def _write_images(plots: list[Any], files: list[Path]) -> None:
    from plotly.io import write_images

    sizes = [_size(plot) for plot in plots]
    try:
        write_images(
            plots, files, width=[size[0] for size in sizes], height=[size[1] for size in sizes]
        )
    except Exception as error:
        raise FigureError(
            f"the browser could not draw the figures of the PDF ({type(error).__name__}: {error}); "
            "check that Chromium starts: chromium --headless --no-sandbox --version"
        ) from error


def _steady(svg: str, name: str) -> str:
    """Replace plotly's random ids, so that the same figure gives the same bytes."""
    marks = dict.fromkeys(re.findall(r'id="(?:defs|topdefs)-([0-9a-f]{6})"', svg))
    for index, mark in enumerate(marks):
        svg = svg.replace(mark, f"{content_hash(name)[:5]}{index % 10}")
    return svg


def _sentence(text: str) -> str:
    return text if not text or text[-1] in ".?!" else f"{text}."
