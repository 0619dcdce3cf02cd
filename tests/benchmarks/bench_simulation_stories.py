"""The simulator's figures: random stories, and the check of a group's log.

    python -m tests.benchmarks.bench_simulation_stories --json        one JSON object a line

| figure                              | what is measured                                                              |
|-------------------------------------|-------------------------------------------------------------------------------|
| simulation.stories_per_minute       | random stories of `ferryman sim explore`, several crashes each, with weather  |
| simulation.linear_5000_ms           | a history of 5,000 appends is found to be a log's                             |

Stories are shared among as many processes as there are processors.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from ferryman.supervisors.simulation.exploration import explore
from ferryman.supervisors.simulation.history import Enqueued, Pushed
from ferryman.supervisors.simulation.linear import faults

RUNS = 3
STORIES = 100
APPENDS = 5_000


def stories() -> float:
    begin = time.perf_counter()
    result = explore(range(STORIES))
    if result.failures:
        raise ValueError(f"story {result.failures[0].case.seed}: {result.failures[0].violations[0]}")
    return STORIES / (time.perf_counter() - begin) * 60


def linear_ms() -> float:
    history: list[object] = []
    for number in range(1, APPENDS + 1):
        blob_id = number.to_bytes(16, "big")
        history += [Enqueued("a", blob_id, b"", number, number), Pushed("a", blob_id, number, number + 0.5)]
    begin = time.perf_counter()
    if list(faults(history)):
        raise ValueError("a log is not linearizable")
    return (time.perf_counter() - begin) * 1_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.parse_args()
    figures: dict[str, tuple[str, float | None, str, list[float]]] = {
        "simulation.stories_per_minute": ("1/min", None, "higher", []),
        "simulation.linear_5000_ms": ("ms", 10, "lower", []),
    }
    for _ in range(RUNS):
        figures["simulation.stories_per_minute"][3].append(stories())
        figures["simulation.linear_5000_ms"][3].append(linear_ms())
    for name, (unit, bar, better, runs) in figures.items():
        line = {"name": name, "unit": unit, "runs": [round(run, 3) for run in runs], "bar": bar, "better": better}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
