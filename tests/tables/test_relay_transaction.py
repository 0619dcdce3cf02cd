"""A transaction of the buffer on a real SQLite: pushes that follow each other are stored together as if one by one."""

from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from ferryman.actors.relay.buffer_messages import Remove
from ferryman.actors.relay.deleting import Deleting
from ferryman.actors.relay.holdings import Holdings
from ferryman.actors.relay.invite_table import InviteTable
from ferryman.actors.relay.lane import Lane
from ferryman.actors.relay.records import Push, Refused, Repeated, Stored
from ferryman.actors.relay.schema import open_database
from ferryman.actors.relay.sweeping import Sweeping
from ferryman.actors.relay.tables import Tables
from ferryman.actors.relay.transaction import StoreOne, Transaction
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import SeededEntropy
from ferryman.protocol.relay.errors import WireCode
from ferryman.protocol.relay.group import GroupLimits
from ferryman.protocol.relay.limits import BLOB_OVERHEAD
from tests.fakes.wire_client import blob_id

GROUP, OTHER, ANNA = b"g" * 32, b"o" * 32, b"a" * 32
NOW, TTL = 1_000_000, 1000


class Nobody:
    def tell(self, _):
        return True


@dataclass
class Shelf:
    """A buffer's database, and `commit`, which applies jobs in one transaction and returns what each push was told."""

    limits: GroupLimits = field(default_factory=GroupLimits)

    def __post_init__(self):
        self.connection = open_database(MemoryDisk(), Path("/relay.db"), synchronous="full")
        tables, deleting = Tables(self.connection, default_ttl=TTL), Deleting(self.connection, default_ttl=TTL)
        self.holdings = Holdings(tables, SeededEntropy(1), lambda: self.limits)
        sweeping = Sweeping(self.connection, deleting, default_ttl=TTL)
        self.statements = tables, deleting, sweeping, InviteTable(self.connection)

    def commit(self, *jobs):
        lane = Lane(Nobody())
        given = [
            (group, StoreOne(Push(None, blob_id(what), ANNA, payload, 0, 0.0), lane) if payload is not None else what)
            for group, what, payload in jobs
        ]
        transaction = Transaction(*self.statements, self.holdings, given, NOW)
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            transaction.apply_all()
        except apsw.ConstraintError as error:
            raise AssertionError("a blob was to be stored twice") from error
        self.connection.execute("COMMIT")
        transaction.answer()
        return [told for outcomes in lane.drain() for told in outcomes]

    def rows(self, group=GROUP):
        found = self.connection.execute(
            "SELECT cursor, blob_id FROM blobs WHERE group_id = ? ORDER BY cursor", (group,)
        )
        return found.fetchall()


@pytest.fixture
def shelf():
    shelf = Shelf()
    yield shelf
    shelf.connection.close()


def cursors(outcomes):
    assert all(isinstance(outcome, Stored) for outcome in outcomes)
    return [outcome.cursor for outcome in outcomes]


def test_pushes_of_one_transaction_get_cursors_in_their_order_and_so_do_those_of_the_next(shelf):
    assert cursors(shelf.commit(*((GROUP, number, b"x") for number in range(5)))) == [1, 2, 3, 4, 5]
    assert cursors(shelf.commit((GROUP, 5, b"x"))) == [6]
    assert shelf.rows() == [(number + 1, blob_id(number)) for number in range(6)]


def test_each_of_two_groups_in_turns_counts_for_itself(shelf):
    told = shelf.commit((GROUP, 1, b"x"), (OTHER, 1, b"x"), (OTHER, 2, b"x"), (GROUP, 2, b"x"), (OTHER, 3, b"x"))
    assert cursors(told) == [1, 1, 2, 2, 3]
    assert len(shelf.rows()) == 2
    assert len(shelf.rows(OTHER)) == 3


def test_a_push_and_its_repeat_in_one_transaction_are_one_row_and_get_one_cursor(shelf):
    first, other, again, differs = shelf.commit(
        (GROUP, 1, b"x"), (GROUP, 2, b"x"), (GROUP, 1, b"x"), (GROUP, 2, b"changed")
    )
    assert (first.cursor, other.cursor) == (1, 2)
    assert (type(again), again.cursor) == (Repeated, 1)
    assert (type(differs), differs.refusal.code) == (Refused, WireCode.INVALID_MESSAGE)
    assert shelf.rows() == [(1, blob_id(1)), (2, blob_id(2))]


def test_pushes_of_one_transaction_share_the_quota_and_a_refused_one_takes_no_cursor(shelf):
    shelf.limits = GroupLimits(max_group_storage=2 * BLOB_OVERHEAD + 20)
    told = shelf.commit((GROUP, 1, bytes(10)), (GROUP, 2, bytes(11)), (GROUP, 3, bytes(10)), (GROUP, 4, b""))
    assert [type(one) for one in told] == [Stored, Refused, Stored, Refused]
    assert [one.push.blob_id for one in told] == [blob_id(number) for number in (1, 2, 3, 4)]
    assert told[1].refusal.code is WireCode.GROUP_QUOTA_EXCEEDED
    assert shelf.rows() == [(1, blob_id(1)), (2, blob_id(3))]
    assert (shelf.holdings.blobs, shelf.holdings.size) == (2, 2 * BLOB_OVERHEAD + 20)


def test_what_follows_a_push_finds_it_stored(shelf):
    shelf.commit((GROUP, 1, b"x"), (GROUP, Remove(GROUP, blob_id(1)), None), (GROUP, 2, b"x"))
    marked = shelf.connection.execute("SELECT blob_id FROM blobs WHERE pending_delete").fetchall()
    assert marked == [(blob_id(1),)]
