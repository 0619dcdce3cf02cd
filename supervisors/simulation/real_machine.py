"""A machine of a real run: a folder that lasts, and one process after another, ended by SIGKILL.

        fork, Up          SIGKILL: by itself at its point, or by the fork server
down -------------> up ---------------------------------------------------------> down, with the page cache
 ^                                                                                 |
 +--------- after REST_SECONDS, buried to the last descriptor, unless kept down <--+
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

import trio

from ferryman.actors.ports import Ports
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.protocol.errors import AppError, BadInput
from ferryman.supervisors.simulation.ambush import Ambush
from ferryman.supervisors.simulation.cable import Cable
from ferryman.supervisors.simulation.edges import files_of, put_files
from ferryman.supervisors.simulation.ends import Crashed, describe
from ferryman.supervisors.simulation.fork_server import ForkServer
from ferryman.supervisors.simulation.frames import (
    ActorCrashed,
    Birth,
    Dying,
    Ended,
    Kept,
    Listening,
    Noted,
    Passed,
    Said,
    Up,
)
from ferryman.supervisors.simulation.history import Down
from ferryman.supervisors.simulation.machine import Machine, Surroundings
from ferryman.supervisors.simulation.remote import Line
from ferryman.supervisors.simulation.scenario import KILL

REST_SECONDS = 0.0  # a process that is buried leaves nothing that must settle
PROCESS_ID_BYTES = 4


class RealSurroundings(Surroundings, Protocol):
    """What a real machine has of its world besides."""

    server: ForkServer
    ports: Ports
    folder: Path
    listening: dict[str, int]

    def crash_of(self, machine: Machine) -> tuple[str, int] | None: ...
    def pass_real_point(self, machine: Machine, point: str) -> None: ...


class RealMachine(Machine):
    """disk: a copy of the files, while the machine is down for good: programs and checks read it as a simulated one."""

    restart_seconds: ClassVar[float] = REST_SECONDS

    def __init__(self, world: RealSurroundings, name: str, program: Any) -> None:
        super().__init__(world, name, program)
        self.real = world
        self.folder = world.folder / name
        self.cable = Cable(world.ports.network, lambda: next(iter(world.listening.values()), 0))
        self._line: Line | None = None
        self._process_id = 0
        self._end = ""
        self._went = False

    @property
    def endpoint(self) -> Cable:
        return self.cable

    async def missing(self, *, armed: bool) -> list[str]:
        """What its process says that it still has to do. armed: its crash still waits for its point."""
        if self._line is None or self.process is None:
            return [f"{self.name} is down"]
        hosts = {name: one.host for name, one in self.world.machines.items()}
        try:
            return await self._line.root.missing(hosts, armed)
        except Crashed:
            return [f"{self.name} goes down"]

    async def arm(self, crash: tuple[str, int] | None) -> None:
        """On return its process counts from one again."""
        if self._line is not None:
            with suppress(Crashed):
                await self._line.root.arm(crash)

    def write_down(self) -> None:
        """The files that it begins with."""
        put_files(self.folder, self.disk.contents())

    def read_back(self) -> None:
        """What its processes have left."""
        self.disk = MemoryDisk.holding(files_of(self.folder))

    async def asleep(self) -> None:
        await super().asleep()
        self.read_back()

    def crash(self, policy: str) -> None:
        """SIGKILL, whatever the policy: no hand of ours takes the power from a real disk."""
        self.note("crash", "SIGKILL" if policy == KILL else f"SIGKILL, for {policy}")
        self.real.server.kill(self._process_id)
        self._go_down()

    def lay(self, ambush: Ambush) -> None:
        raise BadInput(
            f"crash-at {ambush.point}: for real, name the crash in [crash] or with --case; or leave out --real"
        )

    def start(self, work: Callable[[Any], Awaitable[None]]) -> None:
        async def beside(process: Any) -> None:
            try:
                await work(process)
            except Crashed:
                return
            except AppError:
                if not self._stop.is_set():
                    raise

        super().start(beside)

    async def _live(self) -> None:
        self.life += 1
        self.crashed = self.faulted = False
        self._stop = trio.Event()
        self._end, self._went = "", False
        self.note("life", "starts")
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self.real.server.fork()))
        with trio.CancelScope(shield=True):  # who is not known by number cannot be buried; it says so first of all
            self._process_id = int.from_bytes(await exactly(stream, PROCESS_ID_BYTES))
        try:
            line = self._line = Line(stream, self.name)
            scenario = self.world.scenario
            await line.say(
                Birth(
                    self.world.seed,
                    scenario,
                    self.name,
                    scenario.world[self.name],
                    self.life,
                    self.host,
                    str(self.folder),
                    self.cable.port,
                    self.real.crash_of(self),
                )
            )
            async with trio.open_nursery() as tasks:
                self._tasks, self._scope = tasks, tasks.cancel_scope
                tasks.start_soon(self._end_in_order, line)
                async for said in line.hear():
                    self._heard(said, line)
                self._went = True
                self.process = None
                tasks.cancel_scope.cancel()
        finally:
            self.process = self._line = self._scope = self._tasks = None
            self.real.listening.pop(self.name, None)
            self._tell()
            with trio.CancelScope(shield=True):
                await self._bury(stream)
        self.world.note(Down(self.name, self.life))

    async def _bury(self, stream: trio.abc.Stream) -> None:
        """Whatever it is doing: after this nothing of it is left."""
        self.real.server.kill(self._process_id)
        await trio.aclose_forcefully(stream)
        status = await self.real.server.ended(self._process_id)
        if self._went and not self.crashed and (self._end or not self._stop.is_set()):
            self.ends.append(self._end or describe(status))

    async def _end_in_order(self, line: Line) -> None:
        await self._stop.wait()
        self.process = None
        with suppress(Crashed):
            await line.root.finish()

    def _heard(self, said: object, line: Line) -> None:
        match said:
            case Up():
                self.process = line.root.process
                self.note("life", "is up")
                self.program.came_up(self, self.process)
                self._tell()
            case Said(kind, row):
                self.note(kind, row)
            case Noted(what):
                self.world.note(what)
            case Passed(point):
                self.note("point", point)
                self.real.pass_real_point(self, point)
            case Dying(point):
                self.note("crash", f"SIGKILL at {point}")
                self.world.reached = True
                self._go_down()
            case Kept(key, value, gone=False):
                self.host[key] = value
            case Kept(key):
                self.host.pop(key, None)
            case ActorCrashed(found):
                self.world.crashes.append(found)
            case Ended(how):
                self._end = how
            case Listening(port):
                self.real.listening[self.name] = port
            case _:
                raise TypeError(said)


async def exactly(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    read = bytearray()
    while len(read) < count:
        chunk = await stream.receive_some(count - len(read))
        if not chunk:
            raise EOFError("a process ended before it said its number")
        read += chunk
    return bytes(read)
