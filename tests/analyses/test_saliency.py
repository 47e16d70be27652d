from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neurofer.analyses.provenance import PROVENANCE
from neurofer.analyses.saliency import GROUPS, figure, part_shares, run, table, table_by_subject
from neurofer.analyses.saliency_figures import maps_figure, overlay
from neurofer.errors import NeuroferError
from neurofer.faces import PARTS
from neurofer.stimuli import StimulusSet, load_stimuli

SHAPE = (3, 6, 5)
MASKS = arrays.arrays(np.uint8, SHAPE, elements=st.integers(0, max(PARTS.values())))
MAPS = arrays.arrays(np.float64, SHAPE, elements=st.floats(0, 1e6))


@pytest.fixture(scope="module")
def stimuli() -> StimulusSet:
    return load_stimuli("bfs", seeds=[1, 2, 3, 4, 5], size=64)


def masks(stimuli: StimulusSet) -> np.ndarray:
    found = [stimuli.parts(row) for row in range(len(stimuli))]
    return np.stack([mask for mask in found if mask is not None])


def test_every_part_of_the_renderer_is_in_one_group() -> None:
    assert sorted(part for group in GROUPS.values() for part in group) == sorted(PARTS)


@settings(max_examples=50, deadline=None)
@given(maps=MAPS, parts=MASKS, factor=st.floats(1e-3, 1e3))
def test_shares_and_areas_sum_to_one_whatever_the_scale(
    maps: np.ndarray, parts: np.ndarray, factor: float
) -> None:
    shares, areas = part_shares(maps, parts)
    empty = maps.sum((1, 2)) == 0
    assert (np.isnan(shares).all(1) == empty).all()
    np.testing.assert_allclose(shares[~empty].sum(1), 1)
    np.testing.assert_allclose(areas.sum(1), 1)
    scaled, _ = part_shares(factor * maps, parts)
    np.testing.assert_allclose(scaled[~empty], shares[~empty], rtol=1e-6, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(maps=MAPS, parts=MASKS)
def test_they_equal_their_loops(maps: np.ndarray, parts: np.ndarray) -> None:
    shares, areas = part_shares(maps, parts)
    for k in range(len(maps)):
        for g, members in enumerate(GROUPS.values()):
            inside = np.isin(parts[k], [PARTS[part] for part in members])
            assert areas[k, g] == pytest.approx(inside.mean())
            if maps[k].sum() > 0:
                assert shares[k, g] == pytest.approx(maps[k][inside].sum() / maps[k].sum())


def test_a_map_that_is_the_same_everywhere_has_a_density_of_one(stimuli: StimulusSet) -> None:
    result = run(np.full((len(stimuli), 64, 64), 3.0), stimuli, subject="flat", n_bootstrap=50)
    np.testing.assert_allclose(result["share"], result["area"])
    seen = result["area"].to_numpy() > 0
    np.testing.assert_allclose(result["density"].to_numpy()[seen], 1)
    assert np.isnan(result["density"].to_numpy()[~seen]).all()
    assert {"nose", "mouth", "eyes"} <= set(result["part"].to_numpy()[seen[-1]])


def test_of_a_crop_only_what_is_seen_counts(stimuli: StimulusSet) -> None:
    """A map that is the same everywhere in a crop has a density of one there, none outside."""
    seen = np.zeros((len(stimuli), 64, 64), bool)
    seen[:, 16:48, 16:48] = True
    result = run(seen.astype(float), stimuli, subject="crop", seen=seen, n_bootstrap=50)
    there = result["area"].to_numpy() > 0
    np.testing.assert_allclose(result["density"].to_numpy()[there], 1)
    np.testing.assert_allclose(result["area"].sum("part"), 1)


def test_a_map_on_the_mouth_alone_is_all_mouth(stimuli: StimulusSet) -> None:
    on_mouth = np.isin(masks(stimuli), [PARTS["lips"], PARTS["mouth"]]).astype(float)
    result = run(on_mouth, stimuli, subject="mouth", n_bootstrap=50).sel(head="all")
    share = dict(zip(result["part"].to_numpy(), result["share"].to_numpy(), strict=True))
    assert share.pop("mouth") == pytest.approx(1)
    assert set(share.values()) == {0}
    mouth = result.sel(part="mouth")
    assert float(mouth["density"]) == pytest.approx(1 / float(mouth["area"]))


@pytest.fixture(scope="module")
def noise(stimuli: StimulusSet) -> np.ndarray:
    return np.random.default_rng(0).gamma(0.2, size=(len(stimuli), 64, 64))


def test_a_result_has_provenance_and_intervals_and_survives_its_file(
    stimuli: StimulusSet, noise: np.ndarray, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    result = run(noise, stimuli, subject="net", n_bootstrap=200, seed=3)
    assert set(PROVENANCE) <= set(result.attrs)
    assert (result.attrs["data"], result.attrs["seed"]) == ("rendered", 3)
    assert result.attrs["stimuli"] == stimuli.identifier
    assert json.loads(result.attrs["options"])["n_bootstrap"] == 200
    assert result["head"].to_numpy().tolist() == ["human", "monkey", "cartoon", "all"]
    seen = result.sel(head="all").where(result["area"].sel(head="all") > 0, drop=True)
    for name in ("share", "density"):
        assert (seen[f"{name}_low"] <= seen[name] + 1e-9).all()
        assert (seen[name] <= seen[f"{name}_high"] + 1e-9).all()
    assert set(seen["interval"].to_numpy()) == {"bootstrap over identities"}
    result.to_netcdf(tmp_path / "result.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "result.nc", engine="netcdf4") as file:
        again = file.load()
    pd.testing.assert_frame_equal(table(again), table(result))


def test_the_order_of_the_images_does_not_matter(stimuli: StimulusSet, noise: np.ndarray) -> None:
    order = np.random.default_rng(1).permutation(len(stimuli))
    one = run(noise, stimuli, subject="net", n_bootstrap=50)
    two = run(noise[order], stimuli.take(order), subject="net", n_bootstrap=50)
    xr.testing.assert_equal(one, two)


def test_empty_maps_are_left_out_and_counted(stimuli: StimulusSet, noise: np.ndarray) -> None:
    some = noise.copy()
    some[:4] = 0
    result = run(some, stimuli, subject="net", n_bootstrap=50)
    assert int(result["n_empty"].sel(head="all")) == 4
    assert int(result["n"].sel(head="all")) == len(stimuli)
    assert table(result).query("head == 'all'")["n"].unique().tolist() == [len(stimuli) - 4]
    kept = stimuli.take(range(4, len(stimuli)))
    other = run(noise[4:], kept, subject="net", n_bootstrap=50)
    np.testing.assert_allclose(result["share"].sel(head="all"), other["share"].sel(head="all"))
    with pytest.raises(NeuroferError, match="every map is 0 everywhere"):
        run(0 * noise, stimuli, subject="net")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps[:, :32], r"maps \(105, 32, 64\), part masks \(105, 64, 64\)"),
        (lambda maps: -maps, "nowhere negative"),
        (lambda maps: np.where(maps > 1, np.nan, maps), "must be finite"),
    ],
)
def test_maps_that_are_none_are_said(stimuli, noise, change, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NeuroferError, match=message):
        run(change(noise), stimuli, subject="net")


