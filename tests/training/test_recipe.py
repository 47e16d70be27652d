from __future__ import annotations

import pytest

from neurofer.errors import NeuroferError
from neurofer.faces import HEADS
from neurofer.training import list_recipes, make_recipe, read_recipe
from neurofer.training.images import divide
from neurofer.training.recipe import merge, starting_from, with_settings
from tests.stimuli.fake_layouts import draw

GOOD = {"name": "x", "task": "landmarks", "steps": 3, "data": {"identities": 2}}


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_can_be_read_and_has_its_own_name(name):
    assert read_recipe(name).name == name


def test_the_shipped_nets_have_recipes():
    assert {"heatmap", "heatmap-human"} <= set(list_recipes())
    assert read_recipe("heatmap").data.heads == HEADS
    assert read_recipe("heatmap-human").data.heads == ("human",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "key='epochs' is not in the top level; it has name, task, seed"),
        (
            {"optimiser": {"averag": 0.5}},
            r"key='averag' is not in optimiser; .*did you mean 'average'",
        ),
        (
            {"data": {"identities": 2, "head": "human"}},
            "key='head' is not in data; it",
        ),
        ({"data": {"identities": 2, "heads": ["robot"]}}, "choose from human, monkey, cartoon"),
        (
            {"data": {"identities": 2, "first_seed": 5}},
            "data.first_seed=5: must be at least",
        ),
        ({"data": {"identities": 2, "held_out": 2}}, "data.held_out=2: .*of each of 3 heads"),
        ({"steps": 0}, "steps=0: "),
        (
            {"task": "landmark"},
            "task='landmark' is not in recipe; it has landmarks, .*; did you mean 'landmarks'",
        ),
        ({"precision": "float16"}, "precision='float16' is unknown; choose from float32, bfloat16"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said(change, message):
    with pytest.raises(NeuroferError, match=message):
        make_recipe({**GOOD, **change})


def test_files(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntask: landmarks\nsteps: 3\ndata: {identities: 2}\n")
    assert read_recipe(path).steps == 3
    path.write_text("- a list")
    with pytest.raises(NeuroferError, match="must hold a mapping"):
        read_recipe(path)
    path.write_text("a: [")
    with pytest.raises(NeuroferError, match="is not valid YAML"):
        read_recipe(path)
    with pytest.raises(
        NeuroferError, match=r"recipe='heatmop' is unknown; .*did you mean 'heatmap'"
    ):
        read_recipe("heatmop")


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def test_a_recipe_inherits_from_a_shipped_one_and_from_a_file_beside_it(tmp_path):
    path = write(
        tmp_path,
        mine="base: middle.yaml\nname: mine\ndata: {heads: [monkey]}\nsteps: 3\n",
        middle="base: heatmap\nname: middle\ndata: {images: 2}\noptimiser: {kind: sgd}\n",
    )
    mine, heatmap = read_recipe(path), read_recipe("heatmap")
    assert mine.data.heads == ("monkey",)  # a list is replaced
    assert (mine.data.images, mine.data.identities) == (2, heatmap.data.identities)
    assert (mine.name, mine.steps, mine.optimiser.kind) == ("mine", 3, "sgd")
    assert mine.augmentation == heatmap.augmentation
    stored = mine.model_dump(mode="json")  # what the card holds stands for itself
    assert "base" not in stored
    assert make_recipe(stored) == mine


def test_what_was_said_of_another_kind_is_not_inherited():
    base = {
        "target": {"kind": "affect", "bins": 5},
        "data": {"stimuli": "ferplus", "parameters": {"rule": "majority"}, "size": 96},
        "network": {"name": "vgg", "options": {"scheme": "full", "ciao": True}},
    }
    own = {
        "target": {"kind": "category"},
        "data": {"stimuli": "jaffe", "size": 64},
        "network": {"options": {"scheme": "decision"}},
    }
    assert merge(base, own) == {
        "target": {"kind": "category"},
        "data": {"stimuli": "jaffe", "size": 64},
        "network": {"name": "vgg", "options": {"scheme": "decision", "ciao": True}},
    }
    assert merge(base, {"target": {"bins": 7}})["target"] == {"kind": "affect", "bins": 7}
    assert merge(base, {"data": {"stimuli": "ferplus", "size": 48}})["data"]["size"] == 48
    assert merge(base, {"target": None})["target"] is None
    assert merge(base, {"network": {"options": {}}})["network"] == {"name": "vgg", "options": {}}
    assert base["data"]["size"] == 96


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "base: a.yaml\nname: a\n"}, r"is its own base: .*a\.yaml > .*a\.yaml"),
        (
            {"a": "base: b.yaml\nname: a\n", "b": "base: a.yaml\nname: b\n"},
            r"is its own base: .*a\.yaml > .*b\.yaml > .*a\.yaml",
        ),
        ({"a": "base: heatmop\nname: a\n"}, r"base='heatmop' is not in .*mean 'heatmap'"),
        ({"a": "base: [heatmap]\nname: a\n"}, r"base=\['heatmap'\]; give the name of one"),
        ({"a": "base: heatmap\n"}, "lacks the key 'name'"),
    ],
)
def test_what_is_wrong_with_a_base_is_said(tmp_path, files, message):
    with pytest.raises(NeuroferError, match=message):
        read_recipe(write(tmp_path, **files))


