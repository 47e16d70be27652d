from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from neurofer.cli.app import app
from neurofer.errors import NeuroferError
from neurofer.recording.record import batches
from neurofer.subjects import list_subjects, load_subject
from neurofer.subjects.networks.weightless import parameter_count, weightless
from neurofer.subjects.registry import subject_factory
from neurofer.subjects.subject import Subject
from neurofer.subjects.weight_files.sources import SOURCES
from tests.subjects.brightness import colour_images

# Those that the package registers; tests register some of their own.
NAMES = [name for name in list_subjects() if name not in ("counting", "bright")]
COLUMNS = ["name", "input", "parameters", "sites", "weights", "licence"]


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["subjects", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROFER_CACHE", str(tmp_path))


def table() -> dict[str, dict[str, str]]:
    """The list, read by where its columns start, as a person reads it."""
    head, *lines = run("list").partition("\n\n")[0].splitlines()
    assert head.split() == COLUMNS
    split = [re.split(r" {2,}", line) for line in lines]
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in split}


def test_the_list_is_a_table_of_every_subject_that_fits() -> None:
    rows = table()
    assert set(NAMES) <= set(rows)
    assert all(len(line) <= 100 for line in run("list").splitlines())
    assert rows["cornet-s"]["input"] == "64 px, colour"  # of its shipped weights
    assert rows["siamese"]["input"] == "105 px, gray"
    assert rows["pixels"] == dict(
        zip(COLUMNS, ["pixels", "any size, gray", "0", "1", "none needed", "MIT"], strict=True)
    )
    assert rows["md-nre"]["sites"] == "?"


def test_json_holds_the_same_and_more() -> None:
    rows = table()
    for row in json.loads(run("list", "--json")):
        if row["name"] in NAMES:
            assert len(row["about"]) > 10
            assert rows[row["name"]]["weights"] == row["weights"]
            sites = "?" if row["sites"] is None else str(len(row["sites"]))
            assert rows[row["name"]]["sites"] == sites


@pytest.mark.usefixtures("nothing_fetched")
def test_what_needs_fetched_weights_says_so_and_is_described_without() -> None:
    rows = table()
    for name in set(SOURCES) & set(NAMES):
        assert rows[name]["weights"] == "to fetch"
    assert "neurofer weights fetch" in run("list")
    said = run("describe", "dlib-identity")
    assert "150 px, colour; RGB minus (122.782, 117.001, 104.298), divided by 256" in said
    assert "Run: neurofer weights fetch dlib-identity" in " ".join(said.split())
    assert re.search(r"conv256_2 +256 x 4 x 4\n", said)
    assert "Vincent Muehler" in said


def test_listing_loads_no_more_than_it_must() -> None:
    # Drawing random weights on torch's meta device loads sympy, which takes a second by itself.
    code = (
        "import sys; from neurofer.subjects import list_subjects;"
        "from neurofer.subjects.registry import subject_factory;"
        "[subject_factory(name).facts() for name in list_subjects()];"
        "print('sympy' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["cornet-s", "siamese", "face-channel", "pixels", "lbp"])
def test_shapes_and_sites_are_those_of_the_real_thing(name: str) -> None:
    factory = subject_factory(name)
    assert isinstance(factory, type)
    assert issubclass(factory, Subject)
    subject = load_subject(name)
    (batch,) = batches(colour_images().take([0]), 1)
    real = subject.respond(batch, list(subject.sites))
    assert factory.shapes() == {site: values.shape[1:] for site, values in real.items()}
    assert factory.facts().sites == tuple(subject.sites)
    if hasattr(subject, "net"):
        assert factory.facts().parameters == parameter_count(subject.net)


def test_a_network_without_numbers_has_no_values() -> None:
    import torch

    with weightless():
        net = torch.nn.Linear(2, 3)
        torch.nn.init.normal_(net.weight)
        assert net(torch.zeros(1, 2)).is_meta
    assert parameter_count(net) == 9
    assert np.isfinite(torch.zeros(1).normal_().numpy()).all()


def test_a_network_is_described_with_input_weights_options_and_sites() -> None:
    said = run("describe", "cornet-s")
    assert "precision = 'float32'  [float32, bfloat16]" in said
    assert re.search(r"IT.output-t1 +88 x 2 x 2  region IT", said)
    assert re.search(r"input +64 px, colour; pixels from -1 to 1", said)
    assert re.search(r"licence +MIT, the neurofer authors", said)
    assert re.search(r"it is cornet-s-\w+-[0-9a-f]{8}", said)


def test_many_units_are_not_all_named() -> None:
    said = run("describe", "lbp")
    assert "cell0.pattern0, cell0.pattern1, cell0.pattern2, ..., cell63.pattern58" in said
    assert max(map(len, said.splitlines())) <= 100


def test_what_must_learn_first_says_so() -> None:
    assert "not known before it is made: md-nre learns" in run("describe", "md-nre")


def test_an_unknown_subject_is_answered_with_the_choices() -> None:
    with pytest.raises(NeuroferError, match=r"subject='cornet'.*did you mean 'cornet-s'"):
        CliRunner().invoke(app, ["subjects", "describe", "cornet"], catch_exceptions=False)
