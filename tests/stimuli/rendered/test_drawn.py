"""Drawn sets: what belongs to an identity and what to an expression, and the landmarks."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import LANDMARKS
from neurofer.stimuli import StimulusSet, load_stimuli, read_stimuli
from neurofer.stimuli.catalogue import stimuli_card
from neurofer.stimuli.rendered import drawing
from neurofer.stimuli.rendered.drawn import DrawnCard, plan

pytest.importorskip("dicebear", reason="needs the extra `dicebear`")
CARD = stimuli_card("avatars-2d")
assert isinstance(CARD, DrawnCard)
STYLES = list(CARD.styles)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawings")


def load(style: str, cache: Path, **parameters: object) -> StimulusSet:
    given = {"seeds": (1, 2), "size": 96, **parameters}
    return load_stimuli(f"avatars-2d-{style}", cache=cache, **given)


@pytest.mark.parametrize("style", STYLES)
def test_an_expression_moves_the_face_and_nothing_else(style: str, cache: Path) -> None:
    stimuli = load(style, cache)
    table = stimuli.table
    spec = CARD.styles[style]
    assert set(table["expression"]) == set(spec.expressions)
    assert set(table["licence"]) == {spec.licence}
    assert set(table["expression"][table["doubtful"]]) == set(spec.doubtful)
    for identity in set(table["identity"]):
        rows = np.flatnonzero(table["identity"] == identity)
        images = np.stack([stimuli.image(int(i)) for i in rows]).astype(int)
        changing = (images.max(axis=0) - images.min(axis=0)).max(axis=-1) > 24
        # hair, clothes and background, about three quarters of the picture, are the person's
        assert 0.002 < changing.mean() < 0.25
        ys, _ = np.nonzero(changing)
        assert ys.min() > 0.1 * 96
        assert ys.max() < 0.95 * 96


@pytest.mark.parametrize("style", [s for s in STYLES if CARD.styles[s].landmarks])
def test_landmarks_lie_on_the_parts_in_their_order(style: str, cache: Path) -> None:
    stimuli = load(style, cache)
    assert stimuli.landmarks is not None
    known = ~np.isnan(stimuli.landmarks[:, :, 0])
    assert (known == known[0]).all()
    x = {name: stimuli.landmarks[:, i, 0] for i, name in enumerate(LANDMARKS)}
    y = {name: stimuli.landmarks[:, i, 1] for i, name in enumerate(LANDMARKS)}
    assert (x["left_mouth"] < x["top_mouth"]).all()
    assert (x["top_mouth"] < x["right_mouth"]).all()
    assert (y["top_mouth"] <= y["down_mouth"]).all()
    assert (y["left_eyelid"] < y["top_mouth"]).all()
    eyes = stimuli.landmarks[:, 10:12]
    for identity in set(stimuli.table["identity"]):
        mine = eyes[(stimuli.table["identity"] == identity).to_numpy()]
        assert (mine == mine[0]).all()  # no expression moves an eye
    if "brows" in CARD.styles[style].landmarks:
        order = ["left_eyebrow_ext", "left_eyebrow_int", "right_eyebrow_int", "right_eyebrow_ext"]
        assert (np.diff([x[name] for name in order], axis=0) > 0).all()
        assert (y["left_eyebrow_ext"] < y["left_mouth"]).all()


def test_landmarks_scale_with_the_size(cache: Path) -> None:
    small, large = load("micah", cache), load("micah", cache, size=192)
    assert small.landmarks is not None
    assert large.landmarks is not None
    np.testing.assert_allclose((large.landmarks + 0.5) / 2 - 0.5, small.landmarks, atol=0.8)


def draw_neutral(style: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw a neutral face so large that a unit of the style is a pixel; its landmarks as well."""
    side = round(CARD.styles[style].frame[2])
    return drawing.draw(next(plan(f"avatars-2d-{style}", CARD, (1,), side))[1])


def test_a_line_mouth_lies_where_the_style_puts_it() -> None:
    """The straight mouth of Micah goes from (20, 30) to (64, 24), 157.13 and 182.89 away."""
    _, landmarks = draw_neutral("micah")
    offset = np.array([157.13, 182.89]) - CARD.styles["micah"].frame[:2]
    for name, end in (("left_mouth", (20, 30)), ("right_mouth", (64, 24))):
        found = landmarks[list(LANDMARKS).index(name)]
        np.testing.assert_allclose(found, np.array(end) + offset - 0.5, atol=2.5)


