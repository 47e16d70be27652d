from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import spearmanr

from neurofer import brainscore, record
from neurofer.brainscore import (
    as_brain_model,
    from_brainscore,
    stimuli_from_brainscore,
    stimulus_set_to_brainscore,
    to_brainscore,
)
from neurofer.errors import NeuroferError
from neurofer.recording import check_recording
from neurofer.stimuli import StimulusSet
from neurofer.subjects import load_subject

from .subjects.brightness import Brightness

pytest.importorskip("brainscore_core")


@pytest.fixture
def stimuli() -> StimulusSet:
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "stimulus_id": [f"s{i:02d}" for i in rng.permutation(12)],
            "head": ["human", "monkey"] * 6,
            "identity": [f"{i // 4}" for i in range(12)],
            "expression": ["neutral", "happy", "sad", "angry"] * 3,
            "source": "simulated",
            "scale_x": rng.uniform(0.8, 1.2, 12),
            "seed": range(12),
            "odd": [True, False, False] * 4,
        }
    )
    return StimulusSet.from_arrays(
        "noise", table, rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    )


@pytest.fixture
def subject(stimuli: StimulusSet) -> Brightness:
    return Brightness(stimuli.take([0, 5]))


def same(a: xr.DataArray, b: xr.DataArray) -> None:
    assert a.identical(b)
    assert {str(n): a[n].dtype.kind for n in a.coords} == {
        str(n): b[n].dtype.kind for n in b.coords
    }
    assert list(a.coords) == list(b.coords)


def test_importing_the_module_makes_brain_score_safe() -> None:
    assert os.environ["RESULTCACHING_DISABLE"] == "1"
    assert os.environ["BS_INSTALL_DEPENDENCIES"] == "no"


@pytest.mark.parametrize("time_bins", [None, [(0, 70)], [(0, 70), (70, 170)]])
def test_round_trip_is_exact(subject: Brightness, stimuli: StimulusSet, time_bins: Any) -> None:
    recording = record(subject, stimuli, sites=["colours", "corner"], time_bins=time_bins)
    recording[3, 2] = np.nan
    assembly = to_brainscore(recording)
    assert type(assembly).__name__ == "NeuroidAssembly"
    assembly.validate()
    assert assembly["layer"].values.tolist() == recording["site"].values.tolist()
    same(from_brainscore(assembly), recording)


def test_how_many_trials_a_mean_has_comes_back(subject: Brightness, stimuli: StimulusSet) -> None:
    recording = record(subject, stimuli, sites=["corner"])
    counts = np.arange(recording.size).reshape(recording.shape)
    counted = recording.assign_coords(n_averaged=(("presentation", "neuroid"), counts))
    xr.testing.assert_identical(from_brainscore(to_brainscore(counted)), counted)


def test_a_selection_of_an_assembly_comes_back(subject: Brightness, stimuli: StimulusSet) -> None:
    recording = record(subject, stimuli, sites=["colours", "corner"])
    assembly = to_brainscore(recording)
    chosen = assembly[{"neuroid": assembly["layer"].values == "corner", "presentation": [4, 1, 7]}]
    same(from_brainscore(chosen), recording[[4, 1, 7], recording["site"].values == "corner"])


def test_an_assembly_from_elsewhere_gets_the_layout() -> None:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    assembly = NeuroidAssembly(
        np.arange(12.0).reshape(4, 3, 1),
        coords={
            "stimulus_id": ("presentation", ["a", "b", "a", "b"]),
            "object_name": ("presentation", ["face", "car", "face", "car"]),
            "repetition": ("presentation", [0, 0, 1, 1]),
            "neuroid_id": ("neuroid", ["n1", "n2", "n3"]),
            "region": ("neuroid", ["IT"] * 3),
            "time_bin_start": ("time_bin", [70]),
            "time_bin_end": ("time_bin", [170]),
        },
        dims=["presentation", "neuroid", "time_bin"],
    )
    recording = check_recording(from_brainscore(assembly))
    assert recording["stimulus_id"].values.tolist() == ["a", "b", "a", "b"]
    assert recording["repetition"].values.tolist() == [0, 0, 1, 1]
    assert recording["region"].values.tolist() == ["IT"] * 3
    assert recording["time_bin_end"].values.tolist() == [170]
    assert not recording["in_training"].values.any()
    np.testing.assert_array_equal(recording.values, assembly.values)


def test_an_assembly_that_means_something_else_is_refused() -> None:
    from brainscore_core.supported_data_standards.brainio.assemblies import (
        DataAssembly,
        NeuroidAssembly,
    )

    with pytest.raises(NeuroferError, match="dims"):
        from_brainscore(DataAssembly(np.zeros((2, 2)), dims=["presentation", "choice"]))
    coords = {
        "stimulus_id": ("presentation", ["a", "b"]),
        "expression": ("presentation", ["+", "-"]),
    }
    assembly = NeuroidAssembly(np.zeros((2, 2)), coords=coords, dims=["presentation", "neuroid"])
    with pytest.raises(NeuroferError, match=r"'expression'.*rename the coordinate"):
        from_brainscore(assembly)


def test_stimuli_there_and_back(stimuli: StimulusSet, tmp_path: Path) -> None:
    theirs = stimulus_set_to_brainscore(stimuli, tmp_path / "set")
    assert theirs.identifier == stimuli.identifier
    assert theirs["stimulus_id"].tolist() == stimuli.table["stimulus_id"].tolist()
    ours = stimuli_from_brainscore(theirs)
    pd.testing.assert_frame_equal(ours.table, stimuli.table)
    with pytest.raises(NeuroferError, match="DataFrame is not a stimulus set"):
        stimuli_from_brainscore(stimuli.table)


