"""What the host may look at without asking anybody: the newest figures, put up by the actors that own them (C4-31)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from ferryman.protocol.sync.events import Connecting, ConnectionStatus, Disconnected
from ferryman.protocol.sync.indicator import NO_ERROR
from ferryman.protocol.sync.intake import Intake
from ferryman.protocol.sync.outbox import Totals


@dataclass(slots=True)
class Board:
    """relay_limit: the relay's max_blob_size, None before a WELCOME. client: the running client's path, or None.

    closed: the runtime has ended. changed: set, and replaced, whenever `client` or `closed` changes.
    intake: how far the client is with what the relay has. settled: blobs of ours that were acknowledged or refused for
    good since the start. last_error, parked: see `protocol.sync.indicator`. watchers: see `stir`.
    held_back: the relay refused a push for the time being, and it is tried again.
    """

    status: ConnectionStatus = field(default_factory=Disconnected)
    last_cursor: int = 0
    totals: Totals = field(default_factory=lambda: Totals(0, 0, 0))
    in_flight: int = 0
    held_back: bool = False
    relay_limit: int | None = None
    client: str | None = None
    closed: bool = False
    changed: trio.Event = field(default_factory=trio.Event)
    intake: Intake = field(default_factory=lambda: Intake(b""))
    settled: int = 0
    last_error: str = NO_ERROR
    parked: bool = False
    watchers: list[trio.Event] = field(default_factory=list[trio.Event])
    on_change: Callable[[], None] = lambda: None

    def show_totals(self, totals: Totals) -> None:
        """Answers of the outbox may pass each other on their way: the one with more steps is newer."""
        if totals.steps >= self.totals.steps:
            self.totals = totals
            self.on_change()

    def show_intake(self, intake: Intake) -> None:
        self.intake = intake
        self.stir()

    def show_success(self) -> None:
        """The relay took something."""
        self.last_error = NO_ERROR
        self.on_change()

    def show_end(self, reason: str) -> None:
        """The client ends for this reason, and will not come back by itself."""
        self.status = Disconnected(reason)

    def stir(self) -> None:
        """Something here may have changed. Said at every step of a session: without watchers it costs nothing."""
        if self.watchers:
            watchers, self.watchers = self.watchers, []
            for each in watchers:
                each.set()

    async def stirred(self) -> None:
        """Returns when something may have changed."""
        news = trio.Event()
        self.watchers.append(news)
        try:
            await news.wait()
        finally:  # given up: who waits again and again while nothing happens leaves nothing behind
            if news in self.watchers:
                self.watchers.remove(news)

    async def while_connecting(self, seconds: float) -> None:
        """Returns when the first try has an outcome, or after so long."""
        with trio.move_on_after(seconds):
            while isinstance(self.status, Connecting):
                await self.stirred()

    def close(self) -> None:
        """The runtime has ended: whoever waits for a client waits in vain."""
        self.closed = True
        self.show_client(None)

    def show_client(self, path: str | None) -> None:
        self.client = path
        self.changed.set()
        self.changed = trio.Event()
        self.stir()
