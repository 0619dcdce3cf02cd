"""The sync client of one group: hosts the session machine, and does what it says.

    host, outbox --> mailbox --+
    relay --> link reader -----+--> step(session, what happened) --> effects: frames, timers, records, events
    timers, records -----------+

`feed` never waits, so whoever calls it finds the session between two steps; everything that takes time is a task of
this incarnation. It keeps nothing over a restart: inbox, outbox and group are read again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, assert_never

import trio

from ferryman.actors.client_records import ClientRecords
from ferryman.actors.client_world import ClientWorld
from ferryman.actors.core.context import Body, Context
from ferryman.actors.core.crash_points import crash_point
from ferryman.actors.core.messages import Envelope
from ferryman.actors.core.ref import Ref
from ferryman.actors.outbox_reader import OutboxReader
from ferryman.actors.reader_desk import ReaderDesk
from ferryman.actors.relay_line import RelayLine
from ferryman.actors.shelf_watch import ShelfWatch
from ferryman.actors.sync_messages import (
    BlobsWait,
    ClientMessage,
    Leave,
    NextBlobs,
    PullBlobs,
    Reconnect,
    TakeBlobs,
    Taken,
    UseRelay,
)
from ferryman.actors.timers import Timers
from ferryman.protocol.sync import backoff, client, effects, happenings
from ferryman.protocol.sync.errors import Offline
from ferryman.protocol.sync.events import Disconnected, StatusChanged
from ferryman.protocol.sync.inbox import Take
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.session import Online, Rules, Session, TimerName
from ferryman.protocol.sync.strands import Link, strands

NO_RUN = -1  # of a page whose history is not on record yet: its cursors mean nothing to the inbox
LEAVE_SECONDS = 0.5  # S4 §10.6: nobody waits longer for a goodbye
OPEN_BLOBS = 64  # opened between two checkpoints: with signatures some four milliseconds
HAND_BLOBS = 256  # given to the host at once: as many as one record takes


def sync_client(open_world: Callable[[], Awaitable[ClientWorld]]) -> Body:
    """The body. open_world: gives the ClientWorld; awaited, because deriving keys takes a thread."""

    async def body(ctx: Context[ClientMessage]) -> None:
        await SyncClient(ctx, await open_world()).run()

    return body


class SyncClient:
    """One incarnation."""

    def __init__(self, ctx: Context[ClientMessage], world: ClientWorld) -> None:
        self._ctx = ctx
        self._world = world
        outbox: Ref[Any] = ctx.ref(world.neighbours.outbox)
        self._session = Session(resume(world.device.device_id, 0, ()))
        self._records = ClientRecords(ctx, world, self._recorded)
        self._line = RelayLine(ctx, world, ctx.ref(world.neighbours.group), self.feed)
        self._desk = ReaderDesk(world, world.settings.max_blob_size, in_room=world.room is not None)
        self._parcels = OutboxReader(world, self._line, outbox)
        self._timers: Timers[TimerName] = Timers(ctx, lambda name: self.feed(happenings.TimerDue(name)))
        self._sealed = trio.Event()
        self._shelf = ShelfWatch(ctx.tasks, outbox, world.group_id, world.board, self.feed)

    async def run(self) -> None:
        world, ctx = self._world, self._ctx
        position = await self._records.begin()
        rules = Rules(world.settings.auto_reconnect, world.settings.inline)
        intake = resume(world.device.device_id, position.through, position.above)
        self._session = Session(intake, position.incarnation, position.through, rules, run=position.run)
        self._desk.remember(position.chains)
        world.board.last_cursor = position.through
        ctx.tasks.start_soon(self._parcels.run)
        ctx.tasks.start_soon(self._open_blobs)
        world.board.show_client(ctx.path)
        try:
            self.feed(happenings.Begin())
            async for envelope in ctx:
                self._handle(envelope)
            self.feed(happenings.End())
            with trio.move_on_after(LEAVE_SECONDS):
                await self._line.idle()
        finally:
            world.board.show_client(None)
            if not isinstance(world.board.status, Disconnected):
                self._show_status(Disconnected("the sync client stopped"))

    def _handle(self, envelope: Envelope[ClientMessage]) -> None:
        message = envelope.msg
        match message:
            case NextBlobs(reader):
                if self._desk.seat(envelope, reader):
                    self.feed(happenings.HostBegan())
                self._serve()
            case TakeBlobs(tray):
                tray.closed = True
                self._take(envelope, tray.blobs)
            case PullBlobs(after_cursor, limit):
                self.feed(happenings.HostPulled(self._desk.ticket(envelope, message), after_cursor, limit))
            case BlobsWait():
                self.feed(happenings.OutboxGrew())
            case UseRelay(relay_url):
                if self._line.relay_url not in (None, relay_url):
                    self.feed(happenings.End())
                    self.feed(happenings.Begin())
            case Reconnect(anew):
                if anew:
                    self.feed(happenings.End())
                self.feed(happenings.Begin())
            case Leave():
                self.feed(happenings.End())
                self._ctx.tasks.start_soon(self._answer_when_left, envelope)
            case _:
                assert_never(message)

    async def _answer_when_left(self, envelope: Envelope[ClientMessage]) -> None:
        await self._line.idle()
        envelope.reply()

    # --- the machine

    def feed(self, happened: happenings.Input) -> None:
        """One step, and what follows from it. Without waiting: the next caller finds it done."""
        run = self._session.run
        self._session, wanted = client.step(self._session, happened, trio.current_time())
        if self._session.run != run:
            self._desk.restart()
        for effect in wanted:
            self._perform(effect)
        board = self._world.board
        if isinstance(self._session.phase, Online):  # while offline, what was on its way stays in doubt
            board.in_flight = len(self._session.flight.sent)
            board.held_back = self._session.flight.held_back
            board.relay_limit = self._session.phase.max_blob_size
        if self._session.intake.opened < self._session.intake.covered:
            self._sealed.set()
        board.show_intake(self._session.intake)
        self._serve()

    def _perform(self, effect: effects.Effect) -> None:
        world = self._world
        match effect:
            case effects.Dial():
                self._line.dial()
            case effects.HangUp(close_code, reason):
                self._line.hang_up(close_code, reason)
            case effects.SayHello(last_cursor, incarnation):
                self._line.hello(last_cursor, incarnation)
            case effects.Send(message):
                crash_point("client.send")
                self._line.send(message)
            case effects.PushBlobs(blobs):
                crash_point("client.push")
                self._parcels.send(blobs, self._line.current)
            case effects.Ping():
                self._line.ping()
                for event in self._desk.due(trio.current_time()):
                    world.hub.publish(event)
            case effects.SetTimer(name, seconds):
                self._timers.set(name, seconds)
            case effects.StopTimer(name):
                self._timers.stop(name)
            case effects.BackOff(attempt):
                first, most = world.settings.reconnect_delay, world.settings.max_reconnect_delay
                self._timers.set("retry", backoff.delay_seconds(attempt, self._ctx.rng, first=first, most=most))
            case effects.Tell(StatusChanged(status)):
                self._show_status(status)
            case effects.Tell(event):
                world.hub.publish(event)
            case effects.LookAtOutbox():
                self._shelf.look()
            case effects.RecordAcknowledged(seq, blob_id, cursor):
                crash_point("client.pushed")
                world.board.show_success()
                self._records.acknowledged(seq, blob_id, cursor)
            case effects.RecordRejected(seq, blob_id, code):
                self._records.rejected(seq, blob_id, code)
            case effects.RecordAdvance(through):
                self._records.advance(self._session.run, through)
            case effects.RecordRestart(run, incarnation):
                self._records.restart(run, incarnation, self._serve)
            case effects.PinRelay():
                if self._line.unpinned_key is not None:
                    self._records.pin(self._line.unpinned_key)
            case effects.AnswerPull(ticket, response):
                run = self._session.run if self._records.knows(self._session.run) else NO_RUN
                self._ctx.tasks.start_soon(self._desk.answer, ticket, response, run)
            case effects.FailPull(ticket, reason):
                self._desk.fail(ticket, Offline(reason, retryable=True))
            case _:
                assert_never(effect)

    def _show_status(self, status: Any) -> None:
        if self._world.board.status != status:
            self._world.board.status = status
            self._world.hub.publish(StatusChanged(status))

    # --- the host's side

    def _serve(self) -> None:
        """Give the waiting reader what is opened."""
        known = self._records.knows(self._session.run)
        if known and self._desk.waiting and (entries := self._session.intake.to_hand(HAND_BLOBS)):
            self._desk.hand(entries)
            got = happenings.HostGot(entries[-1].cursor)
            self._session, wanted = client.step(self._session, got, trio.current_time())
            for effect in wanted:
                self._perform(effect)

    async def _open_blobs(self) -> None:
        """Open what came, a slice at a time, so that a large page holds up nobody."""
        while True:
            entries = self._session.intake.to_open(OPEN_BLOBS) if self._desk.has_room else ()
            if not entries:
                await self._sealed.wait()
                self._sealed = trio.Event()
                continue
            crash_point("client.page")
            run = self._session.run
            opened = self._desk.open_slice(entries, run, trio.current_time())
            for event in opened.told:
                self._world.hub.publish(event)
            self.feed(happenings.BlobsOpened(opened.through, opened.passed))
            if opened.links:  # their places are seen after a restart too
                self._record_taken(opened.passed, opened.links, run, lambda: None, data=False)
            await trio.lowlevel.checkpoint()

    def _take(self, envelope: Envelope[ClientMessage], blobs: list[Taken]) -> None:
        run = blobs[0].run
        cursors = tuple([blob.cursor for blob in blobs])
        if run == self._session.run:
            cursors = self._desk.taken(blobs)
            self.feed(happenings.HostTook(cursors))
        links = [blob.link for blob in blobs if blob.link is not None]
        self._record_taken(cursors, links, run, envelope.reply)

    def _record_taken(
        self,
        cursors: tuple[int, ...],
        links: list[Link],
        run: int,
        then: Callable[[], None],
        *,
        data: bool = True,
    ) -> None:
        """Of cursors that the relay has given up since, only the places in their senders' chains."""
        late = run != self._session.run
        places = strands(links)
        self._desk.see(places)
        for event in self._desk.see_late(links) if late else ():
            self._world.hub.publish(event)
        through = 0 if late else self._session.intake.frontier
        now = self._world.ports.clock.now()
        take = Take(self._world.group_id, run, cursors, places, through, len(cursors) if data else 0, now)
        self._records.take(take, then)

    def _recorded(self, run: int, through: int) -> None:
        """What was recorded of cursors that the relay has given up since is no news."""
        if run == self._session.run:
            self._world.board.last_cursor = max(through, self._world.board.last_cursor)
            self.feed(happenings.Recorded(through))
