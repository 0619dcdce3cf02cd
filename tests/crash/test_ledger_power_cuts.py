"""The power goes at every write, sync and change of a name, under every policy of what the medium keeps.

What was acknowledged is there; what was not is there whole or not at all; and the next life ends where an undisturbed
one would have ended.
"""

import random
from pathlib import Path

import apsw
import pytest

from ferryman.actors.keychain_file import FileKeychain
from ferryman.actors.ledger_compact import compact
from ferryman.actors.ledger_file import FatalStorageError, Place
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.ledger_reader import replay
from ferryman.actors.simulated.disk import MemoryDisk, PowerCut
from ferryman.actors.simulated.inode import POLICIES
from ferryman.actors.simulated.ports import EPOCH, SeededEntropy
from ferryman.protocol.ledger.errors import LedgerError, LedgerUnwritable
from ferryman.protocol.ledger.record import Appended, Repeated, TakeSnapshot
from ferryman.protocol.machine import Row
from tests.fakes.ledger_world import PATH, TABLE, Kept, Put, put_entry

KEYS = Path("/device/keys")


class Life:
    """One process on the disk: it writes its story from wherever the last one ended."""

    def __init__(self, disk, *, seed=1):
        self.disk = disk
        entropy = SeededEntropy(seed)
        self.place = Place(PATH, disk, FileKeychain(disk, KEYS, entropy, None), entropy)
        self.acknowledged = 0

    def open(self):
        return open_ledger(self.place, EPOCH, tables=(TABLE,), wal_bytes=0)

    def run(self, story):
        """Every command of the story under its own id; who was there before repeats."""
        ledger = self.open()
        store = ledger.store
        for group in story:
            store.begin()
            answers = [store.stage(entry(store), EPOCH) for entry in group]
            store.commit()
            assert all(isinstance(answer, Appended | Repeated) for answer in answers)
            self.acknowledged += len(group)
        ledger.close(clean=True)


def snapshot(store):
    """Where the stream stands; a life that comes back to it takes another."""
    return TakeSnapshot("a", store.version("a"), Kept({"k": b"v"}))


def append(stream, number, **changes):
    """The command that fits the stream wherever it is."""
    return lambda store: put_entry(stream, store.version(stream), number=number, **changes)


STORY = [
    [append("a", 1), append("b", 2, rows=(Row("INSERT INTO pairing VALUES ('phone', 'Ann')"),))],
    [append("a", 3, events=(Put("large", bytes(range(256)) * 30),))],
    [append("b", 4, fence=("lease", 1)), append("a", 5), append("b", 6)],
]


def replayed(life):
    """What a start finds, and that it is sound."""
    ledger = life.open()
    store = ledger.store
    streams = {name: replay(life.disk, PATH, store.keys, name, store.replay_start(name)) for name in ("a", "b")}
    rows = store.connection.execute("SELECT device_id FROM pairing").fetchall()
    ledger.close(clean=False)
    return streams, rows


def numbers(streams):
    return sorted(record.reply for records in streams.values() for record in records if record.reply is not None)


def operations_of(life, act):
    act(life)
    return life.disk.operations


def undisturbed():
    life = Life(MemoryDisk())
    life.run(STORY)
    return replayed(Life(life.disk.copy()))


def after(disk, policy):
    return disk.after_power_cut(policy, random.Random(f"{policy} {disk.cut_at}"))


@pytest.mark.req("S3-117")
@pytest.mark.parametrize("policy", POLICIES)
def test_what_was_acknowledged_survives_a_power_cut_at_any_operation(policy):
    last = operations_of(Life(MemoryDisk()), lambda life: life.run(STORY))
    wanted, rows = undisturbed()
    for cut in range(1, last + 1):
        disk = MemoryDisk()
        disk.cut_at = cut
        life = Life(disk)
        with pytest.raises(PowerCut):
            life.run(STORY)
        groups = [len(group) for group in STORY]
        whole = {sum(groups[:count]) for count in range(len(groups) + 1)}

        next_life = Life(after(disk, policy), seed=2)
        found, _ = replayed(next_life)
        here = numbers(found)
        assert here == list(range(1, len(here) + 1)), f"a hole after a cut at {cut}"
        assert len(here) >= life.acknowledged, f"an acknowledged record is lost after a cut at {cut}"
        assert len(here) in whole, f"half a group after a cut at {cut}"

        next_life.run(STORY)
        ended, ended_rows = replayed(Life(next_life.disk, seed=3))
        assert numbers(ended) == numbers(wanted)
        assert [record.events for record in ended["a"]] == [record.events for record in wanted["a"]]
        assert ended_rows == rows


