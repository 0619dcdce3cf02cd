"""The relay's figures over real sockets on a real disk: the relay is one process, as users start it, the load another.

    python -m tests.benchmarks.bench_relay --json [--only NAME] [--runs N]        one JSON object a line

| scenario    | what happens                                                                                       |
|-------------|----------------------------------------------------------------------------------------------------|
| line        | 1 publisher with 32 in flight and 1 subscriber, 256 B                                              |
| fan         | 50 clients in 10 groups, one push in flight each, 256 B, inline NOTIFYs to the other four          |
| fan16       | the same with 16 KB                                                                                |
| firehoses   | 200 paced pushes a second of one client beside four with 512 in flight                             |
| paced       | 200 pushes a second over 50 clients: due to acknowledged, due to arrived at each other client      |
| idle        | 1,000 connections that say nothing after WELCOME                                                   |
| million     | a database of a million blobs in ten groups: PULLs of 100, and pushes while clean-up sweeps it     |
| groups      | 8,000 groups with a live connection each                                                           |
| peers       | the fan beside NATS JetStream with fsync and Evolu's relay (peers.py)                              |

Every acknowledged push of a run has to be a row of the database afterwards, or the benchmark fails. Beside them, in the
same run, the floor: the bare echo of the relay's WebSocket code, and how often the disk syncs a page.
"""

from __future__ import annotations

import argparse
import atexit
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.benchmarks import relay_million
from tests.benchmarks.peers import PEERS, NotRun
from tests.benchmarks.relay_host import Server, echoing, fsyncs_per_second, loading, running

RUNS = 3
MB = 1_000_000
FAN: dict[str, Any] = {"groups": 10, "clients": 5, "pushers": 5}
IDLE = 1000
GROUPS = 8000
FAN_ACKED = "relay: 50 clients, 10 groups, 256 B, acknowledged"
ECHO_P99 = "floor: echo, 200 messages/s over 50 connections, p99"
ECHO_LOAD = "tests.benchmarks.echo_load"


class Figures:
    """What was measured, run by run, in the order in which it came. A bar may be missing."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[str, Any]] = {}

    def add(self, name: str, unit: str, value: float, bar: float | None = None, *, better: str = "higher") -> None:
        """`name` is one figure's in all runs; the last bar counts, as some are taken from other figures."""
        line = self._lines.setdefault(name, {"name": name, "unit": unit, "runs": [], "bar": bar, "better": better})
        line["runs"].append(round(value, 3))
        line["bar"] = bar

    def lower(self, name: str, unit: str, value: float, bar: float | None = None) -> None:
        self.add(name, unit, value, bar, better="lower")

    def median(self, name: str) -> float:
        return statistics.median(self._lines[name]["runs"])

    def not_run(self, name: str, reason: str) -> None:
        self._lines[name] = {"name": name, "not_run": reason}

    def latest(self, name: str) -> float | None:
        line = self._lines.get(name)
        return line["runs"][-1] if line else None

    def print(self) -> None:
        for line in self._lines.values():
            print(json.dumps(line), flush=True)


@contextmanager
def fresh_relay(**tables: dict[str, object]) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="relay-") as folder, running(Path(folder), **tables) as server:
        yield server


def pushed(**plan: object) -> dict[str, Any]:
    """Measure a load on a fresh relay; everything acknowledged has to be on its disk."""
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        with running(Path(folder)) as server, loading(server, **plan) as load:
            measured = load.go()
        if server.rows() < measured["acknowledged"]:
            raise RuntimeError(f"{measured['acknowledged']} acknowledged, {server.rows()} on disk")
    return measured


def per_processor_second(measured: dict[str, Any]) -> float:
    return measured["acked_per_second"] * measured["seconds"] / measured["relay_cpu_seconds"]


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def line(figures: Figures) -> None:
    measured = pushed(groups=1, clients=2, pushers=1, window=32)
    figures.add("relay: 1 to 1, 32 in flight, 256 B, acknowledged", "1/s", measured["acked_per_second"], 15_000)
    figures.add("relay: 1 to 1, each second of its processor", "1/s", per_processor_second(measured))


def fan(figures: Figures) -> None:
    measured = pushed(**FAN)
    figures.add(FAN_ACKED, "1/s", measured["acked_per_second"], 10_000)
    figures.add("relay: 50 clients, each second of its processor", "1/s", per_processor_second(measured), 10_000)


def fan16(figures: Figures) -> None:
    measured = pushed(**FAN, size=16 * 1024)
    figures.add("relay: 50 clients, 10 groups, 16 KB, acknowledged", "1/s", measured["acked_per_second"], 3_000)
    figures.add("relay: 50 clients, 16 KB, each second of its processor", "1/s", per_processor_second(measured))


def firehoses(figures: Figures) -> None:
    """The paced client is a process of its own: the load of the firehoses must not be what it waits for."""
    with fresh_relay() as server:
        hoses = loading(server, groups=4, pushers=1, window=512, seconds=5.0)
        with hoses as filling, loading(server, paced=1, rate=200.0, seconds=2.5) as quiet:
            filling.start()
            waited = quiet.go()["ack_ms"]
            filled = filling.result()
    figures.lower("relay: 200 pushes/s beside four firehoses, p50", "ms", quantile(waited, 0.5))
    figures.lower("relay: 200 pushes/s beside four firehoses, p99", "ms", quantile(waited, 0.99), 20)
    figures.add("relay: what the firehoses get meanwhile, acknowledged", "1/s", filled["acked_per_second"])


