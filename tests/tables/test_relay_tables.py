"""The buffer's statements on a real SQLite: cursors, repeats, pages, what waits for whom, and what is complete."""

from hashlib import sha256

import apsw
import pytest

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.relay.deleting import Deleting
from ferryman.actors.relay.records import Push, Refused, Repeated, Stored
from ferryman.actors.relay.schema import SCHEMA, open_database
from ferryman.actors.relay.sweeping import BEGINNING, Sweeping
from ferryman.actors.relay.tables import Tables
from ferryman.protocol.relay.group import Device
from tests.fakes.wire_client import blob_id

GROUP, OTHER = b"g" * 32, b"o" * 32
ANNA, BERT, CARL = (bytes([letter]) * 32 for letter in b"abc")
NOW, TTL = 1_000_000, 1000


class Shelf:
    def __init__(self, path):
        self.connection = apsw.Connection(str(path))
        self.connection.execute(SCHEMA)
        self.tables = Tables(self.connection, default_ttl=TTL)
        self.deleting = Deleting(self.connection, default_ttl=TTL)
        self.sweeping = Sweeping(self.connection, self.deleting, default_ttl=TTL)

    def push(self, number, payload=b"sealed", *, group=GROUP, sender=ANNA, ttl=0, now=NOW):
        push = Push(None, blob_id(number), sender, payload, ttl, 0.0)
        digest = sha256(payload).digest()
        return self.tables.recall(group, push, digest) or self.tables.store(group, b"i" * 16, [(push, digest)], now)[0]

    def seen(self, device, acked=0, *, now=NOW):
        self.tables.register(GROUP, Device(device, "name", now, now, acked, proven=False))

    def cursors(self):
        return [cursor for (cursor,) in self.connection.execute("SELECT cursor FROM blobs ORDER BY cursor")]


@pytest.fixture
def shelf(tmp_path):
    shelf = Shelf(tmp_path / "relay.db")
    yield shelf
    shelf.connection.close()


@pytest.mark.req("S4-116")
def test_the_first_blobs_of_each_group_get_1_2_3(shelf):
    assert [shelf.push(number).cursor for number in range(3)] == [1, 2, 3]
    assert [shelf.push(number, group=OTHER).cursor for number in range(3)] == [1, 2, 3]


@pytest.mark.req("S4-115")
def test_a_transaction_that_is_taken_back_gives_no_cursor_away(shelf):
    shelf.push(1)
    shelf.connection.execute("BEGIN")
    assert shelf.push(2).cursor == 2
    shelf.connection.execute("ROLLBACK")
    assert shelf.push(3).cursor == 2


def test_the_first_answer_to_an_id_is_the_answer(shelf):
    first = shelf.push(1, b"bytes")
    assert isinstance(first, Stored)
    again = shelf.push(1, b"bytes", now=NOW + 5)
    assert isinstance(again, Repeated)
    assert (again.cursor, again.timestamp) == (1, NOW)
    other = shelf.push(1, b"other")
    assert isinstance(other, Refused)
    assert (other.refusal.code, other.refusal.ref) == (1000, blob_id(1))
    assert isinstance(shelf.push(1, b"other", group=OTHER), Stored)


@pytest.mark.parametrize(
    ("after", "limit", "cursors", "more"),
    [(0, 2, [1, 2], True), (0, 4, [1, 2, 3, 4], False), (3, 1, [4], False), (4, 1, [], False), (0, 3, [1, 2, 3], True)],
)
def test_a_page_has_its_limit_and_says_if_there_is_more(shelf, after, limit, cursors, more):
    for number in range(4):
        shelf.push(number)
    page = shelf.tables.page(GROUP, after, limit, NOW)
    assert ([entry.cursor for entry in page.blobs], page.has_more) == (cursors, more)
    assert (page.max_cursor, page.min_cursor) == (4, 1)


@pytest.mark.req("W4-15")
def test_what_waits_for_a_device_is_what_others_pushed_and_has_not_expired(shelf):
    shelf.push(1, sender=BERT)
    shelf.push(2, sender=ANNA)
    shelf.push(3, b"12345", sender=BERT)
    shelf.push(4, sender=CARL, ttl=5)
    count, pending = shelf.tables.pending(GROUP, ANNA, 1, NOW + 10)
    assert (count, [(blob.cursor, blob.size) for blob in pending]) == (1, [(3, 5)])


def test_a_thousand_are_announced_and_all_are_counted(shelf):
    with shelf.connection:
        for number in range(1005):
            shelf.push(number)
    count, pending = shelf.tables.pending(GROUP, BERT, 0, NOW)
    assert (count, [blob.cursor for blob in pending]) == (1005, list(range(1, 1001)))


COMPLETE = {  # (device, acknowledged, seconds ago) -> cursors of anna's three blobs that stay
    "nobody else": ([(ANNA, 3, 0)], [1, 2, 3]),
    "one has all": ([(ANNA, 0, 0), (BERT, 3, 0)], []),
    "one has some": ([(BERT, 2, 0)], [3]),
    "the slower one counts": ([(BERT, 3, 0), (CARL, 1, 0)], [2, 3]),
    "who is long gone holds nothing back": ([(BERT, 3, 0), (CARL, 1, TTL)], []),
    "who is nearly gone does": ([(BERT, 3, 0), (CARL, 1, TTL - 1)], [2, 3]),
    "who is long gone has what it has": ([(BERT, 2, TTL)], [3]),
}


@pytest.mark.req("S4-123")
@pytest.mark.parametrize(("devices", "stay"), COMPLETE.values(), ids=COMPLETE)
def test_a_blob_is_complete_when_the_others_have_it(shelf, devices, stay):
    for number in range(1, 4):
        shelf.push(number, ttl=TTL)
    for device, acked, ago in devices:
        shelf.seen(device, acked, now=NOW - ago)
    shelf.sweeping.sweep(BEGINNING, NOW)
    assert shelf.cursors() == stay


def test_what_a_device_acknowledged_never_goes_down(shelf):
    shelf.push(1)
    shelf.seen(BERT, 5)
    shelf.seen(BERT, 3)
    group = shelf.tables.group(GROUP)
    assert group.devices[BERT].acked_cursor == 5


def test_a_proof_removes_who_had_none_and_their_blobs(shelf):
    shelf.push(1, sender=ANNA)
    shelf.push(2, b"1234", sender=BERT)
    shelf.tables.register(GROUP, Device(ANNA, "anna", NOW, NOW, 0, proven=True))
    shelf.seen(BERT)
    assert shelf.tables.close(GROUP) == (1, 256 + 4)
    group = shelf.tables.group(GROUP)
    assert (group.closed, list(group.devices), group.max_cursor) == (True, [ANNA], 2)
    assert shelf.cursors() == [1]


def test_what_is_deleted_is_overwritten(tmp_path):
    connection = open_database(make_real_ports().disk, tmp_path / "relay.db", synchronous="full")
    assert connection.pragma("secure_delete") == 1
    connection.close()
