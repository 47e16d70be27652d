from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.stimuli.images import image_sha256, write_image
from neurofer.stimuli.stimulus_set import in_order

from .conftest import make_stimuli


def in_files(stimuli: StimulusSet, folder: Path) -> StimulusSet:
    paths = [folder / f"{i}.png" for i in range(len(stimuli))]
    for path, image in zip(paths, stimuli.images(), strict=True):
        write_image(path, image)
    return StimulusSet.from_files("tiny", stimuli.table, paths, stimuli.landmarks)


def test_the_identifier_says_the_source_and_follows_the_content(stimuli: StimulusSet) -> None:
    assert stimuli.identifier.startswith("tiny-simulated-")
    assert make_stimuli().identifier == stimuli.identifier
    images = list(stimuli.images())
    pixel = images[3].copy()
    pixel[0, 0, 0] ^= 1
    changed = [*images[:3], pixel, *images[4:]]
    landmarks = stimuli.landmarks
    assert landmarks is not None
    others = [
        StimulusSet.from_arrays("tiny", stimuli.table, changed, landmarks),
        StimulusSet.from_arrays("tiny", stimuli.table.assign(view="left"), images, landmarks),
        StimulusSet.from_arrays("tiny", stimuli.table, images, landmarks + 1e-9),
        StimulusSet.from_arrays("tiny", stimuli.table, images),
        stimuli.take(range(11, -1, -1)),
    ]
    assert len({stimuli.identifier, *(other.identifier for other in others)}) == 6


def test_photographs_are_not_called_rendered(stimuli: StimulusSet) -> None:
    photographs = make_stimuli(source="photograph")
    assert photographs.identifier == f"tiny-{photographs.content[:8]}"


def test_files_and_memory_are_the_same_set(stimuli: StimulusSet, tmp_path: Path) -> None:
    files = in_files(stimuli, tmp_path)
    assert files.identifier == stimuli.identifier
    for positions in (None, [5, 0, 7]):
        pairs = zip(files.images(positions), stimuli.images(positions), strict=True)
        assert all((a == b).all() for a, b in pairs)


def test_a_set_does_not_change(stimuli: StimulusSet) -> None:
    before = stimuli.identifier
    table = stimuli.table
    table.loc[0, "head"] = "cat"
    assert stimuli.table["head"].iloc[0] == "human"
    with pytest.raises(ValueError, match="read-only"):
        stimuli.image(0)[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        stimuli.landmarks[0] = 0  # type: ignore[index]
    assert (
        StimulusSet(
            "tiny", stimuli.table, list(stimuli.images()), landmarks=stimuli.landmarks
        ).identifier
        == before
    )


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"head": "monkey"}, [1, 4, 7, 10]),
        ({"head": ["monkey", "human"], "expression": "neutral"}, [0, 4]),
        ({"strength": 0.0}, [0, 4, 8]),
        ({"stimulus_id": {"face-3", "face-1"}}, [1, 3]),
    ],
)
def test_select(stimuli: StimulusSet, conditions: dict[str, object], expected: list[int]) -> None:
    chosen = stimuli.select(**conditions)
    assert chosen.table["stimulus_id"].tolist() == [f"face-{i}" for i in expected]
    assert chosen.table.index.tolist() == list(range(len(expected)))
    for k, i in enumerate(expected):
        np.testing.assert_array_equal(chosen.image(k), stimuli.image(i))
        np.testing.assert_array_equal(chosen.parts(k), stimuli.parts(i))
    np.testing.assert_array_equal(chosen.landmarks, stimuli.landmarks[expected])  # type: ignore[index]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"haed": "human"}, "column='haed' is not in stimulus set 'tiny'.*did you mean 'head'"),
        (
            {"head": "monky"},
            "head='monky' is not in stimulus set 'tiny'; it has human, monkey, cartoon; "
            "did you mean 'monkey'",
        ),
        (
            {"expression": ["happy", "angri"]},
            "it has neutral, happy, angry, fear; did you mean 'angry'",
        ),
        ({"head": "human", "identity": "person 0", "expression": "happy"}, "not in one row"),
    ],
)
def test_select_says_what_there_is(
    stimuli: StimulusSet, conditions: dict[str, object], message: str
) -> None:
    with pytest.raises(NeuroferError, match=message):
        stimuli.select(**conditions)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([], "empty"),
        ([12], "position 12 is outside"),
        ([-13], "outside"),
        ([1, -11], "taken twice"),
    ],
)
def test_take_refuses(stimuli: StimulusSet, positions: list[int], message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        stimuli.take(positions)


def test_negative_positions_count_from_the_end(stimuli: StimulusSet) -> None:
    np.testing.assert_array_equal(stimuli.image(-1), stimuli.image(11))
    assert stimuli.take([-1]).table["stimulus_id"].tolist() == ["face-11"]


def test_a_file_that_changed_is_noticed(stimuli: StimulusSet, tmp_path: Path) -> None:
    files = in_files(stimuli, tmp_path)
    write_image(tmp_path / "4.png", stimuli.image(5))
    files.image(3)
    with pytest.raises(NeuroferError, match=r"'face-4' has changed.*4\.png"):
        files.image(4)


def test_a_truncated_file_stops_the_iteration(stimuli: StimulusSet, tmp_path: Path) -> None:
    files = in_files(stimuli, tmp_path)
    (tmp_path / "4.png").write_bytes((tmp_path / "4.png").read_bytes()[:300])
    with pytest.raises(NeuroferError, match=r"'face-4'.*4\.png"):
        list(files.images())


def test_hashes_are_those_of_the_pixels(stimuli: StimulusSet) -> None:
    assert stimuli.table["image_sha256"].iloc[2] == image_sha256(stimuli.image(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((2, 4, 4, 3), np.uint8)}, "3 rows in the table but 2 images"),
        ({"images": np.zeros((3, 4, 4, 1), np.uint8)}, "stimulus '0'"),
        ({"landmarks": np.zeros((3, 10, 2))}, r"must be \(3, 13, 2\)"),
        ({"parts": [None]}, "1 part masks"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    given = {"images": np.zeros((3, 4, 4, 3), np.uint8), "table": pd.DataFrame({"head": ["a"] * 3})}
    with pytest.raises(NeuroferError, match=message):
        StimulusSet.from_arrays("x", **{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("expression", ["happy", "", "neutral", "happy"], ["", "neutral", "happy"]),
        ("view", ["half-right", "full-left", "frontal"], ["full-left", "frontal", "half-right"]),
        ("view", ["above", "frontal"], ["above", "frontal"]),
        ("strength", [1.0, 0.25], [0.25, 1.0]),
        ("identity", ["b", "a", "b"], ["b", "a"]),
    ],
)
def test_values_come_in_their_order(
    name: str, values: list[object], expected: list[object]
) -> None:
    assert in_order(name, values) == expected
