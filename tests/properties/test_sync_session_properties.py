"""A session against a relay that is a list, in any order of events: nothing lost, nothing twice, nothing too early.

Hypothesis chooses what happens next: a device pushes, the relay answers or refuses, the connection breaks, the host
takes a blob, a recorder is slow. After each step the invariants hold; at rest, everything is where it belongs.
"""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ferryman.protocol.machine import Decision
from ferryman.protocol.relay.messages import (
    Ack,
    BlobEntry,
    Error,
    Notify,
    Presence,
    Pull,
    PullResponse,
    Push,
    PushAck,
    Welcome,
)
from ferryman.protocol.sync.client import step
from ferryman.protocol.sync.effects import (
    BackOff,
    Dial,
    HangUp,
    LookAtOutbox,
    PushBlobs,
    RecordAcknowledged,
    RecordAdvance,
    RecordRestart,
    SayHello,
    Send,
    SetTimer,
    StopTimer,
)
from ferryman.protocol.sync.happenings import (
    Begin,
    BlobOpened,
    HostBegan,
    HostGot,
    HostTook,
    Lost,
    OutboxGrew,
    OutboxSeen,
    Received,
    Recorded,
    Secured,
    TimerDue,
    Upgraded,
)
from ferryman.protocol.sync.inbox import START, Advance, Inbox, InboxState, Restart, Take
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.session import Session
from ferryman.protocol.sync.shelf import Shelf, Waiting
from tests.fakes.sync_values import OURS, THEIRS, number
from tests.properties.effort import examples

GROUP = b"g" * 32
ERA = b"incarnation-one."


