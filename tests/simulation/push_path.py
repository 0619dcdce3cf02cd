"""The push path in a world that one seed decides, and the hash of everything that happened in it.

    python -m tests.simulation.push_path SEED [--poison set|id|clock|entropy]      prints one JSON object

A relay and two devices run in one process on memory streams, a mock clock and in-memory disks. The trace has a row for
every step of every task, in order, with its virtual time; the hash also covers what each device received, the
reports of the trees, and the bytes of all files at the end. A poison plants one source of chance: the hash must change.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import trio
import trio.testing

from ferryman.actors.core.determinism import seeded_scheduler
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.relay import open_relay
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.runtime import open_runtime

BLOBS = 12
VIRTUAL_SECONDS = 600


class Trace(trio.abc.Instrument):
    """Every step of every task, hashed as it happens. `rows` keeps the last ones for a person."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.steps = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.add(f"{trio.current_time():.9f} {task.name}")
        self.steps += 1

    def add(self, row: str) -> None:
        self.digest.update(row.encode() + b"\n")


def device(name: str) -> RuntimeConfig:
    return RuntimeConfig(
        home=Path(f"/{name}"),
        keys=KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False),
        sync=SyncConfig(device_name=name, direct_invites=True),
    )


async def push_path(seed: int, trace: Trace, poison: str | None) -> dict[str, int]:
    network = MemoryNetwork()
    disks = {name: MemoryDisk(seed=seed + number) for number, name in enumerate(("relay", "a", "b"))}
    ports = {
        name: make_simulated_ports(seed * 10 + number, network=network, disk=disk)
        for number, (name, disk) in enumerate(disks.items())
    }
    config = RelayConfig.model_validate({"server": {"bind": "127.0.0.1:8080"}, "storage": {"database": "/relay.db"}})
    rng = {name: one.entropy.random_bytes(8) for name, one in ports.items()}

    def hear(event: object) -> None:
        trace.add(str(event))

    async with (
        open_relay(config, ports["relay"], rng=chance(rng["relay"]), on_event=hear) as relay,
        open_runtime(device("a"), ports=ports["a"], rng=chance(rng["a"]), on_event=hear) as a,
        open_runtime(device("b"), ports=ports["b"], rng=chance(rng["b"]), on_event=hear) as b,
    ):
        host, port = relay.address
        await a.sync.enable(f"ws://{host}:{port}")
        invite = await a.sync.create_invite()
        await b.sync.join_invite(invite.short_code, relay_url=f"ws://{host}:{port}")
        for number in range(BLOBS):
            await a.sync.enqueue(b"blob %d " % number * (1 + number * 200))
        received = 0
        async for blob in b.sync.blobs():
            trace.add(f"{blob.cursor} {blob.id.hex()} {hashlib.sha256(blob.data).hexdigest()}")
            await taint(poison)
            received += 1
            if received == BLOBS:
                await blob.taken()
                break
        cursor = b.sync.last_cursor()
    for name, disk in disks.items():
        for path in sorted(disk.names):
            trace.add(f"{name} {path} {hashlib.sha256(disk.read(Path(path))).hexdigest()}")
    return {"received": received, "cursor": cursor}


async def taint(poison: str | None) -> None:
    """Let one thing that is not decided by the seed decide something."""
    match poison:
        case None:
            return
        case "set":
            order = list({"left", "right", "up", "down", "in", "out"})
            steps = order.index("left")
        case "id":
            steps = id(object()) // 16 % 7
        case "clock":
            steps = time.perf_counter_ns() % 7
        case "entropy":
            steps = os.urandom(1)[0]
        case _:
            raise ValueError(poison)
    for _ in range(steps):
        await trio.lowlevel.checkpoint()


def chance(seed: bytes):
    from random import Random

    return Random(seed)


def main() -> None:
    seed = int(sys.argv[1])
    poison = sys.argv[3] if len(sys.argv) > 3 else None
    trace = Trace()

    async def bounded() -> dict[str, int]:
        with trio.fail_after(VIRTUAL_SECONDS):
            return await push_path(seed, trace, poison)

    with seeded_scheduler(seed):
        outcome = trio.run(bounded, clock=trio.testing.MockClock(autojump_threshold=0), instruments=[trace])
    print(json.dumps({"hash": trace.digest.hexdigest(), "steps": trace.steps, **outcome}))


if __name__ == "__main__":
    main()
