"""The ledger's figures, through the real actor on a real disk: group commit, the loop meanwhile, replay.

    python -m tests.benchmarks.bench_ledger --json        one JSON object a line

| figure                        | what is measured                                                                    |
|-------------------------------|-------------------------------------------------------------------------------------|
| ledger.appends_100            | appends a second, 100 actors' worth of concurrent appenders, each waits for its own |
| ledger.appends_1              | the same with one                                                                   |
| ledger.group_commit_ratio     | the first over the second, in the same run                                          |
| ledger.loop_p999_ms           | how late a task that sleeps 1 ms wakes up meanwhile: the 99.9th percentile          |
| ledger.loop_p999_idle_ms      | the same instrument on an idle loop                                                 |
| ledger.replay_100k_seconds    | 100,000 records of one stream from disk to decoded objects                          |
| ledger.open_100k_seconds      | before that: every record checked against chain and anchor                          |
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import trio

from ferryman.actors.ledger import LedgerClient, ledger_body
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.ledger_reader import replay
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.keychain import MemoryKeychain
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.ledger.record import Append, Appended
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system

RUNS = 3
SECONDS = 2.0
APPENDERS = 100
REPLAYED = 100_000
TICK_SECONDS = 0.001


@recorded("bench.stored/1")
@dataclass(frozen=True, slots=True)
class Stored:
    """About what an entry of the outbox weighs: an id, a number, 200 bytes."""

    blob_id: bytes
    cursor: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Load:
    per_second: float
    late_ms: float


async def append_for(folder: Path, appenders: int, seconds: float) -> Load:
    """Appends a second with so many appenders, and the loop's 99.9th percentile of lateness meanwhile."""
    ports = make_real_ports()
    body = ledger_body(folder / "ledger.db", ports, MemoryKeychain())
    done = [0] * appenders
    lateness: list[float] = []

    async def appender(client: LedgerClient, number: int, deadline: float) -> None:
        stream, version, blob_id = f"stream-{number % 10}-{number}", 0, ports.entropy.random_bytes(16)
        while trio.current_time() < deadline:
            event = Stored(blob_id, version, bytes(200))
            entry = Append(stream, version, ports.ids.new_id(), bytes(32), (event,), version)
            answer = await client.append(entry)
            if not isinstance(answer, Appended):
                raise TypeError(answer)
            version = answer.version
        done[number] = version

    async with open_system(Supervisor([ChildSpec("ledger", body)])) as system, trio.open_nursery() as nursery:
        client = LedgerClient(system.ref("/ledger"))
        nursery.start_soon(measure_lateness, lateness)
        begin = trio.current_time()
        async with trio.open_nursery() as appending:
            for number in range(appenders):
                appending.start_soon(appender, client, number, begin + seconds)
        took = trio.current_time() - begin
        nursery.cancel_scope.cancel()
    return Load(sum(done) / took, p999_ms(lateness))


async def measure_lateness(lateness: list[float]) -> None:
    while True:
        due = trio.current_time() + TICK_SECONDS
        await trio.sleep_until(due)
        lateness.append(trio.current_time() - due)


async def idle(seconds: float) -> float:
    lateness: list[float] = []
    with trio.move_on_after(seconds):
        await measure_lateness(lateness)
    return p999_ms(lateness)


def p999_ms(lateness: list[float]) -> float:
    ordered = sorted(lateness)
    return ordered[int(len(ordered) * 0.999)] * 1000


def fill(folder: Path) -> Place:
    """A closed ledger of one long stream."""
    ports = make_real_ports()
    place = Place(folder / "ledger.db", ports.disk, MemoryKeychain(), ports.entropy)
    opened = open_ledger(place, ports.clock.now())
    store = opened.store
    for start in range(0, REPLAYED, 1_000):
        store.begin()
        for version in range(start, start + 1_000):
            event = Stored(ports.entropy.random_bytes(16), version, bytes(200))
            store.stage(Append("outbox", version, ports.ids.new_id(), bytes(32), (event,), version), 1)
        store.commit()
        if store.wal_pages > 4_000:
            store.checkpoint()
    opened.close(clean=True)
    return place


def reopen(place: Place) -> tuple[float, float]:
    """Seconds to open a ledger of 100,000 records, and to replay them."""
    begin = time.perf_counter()
    opened = open_ledger(place, 1)
    checked = time.perf_counter()
    records = replay(place.disk, place.path, opened.store.keys, "outbox", opened.store.replay_start("outbox"))
    replayed = time.perf_counter()
    if len(records) != REPLAYED or not isinstance(records[-1].events[0], Stored):
        raise ValueError(f"{len(records)} records came back")
    opened.close(clean=True)
    return checked - begin, replayed - checked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.parse_args()
    figures: dict[str, tuple[str, float | None, str, list[float]]] = {
        "ledger.appends_100": ("1/s", 20_000, "higher", []),
        "ledger.appends_1": ("1/s", None, "higher", []),
        "ledger.group_commit_ratio": ("x", 8, "higher", []),
        "ledger.loop_p999_ms": ("ms", 20, "lower", []),
        "ledger.loop_p999_idle_ms": ("ms", None, "lower", []),
        "ledger.replay_100k_seconds": ("s", 1, "lower", []),
        "ledger.open_100k_seconds": ("s", None, "lower", []),
    }
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            many = trio.run(append_for, Path(folder), APPENDERS, SECONDS)
        with tempfile.TemporaryDirectory() as folder:
            one = trio.run(append_for, Path(folder), 1, SECONDS)
        figures["ledger.appends_100"][3].append(many.per_second)
        figures["ledger.appends_1"][3].append(one.per_second)
        figures["ledger.group_commit_ratio"][3].append(many.per_second / one.per_second)
        figures["ledger.loop_p999_ms"][3].append(many.late_ms)
        figures["ledger.loop_p999_idle_ms"][3].append(trio.run(idle, SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        place = fill(Path(folder))
        for _ in range(RUNS):
            opened, replayed = reopen(place)
            figures["ledger.open_100k_seconds"][3].append(opened)
            figures["ledger.replay_100k_seconds"][3].append(replayed)
    for name, (unit, bar, better, runs) in figures.items():
        line = {"name": name, "unit": unit, "runs": [round(run, 3) for run in runs], "bar": bar, "better": better}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
