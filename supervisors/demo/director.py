"""The demo's director: starts the processes, kills two of them at the worst moment, and asks the judge.

relay up -> A creates a group -> B joins by the short code -> A pushes
  half-way: relay frozen, one more push sent, relay SIGKILLed with that push unacknowledged, relay started again
  then: B SIGKILLed while blobs come in, and started again on its home
A done -> C joins late -> B and C hold everything -> the judge re-reads the disk
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import trio

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.demo.failure import DemoFailed, one_cause
from ferryman.supervisors.demo.folder import Folder
from ferryman.supervisors.demo.messages import (
    AnyReport,
    Census,
    Counted,
    Create,
    Failed,
    FileOrder,
    Heard,
    Invite,
    Invited,
    Join,
    Order,
    Progress,
    Ready,
    Send,
    Sent,
    encode_line,
    report_decoder,
)
from ferryman.supervisors.demo.processes import Child, open_child, read_lines
from ferryman.supervisors.demo.source import Source

PATIENCE_SECONDS = 60.0  # without any report for so long, something is stuck: say so and end
EXIT_BAD_INPUT = 2  # of a process whose last line on stderr says what is wrong with its surroundings

ReportT = TypeVar("ReportT")


@dataclass(slots=True)
class Standing:
    """What the director knows of one device over all its lives."""

    progress: Progress = field(default_factory=Progress)
    acknowledged_before: int = 0
    reconnects_before: int = 0

    @property
    def acknowledged(self) -> int:
        return self.acknowledged_before + self.progress.acknowledged

    @property
    def reconnects(self) -> int:
        return self.reconnects_before + self.progress.reconnects

    def new_life(self) -> None:
        self.acknowledged_before = self.acknowledged
        self.reconnects_before = self.reconnects + 1  # coming back is a reconnect too
        self.progress = Progress(received=self.progress.received)


class DeviceProcess:
    """One device process and what it said. Waiting for it raises when it falls silent; `read` when it fails or ends."""

    def __init__(self, child: Child, standing: Standing, on_progress: Callable[[], None]) -> None:
        self.child = child
        self.standing = standing
        self._on_progress = on_progress
        self.on_note: Callable[[Heard], None] = lambda _: None
        self._reports: list[AnyReport] = []
        self._news = trio.Event()

    async def read(self) -> None:
        """Take in reports until the process ends. Raises DemoFailed when it fails, or ends though nobody asked it to,
        and BadInput when what it was given to carry is unusable."""
        async with aclosing(self.child.lines()) as lines:
            async for line in lines:
                report = report_decoder.decode(line)
                match report:
                    case Progress():
                        self.standing.progress = report
                        self._on_progress()
                    case Failed(message=message, code=BadInput.code):
                        raise BadInput(message)
                    case Failed(message=message):
                        raise DemoFailed(f"{self.child.name} gave up: {message}", self.child.last_words())
                    case Heard():
                        self.on_note(report)
                    case _:
                        self._reports.append(report)
                self._news.set()
                self._news = trio.Event()
        await self.child.watch()

    async def order(self, order: Order) -> None:
        await self.child.say(encode_line(order))

    async def wait_for(self, kind: type[ReportT]) -> ReportT:
        """The next report of that kind."""
        while True:
            for index, report in enumerate(self._reports):
                if isinstance(report, kind):
                    del self._reports[index]
                    return report
            await self._wait_for_news()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        with trio.move_on_after(PATIENCE_SECONDS) as scope:
            await self._news.wait()
        if scope.cancelled_caught:
            raise DemoFailed(
                f"{self.child.name} reported nothing for {PATIENCE_SECONDS:.0f} s, though every process still runs",
                self.child.last_words(),
            )

    async def kill(self) -> None:
        await self.child.kill()

    async def stop(self) -> None:
        await self.child.stop()


class Stage:
    """The processes of one demo and the folder they live in."""

    def __init__(
        self, folder: Folder, environment: Mapping[str, str], nursery: trio.Nursery, stack: AsyncExitStack
    ) -> None:
        self.folder = folder.path
        self._locks = folder.locks
        self.environment = environment
        self._nursery = nursery
        self._stack = stack
        self.standings: dict[str, Standing] = {}
        self.on_progress: Callable[[], None] = lambda: None

    @property
    def relay_url(self) -> str:
        return f"ws://127.0.0.1:{self.listening.port}"

    async def start_device(self, name: str, *, notes: bool = False) -> DeviceProcess:
        """Start device `name`, or start it again on the home it had. notes: as a note book, in a group of its own."""
        home = self.folder / f"device-{name.lower()}"
        home.mkdir(exist_ok=True)
        if name in self.standings:
            self.standings[name].new_life()
        standing = self.standings.setdefault(name, Standing())
        child = await self._stack.enter_async_context(
            open_child(
                f"device {name}",
                ["demo-device", "--home", str(home), "--name", f"device {name}", *(["--notes"] if notes else [])],
                logs=(home / "stderr.log",),
                environment=self.environment,
                descriptors=self._locks,
            )
        )
        device = DeviceProcess(child, standing, lambda: self.on_progress())
        self._nursery.start_soon(device.read)
        return device

    async def start_relay(self, config: Path) -> Child:
        """Start the relay and return once it listens. Raises BadInput with what it said when it cannot."""
        child = await self._stack.enter_async_context(
            open_child(
                "the relay",
                ["relay", "--config", str(config), "--stop-with-stdin"],
                logs=(self.folder / "relay.stderr.log", self.folder / "relay.log"),
                environment=self.environment,
                descriptors=self._locks,
            )
        )
        with trio.move_on_after(PATIENCE_SECONDS):
            async with aclosing(child.lines()) as lines:
                async for line in lines:
                    self.listening = msgspec.json.decode(line, type=Listening)
                    self._nursery.start_soon(drain, child)
                    return child
            if await child.process.wait() == EXIT_BAD_INPUT and (said := read_lines(child.logs[0])):
                raise BadInput(said[-1].removeprefix("ferryman: "))
            await child.watch()
        raise DemoFailed(f"the relay does not listen after {PATIENCE_SECONDS:.0f} s", child.last_words())


class Listening(msgspec.Struct, frozen=True):
    """The relay's first line on stdout."""

    port: int