def test_photographs_have_no_masks(noise: np.ndarray) -> None:
    photographs = StimulusSet.from_arrays(
        "mine", pd.DataFrame({"head": ["human"] * 2}), np.zeros((2, 64, 64, 3), np.uint8)
    )
    with pytest.raises(NeuroferError, match="2 of 2 images of 'mine' have no part masks"):
        run(noise[:2], photographs, subject="net")


def test_figures_say_n_error_bars_and_data(stimuli: StimulusSet, noise: np.ndarray) -> None:
    result = run(noise, stimuli, subject="net", n_bootstrap=50)
    drawn = figure({"one": result, "two": result})
    title = drawn.layout.title.text
    for words in ("n = 105 images of 15 people", "95 %", "(rendered)", stimuli.identifier):
        assert words in title
    assert [trace.name for trace in drawn.data] == ["one", "two"]
    side = table_by_subject({"one": result, "two": result})
    assert side["subject"].tolist() == len(GROUPS) * ["one"] + len(GROUPS) * ["two"]
    own = table(result).query("head == 'all'")["density"].to_numpy()
    np.testing.assert_array_equal(side.query("subject == 'two'")["density"], own)
    with pytest.raises(NeuroferError, match="no results to draw"):
        figure({})
    images = np.stack([stimuli.image(row) for row in range(2)])
    faces = maps_figure(images, {"net": noise[:2]}, data="bfs (rendered)")
    assert len(faces.data) == 4
    assert "n = 2 images" in faces.layout.title.text
    assert "bfs (rendered)" in faces.layout.title.text
    with pytest.raises(NeuroferError, match="no maps to draw"):
        maps_figure(images, {}, data="")
    with pytest.raises(NeuroferError, match=r"maps of 'net' have shape \(3, 64, 64\)"):
        maps_figure(images, {"net": noise[:3]}, data="")


def test_an_overlay_leaves_the_face_grey_where_nothing_speaks() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    saliency = np.zeros((4, 4))
    saliency[1, 2] = 5
    shown = overlay(image, saliency).astype(int)
    grey = np.rint(image.mean(2))
    quiet = saliency == 0
    assert (shown[quiet] == grey[quiet][:, None]).all()
    assert np.ptp(shown[1, 2]) > 60
    assert (overlay(image, np.zeros((4, 4))) == grey[..., None]).all()