def test_a_recipe_can_start_from_other_weights() -> None:
    stated = read_recipe("ciao-vgg-decision")
    started = starting_from(stated, "mine.safetensors")
    assert started.model_dump()["network"]["start"] == "mine.safetensors"
    assert started.name == stated.name
    with pytest.raises(NeuroferError, match=r"start='mine'.*heatmap.*starts from nothing"):
        starting_from(read_recipe("heatmap"), "mine")


SUPERVISED = {
    "name": "x",
    "task": "supervised",
    "steps": 3,
    "data": {"stimuli": "kdef-sim", "size": 32},
    "target": {"kind": "category"},
    "network": {"name": "resnet-18"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": {"kind": "category", "colum": "x"}}, "'colum' is not in target; .*'column'"),
        ({"target": {"kind": "categry"}}, "target.kind='categry' is unknown; .*mean 'category'"),
        ({"target": {}}, "target lacks the key 'kind'"),
        ({"augmentation": {"flipp": 1}}, "key='flipp' is not in augmentation; it has"),
        ({"contrast": {"temprature": 1}}, "'temprature' is not in contrast; .*'temperature'"),
        ({"verification": {"stimuli": "x", "sise": 3}}, "'sise' is not in verification; .*'size'"),
        ({"probe": {"stimulus": "x", "size": 32}}, "'stimulus' is not in probe; .*'stimuli'"),
        ({"tests": {"a": {"stimuli": "x", "sise": 3}}}, r"'sise' is not in tests\.a; .*'size'"),
        ({"tests": {"a": {"size": 32}}}, r"tests\.a"),
        ({"network": {"name": "resnet-81"}}, "network: network='resnet-81' .*mean 'resnet-18'"),
        ({"network": {"name": "vgg", "options": {"widht": 1}}}, "option='widht' .*mean 'width'"),
        ({"network": {"name": "vgg", "options": {"width": "1"}}}, "width='1': give a number"),
        ({"network": {"name": "vgg", "options": {"width": -1}}}, "width=-1.0: give a number above"),
        ({"network": {"name": "vgg", "options": {"hidden": 2.5}}}, "hidden=2.5: give a whole"),
        ({"network": {"name": "vgg", "options": {"scheme": "ful"}}}, "scheme='ful' .*mean 'full'"),
        ({"network": {"name": "vgg", "option": {}}}, "'option' is not in network; .*'options'"),
    ],
)
def test_every_part_of_a_supervised_recipe_names_what_is_wrong(change, message):
    """Before any data are loaded."""
    make_recipe(SUPERVISED)
    with pytest.raises(NeuroferError, match=message):
        make_recipe({**SUPERVISED, **change})


def test_a_recipe_with_other_settings() -> None:
    stated = make_recipe(SUPERVISED)
    made = with_settings(stated, {"steps": 1e2, "data.size": 64, "network.options.width": 0.5})
    assert (made.steps, made.data.size, made.network.options) == (100, 64, {"width": 0.5})
    assert made.data.stimuli == "kdef-sim"
    assert stated.steps == 3
    for settings, message in (
        ({"stepps": 3}, "key='stepps' .*did you mean 'steps'"),
        ({"data.sise": 3}, "key='sise' is not in data; .*did you mean 'size'"),
        ({"steps.x": 3}, "steps=a mapping: is not a whole number"),
        ({"steps": True}, "steps=true: is not a whole number"),
    ):
        with pytest.raises(NeuroferError, match=message):
            with_settings(stated, settings)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"size": 32}, "data: give either 'stimuli', .* or 'folder'"),
        ({"stimuli": "kdef-sim", "folder": "x", "size": 32}, "data: give either 'stimuli'"),
        ({"folder": "x", "parameters": {"a": 1}, "size": 32}, "a folder has none"),
        ({"foldr": "x", "size": 32}, "key='foldr' is not in data; .*did you mean 'folder'"),
    ],
)
def test_a_recipe_names_a_set_or_a_folder(data, message) -> None:
    with pytest.raises(NeuroferError, match=message):
        make_recipe({**SUPERVISED, "data": data})


def test_the_folder_of_a_recipe_lies_below_the_recipe(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path / "cache"))
    names = [f"{kind}/{k}.png" for kind in ("happy", "threat") for k in range(4)]
    draw(tmp_path / "faces", names, (20, 30))
    path = write(
        tmp_path,
        mine="name: mine\ntask: supervised\nsteps: 3\ntarget: {kind: category}\n"
        "network: {name: resnet-18}\ndata: {folder: faces, size: 32, held_out: images}\n"
        "tests: {again: {folder: faces, size: 32}}\n",
    )
    stated = read_recipe(path)
    assert stated.data.folder == stated.tests["again"].folder == str(tmp_path / "faces")
    division = divide(stated.data, seed=0, quiet=True)
    assert stated.target.names(division.stimuli.table) == ("happy", "threat")
    assert (len(division.train), len(division.test)) == (7, 1)
    with pytest.raises(NeuroferError, match=r"does not say who is shown.*held_out: images"):
        divide(stated.tests["again"], seed=0, quiet=True)
