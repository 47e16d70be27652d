from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from neurofer.analyses import analyse
from neurofer.analyses.saliency.analysis import difference, figure, run, table
from neurofer.analyses.saliency.figures import maps_figure, overlay
from neurofer.analyses.statistics import cluster_interval
from neurofer.errors import NeuroferError
from neurofer.recording.layout import make_recording, neuroid_coords
from neurofer.recording.saliency import GROUPS, UNITS
from neurofer.recording.sites import Site
from neurofer.simulation import Faces, join
from neurofer.simulation.saliency import AREAS, saliency_units

PARTS = list(GROUPS)
MOUTH = PARTS.index("mouth")


def shown(faces: Faces, **options: object) -> xr.DataArray:
    return saliency_units(faces.table, faces.identifier, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def saliency(faces: Faces) -> xr.DataArray:
    return shown(faces)


@pytest.fixture(scope="module")
def result(saliency: xr.DataArray) -> xr.Dataset:
    return run(saliency, n_bootstrap=100, seed=3)


def values(recording: xr.DataArray, unit: str) -> np.ndarray:
    return recording.to_numpy()[:, UNITS.index(unit)].astype(float)


def test_what_is_alike_everywhere_has_a_density_of_one(faces: Faces) -> None:
    found = run(shown(faces, precision=1e7), n_bootstrap=20).sel(head="all", answers="all")
    np.testing.assert_allclose(found["density"], 1, atol=0.01)
    np.testing.assert_allclose(found["area"][:-1], AREAS, rtol=1e-6)
    assert float(found["area"].sel(part="features")) == pytest.approx(AREAS[:4].sum())
    assert found.attrs["places"] == 49


def test_what_lies_on_the_mouth_is_found_there(faces: Faces) -> None:
    share = np.where(np.arange(len(PARTS)) == MOUTH, 0.6, 0.4 / (len(PARTS) - 1))
    found = run(shown(faces, share=tuple(share)), n_bootstrap=200).sel(head="all", answers="all")
    density = found.sel(part="mouth")
    assert float(density["density_low"]) < 0.6 / AREAS[MOUTH] < float(density["density_high"])
    assert float(density["share"]) == pytest.approx(0.6, abs=0.03)


def test_means_and_intervals_are_those_of_the_statistics(
    result: xr.Dataset, saliency: xr.DataArray
) -> None:
    """By head and answer, computed anew with the interval that other analyses have."""
    correct, head = values(saliency, "correct"), saliency["head"].to_numpy()
    identity = np.char.add(head, saliency["identity"].to_numpy())
    for name, rows in (
        (("all", "all"), head == head),
        (("monkey", "all"), head == "monkey"),
        (("human", "wrong"), (head == "human") & (correct == 0)),
    ):
        cell = result.sel(head=name[0], answers=name[1])
        assert int(cell["n"]) == rows.sum()
        for unit, variable in (("share of mouth", "share"), ("spread", "spread")):
            one = values(saliency, unit)[rows]
            part = {"part": "mouth"} if variable == "share" else {}
            bounds = cluster_interval(
                np.nanmean, one, head[rows], identity[rows], identity[rows],
                n_bootstrap=100, seed=3,
            )  # fmt: skip
            found = [float(cell[f"{variable}{end}"].sel(part)) for end in ("", "_low", "_high")]
            np.testing.assert_allclose(found, [one.mean(), *bounds[:2]], rtol=1e-10)
        assert str(cell["interval"].item()) == "bootstrap over identities"
        np.testing.assert_allclose(cell["density"], cell["share"] / cell["area"], rtol=1e-10)


def test_a_part_that_no_image_shows_has_no_density(saliency: xr.DataArray) -> None:
    none = saliency.copy(deep=True)
    none[:, [UNITS.index(f"{what} of hair") for what in ("share", "area")]] = 0
    found = run(none, n_bootstrap=20).sel(part="hair", answers="all")
    assert (found["share"] == 0).all()
    assert np.isnan(found["density"]).all()
    assert table(run(none, n_bootstrap=20)).query("part == 'hair'")["area"].eq(0).all()


def test_empty_maps_are_left_out_and_counted(saliency: xr.DataArray) -> None:
    some = saliency.copy(deep=True)
    kinds = ("share", "spread")
    some[:4, [k for k, unit in enumerate(UNITS) if unit.startswith(kinds)]] = np.nan
    found = run(some, n_bootstrap=20).sel(head="all", answers="all")
    assert (int(found["n_empty"]), int(found["n"])) == (4, len(some))
    kept = run(saliency[4:], n_bootstrap=20).sel(head="all", answers="all")
    np.testing.assert_allclose(found["share"], kept["share"])
    some[:, [k for k, unit in enumerate(UNITS) if unit.startswith(kinds)]] = np.nan
    with pytest.raises(NeuroferError, match="every map is 0 everywhere"):
        run(some)


def test_a_network_that_names_no_expressions_has_all_answers_only(saliency: xr.DataArray) -> None:
    unnamed = saliency.copy(deep=True)
    unnamed[:, UNITS.index("correct")] = np.nan
    found = run(unnamed, n_bootstrap=20)
    assert found["answers"].to_numpy().tolist() == ["all"]
    figure({"net": found}, view="answers")


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("coding", "site 'coding' has no units share of .*holds no saliency"),
        ("saliency-map", "name one site of saliency"),
        (["saliency", "coding"], "name one site of saliency"),
        (None, "site=None; name one site of saliency"),
        ("salience", "site='salience' is not in the recording.*did you mean 'saliency'"),
    ],
)
def test_other_sites_are_said(recording, saliency, site, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NeuroferError, match=message):
        analyse("saliency", join(recording, saliency), site=site)


