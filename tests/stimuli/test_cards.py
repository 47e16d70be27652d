from __future__ import annotations

from pathlib import Path

import pytest

from neurofer.errors import NeuroferError
from neurofer.files import content_folder
from neurofer.stimuli import list_stimuli, load_stimuli
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
        ("spread: 0.35", "sprad: 0.35", "spread: Field required|sprad: Extra inputs"),
        ("spread: 0.35", "spread: -1", "spread"),
        ("happy", "hapy", "did you mean 'happy'"),
        ("strengths: [1.0]", "strengths: [0, 1.0]", "versions.bfs.strengths.*above 0"),
        ("strengths: [1.0]", "strengths: [1.0, 1.0]", "twice"),
        ("identities: first", "identities: some", "versions.bfs-l.identities"),
        ("kind: rendered", "kind: [", "no YAML"),
    ],
)
def test_wrong_cards_name_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in BFS
    (tmp_path / "card.yaml").write_text(BFS.replace(old, new))
    with pytest.raises(NeuroferError, match=rf"(?s)card\.yaml.*({message})"):
        read_card(tmp_path / "card.yaml")


def test_an_unknown_set_is_answered_with_the_choices() -> None:
    with pytest.raises(NeuroferError, match=r"bfs, bfs-l, .*did you mean 'bfs-wide'"):
        load_stimuli("bfs-wied")
