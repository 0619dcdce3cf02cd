"""A file of a disk in memory, and what is left of it when the power goes.

    write, truncate --> seen, unsynced --sync--> kept          seen: what a reader gets; kept: what is on the medium
                                       --power cut, policy--> kept and some of unsynced

| policy  | what was written and not synced                                       |
|---------|-----------------------------------------------------------------------|
| drop    | is gone                                                               |
| all     | is there                                                              |
| prefix  | is there up to some write                                             |
| subset  | is there, some of it                                                  |
| torn    | is there up to the middle of some write                               |
| shorn   | is there, some 512-byte sectors of it                                 |
| garbage | is there in part, the rest of its place holds anything                |
| zeros   | is there in its length only                                           |
"""

from __future__ import annotations

from random import Random
from typing import TypeAlias

POLICIES = ("drop", "all", "prefix", "subset", "torn", "shorn", "garbage", "zeros")
SECTOR = 512

Unsynced: TypeAlias = tuple[int, bytes | None]  # (offset, data); (length, None): a truncation


class Inode:
    __slots__ = ("kept", "seen", "unsynced")

    def __init__(self, content: bytes | bytearray = b"") -> None:
        """A file that is on the medium as it is."""
        self.seen = bytearray(content)
        self.kept = bytearray(content)
        self.unsynced: list[Unsynced] = []

    def write(self, offset: int, data: bytes) -> None:
        put(self.seen, offset, data)
        self.unsynced.append((offset, data))

    def truncate(self, length: int) -> None:
        cut(self.seen, length)
        self.unsynced.append((length, None))

    def sync(self) -> None:
        for offset, data in self.unsynced:
            if data is None:
                cut(self.kept, offset)
            else:
                put(self.kept, offset, data)
        self.unsynced.clear()

    def twin(self) -> Inode:
        """The same file after kill -9: what was written is there, and still not synced."""
        twin = Inode(self.kept)
        twin.seen = bytearray(self.seen)
        twin.unsynced = list(self.unsynced)
        return twin

    def survive(self, policy: str, chance: Random) -> bytearray:
        """What the medium holds when the power comes back."""
        content = bytearray(self.kept)
        for offset, data in self._written(policy, chance):
            if data is None:
                cut(content, offset)
            else:
                put(content, offset, data)
        return content

    def _written(self, policy: str, chance: Random) -> list[Unsynced]:
        writes = self.unsynced
        match policy:
            case "drop":
                return []
            case "all":
                return writes
            case "prefix":
                return writes[: chance.randint(0, len(writes))]
            case "subset":
                return [write for write in writes if chance.random() < 0.5]
            case "torn":
                return torn(writes[: chance.randint(0, len(writes))], chance)
            case "zeros":
                return [(offset, data if data is None else bytes(len(data))) for offset, data in writes]
            case "shorn" | "garbage":
                return [piece for write in writes for piece in sectors(write, chance, garbage=policy == "garbage")]
            case _:
                raise ValueError(f"no policy {policy!r}: one of {', '.join(POLICIES)}")


def torn(writes: list[Unsynced], chance: Random) -> list[Unsynced]:
    """The last write stops at any byte, or at the end of any sector."""
    if not writes:
        return []
    *whole, (offset, data) = writes
    if data is None:
        return writes
    stop = chance.randint(0, len(data))
    if chance.random() >= 0.5:
        stop = stop // SECTOR * SECTOR
    return [*whole, (offset, data[:stop])]


def sectors(write: Unsynced, chance: Random, *, garbage: bool) -> list[Unsynced]:
    """Some of its sectors; in place of the others nothing, or anything."""
    offset, data = write
    if data is None:
        return [write]
    pieces: list[Unsynced] = []
    for start in range(0, len(data), SECTOR):
        sector = data[start : start + SECTOR]
        if chance.random() < 0.5:
            pieces.append((offset + start, sector))
        elif garbage:
            pieces.append((offset + start, chance.randbytes(len(sector))))
    return pieces


def put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def cut(content: bytearray, length: int) -> None:
    if length < len(content):
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))
