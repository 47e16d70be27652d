from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import AVATARS, PARTS, POSITION_LANDMARKS
from neurofer.files import content_folder
from neurofer.stimuli import StimulusSet, list_stimuli, load_stimuli, split
from neurofer.stimuli.cards import read_card
from neurofer.stimuli.catalogue import stimuli_card
from neurofer.stimuli.rendered.jitter import JITTERS
from neurofer.stimuli.rendered.render_cache import RenderSpec
from neurofer.stimuli.rendered.simulated import plan
from neurofer.stimuli.splits import shuffled
from neurofer.training import list_recipes, read_recipe
from tests.stimuli.conftest import FakeRenderer

KDEF = (content_folder("stimuli") / "kdef-sim.yaml").read_text()
SIMULATED = [name for name in list_stimuli() if stimuli_card(name).kind == "simulated"]
SEEDED = [name for name in SIMULATED if stimuli_card(name).seeds is not None]


def planned(name: str, **parameters: Any) -> tuple[list[dict[str, Any]], list[RenderSpec]]:
    rows, specs = zip(*plan(name, stimuli_card(name), **parameters), strict=True)
    return list(rows), list(specs)


@pytest.mark.parametrize("name", ["kdef-sim", "kdef-sim-clean"])
def test_kdef_sim_has_the_protocol_of_kdef(name: str) -> None:
    rows, specs = planned(name)
    assert len(rows) == 4900 == len(set(specs)) == len({row["stimulus_id"] for row in rows})
    people = {(row["identity"], row["sex"], row["seed"]) for row in rows}
    assert len(people) == 70
    assert {identity for identity, _, _ in people} == {
        f"{sex}{number:02d}" for sex in "FM" for number in range(1, 36)
    }
    assert {(identity[0], sex) for identity, sex, _ in people} == {("F", "female"), ("M", "male")}
    assert len({seed for _, _, seed in people}) == 70
    cells = Counter((r["identity"], r["expression"], r["view"], r["session"]) for r in rows)
    assert set(cells.values()) == {1}
    reach = JITTERS[stimuli_card(name).versions[name].jitter].yaw
    for row, spec in zip(rows, specs, strict=True):
        yaw = {"full-left": -90, "half-left": -45, "frontal": 0, "half-right": 45, "full-right": 90}
        assert abs(row["yaw"] - yaw[row["view"]]) <= reach
        assert spec.camera is not None
        assert (spec.camera.yaw, spec.seed, spec.spread) == (row["yaw"], row["seed"], 1)
        assert row["source"] == "rendered"


@pytest.mark.parametrize(
    ("stimulus", "expected"),
    [
        ("AF01AFS", ("F01", "fear", "frontal", "A")),
        ("BM02HAFL", ("M02", "happy", "full-left", "B")),
        ("AM01SUHR", ("M01", "surprise", "half-right", "A")),
    ],
)
def test_names_are_kdefs(stimulus: str, expected: tuple[str, ...]) -> None:
    rows, _ = planned("kdef-sim", identities=4)
    row = next(row for row in rows if row["stimulus_id"] == stimulus)
    assert tuple(row[key] for key in ("identity", "expression", "view", "session")) == expected


def test_fewer_identities_are_the_first_of_more() -> None:
    few, many = (set(planned("kdef-sim", identities=n)[1]) for n in (3, 8))
    assert len(few) == 3 * 70
    assert few < many
    assert len({spec.identity for spec in few}) == 3


def test_fresh_seeds_show_other_people() -> None:
    first, fresh = (planned("kdef-sim", identities=6, first_seed=s)[0] for s in (100000, 150000))
    assert [row["stimulus_id"] for row in first] == [row["stimulus_id"] for row in fresh]
    assert not {row["seed"] for row in first} & {row["seed"] for row in fresh}


def test_sessions_are_independent_draws() -> None:
    rows, specs = planned("kdef-sim", identities=2)
    drawn: dict[tuple[str, ...], list[RenderSpec]] = {}
    for row, spec in zip(rows, specs, strict=True):
        drawn.setdefault((row["identity"], row["expression"], row["view"]), []).append(spec)
    for first, second in drawn.values():
        assert first.action_units != second.action_units
        assert first.camera != second.camera
        assert first.background != second.background


