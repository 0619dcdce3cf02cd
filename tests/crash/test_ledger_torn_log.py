"""The write-ahead log is cut or torn at any byte: a start finds whole groups, and nothing that was never written."""

import pytest

from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.ledger_reader import replay
from tests.fakes.ledger_world import PATH, LedgerWorld, Put, put_entry

WAL = f"{PATH}-wal"
GROUPS = (2, 1, 3)


@pytest.fixture(scope="module")
def killed():
    """A ledger whose process was killed with all its groups in the log."""
    world = LedgerWorld()
    with world.opened(clean=False) as store:
        for size in GROUPS:
            versions = range(store.version("a"), store.version("a") + size)
            world.append(
                store, *(put_entry("a", version, events=(Put("k", bytes(version * 99)),)) for version in versions)
            )
        world.disk = world.disk.after_kill()
    return world


def start_with(killed, log):
    """How many records a start finds when this is the log."""
    world = LedgerWorld(seed=2)
    world.disk = killed.disk.copy()
    world.keychain = killed.keychain
    world.disk.write(PATH.with_name(f"{PATH.name}-wal"), bytes(log))
    ledger = open_ledger(world.place, world.now, wal_bytes=0)
    records = replay(world.disk, PATH, ledger.store.keys, "a", 1)
    ledger.close(clean=False)
    assert [record.events for record in records] == [
        (Put("k", bytes(version * 99)),) for version in range(len(records))
    ]
    return len(records)


WHOLE = {sum(GROUPS[:count]) for count in range(len(GROUPS) + 1)}


@pytest.mark.req("S3-117")
def test_a_log_cut_at_any_byte_holds_whole_groups(killed):
    log = killed.disk.names[WAL].seen
    found = [start_with(killed, log[:length]) for length in (*range(0, len(log), 211), len(log))]
    assert set(found) <= WHOLE
    assert found == sorted(found)
    assert found[-1] == sum(GROUPS)


def test_a_log_with_any_byte_flipped_holds_whole_groups(killed):
    log = killed.disk.names[WAL].seen
    found = set()
    for place in range(7, len(log), 523):
        torn = bytearray(log)
        torn[place] ^= 0x40
        found.add(start_with(killed, torn))
    assert found <= WHOLE
    assert len(found) > 2


def test_zeros_behind_the_log_are_nothing(killed):
    assert start_with(killed, killed.disk.names[WAL].seen + bytes(50_000)) == sum(GROUPS)