async def drain(child: Child) -> None:
    """Read the relay's stdout, so that it never blocks on it. Raises DemoFailed when it ends by itself."""
    async for _ in child.lines():
        pass
    await child.watch()


@asynccontextmanager
async def open_stage(folder: Folder, passphrase: str) -> AsyncGenerator[Stage, None]:
    """A stage whose every process is gone at the end of the block. The first that ends by itself ends the block."""
    environment = {**os.environ, "FERRYMAN_PASSPHRASE": passphrase}
    with one_cause():
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            yield Stage(folder, environment, nursery, stack)
            nursery.cancel_scope.cancel()


async def push_half(device: DeviceProcess, source: Source, first: int, last: int) -> None:
    files = tuple(FileOrder(file.name, file.size, file.sha256) for file in source.files)
    await device.order(Send(root=str(source.root), files=files, first=first, last=last))


async def create_group(device: DeviceProcess, relay_url: str) -> None:
    await device.order(Create(relay_url=relay_url))
    await device.wait_for(Ready)


async def invite_from(device: DeviceProcess) -> Invited:
    await device.order(Invite())
    return await device.wait_for(Invited)


async def join_group(device: DeviceProcess, relay_url: str, invited: Invited) -> None:
    await device.order(Join(relay_url=relay_url, short_code=invited.short_code))
    await device.wait_for(Ready)


async def unacknowledged(device: DeviceProcess) -> int:
    """Pushes that were sent and not acknowledged, as the device counts them now."""
    await device.order(Census())
    return (await device.wait_for(Counted)).in_flight


async def wait_sent(device: DeviceProcess) -> None:
    await device.wait_for(Sent)