def test_a_brain_model_answers_in_order(
    subject: Brightness, stimuli: StimulusSet, tmp_path: Path
) -> None:
    model = as_brain_model(subject, {"aIT": ("second",)})
    theirs = stimulus_set_to_brainscore(stimuli, tmp_path / "set")
    assert model.identifier == subject.identifier
    assert model.visual_degrees() == 8
    for target, site in (("V4", "corner"), ("aIT", "second"), ("decision", "decision")):
        model.start_recording(target, time_bins=[(70, 170)])
        seen = model.look_at(theirs, number_of_trials=5)
        expected = record(subject, stimuli, sites=[site], time_bins=[(70, 170)])
        np.testing.assert_array_equal(seen.values, expected.values)
        assert seen["stimulus_id"].values.tolist() == stimuli.table["stimulus_id"].tolist()
        assert seen["in_training"].values.sum() == 2
    model.start_task("label", ["happy", "sad", "angry"])
    answers = model.look_at(theirs)
    assert type(answers).__name__ == "BehavioralAssembly"
    decision = record(subject, stimuli).values.argmax(axis=1)
    assert answers.values[:, 0].tolist() == [("happy", "sad", "angry")[k] for k in decision]
    model.start_task("passive")
    assert model.look_at(theirs) is None
    with pytest.raises(NeuroferError, match="did you mean 'second'"):
        as_brain_model(subject, {"aIT": ("secnd",)})


def test_a_subject_passes_brain_scores_own_benchmark(
    subject: Brightness, stimuli: StimulusSet, tmp_path: Path
) -> None:
    """NeuralBenchmark with the rdm metric, against RDMs compared by scipy."""
    pytest.importorskip("brainscore_vision")
    from brainscore_core.metrics import Score
    from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark
    from brainscore_vision.metrics.rdm.metric import RDMMetric

    theirs = stimulus_set_to_brainscore(stimuli, tmp_path / "set")
    rng = np.random.default_rng(0)
    neurons = record(subject, stimuli, sites=["corner"], time_bins=[(70, 170)])
    neurons = neurons + rng.normal(0, 60, neurons.shape).astype(np.float32)
    neurons = neurons.assign_coords(region=("neuroid", ["V4"] * neurons.sizes["neuroid"]))
    target = to_brainscore(neurons).squeeze("time_bin")
    target.attrs["stimulus_set"] = theirs
    benchmark = NeuralBenchmark(
        identifier="tiny",
        assembly=target,
        similarity_metric=RDMMetric(),
        visual_degrees=8,
        number_of_trials=1,
        version=1,
        ceiling_func=lambda: Score(1.0),
        parent=None,
    )
    score = benchmark(as_brain_model(subject))
    rdms = [
        1 - np.corrcoef(np.squeeze(x.values))
        for x in (record(subject, stimuli, sites=["corner"]), target)
    ]
    upper = np.triu_indices(len(stimuli), 1)
    expected = spearmanr(rdms[0][upper], rdms[1][upper]).statistic
    assert 0.3 < expected < 0.99
    np.testing.assert_allclose(float(score.attrs["raw"]), expected, rtol=1e-6)
    np.testing.assert_allclose(float(score), expected**2, rtol=1e-6)


@pytest.mark.parametrize(
    ("region", "bins", "sites"),
    [
        ("IT", [(70, 170)], ["IT.output-t0"]),
        ("IT", [(190, 210), (0, 70), (150, 170)], ["IT.output-t1", "IT.output-t0", "IT.output-t0"]),
        ("V4", [(240, 290), (139, 150)], ["V4.output-t3", "V4.output-t1"]),
    ],
)
def test_cornet_s_answers_brain_scores_benchmark_at_its_times(
    stimuli: StimulusSet, tmp_path: Path, region: str, bins: list[tuple[int, int]], sites: list[str]
) -> None:
    """The steps that Brain-Score's own wrapper of CORnet-S would choose, by hand."""
    pytest.importorskip("brainscore_vision")
    from brainscore_core.metrics import Score
    from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark

    subject = load_subject("cornet-s", weights="untrained", width=0.0625)
    theirs = stimulus_set_to_brainscore(stimuli, tmp_path / "set")
    subject.start_recording(region, time_bins=bins)
    target = to_brainscore(subject.look_at(stimuli))
    target.attrs["stimulus_set"] = theirs
    seen: list[Any] = []

    def compare(source: Any, target: Any) -> Any:
        seen.append(source)
        return Score(1.0)

    NeuralBenchmark(
        identifier="tiny",
        assembly=target,
        similarity_metric=compare,
        visual_degrees=8,
        number_of_trials=1,
        version=1,
        ceiling_func=lambda: Score(1.0),
        parent=None,
    )(as_brain_model(subject))
    recorded = record(subject, stimuli, sites=list(dict.fromkeys(sites)))
    steps = [recorded.values[:, recorded["site"].values == site] for site in sites]
    values = seen[0].values.reshape(len(stimuli), -1, len(bins))
    np.testing.assert_array_equal(values, np.stack(steps, axis=2))
    assert (values[:, :, 0] != 0).any()


def test_without_brain_score_the_error_says_what_to_install(
    subject: Brightness, stimuli: StimulusSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("brainscore_core")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "brainscore_core", None)
    with pytest.raises(NeuroferError, match=r"pip install 'neurofer\[brainscore\]'"):
        to_brainscore(record(subject, stimuli))
    with pytest.raises(NeuroferError, match="pip install"):
        brainscore.stimulus_set_to_brainscore(stimuli, tmp_path / "set")
