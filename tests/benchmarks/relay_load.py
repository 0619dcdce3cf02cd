"""The load on a relay, a process of its own: it says "ready", waits for a line, loads, and prints one JSON object.

    python -m tests.benchmarks.relay_load '{"port": 9000, "pid": 4711, ...}'

| what a client does                | given by                                                          |
|-----------------------------------|-------------------------------------------------------------------|
| as fast as it is acknowledged     | `groups`, `clients` a group, `pushers` of them with `window` each  |
| so many pushes a second in all    | `rate`, over the clients of the last `paced` groups               |
| nothing                           | the rest                                                          |

Acknowledged pushes and the relay's processor time are counted between `warm_seconds` and the end. Latencies are in
milliseconds, from the moment a paced push was due: to its PUSH_ACK, and to its NOTIFY at each other client.
"""

from __future__ import annotations

import dataclasses
import json
import os
import select
import sys
import time
from pathlib import Path

from tests.benchmarks.pace import whole_milliseconds
from tests.benchmarks.wire_line import ERROR, NOTIFY, PULL_RESPONSE, PUSH_ACK, Line, blob_id_of

TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Plan:
    port: int
    pid: int
    groups: int = 1
    clients: int = 1
    pushers: int = 0
    window: int = 1
    paced: int = 0
    rate: float = 0.0
    size: int = 256
    seconds: float = 3.0
    warm_seconds: float = 1.0
    pulls: int = 0  # PULLs of 100, one after the other, by the first client of each group in turn
    group_ids: tuple[str, ...] = ()


class Load:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lines: list[Line] = []
        payload = os.urandom(plan.size)
        for group in range(plan.groups):
            name = bytes.fromhex(plan.group_ids[group]) if plan.group_ids else os.urandom(32)
            for client in range(plan.clients):
                self.lines.append(Line(plan.port, f"{group} {client} {os.urandom(4).hex()}", name, payload))
        first_paced = (plan.groups - plan.paced) * plan.clients
        self.paced = self.lines[first_paced:]
        self.pushing = [
            line for place, line in enumerate(self.lines[:first_paced]) if place % plan.clients < plan.pushers
        ]
        self.tag = os.urandom(8)
        self.number = 0
        self.due: dict[bytes, float] = {}
        self.acked = self.arrived = self.refused = 0
        self.ack_ms: list[float] = []
        self.arrival_ms: list[float] = []
        self.pull_ms: list[float] = []
        self.pulled_at = 0.0
        self.recording = False
        self.poll = select.epoll()
        self.by_fd = {line.socket.fileno(): line for line in self.lines}
        for fd, line in self.by_fd.items():
            self.poll.register(fd, select.EPOLLIN)
            line.read_ahead()

    def next_id(self) -> bytes:
        self.number += 1
        return self.tag + self.number.to_bytes(8, "big")

    def run(self) -> dict[str, object]:
        plan = self.plan
        free = {id(line) for line in self.pushing}
        for line in self.pushing:
            for _ in range(plan.window):
                line.push(self.next_id())
            line.flush()
        start = time.perf_counter()
        warm, end = start + plan.warm_seconds, start + plan.warm_seconds + plan.seconds
        next_due, turn = start, 0
        cpu = acked = 0
        if plan.pulls:
            self._pull(start)
        while True:
            now = time.perf_counter()
            if not self.recording and now >= warm:
                self.recording = True
                warm, cpu, acked = now, processor_ticks(plan.pid), self.acked
            if now >= end:
                break
            while plan.rate and next_due <= now:
                line = self.paced[turn % len(self.paced)]
                turn += 1
                blob_id = self.next_id()
                self.due[blob_id] = next_due
                line.push(blob_id)
                line.flush()
                next_due += 1 / plan.rate
            wait = min(next_due - now, end - now) if plan.rate else end - now
            for fd, mask in self.poll.poll(whole_milliseconds(wait)):
                line = self.by_fd[fd]
                if mask & ~select.EPOLLOUT:
                    acks = self._take(line)
                    if id(line) in free:
                        for _ in range(acks):
                            line.push(self.next_id())
                if line.outgoing:
                    line.flush()
                    self.poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if line.outgoing else 0))
                elif mask & select.EPOLLOUT:
                    self.poll.modify(fd, select.EPOLLIN)
        took = time.perf_counter() - warm
        return {
            "acknowledged": self.acked,
            "acked_per_second": (self.acked - acked) / took,
            "relay_cpu_seconds": (processor_ticks(plan.pid) - cpu) / TICKS,
            "seconds": took,
            "refused": self.refused,
            "notified": self.arrived,
            "ack_ms": self.ack_ms,
            "arrival_ms": self.arrival_ms,
            "pull_ms": self.pull_ms,
        }

    def _take(self, line: Line) -> int:
        """Count what came; returns how many pushes were acknowledged or refused."""
        answered = 0
        now = 0.0
        for kind, plain in line.read():
            if kind == PUSH_ACK:
                answered += 1
                self.acked += 1
            elif kind == NOTIFY:
                self.arrived += 1
            elif kind == PULL_RESPONSE:
                self._pulled()
                continue
            elif kind == ERROR:
                self.refused += 1
                answered += 1
                continue
            else:
                continue
            if self.due:
                now = now or time.perf_counter()
                due = self.due.get(blob_id_of(plain))
                if due is not None and self.recording:
                    (self.ack_ms if kind == PUSH_ACK else self.arrival_ms).append((now - due) * 1000)
        return answered

    def _pull(self, now: float) -> None:
        groups = self.lines[:: self.plan.clients]
        line = groups[len(self.pull_ms) % len(groups)]
        self.pulled_at = now
        line.pull(int.from_bytes(os.urandom(4), "big") % max(1, line.welcome.max_cursor - 200), 100)
        line.flush()

    def _pulled(self) -> None:
        now = time.perf_counter()
        self.pull_ms.append((now - self.pulled_at) * 1000)
        if len(self.pull_ms) < self.plan.pulls:
            self._pull(now)


def processor_ticks(pid: int) -> int:
    """utime and stime of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def main() -> None:
    load = Load(Plan(**json.loads(sys.argv[1])))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(load.run()), flush=True)
    sys.stdin.readline()  # the connections stay until the caller has looked


if __name__ == "__main__":
    main()
