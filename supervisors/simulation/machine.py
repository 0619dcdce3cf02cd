"""A machine of the world: a disk that lasts, and one life of a process after another.

            open              crash: power, kill -9, a failed disk
    down ---------> up ------------------------------------------> down, with what the medium kept
     ^                                                               |
     +------------------ after RESTART_SECONDS, unless kept down <---+

What a life left behind is fenced: its disk is dead, its connections are gone, and who touches either gets PowerCut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from random import Random
from typing import Any, ClassVar, TypeVar

import trio

from ferryman.actors.ledger_file import FatalStorageError
from ferryman.actors.ports import Ports
from ferryman.actors.simulated.disk import MemoryDisk, PowerCut
from ferryman.actors.simulated.network import Endpoint
from ferryman.actors.simulated.ports import InlineThreads, make_simulated_ports
from ferryman.supervisors.simulation.ambush import Ambush, Ambushes, set_fault
from ferryman.supervisors.simulation.cable import Hands
from ferryman.supervisors.simulation.case import ERRORS, IO
from ferryman.supervisors.simulation.ends import Crashed, leaves, words
from ferryman.supervisors.simulation.history import Down
from ferryman.supervisors.simulation.scenario import KILL
from ferryman.supervisors.simulation.surroundings import Surroundings
from ferryman.supervisors.simulation.trace import Kind

T = TypeVar("T")

RESTART_SECONDS = 0.5  # until a service manager has it up again
LIVES_AT_MOST = 50  # a machine that cannot stay up is a finding, not a loop


class Machine:
    """disk: of this life. process: what `program` opened, while it is up. host: what outlives every crash."""

    restart_seconds: ClassVar[float] = RESTART_SECONDS

    def __init__(self, world: Surroundings, name: str, program: Any) -> None:
        self.world = world
        self.name = name
        self.program = program
        self.disk = MemoryDisk(seed=f"{world.seed} {name}")
        self.life: int = 0
        self.process: Any = None
        self.kept_down = False
        self.faulted = self._struck = False  # an error was injected into this life's disk; the case's fault is due
        self.policy = "drop"
        self.nested: tuple[int, ...] = ()  # operations of the recoveries to come
        self.asked = self.answered = 0
        self.ambushes = Ambushes()
        self.chores: deque[Callable[[Machine, Ports], None]] = deque()
        self.crashed, self.is_asleep = False, True
        self.ends: list[str] = []  # how lives ended that nothing had crashed
        self._endpoint: Endpoint | None = None
        self._scope: trio.CancelScope | None = None
        self._tasks: trio.Nursery | None = None
        self._stop = trio.Event()
        self._changed = trio.Event()
        self._ports_now: Ports | None = None
        self.host: Any = program.host(self)

    # --- for steps and checks

    @property
    def endpoint(self) -> Hands:
        """The network as this life has it."""
        if self._endpoint is None:
            raise RuntimeError(f"{self.name} has not lived yet")
        return self._endpoint

    @property
    def ports(self) -> Ports:
        assert self._ports_now is not None  # noqa: S101 - a program opens in the middle of a life
        return self._ports_now

    async def change(self) -> None:
        """Something about it is otherwise than before."""
        await self._changed.wait()

    async def up(self) -> Any:
        """Its process, as soon as it runs."""
        while self.process is None:
            await self._changed.wait()
        return self.process

    async def down(self) -> None:
        while self.process is not None:
            await self._changed.wait()

    async def asleep(self) -> None:
        """Its process is over to the last clean-up."""
        while not self.is_asleep:
            await self._changed.wait()

    async def do(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work(process)` inside the machine's life. Raises Crashed when that ends first."""
        process = await self.up()
        tasks = self._tasks
        assert tasks is not None  # noqa: S101 - a process runs inside its nursery
        outcome: list[tuple[bool, Any]] = []
        done = trio.Event()
        self.asked += 1

        async def inside() -> None:
            HERE.set(self)  # the caller is nobody's process; whoever is started from here belongs to this machine
            try:
                heard = (True, await work(process))
            except Exception as error:  # noqa: BLE001 - it belongs to who asked
                heard = (False, error)
            finally:
                done.set()
            if self.process is process:  # what the host hears, it heard before the crash
                outcome.append(heard)

        tasks.start_soon(inside, name=f"{self.name} host")
        await done.wait()
        if not outcome:
            raise Crashed(self.name)
        self.answered += 1
        well, value = outcome[0]
        if well:
            return value
        raise value

    def start(self, work: Callable[[Any], Awaitable[None]]) -> None:
        """Run `work(process)` beside the process, for as long as it lives."""
        assert self._tasks is not None  # noqa: S101 - called while it opens
        self._tasks.start_soon(work, self.process, name=f"{self.name} host")

    def crash(self, policy: str) -> None:
        """The machine goes down now; what is left of its disk is the policy's."""
        self.policy = policy
        self.note("crash", f"crash ({policy})")
        self.disk.dead = True
        self._go_down()

    def lay(self, ambush: Ambush) -> None:
        """A crash more, once those before it have happened."""
        self.ambushes.lay(ambush, self.disk)

    def pass_point(self, name: str) -> None:
        """Its process is at a crash point, and an ambush may be there."""
        if not self.crashed and (sprung := self.ambushes.sprung_at(name)):
            self.crash(sprung.policy)
            self.disk.require_power()

    def fill_disk(self, full: bool) -> None:
        """No byte more fits; a life that ends over it is no finding. The next life finds room."""
        self.faulted = self.faulted or full
        self.disk.capacity = self.disk.used if full else None

    def shut_down(self) -> None:
        """Ask the process to end in order."""
        self._stop.set()

    def replace_disk(self, contents: Mapping[str, bytes]) -> None:
        self.disk = MemoryDisk.holding(contents, seed=f"{self.world.seed} {self.name} {self.life} other")

    def note(self, kind: Kind, what: str) -> None:
        self.world.trace.add(kind, what, self.name, self.life)

    # --- lives

    async def run(self) -> None:
        HERE.set(self)
        while True:
            while self.kept_down:
                await self._changed.wait()
            self.is_asleep = False
            await self._live()
            self.is_asleep = True
            self._tell()
            if self.life >= LIVES_AT_MOST:
                raise RuntimeError(f"{self.name} has lived {self.life} times and does not stay up: {self.ends[-1:]}")
            await trio.sleep(self.restart_seconds)

    def keep_down(self, kept_down: bool) -> None:
        self.kept_down = kept_down
        self._tell()

    async def _live(self) -> None:
        self.life += 1
        self.crashed = self.faulted = False
        self._stop = trio.Event()
        self._endpoint = self.world.network.endpoint(self.name)
        self.world.plan(self)
        self.disk.on_operation = self._operates
        self.disk.on_cut, self.disk.on_failure = self._power_cut, self._disk_failed
        self.note("life", "starts")
        try:
            async with trio.open_nursery() as tasks:
                self._tasks, self._scope = tasks, tasks.cancel_scope
                ports = self._ports()
                while self.chores:
                    self.chores[0](self, ports)
                    self.chores.popleft()
                async with self.program.open(self, ports) as process:
                    self.process = process
                    self.note("life", "is up")
                    self.world.recovered(self)
                    self.program.came_up(self, process)
                    self._tell()
                    try:
                        await self._stop.wait()
                    finally:
                        self.process = None  # it ends, in order or not: nobody new gets in
                self.note("life", "is down, in order")
                tasks.cancel_scope.cancel()
        except BaseException as error:  # a crash ends here, all else goes on
            if any(isinstance(leaf, trio.Cancelled) for leaf in leaves(error)):
                pass  # the world is over
            elif not self.crashed:
                self.note("life", f"ended: {words(error)}")
                if not self.faulted:
                    self.ends.append(words(error))
            expected = Exception | PowerCut | (FatalStorageError if self.faulted else PowerCut)
            if not all(isinstance(leaf, expected) for leaf in leaves(error)):  # a person, a guard, the world's end
                raise
        finally:
            self.process = self._scope = self._tasks = None
            self._endpoint.die()
            self._tell()
        self.world.note(Down(self.name, self.life))
        self._next_disk()

    def _ports(self) -> Ports:
        world, seed = self.world, f"{self.world.seed} {self.name} {self.life}"
        self._ports_now = make_simulated_ports(
            seed,
            network=self._endpoint,
            disk=self.disk,
            clock=world.clock,
            threads=InlineThreads(world.disk_delay(seed)),
        )
        return self._ports_now

    def _operates(self) -> None:
        """Its disk is about to do something, and the case may have a crash for just that."""
        spot = self.world.pass_operation(self)
        if spot is not None:
            self._struck = True
            set_fault(self.disk, spot.point, self.disk.operations, after=spot.after)

    def _power_cut(self) -> None:
        """The disk says that its time has come."""
        if self._struck:
            self._struck, self.world.reached = False, True
        elif sprung := self.ambushes.sprung(IO):
            self.policy = sprung.policy
        self.note("crash", f"crash at operation {self.disk.operations} ({self.disk.last_operation}, {self.policy})")
        self._go_down()

    def _disk_failed(self) -> None:
        self.faulted = True
        self.note("error", f"error at operation {self.disk.operations} ({self.disk.last_operation})")
        if self._struck:
            self._struck, self.world.reached = False, True
            return
        self.ambushes.sprung(*ERRORS)
        self.ambushes.arm(self.disk)  # the process may well go on

    def _go_down(self) -> None:
        self.crashed = True
        self.process = None
        if self._endpoint is not None:
            self._endpoint.die()
        if self._scope is not None:
            self._scope.cancel()
        self._tell()

    def _next_disk(self) -> None:
        self.world.life_over(self)
        if not self.crashed:  # the process is gone, the system's page cache is not
            self.disk = self.disk.after_kill()
            return
        if self.world.wants_images and self.world.reached and not self.world.images:
            self.world.images = {policy: self._after(policy).image() for policy in self.world.scenario.policies}
        self.disk = self._after(self.policy)
        self.world.count_crash(self)

    def _after(self, policy: str) -> MemoryDisk:
        if policy == KILL:
            return self.disk.after_kill()
        return self.disk.after_power_cut(policy, Random(f"{self.world.seed} {self.name} {self.life} {policy}"))

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


HERE: ContextVar[Machine | None] = ContextVar("machine", default=None)
"""Whose code runs: every task of a life inherits it."""
