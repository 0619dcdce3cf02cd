"""What leaves the buffer, statement by statement: how much of it a slice takes, and what a deletion costs."""

from hashlib import sha256

import apsw
import pytest

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.relay.deleting import SLICE_BYTES, SLICE_ROWS, Deleting
from ferryman.actors.relay.records import Push
from ferryman.actors.relay.schema import SCHEMA, open_database
from ferryman.actors.relay.sweeping import BEGINNING, TABLES, Sweeping
from ferryman.actors.relay.tables import Tables
from ferryman.protocol.relay.group import Device
from tests.fakes.wire_client import blob_id

GROUP, OTHER = b"g" * 32, b"o" * 32
ANNA, BERT = b"a" * 32, b"b" * 32
NOW, TTL = 1_000_000, 1000


class Shelf:
    def __init__(self, connection):
        self.connection = connection
        self.tables = Tables(connection, default_ttl=TTL)
        self.deleting = Deleting(connection, default_ttl=TTL)
        self.sweeping = Sweeping(connection, self.deleting, default_ttl=TTL)

    def push(self, count, size=10, *, group=GROUP, ttl=0):
        with self.connection:
            pushes = [Push(None, blob_id(number), ANNA, bytes(size), ttl, 0.0) for number in range(count)]
            digest = sha256(bytes(size)).digest()
            self.tables.store(group, b"i" * 16, [(push, digest) for push in pushes], NOW)

    def seen(self, device, acked=0, *, now=NOW, group=GROUP):
        self.tables.register(group, Device(device, "name", now, now, acked, proven=False))

    def acknowledge(self, device, cursor):
        before = self.deleting.acked_before(GROUP, device)
        self.seen(device, cursor)
        return self.deleting.acknowledged(GROUP, before, cursor, NOW)

    def count(self, table="blobs"):
        return self.connection.execute(f"SELECT count(*) FROM {table}").get  # noqa: S608 - a table of ours

    def slices(self, now):
        place = BEGINNING
        while place is not None:
            swept = self.sweeping.sweep(place, now)
            yield place, swept
            place = swept.next

    def steps(self, work):
        """How many instructions of SQLite's machine `work` takes, in tens."""
        counted = []
        self.connection.set_progress_handler(lambda: bool(counted.append(1)), 10)
        work()
        self.connection.set_progress_handler(None)
        return len(counted)


@pytest.fixture
def shelf():
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    yield Shelf(connection)
    connection.close()


