"""Runs the benchmarks and writes docs/benchmarks.md: figures, bars, and the machine they were measured on.

    python -m tests.benchmarks.run [--only NAME] [--dry]        --dry prints the page and writes nothing

Each tests/benchmarks/bench_*.py is a process of its own that prints, with --json, one line a figure:
{"name", "unit", "runs": three or more, "bar": a number or null, "better": "higher" or "lower"}, or, for what cannot be
run here, {"name", "not_run": why}. Below the tables stands notes.md: where the time goes, what gained nothing.

| verdict | the median                                                 | exit code |
|---------|------------------------------------------------------------|-----------|
| met     | reaches its bar                                            | 0         |
| close   | misses it by a fifth at most: machines differ by as much   | 0         |
| missed  | misses it by more                                          | 1         |

All of it ends within `SECONDS_AT_MOST`; a benchmark that runs into the end is a failure, not a gap in the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

ROOT = Path(__file__).resolve().parents[2]
NOTES = Path(__file__).with_name("notes.md")
SECONDS_AT_MOST = 900.0
TOLERANCE = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    name: str
    unit: str
    runs: list[float]
    bar: float | None
    better: str

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        reached = statistics.median(self.runs)
        missing = self.bar - reached if self.better == "higher" else reached - self.bar
        if missing <= 0:
            return "met"
        return "close" if missing <= self.bar * TOLERANCE else "missed"


@dataclasses.dataclass(frozen=True, slots=True)
class NotRun:
    name: str
    not_run: str
    verdict: str = "not run"


class BenchmarkFailed(Exception):
    """A benchmark did not end, or ended badly."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Run the benchmarks.")
    parser.add_argument("--only", metavar="NAME", default="", help="files whose name contains NAME; writes nothing")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    deadline = time.monotonic() + SECONDS_AT_MOST
    tables: dict[str, list[Figure | NotRun]] = {}
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        if options.only not in path.stem:
            continue
        print(f"{path.stem} ...", file=sys.stderr, flush=True)
        try:
            tables[path.stem] = run(path.stem, deadline - time.monotonic())
        except BenchmarkFailed as failure:
            print(f"{path.stem}: {failure}", file=sys.stderr)
            return 1
    text = page(tables, machine())
    if options.dry or options.only:
        print(text)
    else:
        (ROOT / "docs" / "benchmarks.md").write_text(text)
    missed = [
        one for figures in tables.values() for one in figures if isinstance(one, Figure) and one.verdict == "missed"
    ]
    for one in missed:
        print(f"missed: {one.name}: {statistics.median(one.runs):,.4g} {one.unit}, the bar is {one.bar:,}")
    print(f"{sum(map(len, tables.values()))} figures, {len(missed)} missed by more than a fifth")
    return 1 if missed else 0


def run(name: str, seconds: float) -> list[Figure | NotRun]:
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", "--json"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=max(seconds, 1), check=False
        )
    except subprocess.TimeoutExpired as expired:
        raise BenchmarkFailed(f"all benchmarks together have {SECONDS_AT_MOST:.0f} s") from expired
    if done.returncode:
        raise BenchmarkFailed(f"exit code {done.returncode}")
    figures = [read(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    if not figures or any(len(one.runs) < 3 for one in figures if isinstance(one, Figure)):
        raise BenchmarkFailed("printed no figure, or one of fewer than three runs")
    return figures


def read(line: dict[str, Any]) -> Figure | NotRun:
    return NotRun(**line) if "not_run" in line else Figure(**line)


def machine() -> list[tuple[str, str]]:
    return [
        ("processor", f"{processor()}, {cores()} cores"),
        ("memory", memory()),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("SQLite", apsw.sqlite_lib_version()),
    ]


def cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"


def page(tables: Mapping[str, Sequence[Figure | NotRun]], described: list[tuple[str, str]]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; not edited by hand. A bar is what the median has to reach; *close* misses it by",
        "at most a fifth. A figure without a bar is there to compare another with. Ratios (times, x) are taken between",
        "two measurements of one run, so they say the same on a slower machine.",
        "",
        "| | measured on |",
        "|---|---|",
        *(f"| {what} | {which} |" for what, which in described),
    ]
    for name, figures in tables.items():
        lines += ["", f"## {name.removeprefix('bench_').replace('_', ' ').capitalize()}", ""]
        lines += ["| figure | unit | least | median | most | bar | |", "|---|---|--:|--:|--:|--:|---|"]
        lines += [row(one) for one in figures]
    lines += ["", NOTES.read_text().rstrip()]
    return "\n".join(lines) + "\n"


def row(one: Figure | NotRun) -> str:
    if isinstance(one, NotRun):
        return f"| {one.name} | | | | | | not run: {one.not_run} |"
    bar = "" if one.bar is None else f"{'≥' if one.better == 'higher' else '≤'} {one.bar:,}"
    runs = [min(one.runs), statistics.median(one.runs), max(one.runs)]
    return f"| {one.name} | {one.unit} | " + " | ".join(map(shown, runs)) + f" | {bar} | {one.verdict} |"


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    raise SystemExit(main())
