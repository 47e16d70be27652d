"""Each source file of the package changed in turn: what is made again; nothing is stale."""

from __future__ import annotations

import numpy as np
import pytest

from neurofer import closure as closing
from neurofer.closure import PACKAGE, closure
from neurofer.recording.store import MAKES_STIMULI, response_source
from neurofer.studies.bench import analysis_source
from neurofer.studies.reading import read_study
from neurofer.subjects.registry import subject_source

MOST = 0.25  # of the recordings of `quickstart`, made again on average


def module_of(path) -> str:
    parts = ("neurofer", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch):
    """Let a file have another content than when it was hashed."""

    def change(path) -> None:
        analysis_source.cache_clear()
        monkeypatch.setattr(closing, "_HASHES", {**known, str(path): "changed"})

    known = dict(closing._HASHES)
    yield change
    analysis_source.cache_clear()


def test_a_changed_file_voids_what_uses_it_and_little_else(change, record_property) -> None:
    study = read_study("quickstart")
    names = [spec.subject for spec in study.subjects.values() if spec.recording is None]
    before = {name: response_source(subject_source(name)) for name in names}
    uses = {
        name: set(
            closure(str(subject_source(name)), "neurofer.recording.store", without=MAKES_STIMULI)
        )
        for name in names
    }
    shares = []
    for path in sorted(PACKAGE.rglob("*.py")):
        change(path)
        voided = [n for n in names if response_source(subject_source(n)) != before[n]]
        assert set(voided) == {n for n in names if module_of(path) in uses[n]}, path
        shares.append(len(voided) / len(names))
    record_property("recordings made again", float(np.mean(shares)))
    assert np.mean(shares) < MOST
    assert max(shares) == 1  # what all share voids all


@pytest.mark.parametrize(
    ("file", "analyses", "recordings"),
    [
        ("subjects/pixels.py", [], ["pixels"]),
        ("subjects/features.py", [], ["lbp", "pixels"]),
        ("subjects/networks/architectures.py", [], []),
        ("subjects/pretrained/face_net.py", [], []),
        ("subjects/saliency.py", [], []),
        ("subjects/norm_referenced/readout.py", [], ["md-nre"]),
        ("recording/record.py", [], ["lbp", "md-nre", "pixels"]),
        ("faces/shading.py", [], []),
        ("reports/html.py", [], []),
        ("cli/app.py", [], []),
        ("analyses/statistics.py", ["linearity", "rsa", "transfer"], []),
        ("analyses/tuning/solve.py", ["tuning"], []),
        ("analyses/inputs.py", ["linearity", "rsa", "transfer", "tuning"], []),
    ],
)
def test_what_a_changed_file_voids(change, file, analyses, recordings) -> None:
    def keys():
        return (
            {n: analysis_source(n) for n in ("linearity", "rsa", "transfer", "tuning")},
            {n: response_source(subject_source(n)) for n in ("lbp", "md-nre", "pixels")},
        )

    (results, responses) = keys()
    change(PACKAGE / file)
    (later_results, later_responses) = keys()
    assert sorted(n for n in responses if responses[n] != later_responses[n]) == recordings
    changed = {n for n in results if results[n] != later_results[n]}
    assert changed >= set(analyses) if analyses else not changed
