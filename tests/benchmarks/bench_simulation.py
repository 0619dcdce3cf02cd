"""The simulation's figures: how many lives of a process, and of a database, there is time for.

    python -m tests.benchmarks.bench_simulation --json        one JSON object a line

| figure                           | what is measured                                                                |
|----------------------------------|---------------------------------------------------------------------------------|
| simulation.restarts_a_minute     | starts of a ledger with a durable actor over what a life before left, each      |
|                                  | second one after a power cut; a command in each run, and every invariant        |
| simulation.sqlite_lives_a_minute | a database from a prepared image: opened, commits, the power goes; opened again |
|                                  | and verified. Two lives                                                         |
| simulation.worlds_a_minute       | a relay and two devices: a push, and the relay's power cut at its commit        |

Of two processes together, in minutes of processor time: they share nothing and wait for nothing, so that is what two
cores of one's own give, whoever else uses this machine. The bar for restarts is that of a ledger with warrants: the
court, which gives them, is not built yet, so this is the ledger and one durable actor.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ferryman.actors.ledger_file import connect, executor, pragma
from ferryman.actors.simulated.disk import MemoryDisk, PowerCut
from ferryman.supervisors.simulation.case import Case, Spot
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, check

RUNS = 3
PROCESSES = 2
SECONDS = 2.5
COMMITS = 5
DATABASE = Path("/bench.db")
JOINED = ({"do": "enable"}, {"do": "join", "device": "b", "from": "a"})


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    one: Callable[[int], int]  # number of the run -> lives, or worlds
    bar: int | None


def scenario(**tables: Any) -> Scenario:
    return check({"format": "ferryman.scenario/1", "name": "a benchmark", **tables})


@cache
def book() -> Scenario:
    write = {"do": "write", "device": "shop"}
    return scenario(machines={"shop": "book"}, given=[{**write, "count": 3}], step=[write], policies=["torn"])


@cache
def devices() -> Scenario:
    return scenario(given=JOINED, step=[{"do": "push"}])


def restarts(number: int) -> int:
    outcome = run_case(book(), Case(number, Spot("shop", "ledger.reply", 1), "torn"))
    require(outcome.ok)
    return outcome.lives


def worlds(number: int) -> int:
    require(run_case(devices(), Case(number, Spot("relay", "buffer.commit", 1), "torn")).ok)
    return 1


@cache
def prepared() -> dict[str, bytes]:
    disk = MemoryDisk()
    connection = connect(disk, DATABASE)
    execute = executor(connection)
    execute("CREATE TABLE line (id INTEGER PRIMARY KEY, text BLOB) STRICT")
    for number in range(100):
        execute("INSERT INTO line VALUES (?, zeroblob(100))", (number,))
    pragma(connection, "wal_checkpoint", "truncate")
    connection.close()
    return disk.contents()


def sqlite_lives(number: int) -> int:
    """Two lives: one that the power ends, and one that finds what was committed."""
    disk = MemoryDisk.holding(prepared(), seed=number)
    connection = connect(disk, DATABASE)
    execute = executor(connection)
    committed = 100
    disk.cut_at = disk.operations + 4 + number % 12
    try:
        for _ in range(COMMITS):
            execute("INSERT INTO line VALUES (?, zeroblob(100))", (committed,))
            committed += 1
    except PowerCut:
        pass
    connection.close()
    after = disk.after_power_cut("torn")
    connection = connect(after, DATABASE)
    execute = executor(connection)
    [(found,)] = execute("SELECT count(*) FROM line").fetchall()
    require(found in (committed, committed + 1) and execute("PRAGMA quick_check").fetchall() == [("ok",)])
    connection.close()
    return 2


def require(well: bool) -> None:
    if not well:
        raise SystemExit("a run of the benchmark failed: its figure would mean nothing")


FIGURES = (
    Figure("simulation.restarts_a_minute", restarts, 30_000),
    Figure("simulation.sqlite_lives_a_minute", sqlite_lives, 20_000),
    Figure("simulation.worlds_a_minute", worlds, 3_000),
)


def count(place: int, process: int) -> float:
    """How many a minute in this process, warm."""
    one, number = FIGURES[place].one, process
    one(number)
    done, begin = 0, time.process_time()
    while (took := time.process_time() - begin) < SECONDS:
        number += PROCESSES
        done += one(number)
    return done * 60 / took


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast simulated lives are.")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for place, figure in enumerate(FIGURES):
        runs: list[float] = []
        for _ in range(RUNS):
            with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as pool:
                runs.append(sum(pool.map(partial(count, place), range(PROCESSES))))
        line = {"name": figure.name, "unit": "1/min", "runs": runs, "bar": figure.bar, "better": "higher"}
        print(json.dumps(line) if options.json else f"{figure.name}: {', '.join(f'{run:,.0f}' for run in runs)}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
