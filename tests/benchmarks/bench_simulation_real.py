"""How fast real processes are killed and come back: `ferryman sim run --real` from its warm parent.

    python -m tests.benchmarks.bench_simulation_real --json        one JSON object a line

| figure                         | what is measured                                                                    |
|--------------------------------|-------------------------------------------------------------------------------------|
| sim.real_restarts              | SIGKILLs a minute, each followed by the life after it on the files that were left:  |
|                                | two devices, killed as soon as they are up, each until it has lived `LIVES` times   |
| sim.real_runs                  | worlds a minute of one tree of durable actors: started, killed, restarted, judged   |
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

from ferryman.supervisors.simulation.case import Case
from ferryman.supervisors.simulation.real import RealRuns, real_runs
from ferryman.supervisors.simulation.scenario import Scenario, check, load

RUNS = 3
LIVES = 45  # a machine may live 50 times
SHOP = Path(__file__).resolve().parents[2] / "examples" / "scenarios" / "simulate_your_actor.toml"


def real_restarts(runs: RealRuns) -> float:
    """SIGKILL restarts a minute."""
    kills = [{"do": "crash", "device": name, "policy": "kill"} for _ in range(LIVES - 1) for name in ("a", "b")]
    machines = {"a": "device", "b": "device"}
    scenario = check(
        {"format": "ferryman.scenario/1", "name": "x", "machines": machines, "together": True, "step": kills}
    )
    began = time.perf_counter()
    outcome = runs.replay(scenario, Case(0))
    took = time.perf_counter() - began
    if not outcome.ok or outcome.lives != len(machines) * LIVES:
        raise ValueError(f"{outcome.lives} lives: {outcome.violations}")
    return len(kills) / took * 60


def real_worlds(runs: RealRuns, scenario: Scenario) -> float:
    """Judged runs a minute."""
    began = time.perf_counter()
    swept = runs.sweep(scenario)
    took = time.perf_counter() - began
    if swept.failures:
        raise ValueError(swept.failures[0].violations)
    return swept.runs / took * 60


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.parse_args()
    shop = load(SHOP)  # before the fork: it registers what the processes run
    figures = (("sim.real_restarts", 600, real_restarts), ("sim.real_runs", None, partial(real_worlds, scenario=shop)))
    with real_runs() as runs:
        for name, bar, measure in figures:
            measured = [round(measure(runs), 1) for _ in range(RUNS)]
            line = {"name": name, "unit": "1/min", "runs": measured, "bar": bar, "better": "higher"}
            sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
