"""The buffer's accounts against its database: whatever is pushed, repeated, deleted, purged, swept, taken back.

What is counted in memory is what a count on disk would find, cursors are given once and in order, what is acknowledged
has a row until somebody asks for its end, and a closed group holds nothing of a stranger.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ferryman.actors.core.messages import Envelope
from ferryman.actors.relay import holdings, tables
from ferryman.actors.relay.buffer_messages import Acked, Open, Purge, Register, Remove, Sweep
from ferryman.actors.relay.deleting import Deleting
from ferryman.actors.relay.holdings import Holdings
from ferryman.actors.relay.invite_table import InviteTable
from ferryman.actors.relay.lane import Lane
from ferryman.actors.relay.records import Push, Registered, Stored
from ferryman.actors.relay.schema import open_database
from ferryman.actors.relay.sweeping import BEGINNING, Sweeping
from ferryman.actors.relay.tables import Tables
from ferryman.actors.relay.transaction import Delivered, StoreOne, Transaction
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import SeededEntropy
from ferryman.protocol.relay.group import Device, GroupLimits
from ferryman.protocol.relay.limits import BLOB_OVERHEAD
from tests.fakes.wire_client import blob_id
from tests.properties.effort import examples

TTL = 1000
LIMITS = GroupLimits(max_blob_size=30, max_group_storage=6 * (BLOB_OVERHEAD + 20), max_total=14 * (BLOB_OVERHEAD + 20))
GROUPS = [bytes([letter]) * 32 for letter in b"gh"]
DEVICES = [bytes([letter]) * 32 for letter in b"abc"]

group_ids = st.sampled_from(GROUPS)
device_ids = st.sampled_from(DEVICES)
numbers = st.integers(0, 9)
failures = st.none() | st.none() | st.integers(1, 30)


@dataclass(frozen=True)
class Sitting:
    """As much of a seat as the buffer looks at."""

    device_id: bytes
    proven: bool


class Owner:
    def tell(self, _):
        return True


class Answer:
    value = error = None

    def resolve(self, value):
        self.value = value

    def reject(self, error):
        self.error = error


pushes = st.builds(
    lambda group_id, number, device_id, size, ttl: ("push", group_id, number, device_id, size, ttl),
    group_ids, numbers, device_ids, st.sampled_from([0, 5, 20, 31]), st.sampled_from([0, 100]),
)  # fmt: skip
others = st.one_of(
    st.tuples(st.just("remove"), group_ids, numbers),
    st.tuples(st.just("ack"), group_ids, device_ids, st.integers(1, 9)),
    st.tuples(st.just("deliver"), group_ids, device_ids, numbers),
    st.tuples(st.just("open"), group_ids),
    st.tuples(st.just("sweep")),
)
batches = st.lists(st.one_of(pushes, pushes, others), min_size=1, max_size=12)


@contextmanager
def full_disk(connection, after):
    """The statement after so many is the first that finds no room, at the latest the COMMIT."""
    left = after

    def judge(_, sql, __):
        nonlocal left
        left -= 1
        if left < 0 or sql == "COMMIT":
            raise apsw.FullError("planned by the test")
        return True

    connection.exec_trace = judge if after else None
    try:
        yield
    finally:
        connection.exec_trace = None


class Accounts(RuleBasedStateMachine):
    """Plays the routers too: a device pushes once it is registered, and a stranger not after the proof."""

    @initialize()
    def begin(self):
        self.connection = open_database(MemoryDisk(), Path("/relay.db"), synchronous="full")
        self.now = 1_000_000
        self.usual = holdings.KEPT_GROUPS, tables.SLICE_ROWS, tables.SLICE_BYTES
        holdings.KEPT_GROUPS, tables.SLICE_ROWS, tables.SLICE_BYTES = 1, 3, 30
        self.entropy = SeededEntropy(1)
        self.place = BEGINNING
        self.registered = {}  # (group, device): proven
        self.last = {}  # incarnation: the cursor given last
        self.start_anew()

    def start_anew(self):
        self.tables = Tables(self.connection, default_ttl=TTL)
        about = Deleting(self.connection, default_ttl=TTL)
        sweeping = Sweeping(self.connection, about, default_ttl=TTL)
        self.holdings = Holdings(self.tables, self.entropy, lambda: LIMITS)
        self.statements = self.tables, about, sweeping, InviteTable(self.connection)

    def teardown(self):
        holdings.KEPT_GROUPS, tables.SLICE_ROWS, tables.SLICE_BYTES = self.usual
        self.connection.close()

    def commit(self, jobs, *, fails):
        """As the buffer does it. `fails`: before so many statements are done, or else at the COMMIT.

        Returns whether it was committed."""
        transaction = Transaction(*self.statements, self.holdings, jobs, self.now)
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            with full_disk(self.connection, fails):
                transaction.apply_all()
                self.connection.execute("COMMIT")
        except apsw.FullError:
            self.connection.execute("ROLLBACK")
            transaction.undo("the disk is full")
            return False
        transaction.answer()
        for read in transaction.reads:
            read()()
        return True

    # --- what the routers tell

    @rule(what=batches, fails=failures)
    def write(self, what, fails):
        lane = Lane(Owner())
        answer = Answer()
        jobs = [job for one in what for job in self.job(one, lane, answer)]
        committed = self.commit(jobs, fails=fails)
        outcomes = [outcome for told in lane.drain() for outcome in told]
        stored = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
        assert len(outcomes) == sum(isinstance(job, StoreOne) for _, job in jobs)
        assert committed or not stored
        calm = not any(one[0] in ("sweep", "remove", "ack") for one in what)
        for outcome in stored:
            self.check(outcome, calm=calm)
        if answer.value is not None:
            self.place = answer.value.next or BEGINNING

    def check(self, outcome, *, calm):
        group_id = self.group_of[outcome.push.read_at]
        incarnation, following = self.connection.execute(
            "SELECT incarnation, next_cursor FROM group_cursors WHERE group_id = ?", (group_id,)
        ).fetchone()
        assert outcome.cursor == self.last.get(incarnation, 0) + 1
        assert outcome.cursor < following
        self.last[incarnation] = outcome.cursor
        if calm:
            row = "SELECT blob_id, payload FROM blobs WHERE group_id = ? AND cursor = ?"
            found = self.connection.execute(row, (group_id, outcome.cursor)).fetchone()
            assert found == (outcome.push.blob_id, outcome.push.payload)

    group_of = {float(place): group_id for place, group_id in enumerate(GROUPS)}  # noqa: RUF012 - constant

    def job(self, what, lane, answer):
        kind, *rest = what
        match kind, *rest:
            case "push", group_id, number, device_id, size, ttl:
                proven = self.registered.get((group_id, device_id), False)  # a stranger's was on its way at the proof
                if not self.closed(group_id):
                    device = self.device(device_id, 0, proven=False)
                    yield group_id, Register(Sitting(device_id, False), device, 0, False, (), Lane(Owner()))
                    self.registered[group_id, device_id] = False
                at = float(GROUPS.index(group_id))
                push = Push(Sitting(device_id, proven), blob_id(number), device_id, bytes([number]) * size, ttl, at)
                yield group_id, StoreOne(push, lane)
            case "remove", group_id, number:
                yield group_id, Remove(group_id, blob_id(number))
            case "ack", group_id, device_id, cursor:
                proven = self.registered.get((group_id, device_id))
                if proven is not None:
                    yield group_id, Acked(group_id, self.device(device_id, cursor, proven))
            case "deliver", group_id, device_id, number:
                yield group_id, Delivered(group_id, device_id, (blob_id(number),))
            case "open", group_id:
                yield group_id, Envelope(Open(group_id), Answer())
            case _:
                yield b"", Envelope(Sweep(self.place), answer)

    def closed(self, group_id):
        return self.holdings.of(group_id).closed

    def device(self, device_id, cursor, proven):
        return Device(device_id, "name", self.now, self.now, cursor, proven)

    @rule(group_id=group_ids, device_id=device_ids, fails=failures)
    def a_stranger_says_hello(self, group_id, device_id, fails):
        if not self.closed(group_id):
            self.hello(group_id, device_id, fails=fails, proven=False, purged=0)

    @rule(group_id=group_ids, device_id=device_ids, planted=st.integers(0, 5), at=st.integers(0, 4), fails=failures)
    def a_member_proves_itself(self, group_id, device_id, planted, at, fails):
        """A transaction fails at slice `at` of the purge, or with the registration: then it is tried no more."""
        purged = 0
        if not self.closed(group_id):
            self.write(fails=None, what=[self.strange(group_id, number) for number in range(planted)])
            for turn in range(20):
                asked = Answer()
                self.commit(
                    [(group_id, Envelope(Purge(group_id, device_id, purged), asked))], fails=at == turn and fails
                )
                if asked.error is not None:
                    return
                if asked.value is None:
                    break
                assert asked.value > purged
                purged = asked.value
            else:
                raise AssertionError("a purge without an end")
        told = Lane(Owner())  # of what strangers had on its way
        late = [self.strange(group_id, number) for number in range(6, 6 + planted % 3)]
        jobs = [job for one in late for job in self.job(one, told, Answer()) if isinstance(job[1], StoreOne)]
        self.hello(group_id, device_id, jobs, fails=at == 4 and fails, proven=True, purged=purged)
        for outcome in [one for outcomes in told.drain() for one in outcomes if isinstance(one, Stored)]:
            self.check(outcome, calm=False)

    def strange(self, group_id, number):
        return "push", group_id, number, DEVICES[number % len(DEVICES)], 5, 0

    def hello(self, group_id, device_id, late=(), *, fails, proven, purged):
        lane = Lane(Owner())
        device = self.device(device_id, 0, proven)
        register = Register(Sitting(device_id, proven), device, 0, proven, (), lane, purged)
        committed = self.commit([*late, (group_id, register)], fails=fails)
        [answer] = lane.drain()
        assert isinstance(answer, Registered) is committed
        if committed:
            self.registered[group_id, device_id] = proven or self.registered.get((group_id, device_id), False)
            if proven:
                for place, belongs in list(self.registered.items()):
                    if place[0] == group_id and not belongs:
                        del self.registered[place]

    @rule(group_id=group_ids)
    def a_group_that_stored_nothing_is_unloaded(self, group_id):
        before = self.holdings.of(group_id)
        self.holdings.unload(group_id)
        if not before.stored:
            self.put_all_out(group_id)

    def put_all_out(self, group_id):
        for place in [place for place in self.registered if place[0] == group_id]:
            del self.registered[place]

    @rule(fails=failures)
    def the_janitor_sweeps(self, fails):
        place = BEGINNING
        while place is not None:
            asked = Answer()
            self.commit([(b"", Envelope(Sweep(place), asked))], fails=fails)
            if asked.error is not None:
                return
            place = asked.value.next

    @rule(seconds=st.sampled_from([1, 150, TTL + 1]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def the_relay_starts_anew(self):
        stored = {group_id for group_id in GROUPS if self.holdings.of(group_id).stored}
        self.start_anew()
        for group_id in GROUPS:
            if group_id not in stored:
                self.put_all_out(group_id)

    # --- what holds

    @invariant()
    def what_is_counted_is_what_is_on_disk(self):
        if not hasattr(self, "holdings"):
            return
        held, counted = self.holdings, Holdings(self.tables, self.entropy, lambda: LIMITS)
        assert (held.groups, held.blobs, held.size) == (counted.groups, counted.blobs, counted.size)
        for group_id, holding in held._groups.items():
            group = self.tables.group(group_id)
            assert holding.stored == (group is not None)
            if group is not None:
                assert (holding.incarnation, holding.closed) == (group.incarnation, group.closed)
            assert (holding.blobs, holding.size) == self.tables.stored_bytes(group_id)
            assert holding.size <= LIMITS.max_group_storage
        assert held.size <= LIMITS.max_total

    @invariant()
    def a_closed_group_holds_nothing_of_a_stranger(self):
        if not hasattr(self, "holdings"):
            return
        rows = self.connection.execute(
            "SELECT b.group_id, b.sender_id FROM blobs b JOIN group_cursors g USING (group_id) WHERE g.closed"
        ).fetchall()
        for group_id, sender_id in rows:
            assert self.registered.get((group_id, sender_id), True), "of a stranger"
            assert (group_id, sender_id) in self.registered


Accounts.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
TestAccounts = Accounts.TestCase


def test_what_an_acknowledgement_deletes_is_counted_no_more():
    """One history of those above, for it takes luck to come upon it."""
    accounts = Accounts()
    accounts.begin()
    group_id, sender, receiver = GROUPS[0], *DEVICES[:2]
    accounts.write([("push", group_id, 1, sender, 5, 0)], None)
    accounts.a_stranger_says_hello(group_id, receiver, None)
    accounts.write([("remove", group_id, 1)], None)
    assert accounts.holdings.blobs == 1
    accounts.write([("ack", group_id, receiver, 1)], None)
    assert accounts.holdings.blobs == 0
    accounts.what_is_counted_is_what_is_on_disk()
    accounts.teardown()
