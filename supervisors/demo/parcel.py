"""What the demo's application puts into a blob, and how a receiver turns parcels back into files.

    Parcel --Unpacker.take--> name.partial (written at its offset, fsynced) --last part, hash right--> name

The receiver sees each parcel at least once. Writing the same bytes at the same offset twice changes nothing, so a kill
between the write and its acknowledgement needs no repair. Every parcel is noted in a journal, from which the judge
counts what came twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from ferryman.protocol.errors import AppError
from ferryman.supervisors.demo.source import PART_BYTES, READ_BYTES, SourceFile

JOURNAL = "journal.jsonl"


class Parcel(msgspec.Struct, frozen=True):
    """One part of one file; `index` counts from 0, `sha256` is the whole file's, in hex."""

    name: str
    size: int
    sha256: str
    index: int
    data: bytes

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


class Line(msgspec.Struct, frozen=True):
    """One journal line: which blob brought which part."""

    blob: str
    cursor: int
    name: str
    index: int


def read_parcel(data: bytes) -> Parcel:
    """Raises AppError for what is no parcel: a member of the group may send anything."""
    try:
        parcel = msgspec.msgpack.decode(data, type=Parcel)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AppError(f"a blob holds no parcel: {type(error).__name__}", code="DEMO_CORRUPT") from None
    if parcel.size < 0 or not 0 <= parcel.index < SourceFile(parcel.name, parcel.size, parcel.sha256).parts:
        raise AppError(f"a parcel is part {parcel.index} of a file of {parcel.size} bytes", code="DEMO_CORRUPT")
    return parcel


class Unpacker:
    """Writes parcels below `folder`. One device, one unpacker; blocking calls, made from a worker thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.seen = start_journal(folder.parent / JOURNAL)
        self._journal: BinaryIO = (folder.parent / JOURNAL).open("ab")

    def take(self, parcel: Parcel, *, blob_id: bytes, cursor: int) -> bool:
        """Put one part in its place; on return it is on disk. True when it completed its file."""
        target = inside(self.folder, parcel.name)
        done = self._write(target, parcel)
        line = Line(blob_id.hex(), cursor, parcel.name, parcel.index)
        self._journal.write(msgspec.json.encode(line) + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self.seen.add((parcel.name, parcel.index))
        return done

    def _write(self, target: Path, parcel: Parcel) -> bool:
        if target.exists():  # a repeat after the rename
            return False
        file = SourceFile(parcel.name, parcel.size, parcel.sha256)
        partial = target.with_name(target.name + ".partial")
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("r+b" if partial.exists() else "w+b") as handle:
            handle.seek(parcel.index * PART_BYTES)
            handle.write(parcel.data)
            handle.flush()
            os.fsync(handle.fileno())
        if parcel.index != file.parts - 1:
            return False
        if partial.stat().st_size != parcel.size or hash_file(partial) != parcel.sha256:
            raise AppError(f"{target}: its parts do not add up to the file that was sent", code="DEMO_CORRUPT")
        partial.replace(target)
        return True

    def close(self) -> None:
        self._journal.close()


def start_journal(path: Path) -> set[tuple[str, int]]:
    """The parts that an earlier life of this device noted. A line that its kill cut short is closed off first."""
    text = path.read_bytes() if path.exists() else b""
    if text and not text.endswith(b"\n"):
        with path.open("ab") as journal:
            journal.write(b"\n")
    return {(line.name, line.index) for line in read_journal(text)}


def read_journal(text: bytes) -> Iterator[Line]:
    """Its whole lines; one that a kill cut short is passed over, for its part comes again."""
    for raw in text.splitlines():
        try:
            yield msgspec.json.decode(raw, type=Line)
        except msgspec.DecodeError:
            continue


def inside(folder: Path, name: str) -> Path:
    """The path of `name` below `folder`. Raises AppError for a name that leads out of it."""
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise AppError(f"a parcel names {name!r}, which lies outside {folder}", code="DEMO_CORRUPT")
    return target


def hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
