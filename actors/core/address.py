"""Where an actor can be reached, and the house that all addresses of one system belong to.

Two nouns, one seam:

    House     the system as the core sees it: who is where, who waits for whom, where reports and dead letters go
    Address   path + mailbox; whom the actor waits for (that is how an ask cycle is seen), who watches it
"""

from __future__ import annotations

from contextvars import Context as Variables
from random import Random
from typing import Any, Protocol

import trio

from ferryman.actors.core.errors import ActorStopped, AskCycle, MailboxFull
from ferryman.actors.core.events import Event, Undelivered
from ferryman.actors.core.mailbox import Mailbox, Overflow
from ferryman.actors.core.messages import Down, Envelope, Notice


class House(Protocol):
    """What a system offers to the actors in it. `supervisors.system.System` is the one there is."""

    bodies: dict[trio.lowlevel.Task, Address]  # the task of each running incarnation's body

    def find(self, path: str) -> Address:
        """The address with this path. Raises NoSuchActor."""
        ...

    def successor(self, path: str) -> Address | None:
        """Who has this path now, if anybody."""
        ...

    def random(self, path: str, incarnation: int) -> Random:
        """The chance of one incarnation: the same for the same seed, path and number."""
        ...

    def report(self, event: Event) -> None: ...
    def dead_letter(self, path: str, message: object, why: Undelivered) -> None: ...
    async def start(self, parent: str, spec: Any, variables: Variables) -> Address: ...
    async def stop(self, path: str, *, wait: bool) -> None: ...


class Address:
    """One actor as others see it. It stays when the actor restarts."""

    __slots__ = ("house", "mailbox", "path", "reason", "waits_for", "watchers")

    def __init__(self, house: House, path: str, capacity: int, overflow: Overflow) -> None:
        self.house = house
        self.path = path
        self.mailbox = Mailbox(capacity, overflow, self)
        self.reason: BaseException | None = None  # why it ended, while the mailbox is closed
        self.waits_for: Address | None = None
        self.watchers: dict[Address, None] | None = None  # a dict, for its order

    def undelivered(self, envelope: Envelope[Any], why: Undelivered) -> None:
        """A message that nobody will read: count it, and tell whoever asked."""
        if not isinstance(envelope.msg, Notice):
            self.house.dead_letter(self.path, envelope.msg, why)
        if envelope.asker is not None:
            envelope.fail(
                ActorStopped(self.path) if why == "stopped" else MailboxFull(self.path, self.mailbox.capacity)
            )

    def end(self, reason: BaseException | None) -> None:
        """The actor has ended for good: empty the mailbox, tell the watchers."""
        self.reason = reason
        self.mailbox.close()
        watchers, self.watchers = self.watchers, None
        for watcher in watchers or ():
            watcher.mailbox.push(Envelope(Down(self.path, reason)))

    def forbid_cycle(self, target: Address) -> None:
        """Raise AskCycle if waiting for `target` would be waiting for ourselves."""
        paths = [self.path]
        link: Address | None = target
        while link is not None:
            paths.append(link.path)
            if link is self:
                raise AskCycle(paths)
            if len(paths) > len(self.house.bodies) + 2:
                return  # others wait in a circle that we are not part of
            link = link.waits_for