def test_a_point_of_the_card_lies_on_what_is_drawn() -> None:
    """ToonHead's nose is a shadow on its head: darker skin above and below which it is lighter."""
    image, landmarks = draw_neutral("toon-head")
    x, y = landmarks[12].round().astype(int)
    column = image[y - 25 : y + 25, x].astype(int).sum(axis=1)
    shadow = np.flatnonzero(column < column[0] - 20)
    assert 3 < len(shadow) < 20
    assert abs(shadow.mean() - 25) < 1.5


def test_nothing_is_drawn_twice(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("moods", cache)
    monkeypatch.setattr(drawing, "draw", None)
    again = load("moods", cache)
    assert again.identifier == first.identifier
    np.testing.assert_array_equal(again.landmarks, first.landmarks)


@pytest.mark.parametrize("suffix", [".png", ".note"])
@pytest.mark.parametrize("cut", [0, 60])
def test_a_damaged_drawing_is_made_again(tmp_path: Path, suffix: str, cut: int) -> None:
    first = load("moods", tmp_path, seeds=(1,))
    before = list(first.images())
    path = next(tmp_path.glob(f"*{suffix}"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.warns(UserWarning, match="made again"):
        content = [image.copy() for image in load("moods", tmp_path, seeds=(1,)).images()]
    np.testing.assert_array_equal(content, before)


def test_drawings_are_deterministic_and_survive_a_folder(cache: Path, tmp_path: Path) -> None:
    first, other = load("toon-head", cache), load("toon-head", tmp_path / "elsewhere")
    assert other.content == first.content
    assert read_stimuli(first.save(tmp_path / "set")).identifier == first.identifier


def test_the_whole_set_is_its_styles() -> None:
    whole = [row["stimulus_id"] for row, _ in plan("avatars-2d", CARD, (1,), 32)]
    parts = [
        row["stimulus_id"]
        for style in STYLES
        for row, _ in plan(f"avatars-2d-{style}", CARD, (1,), 32)
    ]
    assert whole == parts
    assert len(set(whole)) == len(whole)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name == "resvg_py":
            raise ModuleNotFoundError("No module named 'resvg_py'", name="resvg_py")
        return real(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "resvg_py", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NeuroferError, match=r'resvg_py is missing.*pip install "neurofer\[dice'):
        load("moods", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": (1,)}, "did you mean 'seeds'"),
        ({"seeds": (1, 1)}, "seeds="),
        ({"size": 4}, "size=4"),
    ],
)
def test_wrong_parameters_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(NeuroferError, match=message):
        load("moods", tmp_path, **changes)


def test_two_seeds_of_one_person_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurofer.stimuli.rendered.drawn.content_hash", lambda *_: "0")
    with pytest.raises(NeuroferError, match="moods-1-neutral and avatars-2d-moods-2-neutral look"):
        load("moods", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expressions": {"neutral": {}, "hapy": {}}}, "did you mean 'happy'"),
        ({"expressions": {"happy": {}, "sad": {}}}, "no neutral face"),
        ({"points": {"noze": (1, 2)}}, "did you mean 'nose'"),
        ({"landmarks": {"brow": "eyebrows"}}, "did you mean 'brows'"),
        ({"licence": "CC BY-NC 4.0"}, "CC BY 4.0"),
    ],
)
def test_a_wrong_card_is_refused(changes: dict[str, object], message: str) -> None:
    content = CARD.model_dump()
    content["styles"]["moods"] |= changes
    with pytest.raises(ValueError, match=message):
        DrawnCard.model_validate(content)


@pytest.mark.parametrize(
    ("style", "options", "message"),
    [
        ("mood", {}, "no style 'mood'"),
        ("moods", {"mouthVariant": ["smil"]}, "no mouthVariant 'smil'"),
        ("moods", {"scales": 2}, "an option of the style moods is wrong"),
    ],
)
def test_what_a_style_lacks_is_named(style: str, options: dict[str, object], message: str) -> None:
    wrong = drawing.Drawing(style, options, {}, {}, {}, {}, (0, 0, 100), 32)
    with pytest.raises(NeuroferError, match=message):
        drawing.draw(wrong)


def test_other_versions_of_the_packages_are_another_drawing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = drawing.Drawing("lorelei", {}, {}, {}, {}, {}, (0, 0, 1, 1), 12)
    before = drawing._entry(drawn, Path())
    monkeypatch.setattr(drawing, "_versions", lambda: {"drawing": 0})
    after = drawing._entry(drawn, Path())
    assert before[0] != after[0]
    assert before[1] != after[1]
