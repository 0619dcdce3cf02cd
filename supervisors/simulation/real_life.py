"""What a forked process does with its life: it runs its machine's program on real files and sockets, and obeys.

first frame: Birth --> program opens --> Up --> walks are gone, until the director says `finish`, or SIGKILL
                                                the director's end of the channel closes: SIGKILL, by itself
"""

from __future__ import annotations

import inspect
import logging
from collections import Counter, UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import trio

from ferryman.actors.core.crash_points import crashing
from ferryman.actors.ports import Ports
from ferryman.actors.real_ports import make_real_ports
from ferryman.supervisors.simulation.edges import CableNetwork, FolderDisk
from ferryman.supervisors.simulation.ends import words
from ferryman.supervisors.simulation.fork_server import Channel, kill_this_process
from ferryman.supervisors.simulation.frames import (
    LENGTH_BYTES,
    ActorCrashed,
    Answered,
    Asked,
    Birth,
    Dying,
    Ended,
    Kept,
    Listening,
    Noted,
    Passed,
    Said,
    Up,
    pack,
    stays,
    unpack,
)
from ferryman.supervisors.simulation.registry import PROGRAMS
from ferryman.supervisors.simulation.remote import bodies
from ferryman.supervisors.simulation.trace import Kind


def live(channel: Channel) -> None:
    """A whole life, for `fork_server`."""
    logging.getLogger("ferryman").disabled = True
    birth = unpack(channel.read(int.from_bytes(channel.read(LENGTH_BYTES))), nothing_is_kept_yet)
    trio.run(Life(birth, channel).run)


def nothing_is_kept_yet(number: int) -> object:
    raise LookupError(number)


class Findings:
    """`world.crashes`: what is found here is the director's to keep."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def append(self, said: str) -> None:
        self._life.say(ActorCrashed(said))


class Around:
    """The world, as far as a process can see: the hosts of all machines are those of the director's last look."""

    def __init__(self, life: Life, birth: Birth) -> None:
        self.seed = birth.seed
        self.scenario = birth.scenario
        self.crashes = Findings(life)
        self.machines: dict[str, Neighbour | Life] = {
            name: Neighbour(name, self) for name in birth.scenario.world if name != birth.machine
        }
        self.machines[birth.machine] = life
        self._life = life

    def note(self, what: object) -> None:
        self._life.say(Noted(what))

    def machine(self, name: str) -> Neighbour | Life:
        return self.machines[name]


class Neighbour:
    def __init__(self, name: str, world: Around) -> None:
        self.name = name
        self.world = world
        self.host: Any = None


class TellingHost(UserDict[Any, Any]):
    """The host of a tree, as its actors have it: what they put there is with the director before they go on."""

    def __init__(self, held: dict[Any, Any], tell: Callable[[Kept], None]) -> None:
        super().__init__()
        self.data = dict(held)
        self._tell = tell

    def __setitem__(self, key: Any, item: Any) -> None:
        self._tell(Kept(key, item))
        self.data[key] = item

    def __delitem__(self, key: Any) -> None:
        del self.data[key]
        self._tell(Kept(key, None, gone=True))


class Life:
    """The machine, as its own program sees it. The director walks from here: `process...`, `missing(...)`, ..."""

    def __init__(self, birth: Birth, channel: Channel) -> None:
        self.name = birth.machine
        self.life = birth.life
        self.process: Any = None
        self.crashed = self.faulted = False
        self.program: Any = PROGRAMS.find(birth.program)()
        self.world = Around(self, birth)
        held: Any = birth.host
        self.host: Any = TellingHost(cast("dict[Any, Any]", held), self.say) if isinstance(held, dict) else held
        self._channel = channel
        self._kept: list[object] = [self]
        self._crash = birth.crash
        self._passed: Counter[str] = Counter()
        self._stop = trio.Event()
        ports = make_real_ports()
        self.disk = FolderDisk(ports.disk, Path(birth.folder), self.pass_point)
        network = CableNetwork(ports.network, birth.port, lambda port: self.say(Listening(port)))
        self.ports = Ports(ports.clock, ports.entropy, ports.ids, network, self.disk, ports.threads, ports.human)

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self._obey, tasks)
                with crashing(self.pass_point):
                    async with self.program.open(self, self.ports) as process:
                        self.process = process
                        self.say(Up())
                        await self._stop.wait()
                tasks.cancel_scope.cancel()
        except BaseException as error:  # the director judges how a process ends
            self.say(Ended(words(error)))
            raise

    # --- for the program

    def note(self, kind: Kind, row: str) -> None:
        self.say(Said(kind, row))

    def say(self, what: object) -> None:
        self._channel.send(pack(what, self._number_of))

    def pass_point(self, name: str) -> None:
        """In whatever thread the point is."""
        self._passed[name] += 1
        if self._crash == (name, self._passed[name]):
            self.say(Dying(name))
            kill_this_process()
        self.say(Passed(name))

    # --- for the director

    def arm(self, crash: tuple[str, int] | None) -> None:
        """From here on points are counted."""
        self._passed.clear()
        self._crash = crash

    def missing(self, hosts: dict[str, Any], armed: bool) -> list[str]:
        if not armed:
            self._crash = None
        for name, host in hosts.items():
            if name != self.name or not isinstance(host, dict):
                self.world.machines[name].host = host
        return list(self.program.missing(self))

    def finish(self) -> None:
        self._stop.set()

    # --- the line

    async def _obey(self, tasks: trio.Nursery) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._channel.end))
        async for body in bodies(stream):
            tasks.start_soon(self._answer, unpack(body, self._kept.__getitem__))
        kill_this_process()

    async def _answer(self, asked: Asked) -> None:
        try:
            value, well = await self._walk(asked), True
        except Exception as error:  # noqa: BLE001 - it belongs to who asked
            value, well = error, False
        try:
            self.say(Answered(asked.number, well, Keep(value) if asked.keep and well else value))
        except Exception as error:  # noqa: BLE001 - whatever a value of the program's cannot be pickled for
            self.say(
                Answered(asked.number, False, TypeError(f"{type(value).__name__} cannot leave its process: {error}"))
            )

    async def _walk(self, asked: Asked) -> Any:
        found: Any = self._kept[asked.target]
        for step in asked.path:
            found = getattr(found, step) if isinstance(step, str) else found(*step.args, **step.options)
        if inspect.isawaitable(found) and not asked.keep:
            return await found
        return found

    def _number_of(self, obj: object) -> int | None:
        if isinstance(obj, Keep):
            obj = obj.value
        elif not stays(obj):
            return None
        self._kept.append(obj)
        return len(self._kept) - 1


class Keep:
    """A value that stays here, whatever it is."""

    def __init__(self, value: object) -> None:
        self.value = value
