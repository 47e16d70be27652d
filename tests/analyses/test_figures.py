from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurofer.analyses import analyse
from neurofer.analyses.decoding import transfer
from neurofer.analyses.figures import (
    EXPRESSION_COLOURS,
    EXPRESSION_MARKERS,
    HEAD_COLOURS,
    HEAD_MARKERS,
    OTHER_COLOURS,
    colour_of,
    data_of,
    error_bars,
    marker_of,
)
from neurofer.analyses.linearity import analysis as linearity
from neurofer.analyses.rsa import analysis as rsa
from neurofer.analyses.rsa.figures import _blocks
from neurofer.errors import NeuroferError
from neurofer.faces import HEADS
from neurofer.simulation import (
    coding_units,
    norm_referenced_units,
    simulated_faces,
)
from neurofer.stimuli.table import EXPRESSIONS


def test_every_expression_and_head_has_a_colour_and_a_marker_of_its_own():
    assert set(EXPRESSION_COLOURS) == set(EXPRESSION_MARKERS) == set(EXPRESSIONS)
    assert set(HEAD_COLOURS) == set(HEAD_MARKERS) == {*HEADS, "all"}
    for names in (EXPRESSION_COLOURS, EXPRESSION_MARKERS, HEAD_COLOURS, HEAD_MARKERS):
        assert len(set(names.values())) == len(names)


def _luminance(colour):
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_heads_can_be_told_apart_in_grey_print():
    values = sorted(_luminance(HEAD_COLOURS[head]) for head in HEADS)
    assert min(np.diff(values)) > 0.12


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
def test_heads_can_be_told_apart_by_the_colour_blind(first, second):
    """Protanopia and deuteranopia after Vienot, Brettel & Mollon 1999, on linear light."""
    from_rgb = np.array(
        [[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]]
    )
    blind = {
        "protan": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
        "deutan": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
    }
    colours = [HEAD_COLOURS[HEADS[k]] for k in (first, second)]
    light = [
        from_rgb @ (np.array([int(c[k : k + 2], 16) / 255 for k in (1, 3, 5)]) ** 2.2)
        for c in colours
    ]
    for seen in blind.values():
        a, b = (np.linalg.solve(from_rgb, seen @ one) for one in light)
        assert np.linalg.norm(a - b) > 0.1


def test_other_names_have_colours_by_position():
    assert colour_of("ape", HEAD_COLOURS, 1) == OTHER_COLOURS[1]
    assert colour_of("ape", HEAD_COLOURS, 9) == OTHER_COLOURS[1]
    assert colour_of("monkey", HEAD_COLOURS, 1) == HEAD_COLOURS["monkey"]
    assert marker_of("ape", HEAD_MARKERS, 0) == "circle"


def test_data_sets_are_named_with_what_they_are():
    results = {
        name: xr.Dataset(attrs={"stimuli": stimuli, "data": data})
        for name, stimuli, data in (
            ("a", "bfs-rendered-12", "rendered"),
            ("b", "bfs-rendered-12", "rendered"),
            ("c", "kdef-34", "photograph"),
        )
    }
    assert data_of(results) == "bfs-rendered-12 (rendered), kdef-34 (photograph)"


def test_bars_are_the_accuracies_and_their_intervals(recording):
    result = transfer.run(recording, n_bootstrap=100)
    figure = transfer.figure({"a": result, "b": result})
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [bar.name for bar in bars] == ["human", "monkey", "cartoon", "all heads"]
    for bar, head in zip(bars, result["head"].to_numpy(), strict=True):
        cell = result.sel(head=head, strength="all")
        assert list(bar.x) == ["a", "b"]
        assert bar.y[0] == pytest.approx(float(cell["accuracy"]))
        assert bar.y[0] + bar.error_y.array[0] == pytest.approx(float(cell["accuracy_high"]))
        assert bar.y[0] - bar.error_y.arrayminus[0] == pytest.approx(float(cell["accuracy_low"]))
    lines = [trace for trace in figure.data if trace.type == "scatter"]
    assert [line.name for line in lines] == ["a", "b"]


def test_a_head_that_was_not_tested_is_not_drawn_as_zero(one_identity):
    result = transfer.run(norm_referenced_units(one_identity), "nre", decoder="svm")
    human = next(t for t in transfer.figure({"a": result}).data if t.name == "human")
    assert np.isnan(human.y[0])
    assert human.text[0] == "not tested"


