from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurofer.errors import NeuroferError
from neurofer.files import note_read
from neurofer.studies import bench as bench_module
from neurofer.studies import executors, sources
from neurofer.studies.bench import Bench
from neurofer.studies.cell import Cell, ResultKey, plan_cells
from neurofer.studies.reading import read_study
from neurofer.studies.results import read_number
from neurofer.studies.run import compute_study, write_results
from tests.studies import lab

IMAGES = 3 * 2 * 7
ROOT = Path(__file__).parents[2]
needs_two_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")


def run_script(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, with toy.yaml as its argument."""
    (folder / "script.py").write_text(script)
    return subprocess.run(
        [sys.executable, str(folder / "script.py"), str(folder / "toy.yaml")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=folder,
        capture_output=True, text=True, timeout=1200, check=True,
    )  # fmt: skip


def test_cells_keep_a_subject_together(folder: Path) -> None:
    study = read_study(folder / "toy.yaml")
    assert plan_cells(study) == [
        Cell("good", "toy", ("transfer",)),
        Cell("bad", "toy", ("transfer",)),
    ]


def test_a_study_end_to_end(folder: Path) -> None:
    outcome = compute_study(folder / "toy.yaml")
    assert not outcome.failures
    rows = outcome.claims
    assert rows["good.accuracy"].measured == 100
    assert rows["good.accuracy"].holds is True
    assert rows["good.accuracy"].n == IMAGES
    assert rows["bad.accuracy"].holds is True
    assert rows["bad.accuracy"].low is not None
    assert rows["other"].measured is None
    assert rows["other"].published == 52.4
    assert rows["mean"].measured == pytest.approx((100 + rows["bad.accuracy"].measured) / 2)
    assert rows["good.accuracy"].data == "simulated noise"
    assert outcome.descriptions["toy"].kind == "simulated"


def test_every_measured_number_is_in_the_file_it_names(folder: Path) -> None:
    outcome = compute_study(folder / "toy.yaml")
    out = folder / "out"
    out.mkdir()
    write_results(outcome, out)
    rows = json.loads((out / "summary.json").read_text())
    assert [row["id"] for row in rows] == [claim.id for claim in outcome.study.claims]
    measured = [row for row in rows if row["measured"] is not None]
    assert len(measured) == 4
    for row in measured:
        assert_traces(out, row)


def assert_traces(out: Path, row: dict) -> None:
    """Check a row of summary.json against its CSV, and against the netCDF beside it."""
    table = pd.read_csv(
        out / row["file"], dtype={"strength": str, "head": str}, float_precision="round_trip"
    )
    table = table[table["variable"] == row["value"]]
    dims = [
        c for c in table if c not in ("variable", "value", "low", "high", "n", "statistic", "of")
    ]
    for dim in dims:
        wanted = str((row["select"] or {}).get(dim, "all"))
        if table[dim].notna().any():
            table = table[table[dim].astype(str) == wanted]
    assert len(table) == 1, row["id"]
    line = table.iloc[0]
    for name, column in (("measured", "value"), ("low", "low"), ("high", "high"), ("n", "n")):
        if row[name] is not None and column in table:
            assert line[column] == row[name], (row["id"], name)
    if not row["file"].endswith("derived.csv"):
        dataset = xr.load_dataset((out / row["file"]).with_suffix(".nc"))
        found = read_number(dataset, row["value"], row["select"])
        assert (found.value, found.n) == (row["measured"], row["n"])


def test_a_second_run_computes_nothing(folder: Path) -> None:
    first = compute_study(folder / "toy.yaml")
    assert (first.recorded, first.analysed) == (2, 2)
    assert lab.CALLS == {"made": 2, "shown": 2 * IMAGES}
    second = compute_study(folder / "toy.yaml")
    assert (second.recorded, second.analysed) == (0, 0)
    assert lab.CALLS == {"made": 2, "shown": 2 * IMAGES}, "a subject was made, or shown images"
    for key, result in first.results.items():
        xr.testing.assert_identical(result, second.results[key])


@pytest.mark.parametrize(
    ("old", "new", "shown", "analysed"),
    [
        pytest.param("wrong: 0.7", "wrong: 0.6", IMAGES, 1, id="option of a subject"),
        pytest.param("n_bootstrap: 50", "n_bootstrap: 60", 0, 2, id="option of an analysis"),
        pytest.param("name: toy\n", "name: toy\nseed: 3\n", 0, 2, id="seed"),
        pytest.param(
            "options: {n_boot", "select: {head: human}, options: {n_boot", 0, 2, id="selection"
        ),
        pytest.param("label: Bad, ", "label: Worse, ", 0, 0, id="label"),
        pytest.param("title: A toy", "title: Another toy", 0, 0, id="title"),
    ],
)
def test_what_is_computed_again(
    folder: Path, old: str, new: str, shown: int, analysed: int
) -> None:
    compute_study(folder / "toy.yaml")
    lab.CALLS.update(made=0, shown=0)
    assert old in lab.STUDY
    (folder / "toy.yaml").write_text(lab.STUDY.replace(old, new, 1))
    outcome = compute_study(folder / "toy.yaml")
    assert not outcome.failures
    assert (lab.CALLS["shown"], outcome.analysed) == (shown, analysed)
    assert lab.CALLS["made"] == shown / IMAGES, "a subject was made that shows nothing new"


def test_changed_pixels_are_shown_again(folder: Path) -> None:
    compute_study(folder / "toy.yaml")
    import shutil

    shutil.rmtree(folder / "stimuli")
    lab.simulated_stimuli(seed=1).save(folder / "stimuli")
    outcome = compute_study(folder / "toy.yaml")
    assert (outcome.recorded, outcome.analysed) == (2, 2)


def test_changed_weights_are_recorded_again(folder: Path) -> None:
    weights = folder / "weights.txt"
    weights.write_text("first")
    text = lab.STUDY.replace("options: {wrong: 0.7}", f"options: {{wrong: 0.7, file: '{weights}'}}")
    (folder / "toy.yaml").write_text(text)
    compute_study(folder / "toy.yaml")
    assert compute_study(folder / "toy.yaml").recorded == 0
    weights.write_text("second")
    outcome = compute_study(folder / "toy.yaml")
    assert (outcome.recorded, outcome.analysed) == (1, 1)


def test_changed_code_is_run_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_study(folder / "toy.yaml")
    with monkeypatch.context() as patch:  # `undo` would also give the user's own cache back
        patch.setattr(bench_module, "analysis_source", lambda name: "another source")
        assert compute_study(folder / "toy.yaml").analysed == 2
    monkeypatch.setattr(sources, "response_source", lambda made: "another source")
    outcome = compute_study(folder / "toy.yaml")
    assert (outcome.recorded, outcome.analysed) == (2, 2)


def test_weights_that_no_option_names_are_watched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "weights"

    def read(self: lab.CountingSubject) -> str:
        note_read(weights)
        return weights.read_text()

    monkeypatch.setattr(lab.CountingSubject, "weights_hash", property(read))
    weights.write_text("one")
    compute_study(folder / "toy.yaml")
    assert compute_study(folder / "toy.yaml").recorded == 0
    weights.write_text("two")
    assert compute_study(folder / "toy.yaml").recorded == 2


def test_a_users_changed_subject_is_recorded_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gain is in no option: only its source says that it is another subject."""
    text = """
        import numpy as np
        from neurofer.recording.sites import Site
        from neurofer.subjects import Subject, register

        @register("amplifier")
        class Amplifier(Subject):
            def __init__(self, training=None, **options):
                super().__init__(training, **options)
                self.sites = {"sum": Site("sum")}
                self.default_sites = ("sum",)

            def respond(self, batch, sites):
                sums = [image.mean() for image in batch.images]
                return {"sum": GAIN * np.array(sums, np.float32)[:, np.newaxis]}
    """
    study = {
        "name": "gain", "title": "Gain",
        "stimuli": {"toy": {"folder": "stimuli"}},
        "subjects": {"mine": {"subject": "amplifier"}},
        "analyses": [{"name": "tuning", "analysis": "tuning", "stimuli": "toy",
                      "subjects": "mine", "options": {"site": "sum", "n_bootstrap": 20}}],
    }  # fmt: skip
    (folder / "gain.json").write_text(json.dumps(study))
    run = (
        "import sys, my_lab; from neurofer.studies import compute_study\n"
        "outcome = compute_study('gain.json')\n"
        "assert not outcome.failures, outcome.failures\n"
        "print(outcome.recorded, outcome.analysed)"
    )
    found = []
    for gain in (1, 1, 10):
        source = textwrap.dedent(text).replace("GAIN", str(gain))
        (folder / "my_lab.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "-B", "-c", run], cwd=folder, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split())
    assert found == [["1", "1"], ["0", "0"], ["1", "1"]]


def test_one_pass_for_the_sites_of_all_analyses(folder: Path) -> None:
    lab.simulated_stimuli(strengths=(0.5, 1.0)).save(folder / "stimuli2")
    text = lab.STUDY.replace("folder: stimuli,", "folder: stimuli2,").replace(
        "claims:\n",
        "  - {name: linearity, analysis: linearity, stimuli: toy, subjects: good}\nclaims:\n",
        1,
    )
    (folder / "toy.yaml").write_text(text)
    outcome = compute_study(folder / "toy.yaml")
    assert not outcome.failures
    assert lab.CALLS["shown"] == 2 * 3 * 2 * 13
    good = ResultKey("linearity", "toy", "good")
    assert float(outcome.results[good]["median_r2"].sel(head="all")) == pytest.approx(1)


def test_a_failing_cell_is_named_and_the_rest_goes_on(folder: Path) -> None:
    text = lab.STUDY.replace("options: {wrong: 0.7}", "options: {breaks_on: monkey}")
    (folder / "toy.yaml").write_text(text)
    outcome = compute_study(folder / "toy.yaml")
    assert [failure.place for failure in outcome.failures] == ["bad on toy"]
    assert "cannot see monkey" in outcome.failures[0].message
    assert outcome.claims["good.accuracy"].measured == 100
    assert outcome.claims["bad.accuracy"].measured is None
    assert "failed" in outcome.claims["bad.accuracy"].verdict
    assert outcome.claims["mean"].measured is None


def test_a_bad_image_sets_its_stimuli_aside(folder: Path) -> None:
    lab.simulated_stimuli(seed=5).save(folder / "broken")
    image = next((folder / "broken" / "images").glob("*.png"))
    image.write_bytes(image.read_bytes()[:100])
    text = lab.STUDY.replace("stimuli:\n", "stimuli:\n  broken: {folder: broken}\n", 1)
    text = text.replace("stimuli: toy, subj", "stimuli: [toy, broken], subj")
    text = text.replace("subject: good, value", "stimuli: toy, subject: good, value")
    text = text.replace("subject: bad, value", "stimuli: toy, subject: bad, value")
    (folder / "toy.yaml").write_text(text)
    outcome = compute_study(folder / "toy.yaml")
    assert outcome.claims["good.accuracy"].measured == 100
    assert any(image.stem in f.message for f in outcome.failures), outcome.failures


def test_a_claim_on_nothing_is_named(folder: Path) -> None:
    text = lab.STUDY.replace("select: {head: human, strength: 1}", "select: {head: humn}")
    (folder / "toy.yaml").write_text(text)
    outcome = compute_study(folder / "toy.yaml")
    assert [failure.place for failure in outcome.failures] == ["claim good.human"]
    assert "did you mean 'human'" in outcome.failures[0].message


def test_where_nothing_can_be_computed_it_is_an_error(folder: Path) -> None:
    text = lab.STUDY.replace("label: Good}", "label: Good, options: {breaks_on: human}}")
    text = text.replace("options: {wrong: 0.7}", "options: {breaks_on: monkey}")
    (folder / "toy.yaml").write_text(text)
    with pytest.raises(NeuroferError, match=r"(?s)nothing of study 'toy'.*cannot see human"):
        compute_study(folder / "toy.yaml")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{folder: stimuli, ", "{set: bsf, ", ["set='bsf'", "stimuli.toy", "did you mean 'bfs'?"]),
        ("{subject: counting", "{subject: countng", ["subject='countng'", "'counting'"]),
        ("analysis: transfer,", "analysis: transfr,", ["analysis='transfr'", "rsa"]),
        ("n_bootstrap", "n_bootstraps", ["option='n_bootstraps'", "did you mean 'n_bootstrap'?"]),
        ("subject: good, v", "subject: good, minus: bad, v", ["'minus' is for saliency only"]),
        ("label: Good}", "training: {protocol: nin}}", ["protocol='nin'", "did you mean 'nine'?"]),
        ("label: Good}", "training: {parameters: {heads: a}}}", ["protocol 'nine'", "'head'?"]),
    ],
)
def test_unknown_names_are_refused_before_any_work(
    folder: Path, old: str, new: str, words: list[str]
) -> None:
    (folder / "toy.yaml").write_text(lab.STUDY.replace(old, new, 1))
    with pytest.raises(NeuroferError) as caught:
        compute_study(folder / "toy.yaml")
    for word in words:
        assert word in str(caught.value)
    assert lab.CALLS == {"made": 0, "shown": 0}


def test_a_claim_may_be_a_paired_difference(folder: Path) -> None:
    """Of a site that is recorded where it is named only; the number stands in derived.csv."""
    text = lab.STUDY.replace(
        "claims:\n",
        "  - {name: saliency, analysis: saliency, stimuli: toy, subjects: [bad, good]}\nclaims:\n"
        "  - {id: eyes, label: Eyes, analysis: saliency, subject: bad, minus: good,\n"
        "     value: share, select: {part: eyes, head: human}, holds: above 0}\n",
        1,
    )
    (folder / "toy.yaml").write_text(text)
    outcome = compute_study(folder / "toy.yaml")
    assert not outcome.failures
    row = outcome.claims["eyes"]
    assert (row.measured, row.low, row.high) == pytest.approx((0.07, 0.07, 0.07))
    assert (row.n, row.holds, row.interval) == (14, True, "bootstrap over series")
    (folder / "out").mkdir()
    write_results(outcome, folder / "out")
    rows = json.loads((folder / "out" / "summary.json").read_text())
    for one in rows:
        if one["measured"] is not None:
            assert_traces(folder / "out", one)
    derived = pd.read_csv(folder / "out" / "results" / "derived.csv").set_index("variable")
    assert derived.loc["eyes", "statistic"] == "paired difference"
    assert derived.loc["eyes", "of"] == "saliency: bad minus good, share, part=eyes, head=human"


def test_a_protocol_takes_its_parameters(folder: Path) -> None:
    text = lab.STUDY.replace(
        "label: Good}", "label: Good, training: {protocol: nine, parameters: {head: monkey}}}"
    )
    (folder / "toy.yaml").write_text(text)
    outcome = compute_study(folder / "toy.yaml")
    assert not outcome.failures
    bench = Bench(outcome.study)
    training = bench.sources["good"].training("toy")
    assert training is not None
    assert set(training.table["head"][3:]) == {"monkey"}


@pytest.mark.parametrize("kind", ["results/transfer-*.nc", "recordings/*.nc", "subjects/*.json"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped"])
def test_a_damaged_cache_entry_is_named_and_made_again(
    folder: Path, kind: str, damage: str
) -> None:
    first = compute_study(folder / "toy.yaml")
    studies = Path(os.environ["NEUROFER_CACHE"]) / "studies"
    entry = sorted(studies.glob(kind))[0]
    if kind.startswith("recordings"):  # which are read only where a result is lacking
        for result in studies.glob("results/*.nc"):
            result.unlink()
    whole = entry.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    entry.write_bytes({"cut": whole[:200], "emptied": b"", "flipped": bytes(flipped)}[damage])
    with pytest.warns(UserWarning, match=f"{re.escape(entry.name)} is damaged.*made again"):
        again = compute_study(folder / "toy.yaml")
    assert not again.failures
    assert entry.read_bytes() == whole
    for key, result in first.results.items():
        xr.testing.assert_identical(again.results[key], result)


@needs_two_cores
def test_processes_find_the_same_and_one_that_dies_is_named(folder: Path) -> None:
    """Two studies in one process, whose start takes as long as both."""
    text = lab.STUDY.replace("label: Good}", "label: Good, training: {protocol: nine}}")
    (folder / "toy.yaml").write_text(text)  # trained on different images: no kin
    (folder / "dies.yaml").write_text(
        text.replace("options: {wrong: 0.7}", "options: {dies: true}")
    )
    serial = compute_study(folder / "toy.yaml", cache=folder / "a")
    script = (
        "import sys; from tests.studies import lab; from neurofer.studies import compute_study\n"
        "if __name__ == '__main__':\n"
        "    outcome = compute_study(sys.argv[1], executor='processes')\n"
        "    print(outcome.analysed, len(outcome.failures), lab.CALLS['shown'])\n"
        "    file, cache = sys.argv[1].replace('toy', 'dies'), __import__('pathlib').Path('b')\n"
        "    try: outcome = compute_study(file, executor='processes', cache=cache)\n"
        "    except Exception as error: print(error)\n"
        "    else: print(*outcome.failures)\n"
    )
    done = run_script(folder, script)
    same, died = done.stdout.splitlines()
    assert same.split() == ["2", "0", "0"], done.stderr
    assert serial.claims == compute_study(folder / "toy.yaml").claims
    assert "bad on toy" in died
    assert "--executor serial" in died


def test_cells_in_the_cache_need_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = lab.STUDY.replace("label: Good}", "label: Good, training: {protocol: nine}}")
    (folder / "toy.yaml").write_text(text)
    first = compute_study(folder / "toy.yaml")

    def no_process(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(executors, "_in_processes", no_process)
    again = compute_study(folder / "toy.yaml", executor="processes")
    assert again.claims == first.claims
    assert (again.recorded, again.analysed) == (0, 0)


@pytest.mark.parametrize(
    ("lengths", "workers", "expected"),
    [
        ([4], 1, [4]),
        ([4], 2, [2, 2]),
        ([1], 2, [1]),
        ([3, 3, 2], 2, [3, 3, 2]),
        ([6, 1, 1], 2, [4, 2, 1, 1]),
        ([], 2, []),
        ([8], 3, [3, 3, 2]),
    ],
)
def test_cells_are_shared_out(lengths: list[int], workers: int, expected: list[int]) -> None:
    groups = [[Cell(f"{g}", f"s{i}", ()) for i in range(n)] for g, n in enumerate(lengths)]
    sizes = {f"s{i}": 100 for i in range(10)}
    shares = executors.share_out(groups, sizes, workers)
    assert [len(share) for share in shares] == expected
    assert sorted(map(str, chain(*shares))) == sorted(map(str, chain(*groups)))


def test_a_subject_that_learned_from_other_images_is_another(folder: Path) -> None:
    """Its description is of these images: two trainings never share one in the cache."""
    descriptions = []
    for image in ("human-0-neutral-0", "human-1-neutral-0"):
        named = f"training: {{images: [{image}, human-1-happy-1]}}"
        text = lab.STUDY.replace("label: Good}", f"label: Good, {named}}}")
        (folder / "toy.yaml").write_text(text)
        outcome = compute_study(folder / "toy.yaml")
        descriptions.append(outcome.subjects["good", "toy"])
    assert descriptions[0].training != descriptions[1].training
    assert descriptions[0].identifier != descriptions[1].identifier


def test_training_images_are_named_one_by_one(folder: Path) -> None:
    named = "training: {images: [human-0-neutral-0, human-1-happy-1]}}"
    (folder / "toy.yaml").write_text(lab.STUDY.replace("label: Good}", f"label: Good, {named}"))
    outcome = compute_study(folder / "toy.yaml")
    assert outcome.subjects["good", "toy"].n_training == 2
    assert outcome.claims["good.accuracy"].n == IMAGES - 2
    wrong = lab.STUDY.replace("label: Good}", "label: Good, training: {images: [human-0-hapy-1]}}")
    (folder / "toy.yaml").write_text(wrong)
    failures = compute_study(folder / "toy.yaml").failures
    assert "stimulus_id='human-0-hapy-1'" in failures[0].message


def test_unknown_executor(folder: Path) -> None:
    with pytest.raises(NeuroferError, match=r"executor='slurm'.*processes, serial"):
        compute_study(folder / "toy.yaml", executor="slurm")


def test_killed_in_the_middle_it_goes_on(folder: Path) -> None:
    """Kill the run when its first result is written; the next run computes only the rest."""
    script = (
        "import sys, time; from tests.studies import lab\n"
        "from neurofer.studies import compute_study\n"
        "def pause(text, done, total):\n"
        "    if 'done' in text: print(text, flush=True); time.sleep(60)\n"
        "compute_study(sys.argv[1], progress=pause)\n"
    )
    (folder / "script.py").write_text(script)
    with subprocess.Popen(
        [sys.executable, str(folder / "script.py"), str(folder / "toy.yaml")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "good on toy done"
        process.send_signal(signal.SIGKILL)
    time.sleep(0.1)
    outcome = compute_study(folder / "toy.yaml")
    assert (outcome.recorded, outcome.analysed) == (1, 1)
    assert lab.CALLS["shown"] == IMAGES


def test_results_are_written_the_same_twice(folder: Path) -> None:
    outcome = compute_study(folder / "toy.yaml")
    written = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        write_results(outcome, folder / name)
        files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        written.append({path.relative_to(folder / name): path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert len(written[0]) == 2 * 2 + 1 + 3


def test_numbers_are_finite_or_absent(folder: Path) -> None:
    for row in compute_study(folder / "toy.yaml").summary():
        for name in ("published", "measured", "low", "high"):
            assert row[name] is None or np.isfinite(row[name])
