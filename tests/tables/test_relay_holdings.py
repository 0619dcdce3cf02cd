"""What the buffer counts in memory, and what is left of it after a transaction that failed as a whole."""

from pathlib import Path

import pytest

from ferryman.actors.relay.holdings import Holdings
from ferryman.actors.relay.records import Push
from ferryman.actors.relay.schema import open_database
from ferryman.actors.relay.tables import Tables
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import SeededEntropy
from ferryman.protocol.relay.group import Device, GroupLimits
from tests.fakes.wire_client import blob_id

CLOSED, NEW, CONCERNED = b"c" * 32, b"n" * 32, b"t" * 32
ANNA, BERT = (Device(bytes([letter]) * 32, "name", 0, 0, 0, proven=True) for letter in b"ab")


@pytest.fixture
def tables():
    connection = open_database(MemoryDisk(), Path("/relay.db"), synchronous="full")
    yield Tables(connection, default_ttl=3600)
    connection.close()


@pytest.fixture
def holdings(tables):
    return Holdings(tables, SeededEntropy(1), GroupLimits)


def push(number):
    return Push(None, blob_id(number), ANNA.device_id, b"sealed", 0, 0.0)


def counts(holdings, *groups):
    held = [holdings.of(group_id) for group_id in groups]
    return holdings.groups, holdings.blobs, holdings.size, [(group.stored, group.blobs, group.size) for group in held]


def test_a_failed_transaction_leaves_the_groups_alone_that_it_did_not_concern(holdings):
    group = holdings.of(CLOSED)
    group.register(ANNA)
    group.close()
    holdings.begin([CONCERNED])
    holdings.undo()
    record = holdings.record(CLOSED)
    assert (record.group.incarnation, record.group.closed) == (group.incarnation, True)
    assert list(record.group.devices) == [ANNA.device_id]


def test_what_a_failed_transaction_did_to_a_group_is_taken_back(holdings):
    incarnation = holdings.of(CONCERNED).incarnation
    holdings.of(CONCERNED).register(ANNA)
    holdings.begin([CONCERNED, NEW])
    for group_id in (CONCERNED, NEW):
        group = holdings.of(group_id)
        group.register(BERT)
        group.close()
    holdings.added(holdings.of(CONCERNED), push(1))
    holdings.group_stored(holdings.of(CONCERNED))
    in_vain = holdings.of(NEW).incarnation
    holdings.undo()
    group = holdings.of(CONCERNED)
    assert (group.incarnation, group.stored, group.closed, group.blobs) == (incarnation, False, False, 0)
    assert list(group.devices) == [ANNA.device_id]
    assert holdings.of(NEW).incarnation != in_vain
    assert (holdings.groups, holdings.blobs, holdings.size) == (0, 0, 0)


STORED, SWEPT, ENDED, UNREAD = b"s" * 32, b"w" * 32, b"e" * 32, b"u" * 32


def test_taking_back_what_a_failed_transaction_counted_reads_nothing_and_leaves_what_a_count_would_find(tables):
    for number, group_id in enumerate((STORED, SWEPT, ENDED, UNREAD, STORED, SWEPT, UNREAD)):
        tables.store(group_id, b"i" * 16, [(push(number), bytes(32))], now=0)
    holdings = Holdings(tables, SeededEntropy(1), GroupLimits)
    counts(holdings, STORED, SWEPT, ENDED)
    holdings.begin([STORED, NEW])
    for group_id in (STORED, STORED, NEW):
        holdings.added(holdings.of(group_id), push(9))
    holdings.group_stored(holdings.of(NEW))
    for group_id in (SWEPT, ENDED, UNREAD):
        holdings.went(group_id, 1, push(9).cost)
    holdings.groups_went([ENDED])
    statements = []
    tables._connection.set_exec_trace(lambda *statement: statements.append(statement) or True)
    holdings.undo()
    assert statements == []
    groups = STORED, SWEPT, ENDED, UNREAD
    assert counts(holdings, *groups) == counts(Holdings(tables, SeededEntropy(1), GroupLimits), *groups)
    assert counts(holdings)[:2] == (4, 7)


def test_a_group_that_was_forgotten_during_a_transaction_stays_forgotten_when_that_fails(holdings):
    incarnation = holdings.of(CONCERNED).incarnation
    holdings.begin([CONCERNED])
    holdings.unload(CONCERNED)
    holdings.undo()
    assert holdings.of(CONCERNED).incarnation != incarnation