def test_confusions_are_rows_of_percent(recording):
    result = transfer.run(recording, "coding", decoder="svm", n_bootstrap=20)
    figure = transfer.figure({"a": result}, view="confusion")
    (heatmap,) = figure.data
    assert "tie" not in list(heatmap.x)
    np.testing.assert_allclose(np.sum(heatmap.z, axis=1), 100)


@pytest.mark.parametrize("normalise", [False, True])
def test_readouts_are_drawn_with_their_chords(recording, normalise):
    result = linearity.run(recording, n_bootstrap=50)
    figure = linearity.figure({"a": result}, normalise=normalise)
    lines = [t for t in figure.data if t.mode == "lines+markers"]
    chords = [t for t in figure.data if t.mode == "lines" and t.x[0] is not None]
    assert len(lines) == len(chords) == 3 * 6
    for line, chord in zip(lines, chords, strict=True):
        assert (chord.y[0], chord.y[1]) == (line.y[0], line.y[-1])
        assert chord.line.dash == "dash"
        assert chord.line.color == line.line.color == EXPRESSION_COLOURS[line.name]
        if normalise:
            assert line.y[-1] == pytest.approx(1)
    human = result["readout"].sel(head="human", expression="happy").to_numpy()
    np.testing.assert_allclose(lines[0].y, human / (human[-1] if normalise else 1))
    low, high = figure.layout.yaxis.range
    drawn = np.concatenate([line.y for line in lines])
    assert low < drawn.min()
    assert high > drawn.max()


def test_populations_without_labels_are_drawn_as_boxes(recording):
    result = linearity.run(recording, "coding", n_bootstrap=20)
    figure = linearity.figure({"a": result})
    assert {trace.type for trace in figure.data} == {"box"}
    human = result["r2"].to_numpy()[result["series_head"].to_numpy() == "human"]
    assert figure.data[0].median[0] == pytest.approx(np.median(human))


def test_models_stand_beside_their_matrix_and_ceiling(faces):
    result = rsa.run(coding_units(faces, "expression", 30, noise=0.7), n_bootstrap=50)
    figure = rsa.figure({"a": result, "b": result})
    matrices = [trace for trace in figure.data if trace.type == "heatmap"]
    assert len(matrices) == 2
    np.testing.assert_allclose(matrices[0].z, result["rdm"])
    bands = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert len(bands) == 2
    assert bands[0].y0 == pytest.approx(float(result["noise_ceiling_low"]))
    assert bands[0].y1 == pytest.approx(float(result["noise_ceiling_high"]))
    # It covers the bar within identities, which is the fourth, and no other.
    assert 2.5 < bands[0].x0 < 3 < bands[0].x1 < 3.5
    assert figure.layout.yaxis2.range[1] > float(result["noise_ceiling_high"])


def test_blocks_of_a_matrix_are_heads():
    faces = simulated_faces(n_identities=2, strengths=(1.0,))
    result = rsa.run(coding_units(faces, "expression", 20), n_bootstrap=20)
    centres, names, edges = _blocks(result)
    assert names == ["human", "monkey", "cartoon"]
    assert edges == [13.5, 27.5]
    assert centres == [6.5, 20.5, 34.5]


def test_a_map_shows_every_stimulus_once(recording):
    result = analyse("rsa", recording, site="coding", n_bootstrap=20)
    figure = rsa.figure({"a": result}, view="mds")
    drawn = [trace for trace in figure.data if trace.x[0] is not None]
    assert sum(len(trace.x) for trace in drawn) == 375
    keys = [trace.name for trace in figure.data if trace.x[0] is None]
    assert keys == [*EXPRESSIONS[:7], "human", "monkey", "cartoon"]


@pytest.mark.parametrize("module", [transfer, rsa])
def test_unknown_views_are_named(recording, module):
    with pytest.raises(NeuroferError, match="view='pie' is unknown; choose from"):
        module.figure({"a": xr.Dataset()}, view="pie")


def test_value_without_an_interval_has_no_error_bar():
    value = np.array([1.0, 2.0])
    bars = error_bars(value, np.array([0.5, np.nan]), np.array([2.0, np.nan]))
    np.testing.assert_array_equal(bars["array"], [1, np.nan])
    np.testing.assert_array_equal(bars["arrayminus"], [0.5, np.nan])
