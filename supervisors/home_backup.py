"""A device's home as one file, and a home made of one.

    home: settings, keys/, ledger.db and its archives --back up--> FILE, a tar that begins with a list of hashes
    FILE --restore--> a draft beside the home, every file compared --> the home's name

The keys are read before the ledger: what the key store has seen of it is in the copy then, however busy the device is.
The ledger is one moment of it, by a read transaction. What the operating system's keychain holds is not in the file.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, cast

import apsw
import msgspec

from ferryman.actors.keychain import StoreFile
from ferryman.actors.ports import Disk
from ferryman.actors.relay.sql import Sql
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.whole_files import write_whole

FORMAT = "ferryman.backup/1"
LIST = "backup.json"
LIST_BYTES = 1 << 20  # some hundred bytes a file
LEDGER = "ledger.db"
SETTINGS = "ferryman.toml"
NAMES = re.compile(r"ferryman\.toml|ledger\.db(\.[0-9]+-[0-9]+)?|keys/store\.json|keys/[a-z0-9][a-z0-9._-]{0,99}\.key")
COPY_BYTES = 1 << 20


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int
    sha256: str


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first member. made_at: UNIX seconds. keys: what kind of key store the device has."""

    format: str
    version: str
    made_at: int
    keys: Literal["os", "sealed", "plain"]
    files: dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Backup:
    """bytes: of the file. keys: see `Listing`."""

    bytes: int
    made_at: int
    keys: str