class World(RuleBasedStateMachine):
    """One device, and all that surrounds its session, each part a few lines."""

    @initialize()
    def begin(self):
        self.now = 0.0
        self.shelf = Shelf()  # the outbox, as it is recorded
        self.sealed = 0
        self.log = []  # the relay: (blob_id, sender) by cursor
        self.acked_at_relay = 0
        self.wire = deque()  # from the relay to us
        self.uplink = deque()  # from us to the relay
        self.records = deque()  # on their way to inbox and outbox
        self.looks = 0
        self.timers = {}
        self.inbox = InboxState()
        self.taken, self.got = [], []
        self.connected = self.registered = False
        self.session = Session(resume(OURS.device_id, 0, ()))
        self.feed(Begin())

    # --- the actor

    def feed(self, happened):
        self.session, wanted = step(self.session, happened, self.now)
        for effect in wanted:
            self.obey(effect)

    def obey(self, effect):
        match effect:
            case Dial():
                self.timers["dial"] = True
            case SayHello(last_cursor, _):
                assert last_cursor <= self.position.through
                self.uplink.append(("hello", last_cursor))
            case Send(message):
                if isinstance(message, Ack):
                    assert message.up_to_cursor <= self.position.through, "acknowledged before it was recorded"
                self.uplink.append(message)
            case PushBlobs(blobs):
                seqs = [waiting.seq for waiting in blobs]
                assert seqs == sorted(seqs)
                assert all(waiting.blob_id not in self.in_flight() for waiting in blobs), "sent twice"
                for waiting in blobs:
                    self.uplink.append(Push(waiting.blob_id, b"sealed", 0))
            case SetTimer(name):
                self.timers[name] = True
            case BackOff():
                self.timers["retry"] = True
            case StopTimer(name):
                self.timers.pop(name, None)
            case LookAtOutbox():
                self.looks += 1
            case RecordAcknowledged() | RecordAdvance() | RecordRestart():
                self.records.append(effect)
            case HangUp():
                self.connected = self.registered = False
                self.wire.clear()
                self.uplink.clear()
            case _:
                pass

    def in_flight(self):
        """Blobs whose PUSH, or the answer to it, is on its way."""
        up = [message.blob_id for message in self.uplink if isinstance(message, Push)]
        down = [getattr(message, "ref", None) or getattr(message, "blob_id", None) for message in self.wire
                if isinstance(message, PushAck | Error)]  # fmt: skip
        return up + down

    @property
    def position(self):
        return self.inbox.positions.get(GROUP, START)

    def record(self, command):
        decision = Inbox().decide(self.inbox, command)
        assert isinstance(decision, Decision)
        for event in decision.events:
            self.inbox = Inbox().evolve(self.inbox, event)
        return decision.reply

    # --- what can happen

    @rule(inline=st.booleans())
    def another_device_pushes(self, inline):
        self.append(THEIRS.device_id, number(10_000 + len(self.log)), inline)

    def append(self, sender, blob_id, inline):
        self.log.append((blob_id, sender))
        if self.registered and sender != OURS.device_id:  # from its HELLO on, whether or not it has read the WELCOME
            payload = b"sealed" if inline else None
            self.wire.append(Notify(blob_id, len(self.log), sender, 0, 6, payload))

    @rule()
    def the_host_queues_a_blob(self):
        self.sealed += 1
        self.shelf = self.shelf.put(Waiting(self.sealed, number(self.sealed), b"hash", 10))
        self.feed(OutboxGrew())

    @precondition(lambda self: self.looks)
    @rule()
    def the_outbox_is_looked_at(self):
        self.looks -= 1
        self.feed(OutboxSeen(self.shelf))

    @precondition(lambda self: self.timers)
    @rule(choice=st.randoms(use_true_random=False))
    def a_timer_is_due(self, choice):
        name = choice.choice(sorted(self.timers))
        if name in ("stall", "welcome") and (self.wire or self.uplink):
            return  # nobody is silent: an answer is on its way
        del self.timers[name]
        self.now += 1.0
        if name == "dial":
            self.connected = True
            self.feed(Upgraded())
            self.feed(Secured())
        else:
            self.feed(TimerDue(name))

    @precondition(lambda self: self.uplink)
    @rule(refuse=st.sampled_from([0, 0, 0, 0, 2000, 3000]))
    def the_relay_reads(self, refuse):
        message = self.uplink.popleft()
        match message:
            case ("hello", last_cursor):
                self.acked_at_relay = max(self.acked_at_relay, last_cursor)
                self.registered = True
                self.wire.append(Welcome(1, "relay", len(self.log), 0, incarnation=ERA))
            case Push(blob_id) if refuse:
                self.wire.append(Error(refuse, "not now", ref=blob_id, retry_after_ms=500))
            case Push(blob_id):
                ids = [each for each, _ in self.log]
                if blob_id not in ids:
                    self.append(OURS.device_id, blob_id, False)
                    ids.append(blob_id)
                self.wire.append(PushAck(blob_id, ids.index(blob_id) + 1, 0))
            case Pull() if refuse:
                self.wire.append(Error(refuse, "not now", retry_after_ms=500))
            case Pull(after, limit):
                found = [
                    BlobEntry(blob_id, cursor, sender, b"sealed", 0)
                    for cursor, (blob_id, sender) in enumerate(self.log, 1)
                    if cursor > after
                ]
                self.wire.append(PullResponse(tuple(found[:limit]), len(found) > limit, len(self.log)))
            case Ack(cursor):
                assert cursor <= len(self.log)
                self.acked_at_relay = max(self.acked_at_relay, cursor)
            case Presence():
                pass

    @precondition(lambda self: self.wire)
    @rule()
    def the_device_reads(self):
        self.feed(Received(self.wire.popleft()))

    @precondition(lambda self: self.connected)
    @rule()
    def the_connection_breaks(self):
        self.connected = self.registered = False
        self.wire.clear()
        self.uplink.clear()
        self.feed(Lost("broken"))

    @precondition(lambda self: self.records)
    @rule()
    def a_record_is_written(self):
        record = self.records.popleft()
        match record:
            case RecordAcknowledged(seq, blob_id, cursor):
                assert self.log[cursor - 1] == (blob_id, OURS.device_id), "acknowledged under the cursor it has"
                self.shelf = self.shelf.remove(seq)
            case RecordAdvance(through):
                self.feed(Recorded(self.record(Advance(GROUP, ERA, through))))
            case RecordRestart(incarnation, through):
                self.record(Restart(GROUP, incarnation, through))
            case Take():
                self.feed(Recorded(self.record(record)))

    @precondition(lambda self: self.session.intake.next_sealed)
    @rule()
    def a_blob_is_opened(self):
        self.feed(BlobOpened(self.session.intake.next_sealed.cursor, True))

    @precondition(lambda self: self.session.intake.next_blob)
    @rule()
    def the_host_gets_a_blob(self):
        cursor = self.session.intake.next_blob.cursor
        assert not self.got or cursor > max(self.got), "in cursor order"
        assert cursor not in self.taken
        self.got.append(cursor)
        self.feed(HostGot(cursor))

    @precondition(lambda self: self.got)
    @rule(choice=st.randoms(use_true_random=False))
    def the_host_takes_a_blob(self, choice):
        cursor = choice.choice(self.got)
        self.got.remove(cursor)
        self.taken.append(cursor)
        self.feed(HostTook(cursor))
        self.records.append(Take(GROUP, ERA, cursor, None, self.session.intake.frontier))

    @rule()
    def a_new_reader_comes(self):
        self.got = []
        self.feed(HostBegan())

    @precondition(lambda self: not self.records)
    @rule()
    def the_client_crashes_and_starts_again(self):
        position = self.position
        self.connected = self.registered = False
        self.wire.clear()
        self.uplink.clear()
        self.timers = {}
        self.looks = 0
        self.got = []
        intake = resume(OURS.device_id, position.through, position.above)
        self.session = Session(intake, position.incarnation, position.through)
        self.feed(Begin())

    # --- what always holds

    @invariant()
    def the_relay_knows_no_more_than_what_is_recorded(self):
        assert self.acked_at_relay <= self.position.through

    @invariant()
    def what_is_recorded_was_taken_or_is_ours(self):
        for cursor in range(1, self.position.through + 1):
            assert cursor in self.taken or self.log[cursor - 1][1] == OURS.device_id

    @invariant()
    def nothing_of_ours_is_at_the_relay_twice(self):
        ids = [blob_id for blob_id, _ in self.log]
        assert len(set(ids)) == len(ids)

    def teardown(self):
        """Let everything come to rest: all is at the relay, all is taken, all is acknowledged."""
        if not hasattr(self, "session"):
            return
        for _ in range(3_000):
            if not self.one_more():
                break
        assert self.shelf.count == 0
        assert [blob_id for blob_id, sender in self.log if sender == OURS.device_id] or not self.sealed
        foreign = [cursor for cursor, (_, sender) in enumerate(self.log, 1) if sender != OURS.device_id]
        assert sorted(set(self.taken)) == foreign
        assert self.position.through == len(self.log)
        assert self.acked_at_relay == len(self.log)

    def one_more(self):
        """One step towards rest; False when there is nothing left to do."""
        self.now += 1.0
        if self.records:
            self.a_record_is_written()
        elif self.session.intake.next_sealed:
            self.a_blob_is_opened()
        elif self.session.intake.next_blob:
            self.the_host_gets_a_blob()
        elif self.got:
            cursor = self.got.pop(0)
            self.taken.append(cursor)
            self.feed(HostTook(cursor))
            self.records.append(Take(GROUP, ERA, cursor, None, self.session.intake.frontier))
        elif self.wire:
            self.the_device_reads()
        elif self.uplink:
            self.the_relay_reads(0)
        elif self.looks:
            self.the_outbox_is_looked_at()
        else:
            for name in ("dial", "retry", "pull", "push", "ack", "advance"):
                if name in self.timers:
                    del self.timers[name]
                    if name == "dial":
                        self.connected = True
                        self.feed(Upgraded())
                        self.feed(Secured())
                    else:
                        self.feed(TimerDue(name))
                    return True
            return False
        return True


World.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=60)
TestSessionAgainstARelay = World.TestCase
