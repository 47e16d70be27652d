from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neurofer.studies import executors

# A parent with two workers that sleep; it prints their ids.
PARENT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from neurofer.studies import executors
if __name__ == "__main__":
    start = dict(initializer=executors._start_worker, initargs=(os.getpid(),))
    pool = ProcessPoolExecutor(2, get_context("spawn"), **start)
    jobs = [pool.submit(time.sleep, 600) for _ in range(2)]
    while len(pool._processes) < 2 or not all(job.running() for job in jobs):
        time.sleep(0.05)
    time.sleep(1)
    print(*pool._processes, flush=True)
    time.sleep(600)
"""


def lives(process: int) -> bool:
    """Return whether a process runs; one that ended and was not collected does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert all(map(lives, workers))
    parent.kill()
    parent.wait()
    try:
        for _ in range(600):  # it takes none or a few of these
            if not any(map(lives, workers)):
                break
            time.sleep(0.05)
        assert not any(map(lives, workers))
    finally:
        for worker in filter(lives, workers):
            os.kill(worker, signal.SIGKILL)


def test_workers_warn_in_plain_lines():
    said = executors._one_line(UserWarning("x.nc is \x1b[31mdamaged"), UserWarning, "store.py", 171)
    assert said == "neurofer: x.nc is \\x1b[31mdamaged\n"


GUARDED = """
import ctypes, os
from neurofer.studies import executors
executors._start_worker(os.getppid())
asked = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(asked), 0, 0, 0)  # PR_GET_PDEATHSIG
print(asked.value)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_worker_asks_the_system_to_end_it_with_its_parent() -> None:
    """A thread alone does not end a worker that is in a long step of a library."""
    said = subprocess.run([sys.executable, "-c", GUARDED], capture_output=True, text=True)
    assert said.stdout.strip() == str(int(signal.SIGKILL)), said.stderr
