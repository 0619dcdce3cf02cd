"""What the disk in memory promises: it forgets like a disk, and finds the designs that a disk would punish."""

import random
from pathlib import Path

import apsw
import pytest

from ferryman.actors.simulated.disk import MemoryDisk, PowerCut
from ferryman.actors.simulated.inode import POLICIES

PATH = Path("/d/file")
DATABASE = Path("/d/db")


def test_a_written_file_survives_and_one_whose_name_was_not_synced_may_not():
    disk = MemoryDisk()
    disk.write(PATH, b"kept")
    disk.cut_at = disk.operations + 4  # the name is changed, and not yet synced
    with pytest.raises(PowerCut):
        disk.write(PATH, b"lost")
    assert disk.contents()[str(PATH)] == b"lost"
    assert disk.after_power_cut("drop").read(PATH) == b"kept"
    assert disk.after_power_cut("all").read(PATH) == b"lost"
    assert disk.after_kill().read(PATH) == b"lost"
    assert disk.after_kill().after_power_cut("drop").read(PATH) == b"kept"


def test_after_a_cut_nothing_can_be_done_on_that_machine():
    disk = MemoryDisk()
    connection = disk.connect(DATABASE)
    connection.execute("CREATE TABLE t (x)")
    disk.cut_at = disk.operations + 1
    for _ in range(2):
        with pytest.raises(PowerCut):
            connection.execute("INSERT INTO t VALUES (1)")
    for act in (lambda: disk.write(PATH, b""), lambda: disk.remove(PATH)):
        with pytest.raises(PowerCut):
            act()
    connection.close()


def commits(first, then):
    """A database that sets these two, and commits a row."""
    disk = MemoryDisk()
    connection = disk.connect(DATABASE)
    for pragma in (first, then):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE t (x); INSERT INTO t VALUES ('acknowledged')").fetchall()
    return disk


def has_the_row(disk):
    connection = disk.connect(DATABASE)
    try:
        return connection.execute("SELECT x FROM t").fetchall() == [("acknowledged",)]
    except apsw.Error:
        return False
    finally:
        connection.close()


def test_full_after_the_switch_to_wal_loses_what_was_acknowledged_and_extra_before_it_does_not():
    wrong = commits("journal_mode = WAL", "synchronous = FULL")
    right = commits("synchronous = EXTRA", "journal_mode = WAL")
    assert [has_the_row(disk.after_power_cut("drop")) for disk in (wrong, right)] == [False, True]


def test_without_syncs_every_policy_but_all_loses_something_some_day():
    for policy in POLICIES:
        disk = commits("synchronous = OFF", "journal_mode = WAL")
        survived = [has_the_row(disk.after_power_cut(policy, random.Random(seed))) for seed in range(20)]
        assert all(survived) == (policy == "all")


def test_a_second_connection_sees_what_was_committed_before_it():
    disk = commits("synchronous = EXTRA", "journal_mode = WAL")
    reader = disk.connect(DATABASE, read_only=True)
    assert reader.execute("SELECT count(*) FROM t").fetchall() == [(1,)]
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("DELETE FROM t")
    reader.close()
    assert set(disk.names) == {str(DATABASE), f"{DATABASE}-wal"}


def test_one_seed_gives_the_same_bytes():
    one, two = (
        commits("synchronous = EXTRA", "journal_mode = WAL"),
        commits("synchronous = EXTRA", "journal_mode = WAL"),
    )
    assert {n: bytes(i.seen) for n, i in one.names.items()} == {n: bytes(i.seen) for n, i in two.names.items()}
    other = MemoryDisk(seed=5)
    assert other.random_bytes(8) != MemoryDisk(seed=6).random_bytes(8)
