from __future__ import annotations

import subprocess
import sys

import pytest

from neurofer.errors import NeuroferError
from neurofer.subjects import list_subjects, load_subject, register, registry

from .brightness import Brightness


@pytest.fixture
def factories(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    fresh: dict[str, object] = dict(registry._FACTORIES)
    monkeypatch.setattr(registry, "_FACTORIES", fresh)
    return fresh


def test_the_names_found_in_the_source_are_those_that_register() -> None:
    for name, module in registry._modules().items():
        __import__(module)
        assert name in registry._FACTORIES
        assert registry._FACTORIES[name].__module__ == module


def test_listing_imports_no_subject_and_no_torch() -> None:
    code = (
        "import sys; from neurofer.subjects import list_subjects; names = list_subjects(); "
        "heavy = {'torch', 'sklearn', 'brainscore_core'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy or not names else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_register_gives_the_name_and_load_finds_it(factories: dict[str, object]) -> None:
    @register("bright")
    class Bright(Brightness):
        pass

    subject = load_subject("bright", gain=3.0)
    assert type(subject) is Bright
    assert (subject.name, subject.options["gain"]) == ("bright", 3.0)
    assert "bright" in list_subjects()


def test_a_function_can_be_registered(factories: dict[str, object]) -> None:
    @register("twice-as-bright")
    def make(training: object = None, **options: object) -> Brightness:
        return Brightness(gain=2.0)

    assert load_subject("twice-as-bright").options["gain"] == 2.0


def test_a_name_cannot_be_taken_twice(factories: dict[str, object]) -> None:
    register("bright")(Brightness)

    class Other(Brightness):
        pass

    Other.__module__ = "somewhere.else"
    with pytest.raises(ValueError, match="'bright'"):
        register("bright")(Other)


def test_an_unknown_subject_is_answered_with_the_choices() -> None:
    with pytest.raises(NeuroferError, match=r"subject='pixel' is unknown; .*did you mean 'pixels'"):
        load_subject("pixel")
