"""The load on an echo: each connection has `window` messages of `size` bytes on their way. As relay_load.py otherwise.

Latencies, in milliseconds, of `rate` messages a second over all connections, from the moment each was due.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

from tests.benchmarks.pace import whole_milliseconds
from tests.benchmarks.relay_load import TICKS, processor_ticks
from tests.benchmarks.wire_line import Messages, connect, framed

STAMP_BYTES = 8


def main() -> None:
    plan = {"connections": 1, "window": 1, "size": 256, "rate": 0.0, "seconds": 2.0, "warm_seconds": 0.5}
    plan |= json.loads(sys.argv[1])
    connections = [connect(plan["port"]) for _ in range(plan["connections"])]
    messages = {one.fileno(): Messages(one) for one in connections}
    poll = select.epoll()
    for one in connections:
        poll.register(one.fileno(), select.EPOLLIN)
    padding = os.urandom(plan["size"] - STAMP_BYTES)
    print("ready", flush=True)
    sys.stdin.readline()
    by_fd = {one.fileno(): one for one in connections}
    start = time.perf_counter()
    warm, end = start + plan["warm_seconds"], start + plan["warm_seconds"] + plan["seconds"]
    if not plan["rate"]:
        for one in connections:
            one.sendall(framed(bytes(STAMP_BYTES) + padding) * plan["window"])
    next_due, turn, count, cpu, recording = start, 0, 0, 0, False
    latencies: list[float] = []
    while (now := time.perf_counter()) < end:
        if not recording and now >= warm:
            recording, warm, count, cpu = True, now, 0, processor_ticks(plan["pid"])
        while plan["rate"] and next_due <= now:
            one = connections[turn % len(connections)]
            turn += 1
            one.sendall(framed(int(next_due * 1e9).to_bytes(STAMP_BYTES, "big") + padding))
            next_due += 1 / plan["rate"]
        for fd, _ in poll.poll(whole_milliseconds(min(next_due, end) - now if plan["rate"] else end - now)):
            echoes = messages[fd].read()
            count += len(echoes)
            if not plan["rate"]:
                by_fd[fd].sendall(b"".join(map(framed, echoes)))
            elif recording:
                came = time.perf_counter()
                latencies += [(came - int.from_bytes(echo[:STAMP_BYTES], "big") / 1e9) * 1000 for echo in echoes]
    took = time.perf_counter() - warm
    ticks = processor_ticks(plan["pid"]) - cpu
    measured = {"per_second": count / took, "cpu_seconds": ticks / TICKS, "seconds": took, "ms": latencies}
    print(json.dumps(measured), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