def test_half_a_share_is_said(saliency: xr.DataArray) -> None:
    broken = saliency.copy(deep=True)
    broken[0, 0] = np.nan
    with pytest.raises(NeuroferError, match="shares of some parts only"):
        run(broken)


def test_a_difference_is_paired(faces: Faces, saliency: xr.DataArray, result: xr.Dataset) -> None:
    """What is added to every image is found without error, whatever images differ by."""
    more = saliency.copy(deep=True)
    more[:, UNITS.index("share of mouth")] += 0.1
    more[:, UNITS.index("spread")] += 0.25
    found = difference(run(more, n_bootstrap=100, seed=3), result).sel(head="all")
    mouth = found.sel(part="mouth")
    for end in ("", "_low", "_high"):
        assert float(mouth[f"share{end}"]) == pytest.approx(0.1, abs=1e-6)
        assert float(mouth[f"density{end}"]) == pytest.approx(0.1 / AREAS[MOUTH], abs=1e-5)
        assert float(found[f"spread{end}"]) == pytest.approx(0.25, abs=1e-6)
    assert int(found["n"]) == len(saliency)
    nothing = difference(result, result)
    assert (nothing["density"] == 0).all()
    other = run(shown(faces, seed=1), n_bootstrap=100, seed=3)
    there, back = difference(other, result), difference(result, other)
    assert ((there["density_low"] < 0) & (there["density_high"] > 0)).mean() > 0.5
    np.testing.assert_allclose(there["density_low"], -back["density_high"], rtol=1e-9, atol=1e-12)


