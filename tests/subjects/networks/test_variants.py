"""The twelve variants of the CIAO paper, each a subject."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurofer.errors import NeuroferError
from neurofer.recording import check_recording, record
from neurofer.stimuli import StimulusSet
from neurofer.subjects import load_subject
from neurofer.subjects.networks.architectures import make_network
from neurofer.subjects.networks.ciao import ShuntingInhibition
from neurofer.subjects.networks.encoders import Variant
from neurofer.subjects.trained import TrainedSubject
from neurofer.subjects.weight_files.tensors import save_tensors
from tests.subjects.networks.test_encoders import VARIANTS, name_of
from tests.training.test_images import made

WIDTH = 0.0625


@pytest.fixture(scope="module")
def stimuli() -> StimulusSet:
    return made(identities=2, size=96).take([0, 1])


def subject_of(variant: Variant, **options: Any) -> TrainedSubject:
    named: dict[str, Any] = {
        "scheme": variant.scheme,
        "ciao": variant.ciao,
        "width": WIDTH,
        **options,
    }
    subject = load_subject(f"ciao-{variant.encoder}", weights="untrained", **named)
    assert isinstance(subject, TrainedSubject)
    return subject


def masks(subject: TrainedSubject) -> int:
    return sum(isinstance(module, ShuntingInhibition) for module in subject.net.modules())


def file_of(variant: Variant, folder: Path) -> Path:
    options = {"width": WIDTH, "scheme": variant.scheme, "ciao": variant.ciao, "hidden": 12}
    torch.manual_seed(3)
    net = make_network(variant.encoder, 3, **options)
    network = {"name": variant.encoder, "options": options, "size": 96}
    about = {"network": network, "outputs": ["neutral", "happy", "sad"]}
    path = folder / f"{name_of(variant)}.safetensors"
    save_tensors(path, net.state_dict(), about)
    return path


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_each_variant_is_a_subject(variant: Variant, stimuli: StimulusSet) -> None:
    subject = subject_of(variant)
    recording = check_recording(record(subject, stimuli, sites=["encoder", "decide"]))
    assert recording.attrs["subject"] == subject.identifier
    features = {"vgg": 32 * 3 * 3, "pk": 32 * 6 * 6}[variant.encoder]  # at a sixteenth of the width
    assert recording.sizes["neuroid"] == features + 7
    assert masks(subject) == variant.ciao
    assert subject.net.variant == variant


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_a_weight_file_brings_its_variant(
    variant: Variant, stimuli: StimulusSet, tmp_path: Path
) -> None:
    name, path = f"ciao-{variant.encoder}", str(file_of(variant, tmp_path))
    subject = load_subject(name, weights=path)
    assert isinstance(subject, TrainedSubject)
    assert subject.net.variant == variant
    assert [subject.options[key] for key in ("scheme", "ciao", "width")] == [
        variant.scheme,
        variant.ciao,
        WIDTH,
    ]
    assert subject.sites["decide"].labels == ("neutral", "happy", "sad")
    # What it says of itself makes it again.
    again = load_subject(name, **subject.options)
    assert again.identifier == subject.identifier
    one, two = (record(each, stimuli, sites=["decide"]) for each in (subject, again))
    np.testing.assert_array_equal(one.values, two.values)


def test_no_two_share_an_identifier(tmp_path: Path) -> None:
    made_ones = [subject_of(variant).identifier for variant in VARIANTS]
    files = [
        load_subject(f"ciao-{variant.encoder}", weights=str(file_of(variant, tmp_path))).identifier
        for variant in VARIANTS
    ]
    assert len({*made_ones, *files}) == 24


def test_the_mask_changes_what_is_seen_and_the_scheme_does_not(stimuli: StimulusSet) -> None:
    seen = {
        variant: record(subject_of(variant), stimuli, sites=["encoder"]).values
        for variant in VARIANTS
        if variant.encoder == "vgg"
    }
    plain, masked = (seen[Variant("vgg", "full", ciao)] for ciao in (False, True))
    # Before it has learned, the mask divides by itself and its integration term: Eq. 1.
    assert masked.max() < 1 <= plain.max() / masked.max()
    for (_, scheme, ciao), values in seen.items():
        np.testing.assert_array_equal(values, masked if ciao else plain, err_msg=scheme)


def test_options_that_the_file_does_not_have_are_refused(tmp_path: Path) -> None:
    path = str(file_of(Variant("vgg", "decision", False), tmp_path))
    with pytest.raises(NeuroferError, match=r"ciao=True, but .* with ciao=False: leave ciao out"):
        load_subject("ciao-vgg", weights=path, ciao=True)
    with pytest.raises(NeuroferError, match=r"scheme='all'.*full, last-convolution, decision"):
        load_subject("ciao-vgg", weights="untrained", scheme="all")
