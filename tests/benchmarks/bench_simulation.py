"""The simulation's figures: how many lives of a process, and of a database, there is time for.

    python -m tests.benchmarks.bench_simulation --json        one JSON object a line

| figure                           | what is measured                                                                |
|----------------------------------|---------------------------------------------------------------------------------|
| simulation.worlds_judged         | a relay and two devices push: crashed at every point under eight policies, as   |
|                                  | `ferryman sim run` does it: policies that leave one disk are lived through once |
| simulation.worlds_lived          | the same, each of them lived through: four lives of processes                   |
| floor: a world of nothing        | as many tasks, steps, scopes, connections and handshakes, and no program        |
| simulation.restarts_a_minute     | starts of a ledger with a durable actor over what a life before left, each      |
|                                  | second one after a power cut; a command in each run, and every invariant        |
| simulation.sqlite_lives_a_minute | a database from a prepared image: opened, commits, the power goes; opened again |
|                                  | and verified. Two lives                                                         |

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

import trio
from nacl.public import Box, PrivateKey
from trio.testing import MockClock

from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.actors.ledger_file import connect, executor, pragma
from ferryman.actors.simulated.disk import MemoryDisk, PowerCut
from ferryman.supervisors.simulation.case import Case, Spot
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, check
from ferryman.supervisors.simulation.sweep import Group, run_group, spots

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
    return scenario(given=JOINED, step=[{"do": "push"}], crash={"points": ["*"]})


@cache
def crashes() -> list[Spot]:
    return list(spots(devices(), run_case(devices(), Case(0)).passed))


def restarts(number: int) -> int:
    outcome = run_case(book(), Case(number, Spot("shop", "ledger.reply", 1), "torn"))
    require(outcome.ok)
    return outcome.lives


def judged(number: int) -> int:
    answer = run_group(devices(), Group(0, crashes()[number % len(crashes())]))
    require(all(outcome.ok for outcome in answer.outcomes) and all(ok for _, ok in answer.same))
    return len(answer.outcomes) + len(answer.same)


def lived(number: int) -> int:
    require(run_case(devices(), Case(number, Spot("relay", "buffer.commit", 1), "torn")).ok)
    return 1


async def nothing() -> None:
    """A branch of a tree: tasks that wait within scopes, and are woken."""
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(waits)


async def waits() -> None:
    for _ in range(2):
        with trio.move_on_after(60):
            for _ in range(3):
                await trio.lowlevel.checkpoint()


def floor(number: int) -> int:
    """What a world with four lives was counted to need: 1,050 steps of 160 tasks in 80 nurseries and 375 scopes, 22
    connections with 84 statements and 50 pragmas, six handshakes."""

    async def world() -> None:
        for _ in range(80):
            await nothing()

    with seeded_scheduler(number):
        trio.run(world, clock=MockClock(autojump_threshold=0))
    disk = MemoryDisk.holding(prepared(), seed=number)
    for _ in range(22):
        connection = connect(disk, DATABASE)
        execute = executor(connection)
        for _ in range(4):
            execute("INSERT INTO line VALUES (NULL, zeroblob(100))")
        connection.close()
    for _ in range(6):
        shake_hands()
    return 1


def shake_hands() -> None:
    own, theirs = PrivateKey.generate(), PrivateKey.generate()
    for _ in range(4):
        Box(own, theirs.public_key)


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
    Figure("simulation.worlds_judged", judged, 3_000),
    Figure("simulation.worlds_lived", lived, 3_000),
    Figure("floor: a world of nothing", floor, None),
    Figure("simulation.restarts_a_minute", restarts, 30_000),
    Figure("simulation.sqlite_lives_a_minute", sqlite_lives, 20_000),
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