@pytest.mark.parametrize("policy", POLICIES)
def test_a_power_cut_in_the_recovery_from_a_power_cut_loses_nothing_more(policy):
    last = operations_of(Life(MemoryDisk()), lambda life: life.run(STORY))
    for cut in range(3, last + 1, 7):
        disk = MemoryDisk()
        disk.cut_at = cut
        life = Life(disk)
        with pytest.raises(PowerCut):
            life.run(STORY)
        second = after(disk, policy)
        second.cut_at = 1 + cut % 5
        try:
            replayed(Life(second, seed=2))
            third = second.copy()
        except PowerCut:
            third = after(second, policy)
        assert len(numbers(replayed(Life(third, seed=3))[0])) >= life.acknowledged


def test_what_a_killed_process_had_written_is_durable_before_the_next_one_answers():
    disk = MemoryDisk()
    life = Life(disk)
    ledger = life.open()
    store = ledger.store
    store.connection.execute("PRAGMA synchronous = OFF")  # the commit reaches the page cache and no further
    store.begin()
    store.stage(put_entry("a", 0), EPOCH)
    store.commit()
    killed = disk.after_kill()
    assert numbers(replayed(Life(killed, seed=2))[0]) == [1]  # the next life has read it, and may act on it
    assert numbers(replayed(Life(killed.after_power_cut("drop"), seed=3))[0]) == [1]


@pytest.mark.parametrize("policy", ["drop", "all", "subset", "torn"])
def test_a_power_cut_in_a_compaction_leaves_a_ledger_that_compacts_and_replays(policy):
    def prepared():
        life = Life(MemoryDisk())
        life.run([*STORY, [snapshot], [append("a", 7)]])
        return Life(life.disk.copy(), seed=2)

    def compacting(life):
        ledger = life.open()
        compact(life.place, ledger, EPOCH)
        ledger.close(clean=True)

    last = operations_of(prepared(), compacting)
    for cut in range(1, last + 1):
        life = prepared()
        life.disk.cut_at = cut
        with pytest.raises(PowerCut):
            compacting(life)
        next_life = Life(after(life.disk, policy), seed=3)
        assert numbers(replayed(next_life)[0]) == [1, 2, 3, 4, 5, 6, 7]
        compacting(next_life)
        assert numbers(replayed(Life(next_life.disk, seed=4))[0]) == [1, 2, 3, 4, 5, 6, 7]


def test_a_failed_sync_anywhere_ends_the_process_and_what_was_acknowledged_is_there():
    story = Life(MemoryDisk())
    story.run(STORY)
    fatal = 0
    for failing in range(1, story.disk.syncs + 1):
        disk = MemoryDisk()
        disk.fail_sync_at = failing
        life = Life(disk)
        with pytest.raises((FatalStorageError, OSError, LedgerError, apsw.Error)) as raised:
            life.run(STORY)
        assert isinstance(raised.value, FatalStorageError | OSError)  # the key store's files are written anew, or not
        fatal += isinstance(raised.value, FatalStorageError)
        next_life = Life(disk.after_power_cut("drop"), seed=2)
        assert len(numbers(replayed(next_life)[0])) >= life.acknowledged
    assert fatal > len(STORY)


def test_a_disk_that_fills_up_at_any_byte_loses_nothing_and_goes_on_when_there_is_room():
    empty = Life(MemoryDisk())
    empty.run([])
    full_story = Life(MemoryDisk())
    full_story.run(STORY)
    for capacity in range(empty.disk.used, full_story.disk.used + 60_000, 4_096):
        disk = MemoryDisk()
        Life(disk).run([])
        disk.capacity = capacity
        life = Life(disk, seed=2)
        refused = 0
        try:
            ledger = life.open()
        except LedgerUnwritable:
            continue
        store = ledger.store
        done = 0
        for group in STORY:
            store.begin()
            try:
                for entry in group:
                    store.stage(entry(store), EPOCH)
                store.commit()
                done += len(group)
            except apsw.FullError:
                store.rollback()
                refused += 1
                break
        assert len(numbers(replay_all(life, store))) == done
        disk.capacity = None
        for group in STORY:
            store.begin()
            for entry in group:
                store.stage(entry(store), EPOCH)
            store.commit()
        assert numbers(replay_all(life, store)) == [1, 2, 3, 4, 5, 6]
        ledger.close(clean=True)
        assert numbers(replayed(Life(disk, seed=3))[0]) == [1, 2, 3, 4, 5, 6]


def replay_all(life, store):
    return {name: replay(life.disk, PATH, store.keys, name, 1) for name in ("a", "b")}
