"""The simulator's figures: worlds of two devices and a relay, and the check of a group's log.

    python -m tests.benchmarks.bench_simulation_worlds --json        one JSON object a line

| figure                              | what is measured                                                              |
|-------------------------------------|-------------------------------------------------------------------------------|
| simulation.worlds_per_minute        | a prepared start, five blobs, a relay that loses its power: four lives a world |
| simulation.lives_per_minute         | of processes, in these worlds                                                 |
| simulation.stories_per_minute       | random stories of `ferryman sim explore`, several crashes each, with weather  |
| simulation.linear_5000_ms           | a history of 5,000 appends is found to be a log's                             |

Worlds are shared among as many processes as there are processors.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from ferryman.supervisors.simulation.case import Case, parse_case
from ferryman.supervisors.simulation.exploration import explore
from ferryman.supervisors.simulation.history import Enqueued, Pushed
from ferryman.supervisors.simulation.linear import faults
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.pool import shared
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import check

RUNS = 3
WORLDS = 300
STORIES = 100
APPENDS = 5_000

SCENARIO = check(
    {
        "format": "ferryman.scenario/1",
        "name": "a push and a relay that dies",
        "given": [{"do": "enable"}, {"do": "join", "device": "b"}],
        "step": [
            {"do": "push", "count": 3},
            {"do": "enqueue", "device": "b", "count": 2},
            {"do": "pull"},
        ],
    }
)
CRASH = parse_case("relay:buffer.commit#1/torn/0")


def world(seed: int) -> Outcome:
    return run_case(SCENARIO, Case(seed, CRASH.spot, CRASH.policy))


def worlds() -> tuple[float, float]:
    """A minute: worlds, and lives of processes."""
    begin = time.perf_counter()
    outcomes = list(shared(world, range(WORLDS)))
    minutes = (time.perf_counter() - begin) / 60
    if not all(outcome.ok and outcome.reached for outcome in outcomes):
        raise ValueError("a world of the benchmark is violated")
    return WORLDS / minutes, sum(outcome.lives for outcome in outcomes) / minutes


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
        "simulation.worlds_per_minute": ("1/min", 3_000, "higher", []),
        "simulation.lives_per_minute": ("1/min", None, "higher", []),
        "simulation.stories_per_minute": ("1/min", None, "higher", []),
        "simulation.linear_5000_ms": ("ms", 10, "lower", []),
    }
    world(0)  # the start is prepared, for every process that is forked from this one
    for _ in range(RUNS):
        a_minute, lives = worlds()
        figures["simulation.worlds_per_minute"][3].append(a_minute)
        figures["simulation.lives_per_minute"][3].append(lives)
        figures["simulation.stories_per_minute"][3].append(stories())
        figures["simulation.linear_5000_ms"][3].append(linear_ms())
    for name, (unit, bar, better, runs) in figures.items():
        line = {"name": name, "unit": unit, "runs": [round(run, 3) for run in runs], "bar": bar, "better": better}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