def test_differences_are_of_the_same_images(saliency: xr.DataArray, result: xr.Dataset) -> None:
    fewer = run(saliency[1:], n_bootstrap=20)
    with pytest.raises(NeuroferError, match="differ in 'stimulus_id'"):
        difference(result, fewer)
    some, others = saliency.copy(deep=True), saliency.copy(deep=True)
    columns = [k for k, unit in enumerate(UNITS) if unit.startswith(("share", "spread"))]
    some[: len(some) // 2, columns] = np.nan
    others[len(some) // 2 :, columns] = np.nan
    with pytest.raises(NeuroferError, match="no image has a map of both"):
        difference(run(some, n_bootstrap=20), run(others, n_bootstrap=20))


def test_too_few_people_have_no_interval_and_it_is_said(saliency: xr.DataArray) -> None:
    one = saliency[np.flatnonzero(saliency["head"].to_numpy() == "human")[:3]]
    found = run(one, n_bootstrap=20).sel(head="all", answers="all")
    assert str(found["interval"].item()) == "none"
    assert np.isnan(found["density_low"]).all()
    assert np.isfinite(found["density"]).all()


def with_maps(saliency: xr.DataArray) -> xr.DataArray:
    """Three images with maps, bright in their upper left, over gray faces."""
    few = saliency[:3]
    pictures = np.zeros((3, 2, 6, 4), np.float32)
    pictures[:, 0, 0, 0], pictures[:, 1] = 1, 128
    coords = {name: c for name, c in few.coords.items() if c.dims == ("presentation",)}
    coords |= neuroid_coords(Site("saliency-map"), pictures.shape[1:], "simulated")
    maps = make_recording(pictures.reshape(3, -1), coords, few.attrs)
    return join(few, maps)


def test_maps_go_along_where_they_are_asked_for(saliency: xr.DataArray, result) -> None:  # type: ignore[no-untyped-def]
    both = with_maps(saliency)
    found = run(both, site=["saliency", "saliency-map"], n_bootstrap=20)
    assert found["map"].shape == (3, 6, 4)
    assert float(found["map"][0, 0, 0]) == 1
    assert (found["face"] == 128).all()
    options = json.loads(found.attrs["options"])
    assert options["n_bootstrap"] == 20
    drawn = figure({"one": found, "two": found}, view="maps")
    assert sum(trace.type == "image" for trace in drawn.data) == 3 * 3
    with pytest.raises(NeuroferError, match="'other' holds no maps"):
        figure({"other": result}, view="maps")


def test_figures_say_n_error_bars_and_data(result: xr.Dataset, faces: Faces) -> None:
    results = {"one": result, "two": result}
    views = [("parts", {}), ("answers", {}), ("differences", {"minus": {"one": "two"}})]
    for view, options in views:
        title = figure(results, view=view, **options).layout.title.text
        for words in ("n = 375 images of 15 people", "the answer", "95 %", faces.identifier):
            assert words in title, view
    drawn = figure(results)
    assert [trace.name for trace in drawn.data] == ["one", "two"]
    assert [t.name for t in figure(results, view="answers").data][:3] == [
        "all answers",
        "correct",
        "wrong",
    ]
    with pytest.raises(NeuroferError, match="view='part' is not in analysis 'saliency'"):
        figure(results, view="part")
    with pytest.raises(NeuroferError, match="minus is empty"):
        figure(results, view="differences")
    with pytest.raises(NeuroferError, match="subject='three'"):
        figure(results, view="differences", minus={"one": "three"})


def test_maps_and_images_are_of_one_shape() -> None:
    images, noise = np.zeros((2, 8, 8, 3), np.uint8), np.ones((3, 8, 8))
    faces = maps_figure(images, {"net": noise[:2]}, data="bfs (rendered)")
    assert "n = 2 images" in faces.layout.title.text
    assert "bfs (rendered)" in faces.layout.title.text
    with pytest.raises(NeuroferError, match="no maps to draw"):
        maps_figure(images, {}, data="")
    with pytest.raises(NeuroferError, match=r"maps of 'net' have shape \(3, 8, 8\)"):
        maps_figure(images, {"net": noise}, data="")


def test_an_overlay_is_bright_where_the_map_is_great_and_outlined_at_half() -> None:
    """On a face of one gray, luminance grows with the map: it is read in grey print as well."""
    image = np.full((1, 64, 3), 128, np.uint8)
    ramp = np.linspace(0, 1, 64)[None]
    shown = overlay(image, 7 * ramp).astype(int)[0]
    white = (shown == 255).all(1)
    assert np.flatnonzero(white).tolist() == [32]
    luminance = shown @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance[~white]) > -0.5).all()
    assert np.ptp(luminance[~white]) > 80
    square = np.zeros((9, 9))
    square[2:7, 2:7] = 3
    drawn = overlay(np.full((9, 9, 3), 128, np.uint8), square).astype(int)
    edge = (drawn == 255).all(2)
    assert edge.sum() == 16
    assert not edge[3:6, 3:6].any()
    nothing = overlay(image, np.zeros((1, 64)))
    assert (nothing == nothing[0, 0]).all()
