"""The figures of a report: interactive ones as HTML, and SVG, drawn by kaleido in one batch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.files import cache_folder, checked_name, content_hash
from neurofer.labels import code, markdown, plot
from neurofer.leftovers import scratch_folder
from neurofer.reports.blocks import Figure
from neurofer.reports.numbers import listed
from neurofer.reports.words import identities_words, images_words, recording_words
from neurofer.sealed import cached, read_sealed, write_sealed
from neurofer.studies.cell import Failure, ResultKey, failure_of
from neurofer.studies.run import StudyOutcome
from neurofer.studies.study import RECORDED, FigureSpec

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH, HEIGHT = 900, 520
MOST_SUBJECTS = 12  # in one figure, so that their names stay legible
MOST_RATIO = 1.25  # of height and width: higher ones would be made smaller to fit on a page
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
    paths = {figure.name: cache / f"{_key(figure)}.svg" for figure in figures}
    drawn = {name: cached(path, read_sealed) for name, path in paths.items()}
    lacking = {f.name: f for f in figures if drawn[f.name] is None}
    if lacking:
        _draw(lacking, paths)
    found = []
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        path = folder / f"{figure.name}.svg"
        path.write_bytes(drawn[figure.name] or read_sealed(paths[figure.name]))
        found.append(replace(figure, svg=path))
    return found


def _parts(spec: FigureSpec, outcome: StudyOutcome) -> list[Figure]:
    """Return a figure, in as many parts as its subjects need."""
    checked_name(spec.name, "figure")
    keys = _keys(spec, outcome)
    found = [key for key in keys if key in outcome.results]
    if not found:
        raise NeuroferError(f"none of its results could be computed ({keys[0]} ...)")
    lacking = [key for key in keys if key not in found]
    size = min(MOST_SUBJECTS, len(found))
    while True:
        parts = _drawn(spec, outcome, found, size)
        tallest = max(height / width for width, height in (_size(part.plot) for part in parts))
        if size == 1 or tallest <= MOST_RATIO:
            break
        size = max(1, min(size - 1, int(size * MOST_RATIO / tallest)))
    if lacking:
        names = listed(markdown(str(key)) for key in lacking)
        caption = f"{parts[-1].caption} Not drawn, because it failed: {names}."
        parts[-1] = replace(parts[-1], caption=caption)
    return parts


def _drawn(
    spec: FigureSpec, outcome: StudyOutcome, found: Sequence[ResultKey], size: int
) -> list[Figure]:
    """Return a figure in parts of at most `size` subjects, all about as large."""
    count = -(-len(found) // size)
    size = -(-len(found) // count)
    parts = [_figure(spec, outcome, found[k : k + size]) for k in range(0, len(found), size)]
    if len(parts) == 1:
        return parts
    return [
        replace(
            part,
            name=f"{spec.name}-{k}",
            title=_sentence(f"{spec.title} ({k} of {len(parts)})"),
        )
        for k, part in enumerate(parts, start=1)
    ]


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


def _figure(spec: FigureSpec, outcome: StudyOutcome, keys: Sequence[ResultKey]) -> Figure:
    from neurofer.analyses import ANALYSES

    names = _names(keys, outcome)
    results = {names[key]: _plain(outcome.results[key]) for key in keys}
    item = outcome.study.analysis(spec.analysis)
    drawn = ANALYSES[item.analysis].figure(results, **spec.options)
    drawn.update_layout(font_family=FONT)
    return Figure(spec.name, _sentence(spec.title), drawn, _caption(spec, keys, outcome))


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
            with write_sealed(paths[figure]) as partial:
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
