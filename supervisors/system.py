"""A running tree: `open_system` brings it up, gives it to the block, and stops it in reverse order when the block ends.

    async with open_system(root) as system:       up: every child is ready
        await system.ref("/store").ask(Get("k"))
                                                  down: children stopped, last first, each waited for

| what leaves the block                | when                                                      |
|--------------------------------------|-----------------------------------------------------------|
| what the block raised                | always; the tree is stopped first                         |
| what the first start of a child raised | the tree does not come up; what had started is stopped  |
| TooManyRestarts                      | the root gave up; the crash is down its `__cause__` chain |
| RecoveryFailed                       | a static actor cannot read what it recorded               |
| KeyboardInterrupt and its like       | raised in any actor                                       |
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import Context as Variables
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import trio

from ferryman.actors.core.address import Address
from ferryman.actors.core.cell import bare
from ferryman.actors.core.context import Context
from ferryman.actors.core.errors import ActorCrashed, ActorStopped, NoSuchActor
from ferryman.actors.core.events import Crashed, DeadLetter, Event, Undelivered
from ferryman.actors.core.messages import Envelope
from ferryman.actors.core.ref import Pending, Ref
from ferryman.protocol.errors import LocalProtocolError
from ferryman.supervisors.node import Node, TreeNode
from ferryman.supervisors.notices import StartChild, StopChild
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.supervisor import supervise

DEAD_LETTERS_KEPT = 100  # enough to see a pattern, few enough to hold


@dataclass(slots=True)
class Stats:
    """Counts since the system was opened. `ended_alone`: dynamic children that crashed for good."""

    crashes: int = 0
    restarts: int = 0
    ended_alone: int = 0
    dead_letters: int = 0


class System:
    """What the block of `open_system` holds. `dead_letters`: the last hundred, oldest first."""

    def __init__(
        self,
        root: Supervisor,
        rng: Random | None,
        on_event: Callable[[Event], None] | None,
        on_dead_letter: Callable[[DeadLetter], None] | None,
    ) -> None:
        self.bodies: dict[trio.lowlevel.Task, Address] = {}
        self.nodes: dict[str, Node] = {}
        self.stats = Stats()
        self.dead_letters: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS_KEPT)
        self.seed = 0 if rng is None else rng.getrandbits(64)
        self.failed = False  # the root ended with an exception
        self._on_event = on_event
        self._on_dead_letter = on_dead_letter
        self._root = self.plant("/", ChildSpec("root", root), copy_context())

    # --- for the host

    def ref(self, path: str) -> Ref[Any]:
        """The actor at `path`, "/store" or "/domains/store". Raises NoSuchActor."""
        return Ref(self.find(path))

    def tree(self) -> TreeNode:
        """A picture of every place in the tree as it is now. `print(system.tree())` shows it."""
        return self._root.seen()

    async def start_child(self, parent: str, spec: ChildSpec) -> Ref[Any]:
        """Start a child of the dynamic supervisor at `parent`, or find the living one of that name.

        Returns when it is ready; a caller that gives up does not stop the start. Raises what the start raised.
        """
        return Ref(await self.start(parent, spec, copy_context()))

    async def stop_child(self, path: str) -> None:
        """Stop the actor at `path` for good, and wait until it has ended. Nothing to do if it has."""
        await self.stop(path, wait=True)

    def crash(self, path: str, error: BaseException) -> bool:
        """End the running incarnation as if its body had raised `error`. False: nothing runs there just now."""
        current = self.find(path).current
        if current is not None:
            current.inject(error)
        return current is not None

    # --- for the actors: the House of the core, the Registry of the supervisors

    def plant(self, path: str, spec: ChildSpec, variables: Variables, *, dynamic: bool = False) -> Node:
        """Make a node and all below it. They are there, and take messages, before anything runs in them."""
        if isinstance(spec.run, Supervisor):
            node = Node(self, path, spec, nothing, variables, dynamic=dynamic)
            node.body = partial(supervise, self, node, spec.run)
            for child in spec.run.children:
                node.children[child.name] = self.plant(node.child_path(child.name), child, variables)
        else:
            node = Node(self, path, spec, spec.run, variables, dynamic=dynamic)
        self.nodes[path] = node
        return node

    def find(self, path: str) -> Node:
        node = self.nodes.get(path)
        if node is None:
            raise NoSuchActor(path)
        return node

    def successor(self, path: str) -> Node | None:
        return self.nodes.get(path)

    def random(self, path: str, incarnation: int) -> Random:
        return Random(f"{self.seed}:{path}:{incarnation}")  # noqa: S311 - chance that a seed can repeat, not a secret

    def report(self, event: Event) -> None:
        if isinstance(event, Crashed):
            self.stats.crashes += 1
        if self._on_event is not None:
            self._on_event(event)

    def dead_letter(self, path: str, message: object, why: Undelivered) -> None:
        letter = DeadLetter(path, message, why)
        self.stats.dead_letters += 1
        self.dead_letters.append(letter)
        if self._on_dead_letter is not None:
            self._on_dead_letter(letter)

    def count_restart(self) -> None:
        self.stats.restarts += 1

    def count_ended_alone(self) -> None:
        self.stats.ended_alone += 1

    async def start(self, parent: str, spec: Any, variables: Variables) -> Address:
        node = self._supervisor(parent)
        wish = StartChild(spec, variables)
        if node.branch is None or node.current is None or node.mailbox.reader is None:
            return await Ref[Any](node).ask(wish)
        pending = Pending[Address](node)  # it only waits for the next notice: this is one, a task switch earlier
        envelope = Envelope(wish, pending)
        node.current.vouch(envelope)
        node.branch.take_in(envelope)
        return await pending.wait()

    async def stop(self, path: str, *, wait: bool) -> None:
        parent, _, name = path.rpartition("/")
        supervisor = self._supervisor(parent or "/")
        if wait:
            await Ref[Any](supervisor).ask(StopChild(name))
        else:
            supervisor.mailbox.push(Envelope(StopChild(name)))

    def _supervisor(self, path: str) -> Node:
        node = self.find(path)
        if node.supervisor is None:
            raise LocalProtocolError(f"{path} is no supervisor: it has no children")
        return node

    # --- life

    async def begin(self, nursery: trio.Nursery) -> None:
        """Bring the tree up; returns when the root is ready, or has failed and the nursery is being cancelled."""
        up = trio.Event()

        def on_exit(_: Context[Any], cause: BaseException | None) -> None:
            self._root.current = None
            self._root.end(cause)
            self.failed = cause is not None
            up.set()
            if cause is not None:
                raise cause

        ctx = self._root.spawn(nursery, on_exit)
        ctx.on_ready = lambda _: up.set()
        await up.wait()
        if ctx.is_ready:
            self._root.state = "running"

    async def close(self) -> None:
        """Stop the tree in reverse order, whatever happens around us."""
        ctx = self._root.current
        if ctx is not None:
            self._root.state = "stopping"
            ctx.kill()
            with trio.CancelScope(shield=True):
                await ctx.done()


async def nothing(ctx: Context[Any]) -> None:
    """The body of a supervisor's node until it has its own."""


@asynccontextmanager
async def open_system(
    root: Supervisor,
    *,
    rng: Random | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_dead_letter: Callable[[DeadLetter], None] | None = None,
) -> AsyncGenerator[System]:
    """Run a tree around a block. See the table above for what can be raised.

    rng: where the system's seed is drawn from; without it the seed is 0, and jitter is the same in every run.
    on_event, on_dead_letter: called at once, inside the tree; they must be quick and must not raise.
    """
    system = System(root, rng, on_event, on_dead_letter)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                await system.begin(nursery)
                yield system
            except (ActorCrashed, ActorStopped):
                await system.close()
                if not system.failed:
                    raise  # else it is a consequence: the tree itself tells why it ended
            finally:
                await system.close()
    except BaseExceptionGroup as group:
        failure = bare(group)
    if failure is not None:
        raise failure
