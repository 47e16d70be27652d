"""The figures of a report: interactive ones as HTML, and SVG, drawn by kaleido in one batch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.files import cache_folder, checked_name, content_hash, write_whole
from neurofer.labels import code, markdown, plot
from neurofer.leftovers import scratch_folder
from neurofer.reports.blocks import Figure
from neurofer.reports.numbers import listed
from neurofer.reports.words import identities_words, images_words, recording_words
from neurofer.studies.cell import Failure, ResultKey, failure_of
from neurofer.studies.run import StudyOutcome
from neurofer.studies.study import RECORDED, FigureSpec

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH, HEIGHT = 900, 520
MOST_SUBJECTS = 12  # in one figure: a panel each still has legible letters on a page
NO_BROWSER = (
    "Chromium is missing, which draws the figures of the PDF. Install it (Debian and Ubuntu: "
    "`sudo apt-get install chromium`; macOS: `brew install --cask chromium`; anywhere: "
    "`kaleido_get_chrome`) and run again"
)


class FigureError(NeuroferError):
    """The figures could not be drawn as SVG."""


def make_figures(outcome: StudyOutcome) -> tuple[list[Figure], list[Failure]]:
    """Return the figures of a study, without SVG files, and what could not be made.

    A figure of more subjects than can be read on a page is made as several.
    """
    figures: list[Figure] = []
    failures = []
    for spec in outcome.study.figures:
        try:
            figures += _parts(spec, outcome)
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


def _parts(spec: FigureSpec, outcome: StudyOutcome) -> list[Figure]:
    """Return a figure, in as many parts as its subjects need."""
    checked_name(spec.name, "figure")
    keys = _keys(spec, outcome)
    found = [key for key in keys if key in outcome.results]
    if not found:
        raise NeuroferError(f"none of its results could be computed ({keys[0]} ...)")
    count = -(-len(found) // MOST_SUBJECTS)
    size = -(-len(found) // count)
    parts = []
    for k in range(count):
        drawn = found[k * size : (k + 1) * size]
        lacking = [key for key in keys if key not in found] if k == count - 1 else []
        part = _figure(spec, outcome, drawn, lacking)
        if count > 1:
            title = f"{spec.title} ({k + 1} of {count})"
            part = replace(part, name=f"{spec.name}-{k + 1}", title=_sentence(title))
        parts.append(part)
    return parts


def _keys(spec: FigureSpec, outcome: StudyOutcome) -> list[ResultKey]:
    """Return the results that a figure shows."""
    item = outcome.study.analysis(spec.analysis)
    asked = [(item, subject) for subject in spec.subjects or item.subjects]
    for other in map(outcome.study.analysis, spec.beside):
        asked += [(other, subject) for subject in other.subjects]
    return [
        ResultKey(one.name, spec.stimuli if spec.stimuli in shown else shown[0], subject)
        for one, subject in asked
        for shown in [outcome.study.shown(one, subject)]
    ]


def _figure(
    spec: FigureSpec,
    outcome: StudyOutcome,
    keys: Sequence[ResultKey],
    lacking: Sequence[ResultKey],
) -> Figure:
    from neurofer.analyses import ANALYSES

    names = _names(keys, outcome)
    results = {names[key]: _plain(outcome.results[key]) for key in keys}
    item = outcome.study.analysis(spec.analysis)
    drawn = ANALYSES[item.analysis].figure(results, **spec.options)
    drawn.update_layout(font_family=FONT)
    caption = _caption(spec, keys, outcome)
    if lacking:
        caption += f" Not drawn, because it failed: {listed(markdown(str(k)) for k in lacking)}."
    return Figure(spec.name, _sentence(spec.title), drawn, caption)


def _names(keys: Sequence[ResultKey], outcome: StudyOutcome) -> dict[ResultKey, str]:
    """Return the name of each result in a figure: the subject's, and more where two share it."""
    labels = {key: outcome.study.label(key.subject) for key in keys}
    often = {label for label in labels.values() if list(labels.values()).count(label) > 1}
    return {
        key: plot(f"{label}, {key.subject}, {key.analysis}" if label in often else label)
        for key, label in labels.items()
    }


def _plain(result: xr.Dataset) -> xr.Dataset:
    """Return a result whose names plotly draws as they are, instead of reading marks in them."""
    coords = {
        name: (coord.dims, np.asarray([plot(word) for word in coord.to_numpy()]))
        for name, coord in result.coords.items()
        if coord.dtype.kind == "U" and coord.ndim == 1 and coord.size
    }
    attrs = {
        name: plot(value)
        if isinstance(value, str) and name not in ("options", "versions")
        else value
        for name, value in result.attrs.items()
    }
    return result.assign_coords(coords).assign_attrs(attrs)


def _caption(spec: FigureSpec, keys: Sequence[ResultKey], outcome: StudyOutcome) -> str:
    """Return the study's words, then what every figure must say: the data, their kind and n."""
    data = []
    for stimuli in dict.fromkeys(key.stimuli for key in keys if key.stimuli != RECORDED):
        shown = outcome.descriptions[stimuli]
        people = identities_words(shown.identities)
        data.append(f"{code(shown.identifier)}, {images_words(shown)}, {people}")
    for subject in dict.fromkeys(key.subject for key in keys if key.stimuli == RECORDED):
        if (made := outcome.subjects.get((subject, RECORDED))) is not None:
            data.append(recording_words(markdown(outcome.study.label(subject)), made))
    files = dict.fromkeys(code(f"results/{key.analysis}.{key.stimuli}.*.csv") for key in keys)
    return " ".join(
        part
        for part in (spec.caption, f"Data: {'; '.join(data)}. Results: {listed(files)}.")
        if part
    )


def _key(figure: Figure) -> str:
    return content_hash(
        figure.plot.to_json(), version("plotly"), version("kaleido"), _size(figure.plot)
    )


def _size(drawn: Any) -> tuple[int, int]:
    return int(drawn.layout.width or WIDTH), int(drawn.layout.height or HEIGHT)


def _draw(figures: Mapping[str, Figure], paths: Mapping[str, Path]) -> None:
    """Draw all figures with one start of the browser."""
    if find_browser() is None:
        raise FigureError(NO_BROWSER)
    with scratch_folder() as folder:
        files = {figure: folder / f"{figure}.svg" for figure in figures}
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
