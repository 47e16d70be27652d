from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.stimuli import StimulusSet
from neurofer.training import images
from neurofer.training.augmentation import ImageAugmentation, augment_images
from neurofer.training.images import ImageData, ImageSource, divide, held_out

NOTHING = dict.fromkeys(ImageAugmentation.model_fields, 0.0)


def made(identities: int = 10, images: int = 4, size: int = 24) -> StimulusSet:
    n = identities * images
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "head": np.where(np.arange(n) // images % 2, "human", "monkey"),
            "identity": [str(i // images // 2) for i in range(n)],
            "expression": ["neutral", "happy", "sad", "fear"] * (n // 4),
            "source": "simulated",
        }
    )
    return StimulusSet.from_arrays(
        "made", table, random.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    )


def test_identities_are_held_out_whole_and_of_every_head() -> None:
    stimuli = made()
    out = held_out(stimuli, ImageData(stimuli="made", size=24, share=0.2), seed=0)
    table = stimuli.table
    people = table["head"] + table["identity"]
    assert set(people[out]).isdisjoint(people[~out])
    assert set(table["head"][out]) == {"human", "monkey"}
    assert out.sum() == 8
    again = held_out(stimuli, ImageData(stimuli="made", size=24, share=0.2), seed=1)
    assert (out != again).any()


def test_images_are_held_out_of_every_identity() -> None:
    stimuli = made()
    data = ImageData(stimuli="made", size=24, share=0.25, held_out="images")
    out = held_out(stimuli, data, seed=0)
    people = (stimuli.table["head"] + stimuli.table["identity"]).to_numpy()
    assert {int(out[people == one].sum()) for one in people} == {1}
    with pytest.raises(NeuroferError, match="too few images per identity"):
        held_out(made(images=4).take(range(0, 40, 4)), data, seed=0)


def test_a_set_of_its_own_split_is_held_out_by_it() -> None:
    data = ImageData(stimuli="made", size=24, held_out="split")
    table = made().table.assign(split=["train", "train", "val", "test"] * 10)
    stimuli = StimulusSet.from_arrays(
        "made", table.drop(columns="image_sha256"), list(made().images())
    )
    np.testing.assert_array_equal(held_out(stimuli, data, seed=0), [False, False, True, True] * 10)
    with pytest.raises(NeuroferError, match="made is all test: its own split holds nothing out"):
        held_out(made(), data, seed=0)


def test_the_people_with_the_most_images_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        images, "load_stimuli", lambda name, progress, **kw: made().take(range(3, 40))
    )
    table = ImageData(stimuli="made", size=24, people=2).load().table
    assert len(table) == 8  # of the ten, whom the first of lost three images
    assert sorted(set(table["head"] + table["identity"])) == ["human0", "human1"]
    with pytest.raises(NeuroferError, match="people=11, but made has 10 identities"):
        ImageData(stimuli="made", size=24, people=11).load()


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("size", [24, 16])
def test_resident_and_streamed_batches_are_the_same(gray: bool, size: int) -> None:
    stimuli = made()
    here = ImageSource(stimuli, size, gray=gray)
    there = ImageSource(stimuli, size, gray=gray, resident=False)
    there.prefetch(np.array([5, 6]))
    for positions in ([0, 7, 3], [5, 6, 39]):
        batch = here.batch(np.array(positions))
        assert batch.dtype == torch.uint8
        assert batch.shape == (3, 1 if gray else 3, size, size)
        torch.testing.assert_close(batch, there.batch(np.array(positions)))
    if not gray and size == 24:
        expected = np.moveaxis(stimuli.image(7), 2, 0)
        np.testing.assert_array_equal(here.batch(np.array([7]))[0].numpy(), expected)


def test_all_batches_together_are_all_images_in_order() -> None:
    source = ImageSource(made(identities=20), 24)
    parts = list(source.batches())
    assert len(parts) > 1
    torch.testing.assert_close(torch.cat(parts), source.batch(np.arange(80)))


def test_an_image_that_is_held_out_is_not_trained_on_under_another_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stimuli = made()
    pixels = [stimuli.image(0) if i % 4 == 0 else stimuli.image(i) for i in range(40)]
    table = stimuli.table.drop(columns="image_sha256")
    twice = StimulusSet.from_arrays("made", table, pixels)  # one image under every identity
    monkeypatch.setattr(images, "load_stimuli", lambda name, progress, **kw: twice)
    division = divide(ImageData(stimuli="made", size=24, share=0.2), 0, quiet=True)
    shared = set(division.train.table["image_sha256"]) & set(division.test.table["image_sha256"])
    assert not shared
    assert (len(division.train), len(division.test)) == (24, 8)


def ramp() -> torch.Tensor:
    return torch.arange(24.0).view(1, 1, 1, 24).expand(6, 3, 24, 24) * 5 + 60


def test_no_augmentation_leaves_the_image() -> None:
    same = augment_images(ramp(), ImageAugmentation(**NOTHING), np.random.default_rng(0))
    torch.testing.assert_close(same, ramp(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mirror": 1.0}, ramp().flip(-1)),
        ({"gray": 1.0}, ramp()),
    ],
)
def test_certain_changes(change: dict[str, float], expected: torch.Tensor) -> None:
    ranges = ImageAugmentation(**{**NOTHING, **change})
    found = augment_images(ramp(), ranges, np.random.default_rng(0))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_every_range_changes_images_and_differs_between_them(name: str) -> None:
    torch.manual_seed(0)
    ranges = ImageAugmentation(**{**NOTHING, name: 0.5 if name != "roll" else 20.0})
    images = torch.rand(12, 3, 24, 24) * 255
    found = augment_images(images, ranges, np.random.default_rng(0))
    changed = (found - images).abs().amax((1, 2, 3))
    assert (changed > 1).any()
    assert changed.unique().numel() > 1
    assert found.min() >= 0
    assert found.max() <= 255


def test_reduced_precision_of_the_network_does_not_move_pixels() -> None:
    images = torch.rand(2, 3, 24, 24) * 255
    expected = augment_images(images, ImageAugmentation(), np.random.default_rng(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = augment_images(images, ImageAugmentation(), np.random.default_rng(0))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_share_is_changed_as_in_the_whole_batch() -> None:
    images = torch.rand(8, 3, 24, 24) * 255
    ranges = ImageAugmentation(cover=0.5, gray=0.3)
    whole = augment_images(images, ranges, np.random.default_rng(5))
    parts = [
        augment_images(images[part], ranges, np.random.default_rng(5), part, 8)
        for part in (slice(0, 4), slice(4, 8))
    ]
    torch.testing.assert_close(torch.cat(parts), whole)