def paced(figures: Figures) -> None:
    measured = pushed(groups=10, clients=5, paced=10, rate=200.0)
    arrivals = measured["arrival_ms"]
    figures.lower("relay: 200 pushes/s over 50 clients, arrived, p50", "ms", quantile(arrivals, 0.5), 1.5)
    with echoing() as server, loading(server, ECHO_LOAD, connections=50, rate=200.0) as load:
        echo_p99 = quantile(load.go()["ms"], 0.99)
    figures.lower(ECHO_P99, "ms", echo_p99)
    bar = max(5.0, round(5 * figures.median(ECHO_P99), 2))
    figures.lower("relay: 200 pushes/s over 50 clients, arrived, p99", "ms", quantile(arrivals, 0.99), bar)


def idle(figures: Figures) -> None:
    with fresh_relay() as server:
        empty = server.resident_bytes()
        with loading(server, groups=200, clients=IDLE // 200):
            added = server.resident_bytes() - empty
    figures.lower("relay: 1,000 idle connections", "MB", added / MB, 60)


def groups(figures: Figures) -> None:
    """The latency with many groups is compared with that of ten, measured just before with the same pace."""
    few = pushed(groups=10, clients=1, paced=10, rate=200.0)
    with fresh_relay(server={"heartbeat": 3600}) as server:  # the first must not seem silent when the last comes
        with loading(server, groups=10, clients=1):
            before = server.resident_bytes()
        with loading(server, groups=GROUPS, clients=1, paced=GROUPS, rate=200.0) as load:
            each = (server.resident_bytes() - before) / GROUPS
            many = load.go()
    slower = quantile(many["ack_ms"], 0.5) / quantile(few["ack_ms"], 0.5)
    figures.lower("relay: 8,000 groups with a live connection, each", "kB", each / 1000, 100)
    figures.lower("relay: push latency with 8,000 groups against 10, p50", "times", slower, 2)


def million(figures: Figures) -> None:
    """First PULLs alone, one after the other; then pushes, while clean-up walks the table and deletes its tenth."""
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        shutil.copy(million_blobs(), Path(folder) / "relay.db")
        with running(Path(folder), cleanup={"interval": 4}) as server:
            ids = relay_million.group_ids()
            with loading(server, groups=10, clients=1, pulls=200, group_ids=ids, warm_seconds=0, seconds=1.5) as load:
                pulls = load.go()["pull_ms"]
            with loading(server, groups=10, clients=1, paced=10, rate=200.0, group_ids=ids, seconds=12.0) as load:
                pushes = load.go()["ack_ms"]
        left = server.rows()
    if left >= relay_million.BLOBS:
        raise RuntimeError("clean-up deleted nothing")
    figures.lower("relay: a million blobs, PULL of 100, p50", "ms", quantile(pulls, 0.5), 10)
    figures.lower("relay: a million blobs, a push beside clean-up, p99.9", "ms", quantile(pushes, 0.999), 50)


@cache
def million_blobs() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="relay-million-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "relay.db"
    relay_million.fill(path)
    return path


def peers(figures: Figures) -> None:
    """Ratios are taken from the fan of the same run."""
    ours = figures.latest(FAN_ACKED) or pushed(**FAN)["acked_per_second"]
    for name, measure in PEERS.items():
        try:
            theirs = measure(FAN["groups"], FAN["clients"], 256)
        except NotRun as reason:
            figures.not_run(f"peers: {name}", str(reason))
            continue
        figures.add(f"peers: {name}, 50 clients, 10 groups, 256 B", "1/s", theirs)
        figures.add(f"peers: the relay against {name}", "times", ours / theirs, 1)


def floor(figures: Figures) -> None:
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        figures.add("floor: the disk's syncs of a page", "1/s", fsyncs_per_second(Path(folder)))
    for name, plan in (
        ("floor: echo, 1 connection, 32 in flight, 256 B", {"window": 32}),
        ("floor: echo, 50 connections, 256 B", {"connections": 50}),
        ("floor: echo, 50 connections, 16 KB", {"connections": 50, "size": 16 * 1024}),
    ):
        with echoing() as server, loading(server, ECHO_LOAD, **plan) as load:
            figures.add(name, "1/s", load.go()["per_second"])


SCENARIOS: dict[str, Callable[[Figures], None]] = {
    "floor": floor,
    "line": line,
    "fan": fan,
    "fan16": fan16,
    "firehoses": firehoses,
    "paced": paced,
    "idle": idle,
    "million": million,
    "groups": groups,
    "peers": peers,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="the only output there is")
    parser.add_argument("--only", default="", metavar="NAME", help="scenarios whose name contains NAME")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    figures = Figures()
    for _ in range(options.runs):
        for name, measure in SCENARIOS.items():
            if options.only in name:
                print(f"  {name}", file=sys.stderr, flush=True)
                measure(figures)
    figures.print()


if __name__ == "__main__":
    main()