def back_up_home(disk: Disk, home: Path, target: Path, *, now: int, version: str) -> Backup:
    """Copy a device, whether it runs or not. Blocking. Raises BadInput with one line; then there is no file."""
    if target.absolute().is_relative_to(home.absolute()):
        raise BadInput(f"{target}: is in the device's own directory: put the backup somewhere else")
    made: list[Listing] = []
    release = disk.lock(home / "device.lock")  # None: a process is the device, and changes no archive meanwhile
    try:
        written = write_whole(disk, target, lambda draft: made.append(pack(disk, home, draft, now, version)))
    except FileExistsError:
        raise BadInput(f"{target}: exists already; a backup overwrites nothing") from None
    except apsw.Error as error:
        raise BadInput(f"{home / LEDGER}: cannot be copied: {error}; `ferryman doctor` says more") from error
    except OSError as error:
        raise BadInput(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        if release is not None:
            release()
    return Backup(written, now, made[0].keys)


def pack(disk: Disk, home: Path, draft: Path, now: int, version: str) -> Listing:
    small = dict(small_files(home))
    store = msgspec.json.decode(small["keys/store.json"], type=StoreFile)
    ledger = draft.with_name(f"{draft.name}.ledger")
    ledger.unlink(missing_ok=True)  # of a backup that was killed
    try:
        files = copied_ledger(disk, home, ledger)
        entries = {name: Entry(len(data), sha256(data).hexdigest()) for name, data in small.items()}
        entries |= {name: Entry(path.stat().st_size, hash_of(path)) for name, path in files.items()}
        listing = Listing(FORMAT, version, now, store.kind, entries)
        with tarfile.open(draft, "w") as tar:
            for name, data in {LIST: msgspec.json.format(msgspec.json.encode(listing)), **small}.items():
                add(tar, name, io.BytesIO(data), len(data))
            for name, path in files.items():
                with path.open("rb") as file:
                    add(tar, name, file, entries[name].size)
    finally:
        disk.remove(ledger)
    return listing


def small_files(home: Path) -> Iterator[tuple[str, bytes]]:
    """The settings, and the key store: entries, then what they are sealed under."""
    if (home / SETTINGS).exists():
        yield SETTINGS, (home / SETTINGS).read_bytes()
    for path in [*sorted((home / "keys").glob("*.key")), home / "keys" / "store.json"]:
        yield f"keys/{path.name}", path.read_bytes()


def copied_ledger(disk: Disk, home: Path, copy: Path) -> dict[str, Path]:
    """One moment of the ledger in `copy`, and its archives, which never change, where they are."""
    if not (home / LEDGER).exists():
        return {}
    copy.touch(mode=0o600)
    with closing(cast("Sql", disk.connect(home / LEDGER, read_only=True))) as source:
        source.set_busy_timeout(5000)
        source.execute("VACUUM INTO ?", (str(copy),))
    archives = {path.name: path for path in sorted(home.glob(f"{LEDGER}.*-*")) if NAMES.fullmatch(path.name)}
    return {LEDGER: copy, **archives}


def add(tar: tarfile.TarFile, name: str, file: io.BufferedIOBase, size: int) -> None:
    """Without what says whose machine it was made on."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    tar.addfile(member, file)


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while piece := file.read(COPY_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def restore_home(disk: Disk, backup: Path, home: Path) -> Backup:
    """Make `home` of a backup, whole or not at all. Blocking. Raises BadInput with one line; then nothing was made."""
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise BadInput(f"{home}: is not empty: a restore overwrites nothing; name another directory with --home")
    draft = home.with_name(f".{home.name}.restoring")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a restore that was killed
        disk.make_directory(draft)
        try:
            listing = unpack(disk, backup, draft)
            draft.rename(home)  # over an empty directory too
            disk.remove(draft)  # there is none by that name; the directory with the new name in it is synced
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except tarfile.TarError as error:
        raise not_ours(backup) from error
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else str(backup)
        raise BadInput(f"{where}: {error.strerror or error}") from error
    return Backup(backup.stat().st_size, listing.made_at, listing.keys)


def unpack(disk: Disk, backup: Path, folder: Path) -> Listing:
    with tarfile.open(backup, "r:") as tar:
        listing = read_listing(backup, tar)
        left = dict(listing.files)
        while (member := tar.next()) is not None:
            entry = left.pop(member.name, None)
            if entry is None or not member.isreg() or member.size != entry.size:
                raise damaged(backup, member.name)
            extract(tar, member, folder / member.name, entry, lambda name: damaged(backup, name))
        if left:
            raise damaged(backup, next(iter(left)))
    for path in (folder / "keys", folder):
        disk.remove(path / LIST)  # it is in none of them; the names of the files are synced
    return listing


def read_listing(backup: Path, tar: tarfile.TarFile) -> Listing:
    """Which files there are, before any of them is written. Raises BadInput."""
    first = tar.next()
    file = tar.extractfile(first) if first is not None and first.name == LIST and first.isreg() else None
    if first is None or file is None or first.size > LIST_BYTES:
        raise not_ours(backup)
    try:
        listing = msgspec.json.decode(file.read(), type=Listing)
    except msgspec.DecodeError:
        raise not_ours(backup) from None
    if listing.format != FORMAT:
        raise BadInput(f"{backup}: was made by another Ferryman ({listing.version}): restore it with that one")
    for name in listing.files:
        if NAMES.fullmatch(name) is None:
            raise damaged(backup, name)
    if "keys/store.json" not in listing.files:
        raise damaged(backup, "keys/store.json")
    return listing


def extract(
    tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, entry: Entry, complaint: Callable[[str], BadInput]
) -> None:
    """Private, synced, and what was packed. The name was one of ours before: no path leads out of the folder."""
    source = tar.extractfile(member)
    if source is None:
        raise complaint(member.name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest = sha256()
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as target:
        while piece := source.read(COPY_BYTES):
            digest.update(piece)
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    if digest.hexdigest() != entry.sha256:
        raise complaint(member.name)


def not_ours(backup: Path) -> BadInput:
    return BadInput(f"{backup}: is no backup of a device, as `ferryman backup` makes it")


def damaged(backup: Path, name: str) -> BadInput:
    return BadInput(f"{backup}: is damaged: {name!r:.80} is not what was packed; take another backup")
