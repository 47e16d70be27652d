from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurofer import record
from neurofer.errors import NeuroferError
from neurofer.recording import Recordable
from neurofer.stimuli import StimulusSet

from .brightness import Brightness, colour_images


@pytest.fixture
def colours() -> StimulusSet:
    return colour_images()


class Weighted(Brightness):
    """A subject whose weights can be told."""

    weights = "aa"

    @property
    def weights_hash(self) -> str:
        return self.weights


def test_a_subject_can_be_recorded(colours: StimulusSet) -> None:
    subject = Brightness()
    assert isinstance(subject, Recordable)
    recording = record(subject, colours)
    assert recording["unit"].values.tolist() == ["happy", "sad", "angry"]
    assert recording.values.argmax(axis=1).tolist() == [0, 1, 2]
    assert recording.attrs["options"] == '{"gain": 1.0, "order": "rgb"}'


def test_the_identifier_follows_all_that_decides_the_responses(colours: StimulusSet) -> None:
    other = Weighted()
    other.weights = "bb"
    relabelled = StimulusSet.from_arrays(
        "colours", colours.table.assign(expression="fear"), list(colours.images())
    )
    subjects = [
        Brightness(),
        Brightness(gain=2.0),
        Brightness(order="bgr"),
        Brightness(colours),
        Brightness(colours.take([0, 1])),
        Brightness(relabelled),
        Weighted(),
        other,
    ]
    assert len({subject.identifier for subject in subjects}) == len(subjects)
    assert Brightness(gain=2.0).identifier == subjects[1].identifier
    assert all(subject.identifier.startswith("brightness-") for subject in subjects)


def test_training_images_are_known(colours: StimulusSet) -> None:
    subject = Brightness(colours.take([2]))
    assert subject.training_images == {colours.table["image_sha256"].iloc[2]}
    assert record(subject, colours)["in_training"].values.tolist() == [False, False, True]
    assert Brightness().training_images == frozenset()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"gian": 2.0},
            "option='gian' is not in subject 'brightness'; it has gain, order; did you",
        ),
        (
            {"order": "rgbb"},
            "'brightness': order='rgbb' is unknown; choose from rgb, bgr; did you mean 'rgb'",
        ),
        ({"gain": "2"}, "subject 'brightness': gain='2': give a number"),
        ({"gain": True}, "gain=True: give a number"),
        ({"gain": None}, "gain=None: give a number"),
        ({"gain": float("nan")}, "gain=nan: give a number"),
    ],
)
def test_unknown_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        Brightness(**options)


def test_options_do_not_leak_between_subjects() -> None:
    Brightness().options["gain"] = 5.0
    assert Brightness().options == {"gain": 1.0, "order": "rgb"}


def test_regions() -> None:
    assert Brightness().regions == {"IT": ("colours", "second"), "V4": ("corner",)}


@pytest.mark.parametrize(
    ("target", "sites"),
    [
        ("IT", ["colours", "second"]),
        ("decision", ["decision"]),
        (["second", "corner"], ["second", "corner"]),
    ],
)
def test_look_at_returns_what_was_asked_for(
    colours: StimulusSet, target: Any, sites: list[str]
) -> None:
    subject = Brightness()
    subject.start_recording(target, time_bins=[(0, 100)])
    seen = subject.look_at(colours, number_of_trials=3)
    assert seen is not None
    assert seen.identical(record(subject, colours, sites=sites, time_bins=[(0, 100)]))
    assert subject.visual_degrees() == 8


def test_labels(colours: StimulusSet) -> None:
    subject = Brightness()
    subject.start_task("label", ["angry", "sad"])
    answers = subject.look_at(colours)
    assert answers is not None
    assert answers.dims == ("presentation", "choice")
    # Red is darkest in both candidates; the tie goes to the first label.
    assert answers.values[1:, 0].tolist() == ["sad", "angry"]
    assert answers["stimulus_id"].values.tolist() == ["red", "green", "blue"]


def test_a_missing_response_is_no_answer(
    colours: StimulusSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Brightness()
    respond = subject.respond

    def blind_to_happy(batch: Any, sites: Any) -> dict[str, np.ndarray]:
        seen = respond(batch, sites)
        seen["decision"][:, 0] = np.nan
        return seen

    monkeypatch.setattr(subject, "respond", blind_to_happy)
    subject.start_task("label", ["happy", "sad", "angry"])
    answers = subject.look_at(colours)
    assert answers is not None
    assert "happy" not in answers.values


def test_passive_viewing_returns_nothing(colours: StimulusSet) -> None:
    subject = Brightness()
    subject.start_task("passive")
    assert subject.look_at(colours) is None
    subject.start_recording("IT")
    assert subject.look_at(colours) is not None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, x: s.look_at(x), "before start_recording"),
        (
            lambda s, x: s.start_recording("ITT"),
            "recording target='ITT'.*IT, V4, colours.*mean 'IT'",
        ),
        (lambda s, x: s.start_recording(["colors"]), "did you mean 'colours'"),
        (lambda s, x: s.start_task("lable", ["sad"]), "did you mean 'label'"),
        (lambda s, x: s.start_task("label", ["happi"]), "did you mean 'happy'"),
        (lambda s, x: s.start_task("label", "imagenet"), "give a list of expressions"),
        (lambda s, x: s.start_task("label", []), "give a list of expressions"),
        (lambda s, x: s.look_at(x.table), "as_brain_model"),
        (lambda s, x: s.start_recording("IT") or s.look_at(x, number_of_trials=0), "at least 1"),
    ],
)
def test_wrong_calls(colours: StimulusSet, call: Any, message: str) -> None:
    with pytest.raises(NeuroferError, match=message):
        call(Brightness(), colours)


def test_a_subject_without_a_decision_cannot_label() -> None:
    subject = Brightness()
    subject.sites = {"colours": subject.sites["colours"]}
    with pytest.raises(NeuroferError, match="no site 'decision'"):
        subject.start_task("label", ["sad"])