@pytest.mark.parametrize("name", SEEDED)
def test_no_set_shares_an_identity_with_another(name: str) -> None:
    own = stimuli_card(name).seeds
    assert own.first > 35  # bfs has the seeds 1 to 5, settings were chosen on 11 to 35
    for recipe in list_recipes():
        if read_recipe(recipe).task == "landmarks":  # which draws heads of its own
            data = read_recipe(recipe).data
            assert data.first_seed + data.count <= own.first
    for other in SEEDED:
        card = stimuli_card(other)
        if card.name != stimuli_card(name).name:
            assert card.seeds.last < own.first or own.last < card.seeds.first


@pytest.mark.parametrize(("expressions", "shown"), [(1, 1), (3, 3), (7, 7), (["neutral"], 1)])
def test_identities_show_as_many_expressions_as_asked_for(
    expressions: int | list[str], shown: int
) -> None:
    rows, specs = planned("identities-sim", identities=30, images=14, expressions=expressions)
    assert len(rows) == 30 * 14 == len(set(specs))
    seen: dict[str, Counter[str]] = {}
    for row in rows:
        seen.setdefault(row["identity"], Counter())[row["expression"]] += 1
    assert {len(counts) for counts in seen.values()} == {shown}
    assert all(max(c.values()) - min(c.values()) <= 1 for c in seen.values())
    sets = {frozenset(counts) for counts in seen.values()}
    # a number is drawn for each identity, names are the same for all
    assert (len(sets) > 1) == (isinstance(expressions, int) and expressions < 7)


def test_identities_take_heads_in_turn_and_go_through_the_views() -> None:
    rows, _ = planned(
        "identities-sim",
        identities=4,
        images=12,
        expressions=["happy", "sad"],
        heads=["human", "monkey"],
        views=["half-left", "frontal", "full-right"],
    )
    heads = list(dict.fromkeys((row["identity"], row["head"]) for row in rows))
    assert heads == [
        ("Human_200000", "human"),
        ("Monkey_200001", "monkey"),
        ("Human_200002", "human"),
        ("Monkey_200003", "monkey"),
    ]
    cells = Counter((row["identity"], row["expression"], row["view"]) for row in rows)
    assert len(cells) == 4 * 2 * 3
    assert set(cells.values()) == {2}
    assert [row["stimulus_id"] for row in rows[:2]] == ["Human_200000_0001", "Human_200000_0002"]


def test_avatars_show_every_expression_and_look_about() -> None:
    rows, specs = planned("ferg-sim", images=5)
    assert len(rows) == 6 * 7 * 5 == len(set(specs))
    cells = Counter((row["head"], row["identity"], row["expression"]) for row in rows)
    assert set(cells.values()) == {5}
    assert {row["head"] for row in rows} == set(AVATARS)
    assert not {row["head"] for row in rows} & {"aia", "bonnie", "jules", "malcolm", "mery", "ray"}
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    turned = {unit for spec in specs for unit, _ in spec.action_units or () if unit > 60}
    assert turned == {61, 62, 63, 64}


@pytest.mark.parametrize("count", [42, 1000, 55767])
def test_fergs_split_has_the_usual_shares(count: int) -> None:
    counts = Counter(shuffled(count, 6000 / 55767))
    assert counts["test"] == counts["val"] == round(count * 6000 / 55767)
    assert sum(counts.values()) == count
    assert shuffled(count, 6000 / 55767) == shuffled(count, 6000 / 55767)
    if count == 55767:
        assert counts["train"] == 43767


@pytest.mark.parametrize(
    ("name", "rule", "columns"),
    [
        *((name, "by-identity", ("image_sha256", "identity")) for name in SIMULATED),
        # FERG's usual split has every avatar in all its parts
        *((name, "official", ("image_sha256",)) for name in SIMULATED if name.startswith("ferg")),
    ],
)
def test_nothing_crosses_a_split(
    renderer: FakeRenderer, tmp_path: Path, name: str, rule: str, columns: tuple[str, ...]
) -> None:
    few = {"kdef": {"identities": 5}, "ferg": {"images": 10}, "lfw": {"identities": 10}}
    stimuli = load_stimuli(name, size=16, cache=tmp_path, **few[stimuli_card(name).layout])
    for made in split(stimuli, rule):
        positions = [part for part in (made.train, made.validation, made.test) if len(part)]
        for column in columns:
            values = [set(stimuli.table[column].iloc[part]) for part in positions]
            assert sum(map(len, values)) == len(set.union(*values))


