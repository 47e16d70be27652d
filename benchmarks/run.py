"""Run every benchmark of this folder and print ours beside its peer.

Each module has `benchmarks()`, which measures both sides interleaved in one run and returns rows
with `id, ours, peer, ratio, goal, unit` (and a `note` where a peer is absent). The table is also
written to `benchmarks/latest.json`, which is not in git: it belongs to the machine.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent


def load(path: Path) -> ModuleType:
    """Import a benchmark module from its file."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(names: list[str]) -> int:
    """Run the named benchmarks (all by default); return 1 when one misses its goal."""
    files = [p for p in sorted(HERE.glob("*.py")) if p.stem != "run" and p.stem[0] != "_"]
    unknown = sorted(set(names) - {p.stem for p in files})
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(p.stem for p in files)}")
        return 2
    rows: list[dict[str, Any]] = []
    for path in files:
        if not names or path.stem in names:
            print(f"running {path.stem} ...", flush=True)
            rows += load(path).benchmarks()
    print(f"\n{'id':<26}{'ours':>12}{'peer':>12}{'ratio':>8}{'goal':>7}  unit")
    for row in rows:
        cells = [_number(row.get(key)) for key in ("ours", "peer", "ratio", "goal")]
        note = f"  ({row['note']})" if row.get("note") else ""
        print(
            f"{row['id']:<26}{cells[0]:>12}{cells[1]:>12}{cells[2]:>8}{cells[3]:>7}"
            f"  {row['unit']}{note}"
        )
    (HERE / "latest.json").write_text(json.dumps(rows, indent=2) + "\n")
    missed = [r for r in rows if r.get("goal") and r.get("ratio") and r["ratio"] < r["goal"]]
    for row in missed:
        print(f"below its goal: {row['id']} ({row['ratio']:.2f} < {row['goal']})")
    return 1 if missed else 0


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
