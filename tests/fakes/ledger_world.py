"""A ledger in memory with hands that write to it, read it, and damage it. One world is one device's disk and key store.

world = LedgerWorld()
with world.opened() as store: world.put(store, "a", 1)
world.edit("UPDATE record SET principal = 'mallory' WHERE seq = 2")
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import inspect, open_ledger
from ferryman.actors.ledger_reader import replay
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.keychain import MemoryKeychain
from ferryman.actors.simulated.ports import EPOCH, SeededEntropy
from ferryman.protocol.ledger.codec import Secret, recorded
from ferryman.protocol.ledger.record import Append, StorageFull
from ferryman.protocol.ledger.snapshot import REMEMBER_SECONDS

PATH = Path("/device/ledger.db")
TABLE = "CREATE TABLE IF NOT EXISTS pairing (device_id TEXT PRIMARY KEY, name TEXT CHECK (name <> '')) STRICT"


@recorded("test.put/1")
@dataclass(frozen=True, slots=True)
class Put:
    key: str
    value: bytes = b""
    secret: Secret | None = None


@recorded("test.kept/1")
@dataclass(frozen=True, slots=True)
class Kept:
    """A state: what was put last under each key."""

    values: dict[str, bytes]


def command_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def put_entry(stream: str, version: int, /, number: int | None = None, **changes) -> Append:
    """The append of the `number`-th command; by default the one that fits the version."""
    number = version + 1 if number is None else number
    fields = {
        "stream": stream,
        "expected_version": version,
        "command_id": command_id(number),
        "command_hash": number.to_bytes(32, "little"),
        "events": (Put(f"key-{number}", b"value-%d" % number),),
        "reply": number,
    }
    return Append(**(fields | changes))


class LedgerWorld:
    def __init__(self, *, seed: int = 1) -> None:
        self.disk = MemoryDisk()
        self.keychain = MemoryKeychain()
        self.entropy = SeededEntropy(seed)
        self.now = EPOCH

    @property
    def place(self) -> Place:
        return Place(PATH, self.disk, self.keychain, self.entropy)

    @contextlib.contextmanager
    def opened(self, *, tables=(TABLE,), clean=True, wal_bytes=0, **options):
        """The store; closed at the end, with an anchor if nothing was raised."""
        ledger = open_ledger(self.place, self.now, tables=tables, wal_bytes=wal_bytes, **options)
        self.ledger = ledger
        ended_well = False
        try:
            yield ledger.store
            ended_well = clean
        finally:
            ledger.close(clean=ended_well)

    def append(self, store, *entries):
        """One group; the answers, in order. A full disk is StorageFull, as the actor makes it."""
        store.begin()
        try:
            answers = [store.stage(entry, self.now) for entry in entries]
            store.commit()
        except BaseException:
            store.rollback()
            raise
        return answers if len(entries) != 1 else answers[0]

    def fill(self, store, stream="a", count=3):
        for version in range(store.version(stream), store.version(stream) + count):
            self.append(store, put_entry(stream, version))

    def replay(self, store, stream="a"):
        since = self.now - REMEMBER_SECONDS
        return replay(self.disk, PATH, store.keys, stream, store.replay_start(stream), since=since)

    def check(self, **options):
        return inspect(self.place, **options)

    def edit(self, *statements):
        """What somebody with the file and an editor does."""
        connection = self.disk.connect(PATH)
        for statement in statements:
            connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)
        connection.close()

    def flip(self, needle: bytes, *, offset: int = 0) -> None:
        """One bit of the file, where these bytes stand."""
        content = self.disk.names[str(PATH)].seen
        content[content.index(needle) + offset] ^= 1

    def image(self) -> dict[str, bytes]:
        return {name: bytes(inode.seen) for name, inode in self.disk.names.items()}


def crowd(world, store, count, stream="a"):
    """`count` records in one group."""
    world.append(store, *(put_entry(stream, version) for version in range(count)))


__all__ = ["PATH", "TABLE", "Kept", "LedgerWorld", "Put", "StorageFull", "command_id", "crowd", "put_entry"]