def test_a_slice_deletes_so_many_bytes_and_the_next_goes_on_there(shelf):
    shelf.push(20, SLICE_BYTES // 4, ttl=1)
    sizes = []
    for place, swept in shelf.slices(NOW + 1):
        if TABLES[place.table] == "blobs":
            sizes.append(sum(blobs for blobs, _ in swept.freed.values()))
    assert sizes == [4, 4, 4, 4, 4]
    assert shelf.count() == 0


def test_a_blob_larger_than_a_slice_goes_alone(shelf):
    shelf.push(3, SLICE_BYTES * 2, ttl=1)
    assert [sum(blobs for blobs, _ in swept.freed.values()) for _, swept in shelf.slices(NOW + 1)][:3] == [1, 1, 1]
    assert shelf.count() == 0


def test_a_slice_looks_at_so_many_rows(shelf):
    shelf.push(SLICE_ROWS * 3 + 1)
    looks = [place for place, _ in shelf.slices(NOW) if TABLES[place.table] == "blobs"]
    assert [place.row for place in looks] == [0, 200, 400, 600]
    assert shelf.count() == SLICE_ROWS * 3 + 1


@pytest.mark.parametrize("rows", [1, SLICE_ROWS - 1, SLICE_ROWS, SLICE_ROWS + 1, SLICE_ROWS * 2, SLICE_ROWS * 5 + 3])
def test_every_table_is_swept_to_its_end_whatever_its_length(shelf, rows):
    with shelf.connection:
        for number in range(rows):
            key = number.to_bytes(32, "big")
            shelf.connection.execute("INSERT INTO group_cursors VALUES (?, 1, x'', 0, 0)", (key,))
            shelf.connection.execute("INSERT INTO group_devices VALUES (?, ?, '', 0, 0, 0, 0)", (key, ANNA))
            shelf.connection.execute("INSERT INTO deliveries VALUES (?, ?, ?, 0)", (key, key[:16], ANNA))
            shelf.connection.execute("INSERT INTO remembered_blobs VALUES (?, ?, x'', 1, 0, ?)", (key, key[:16], NOW))
            shelf.connection.execute("INSERT INTO invites VALUES (?, '', x'', ?)", (key.hex(), NOW))
    gone = [group for _, swept in shelf.slices(NOW) for group in swept.groups]
    assert len(gone) == rows
    assert {table: shelf.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0)


@pytest.mark.req("W5-74")
def test_what_is_not_over_stays(shelf):
    shelf.push(3)
    shelf.seen(BERT, now=NOW - 2 * TTL + 1)
    other = b"o" * 32
    shelf.connection.execute("INSERT INTO group_cursors VALUES (?, 1, x'', 0, ?)", (other, NOW - 2 * TTL + 1))
    shelf.connection.execute("INSERT INTO deliveries VALUES (?, ?, ?, 0)", (GROUP, blob_id(1), BERT))
    shelf.connection.execute("INSERT INTO remembered_blobs VALUES (?, ?, x'', 1, 0, ?)", (other, b"x", NOW + 1))
    shelf.connection.execute("INSERT INTO invites VALUES ('key', '', x'', ?)", (NOW + 1,))
    before = {table: shelf.count(table) for table in TABLES}
    assert list(shelf.slices(NOW))[-1][1].groups == []
    assert {table: shelf.count(table) for table in TABLES} == before


def test_a_delivery_noted_after_its_blob_went_does_not_stay_for_ever(shelf):
    shelf.push(2)
    shelf.tables.deliver(GROUP, BERT, (blob_id(0), blob_id(9)), NOW)
    list(shelf.slices(NOW))
    assert shelf.connection.execute("SELECT blob_id FROM deliveries").fetchall() == [(blob_id(0),)]


def test_a_deletion_costs_the_same_however_many_blobs_of_the_group_are_marked(shelf):
    shelf.push(2000)
    shelf.seen(BERT)
    first = shelf.steps(lambda: shelf.deleting.request(GROUP, blob_id(0), NOW))
    with shelf.connection:
        for number in range(1, 1999):
            shelf.deleting.request(GROUP, blob_id(number), NOW)
    last = shelf.steps(lambda: shelf.deleting.request(GROUP, blob_id(1999), NOW))
    assert last <= first + 2


def test_an_acknowledgement_looks_at_the_marked_blobs_that_it_covers_and_no_others(shelf):
    shelf.push(2000)
    shelf.seen(BERT)
    shelf.deleting.request(GROUP, blob_id(0), NOW)
    few = shelf.steps(lambda: shelf.acknowledge(BERT, 1))
    assert shelf.count() == 1999
    with shelf.connection:
        for number in range(1, 2000):
            shelf.deleting.request(GROUP, blob_id(number), NOW)
    many = shelf.steps(lambda: shelf.acknowledge(BERT, 2))
    assert shelf.count() == 1998
    assert many <= few + 5


def test_an_acknowledgement_of_very_much_deletes_one_slice_and_leaves_the_rest_to_the_sweep(shelf):
    shelf.push(8, SLICE_BYTES // 2)
    shelf.seen(BERT)
    for number in range(8):
        assert shelf.deleting.request(GROUP, blob_id(number), NOW) == (0, 0)
    assert shelf.acknowledge(BERT, 8)[0] == 2
    assert shelf.count() == 6
    list(shelf.slices(NOW))
    assert shelf.count() == 0


@pytest.mark.req("W5-70")
def test_a_complete_blob_goes_at_once_and_an_unknown_one_costs_nothing(shelf):
    shelf.push(2)
    shelf.seen(BERT, 1)
    assert shelf.deleting.request(GROUP, blob_id(0), NOW) == (1, 256 + 10)
    assert shelf.deleting.request(GROUP, blob_id(7), NOW) == (0, 0)
    assert shelf.deleting.acked_before(GROUP, BERT) is None, "nothing is marked"
    assert shelf.deleting.request(GROUP, blob_id(1), NOW) == (0, 0)
    assert shelf.deleting.acked_before(GROUP, BERT) == 1


def test_marks_are_known_again_after_a_restart(shelf):
    shelf.push(1)
    shelf.seen(BERT)
    shelf.deleting.request(GROUP, blob_id(0), NOW)
    shelf.deleting = Deleting(shelf.connection, default_ttl=TTL)
    assert shelf.acknowledge(BERT, 1) == (1, 256 + 10)


def test_a_group_that_went_is_not_kept_in_memory_for_a_mark_it_had(shelf):
    for group in (GROUP, OTHER):
        shelf.push(1, group=group)
        shelf.deleting.request(group, blob_id(0), NOW)
    shelf.seen(BERT, now=NOW + 2 * TTL, group=OTHER)
    gone = [group for _, swept in shelf.slices(NOW + 2 * TTL) for group in swept.groups]
    assert gone == [GROUP]
    assert list(shelf.deleting._marked) == [OTHER]


def test_a_database_of_an_earlier_relay_gets_its_index(tmp_path):
    disk = make_real_ports().disk
    path = tmp_path / "relay.db"
    connection = open_database(disk, path, synchronous="full")
    connection.execute("DROP INDEX idx_blobs_marked")
    connection.close()
    connection = open_database(disk, path, synchronous="full")
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'idx_blobs_marked'").get == 1
    connection.close()
