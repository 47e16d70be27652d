from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurofer.cli.app import main
from neurofer.errors import NeuroferError
from neurofer.files import content_folder
from neurofer.stimuli import cards, list_stimuli, load_stimuli
from neurofer.stimuli.cards import read_card
from neurofer.stimuli.catalogue import stimuli_card

BFS = (content_folder("stimuli") / "bfs.yaml").read_text()


def test_the_nine_rendered_sets_are_there() -> None:
    kinds = ("bfs", "bfs-wide", "bfs-scales")
    expected = {f"{kind}{suffix}" for kind in kinds for suffix in ("", "-l", "-l-full")}
    assert expected <= set(list_stimuli())
    assert (stimuli_card("bfs").spread, stimuli_card("bfs-wide").spread) == (0.35, 1.0)
    assert stimuli_card("bfs-scales-l").scales == (1.0, 0.8, 0.9, 1.1, 1.2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("spread: 0.35", "sprad: 0.35", "lacks the key 'spread'.*did you mean 'spread'"),
        ("spread: 0.35", "spread: -1", "spread"),
        ("happy", "hapy", "did you mean 'happy'"),
        ("strengths: [1.0]", "strengths: [0, 1.0]", "versions.bfs.strengths.*above 0"),
        ("strengths: [1.0]", "strengths: [1.0, 1.0]", "twice"),
        ("identities: first", "identities: some", "versions.bfs-l.identities"),
        ("kind: rendered", "kind: [", "not valid YAML"),
    ],
)
def test_wrong_cards_name_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in BFS
    (tmp_path / "card.yaml").write_text(BFS.replace(old, new))
    with pytest.raises(NeuroferError, match=rf"(?s)card\.yaml.*({message})"):
        read_card(tmp_path / "card.yaml")


def test_an_unknown_set_is_answered_with_the_choices() -> None:
    with pytest.raises(NeuroferError, match=r"bfs, bfs-heads, bfs-l, .*did you mean 'bfs-wide'"):
        load_stimuli("bfs-wied")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of cards: that of BFS, and one that is wrong."""
    (tmp_path / "bfs.yaml").write_text(BFS)
    (tmp_path / "mine.yaml").write_text(BFS.replace("spread:", "spraed:"))
    monkeypatch.setattr(cards, "content_folder", lambda name: tmp_path)
    cards._cards.cache_clear()
    yield tmp_path
    cards._cards.cache_clear()


def test_a_wrong_card_does_not_stop_the_other_sets(folder: Path) -> None:
    assert list_stimuli() == ["bfs", "bfs-l", "bfs-l-full"]
    assert stimuli_card("bfs").name == "bfs"
    assert list(cards.broken_cards()) == ["mine.yaml"]
    with pytest.raises(NeuroferError, match=r"^\S*mine\.yaml: .*did you mean 'spread'"):
        load_stimuli("mine")
    with pytest.raises(NeuroferError, match=r"choose from bfs, .*cannot be read: \S*mine\.yaml: "):
        load_stimuli("another")


def test_two_cards_of_one_set_leave_the_first(folder: Path) -> None:
    (folder / "mine.yaml").write_text(BFS)
    assert stimuli_card("bfs").name == "bfs"
    assert "the set 'bfs' is in another card" in str(cards.broken_cards()["mine.yaml"])


def test_wrong_cards_are_listed_with_their_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["neurofer", "stimuli", "list"])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    said = capsys.readouterr()
    assert said.out.split()[0] == "bfs"
    assert "mine.yaml" in said.err
    assert "did you mean 'spread'" in said.err
