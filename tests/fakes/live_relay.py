"""A relay as a process that is attacked for a whole test run: who it serves, what it holds, what it complains about.

with LiveRelay.started(folder) as relay:         `ferryman relay` with the limits that it has by default
    stream = await relay.stream("127.66.0.1")    a raw socket from an address of one's own
    async with relay.raw("mallory") as mallory   the same, upgraded, as a device that holds every byte in its hands
    async with relay.client("anna", ...)         a well-behaved device
    await relay.unharmed()                       others push and pull, memory and handles are back, nothing in the log

On Linux every address of 127.0.0.0/8 is at hand, so that one machine can be many sources.
"""

from __future__ import annotations

import itertools
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import trio

from ferryman.supervisors.relay_config import LimitsConfig
from tests.fakes.child import PATIENCE_SECONDS, kill, listening
from tests.fakes.raw_wire import RawDevice
from tests.fakes.relay_process import write_config
from tests.fakes.wire_client import WireClient, connect_over, device

GROUPS = 8  # those who check share a few groups: each group in memory is memory
SETTLE_SECONDS = PATIENCE_SECONDS
WARM_UP_CONNECTIONS = 100  # memory that a process once needed it seldom gives back: it may not need more
SLACK = 1.10  # of the memory that it had before
MAX_INVITES = 40
LIMITS = LimitsConfig(max_invites=MAX_INVITES).model_dump()  # as a stranger meets them, but one that would take long


def can_be_many_sources() -> bool:
    return sys.platform == "linux"


class LiveRelay:
    def __init__(
        self, process: subprocess.Popen[bytes], listening: dict[str, object], log: Path, trusted: ssl.SSLContext | None
    ) -> None:
        self.process = process
        self._trusted = trusted
        self.port = int(str(listening["port"]))
        self.key = str(listening["key"])
        self._log = log
        self._checks = itertools.count(1)
        self._strangers = itertools.count(1)
        self._cursors: dict[bytes, int] = {}
        self.baseline = (0, 0)

    @classmethod
    @contextmanager
    def started(
        cls, folder: Path, *, trusted: ssl.SSLContext | None = None, **tables: dict[str, object]
    ) -> Iterator[LiveRelay]:
        """`trusted`: what its own clients trust, where it speaks TLS."""
        limits = {**LIMITS, **tables.pop("limits", {})}
        config = write_config(folder, limits=limits, **tables)
        log = config.with_suffix(".log")
        command = [sys.executable, "-m", "ferryman", "relay", "--config", str(config), "--stop-with-stdin"]
        with log.open("ab") as errors:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        said = listening(process)
        try:
            yield cls(process, said, log, trusted)
        finally:
            kill(process)

    async def stream(self, source: str = "127.0.0.1") -> trio.SocketStream:
        """A connected socket that comes from `source`."""
        socket = trio.socket.socket()
        await socket.bind((source, 0))
        await socket.connect(("127.0.0.1", self.port))
        return trio.SocketStream(socket)

    @asynccontextmanager
    async def client(self, name: str, source: str = "127.0.0.1") -> AsyncIterator[WireClient]:
        stream = self.dressed(await self.stream(source))
        async with connect_over(stream, device(name), os.urandom(32)) as client:
            yield client

    def dressed(self, stream: trio.SocketStream) -> trio.abc.Stream:
        """In TLS, where the relay speaks it."""
        if self._trusted is None:
            return stream
        return trio.SSLStream(stream, self._trusted, server_hostname="localhost", https_compatible=True)

    @asynccontextmanager
    async def raw(self, name: str, source: str | None = None) -> AsyncIterator[RawDevice]:
        """Upgraded, from an address that nobody else has, unless the test says which."""
        async with self.dressed(await self.stream(source or self.address())) as stream:
            yield await RawDevice.upgraded(stream, device(name))

    def address(self) -> str:
        """One that was not used before: each attack begins with full rates."""
        number = next(self._strangers)
        return f"127.66.{number >> 8}.{number & 255}"

    @asynccontextmanager
    async def idle(self, count: int) -> AsyncIterator[None]:
        """Hold so many connections that say nothing after their handshake, ten a source."""
        async with AsyncExitStack() as held:
            for number in range(count):
                place = number // 10
                source = f"127.100.{place >> 8}.{place & 255}"
                await (await held.enter_async_context(self.raw(f"idle {number}", source))).secured()
            yield

    async def warm_up(self, connections: int = WARM_UP_CONNECTIONS) -> None:
        """Load once all that a relay loads at need, then note what it holds."""
        for _ in range(2 * GROUPS):
            await self.serves_others()
        async with self.client("large", self.address()) as client:
            await client.hello(b"large".ljust(32, b"."))
            for number in range(8):
                await client.push(number, bytes(1_000_000))
            await client.pull(0)
        async with self.idle(connections):
            pass
        await self._settled()
        self.baseline = self.measured()

    async def _settled(self) -> None:
        """Wait until a second goes by in which no handle was closed."""
        before, handles = 0, self.measured()[1]
        while before != handles:
            await trio.sleep(1)
            before, handles = handles, self.measured()[1]

    # the state afterwards

    async def unharmed(self) -> None:
        """Raises AssertionError when somebody else is served worse than before the attack."""
        await self.serves_others()
        await self.gave_everything_back()
        assert self.complaints() == []

    async def serves_others(self) -> None:
        """One device pushes, another pulls it."""
        number = next(self._checks)
        source = f"127.200.{number >> 8}.{number & 255}"
        group = bytes([number % GROUPS]) * 32
        with trio.fail_after(PATIENCE_SECONDS):
            async with self.client("anna", source) as anna:
                await anna.hello(group)
                cursor = (await anna.push(number, b"%d" % number)).cursor
            assert cursor == self._cursors.get(group, 0) + 1
            self._cursors[group] = cursor
            async with self.client("bert", source) as bert:
                await bert.hello(group)
                page = await bert.pull(cursor - 1)
                assert [(blob.cursor, blob.payload) for blob in page.blobs] == [(cursor, b"%d" % number)]

    async def gave_everything_back(self) -> None:
        """Memory is within a tenth of what it was, and no handle more is open, or both will be soon."""
        with trio.move_on_after(SETTLE_SECONDS):
            while not self._is_back():  # noqa: ASYNC110 - another process has no event for it
                await trio.sleep(0.1)
        assert self._is_back(), f"{self.measured()} bytes and handles, before the attacks {self.baseline}"

    def _is_back(self) -> bool:
        memory, handles = self.measured()
        return memory <= self.baseline[0] * SLACK and handles <= self.baseline[1]

    def measured(self) -> tuple[int, int]:
        """Bytes of resident memory, open handles."""
        process = Path("/proc") / str(self.process.pid)
        pages = int((process / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(list((process / "fd").iterdir()))

    def complaints(self) -> list[dict[str, object]]:
        whole, _, _ = self._log.read_text().rpartition("\n")  # it may be in the middle of a line
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if line["level"] in ("warning", "error")]
