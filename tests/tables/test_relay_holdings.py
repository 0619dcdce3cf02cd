"""What the buffer counts in memory, and what is left of it after a transaction that failed as a whole."""

from pathlib import Path

import pytest

from ferryman.actors.relay.holdings import Holdings
from ferryman.actors.relay.records import Push
from ferryman.actors.relay.schema import open_database
from ferryman.actors.relay.tables import Tables
from ferryman.protocol.relay.group import Device, GroupLimits
from tests.fakes.memory_disk import MemoryDisk
from tests.fakes.ports import FakeEntropy
from tests.fakes.wire_client import blob_id

CLOSED, NEW, CONCERNED = b"c" * 32, b"n" * 32, b"t" * 32
ANNA, BERT = (Device(bytes([letter]) * 32, "name", 0, 0, 0, proven=True) for letter in b"ab")


@pytest.fixture
def holdings():
    connection = open_database(MemoryDisk(), Path("/relay.db"), synchronous="full")
    yield Holdings(Tables(connection, default_ttl=3600), FakeEntropy(1), GroupLimits)
    connection.close()


def test_a_failed_transaction_leaves_the_groups_alone_that_it_did_not_concern(holdings):
    group = holdings.of(CLOSED)
    group.register(ANNA)
    group.close()
    holdings.undo(holdings.in_memory([CONCERNED]))
    record = holdings.record(CLOSED)
    assert (record.group.incarnation, record.group.closed) == (group.incarnation, True)
    assert list(record.group.devices) == [ANNA.device_id]


def test_what_a_failed_transaction_did_to_a_group_is_taken_back(holdings):
    incarnation = holdings.of(CONCERNED).incarnation
    holdings.of(CONCERNED).register(ANNA)
    before = holdings.in_memory([CONCERNED, NEW])
    for group_id in (CONCERNED, NEW):
        group = holdings.of(group_id)
        group.register(BERT)
        group.close()
    holdings.added(holdings.of(CONCERNED), Push(None, blob_id(1), ANNA.device_id, b"sealed", 0, 0.0))
    holdings.group_stored(holdings.of(CONCERNED))
    in_vain = holdings.of(NEW).incarnation
    holdings.undo(before)
    group = holdings.of(CONCERNED)
    assert (group.incarnation, group.stored, group.closed, group.blobs) == (incarnation, False, False, 0)
    assert list(group.devices) == [ANNA.device_id]
    assert holdings.of(NEW).incarnation != in_vain
    assert (holdings.groups, holdings.blobs, holdings.size) == (0, 0, 0)