@pytest.mark.parametrize("name", SIMULATED)
def test_no_image_is_in_a_set_twice(renderer: FakeRenderer, tmp_path: Path, name: str) -> None:
    few = {"kdef": {"identities": 4}, "ferg": {"images": 20}, "lfw": {"identities": 8}}
    stimuli = load_stimuli(name, size=16, cache=tmp_path, **few[stimuli_card(name).layout])
    assert stimuli.table["image_sha256"].is_unique
    assert len(renderer.drawn) == len(stimuli) == len(set(renderer.drawn))
    assert stimuli.identifier.startswith(f"{name}-rendered-")


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("kdef-sim", {"identitys": 3}, "parameter='identitys'.*did you mean 'identities'"),
        ("kdef-sim", {"images": 3}, "parameter='images' is not in simulated set 'kdef-sim'"),
        ("kdef-sim", {"identities": 0}, "set 'kdef-sim': identities=0: must be at least 1"),
        ("kdef-sim", {"identities": 71}, "identities=71: must be at most 70"),
        ("kdef-sim", {"identities": 7.5}, r"identities=7\.5: is not a whole number"),
        ("kdef-sim", {"identities": True}, "identities=true: is not a whole number"),
        ("kdef-sim", {"size": 8}, "size=8: must be at least 16"),
        ("kdef-sim", {"first_seed": 1}, "first_seed=1 .*from 100000 to 199999.*to tune"),
        ("kdef-sim", {"first_seed": 199990}, "need seeds above 199999"),
        ("identities-sim", {"first_seed": 100000}, "from 200000 to 999999"),
        ("identities-sim", {"expressions": 0}, "expressions=0.*1 to 7"),
        ("identities-sim", {"expressions": 8}, "expressions=8.*1 to 7"),
        ("identities-sim", {"expressions": ["hapy"]}, "expressions.*did you mean 'happy'"),
        ("identities-sim", {"expressions": []}, "at least one"),
        ("identities-sim", {"heads": ["humn"]}, "heads.*did you mean 'human'"),
        ("identities-sim", {"views": ["front"]}, "views.*did you mean 'frontal'"),
        ("identities-sim", {"views": []}, "views"),
        ("identities-sim", {"images": 0}, "images=0"),
        ("ferg-sim", {"images": 0}, "images=0"),
        ("ferg-sim", {"first_seed": 1}, "parameter='first_seed' is not in simulated set"),
    ],
)
def test_wrong_parameters(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroferError, match=f"(?s){message}"):
        planned(name, **parameters)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("jitter: R", "jitter: Q", "versions.kdef-sim.jitter.*unknown; choose from A, E"),
        ("layout: kdef", "layout: jaffe", "layout"),
        ("first: 100000", "first: 150001", "seeds.*first < development"),
        ("surprise]", "contempt]", "expressions.*did you mean|expressions.*choose from"),
    ],
)
def test_wrong_cards_name_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in KDEF
    (tmp_path / "card.yaml").write_text(KDEF.replace(old, new))
    with pytest.raises(NeuroferError, match=rf"(?s)card\.yaml.*({message})"):
        read_card(tmp_path / "card.yaml")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> StimulusSet:
    cache = tmp_path_factory.mktemp("cache")
    return load_stimuli("kdef-sim", identities=1, size=48, cache=cache)


def test_faces_look_where_their_view_says(person: StimulusSet) -> None:
    assert person.landmarks is not None
    nose = person.landmarks[:, 10 + POSITION_LANDMARKS.index("nose"), 0]
    offset: dict[str, list[float]] = {}
    for i, view in enumerate(person.table["view"]):
        parts = person.parts(i)
        assert parts is not None
        head = ~np.isin(parts, [PARTS[part] for part in ("background", "neck", "clothes")])
        offset.setdefault(view, []).append(nose[i] - np.flatnonzero(head.any(axis=0)).mean())
    for side in ("left", "right"):
        for view in (f"full-{side}", f"half-{side}"):
            assert (np.sign(offset[view]) == (-1 if side == "left" else 1)).all()
    assert max(offset["half-left"]) < np.mean(offset["frontal"]) < min(offset["half-right"])


def test_every_face_is_in_its_frame(person: StimulusSet) -> None:
    assert person.landmarks is not None
    assert ((person.landmarks > -0.5) & (person.landmarks < 47.5)).all()
    assert person.table["image_sha256"].is_unique
