"""The judge: a process of its own that re-reads what everyone wrote. It trusts the disk and nobody's word.

lost        a file of the source that a device does not hold with the same SHA-256
duplicated  a part that reached a device under two cursors: the relay would have stored one push twice
found       a 32-byte window of a file's plain bytes in the relay's database, its WAL or a log, unless it stood there
            before the first device came (the demo may carry the source of the relay's own tables)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ferryman.supervisors.demo.parcel import JOURNAL, READ_BYTES, hash_file, read_journal

WINDOW_BYTES = 32
WINDOWS_PER_FILE = 64
WORD, WORD_BYTES = "Q", 8
DISTINCT_BYTES = 8  # fewer different bytes than that (runs of zeros, rulers of dashes) prove nothing when found


class Case(msgspec.Struct, frozen=True):
    """What the judge is asked: the source as described at the start, the devices' folders, the relay's files."""

    root: str
    files: tuple[tuple[str, str], ...]  # (name, sha256 in hex)
    devices: tuple[tuple[str, str], ...]  # (name, the folder it wrote)
    relay_files: tuple[str, ...]
    before: tuple[str, ...] = ()  # copies of the relay's files from before the first device


class Verdict(msgspec.Struct, frozen=True):
    lost: tuple[str, ...]  # "device: file"
    duplicated: tuple[str, ...]  # "device: file part n"
    found: tuple[str, ...]  # "relay file: a window of file"
    windows: int  # how many were searched
    searched_bytes: int
    extra: tuple[str, ...] = ()  # "device: file" that was never sent

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.found or self.extra)


def judge(case: Case, random_bytes: Callable[[int], bytes]) -> Verdict:
    lost: list[str] = []
    duplicated: list[str] = []
    extra: list[str] = []
    expected = {name for name, _ in case.files}
    for device, folder in case.devices:
        for name, sha256 in case.files:
            path = Path(folder) / name
            if not path.is_file() or hash_file(path) != sha256:
                lost.append(f"{device}: {name}")
        duplicated += (f"{device}: {what}" for what in arrived_twice(Path(folder).parent / JOURNAL))
        extra += (
            f"{device}: {path.relative_to(folder).as_posix()}"
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and path.relative_to(folder).as_posix() not in expected
        )
    windows = choose_windows(case, random_bytes)
    for known in [window for path in case.before for window in search(Path(path), windows)]:
        windows.pop(known, None)
    found = [
        f"{path}: a window of {windows[window]}" for path in case.relay_files for window in search(Path(path), windows)
    ]
    searched = sum(Path(path).stat().st_size for path in case.relay_files if Path(path).exists())
    return Verdict(tuple(lost), tuple(duplicated), tuple(found), len(windows), searched, tuple(extra))


def arrived_twice(journal: Path) -> Iterator[str]:
    """Parts that came under two different cursors. The same cursor twice is a redelivery, which is allowed."""
    cursors: dict[tuple[str, int], int] = {}
    for line in read_journal(journal.read_bytes() if journal.exists() else b""):
        first = cursors.setdefault((line.name, line.index), line.cursor)
        if first != line.cursor:
            yield f"{line.name} part {line.index}"


def choose_windows(case: Case, random_bytes: Callable[[int], bytes]) -> dict[bytes, str]:
    """Up to 64 windows of 32 bytes from each file, at random offsets; those without substance are passed over."""
    windows: dict[bytes, str] = {}
    for name, _ in case.files:
        path = Path(case.root) / name
        size = path.stat().st_size
        if size < WINDOW_BYTES:
            continue
        with path.open("rb") as file:
            for _ in range(WINDOWS_PER_FILE):
                file.seek(int.from_bytes(random_bytes(8), "big") % (size - WINDOW_BYTES + 1))
                window = file.read(WINDOW_BYTES)
                if len(set(window)) >= DISTINCT_BYTES:
                    windows[window] = name
    return windows


def search(path: Path, windows: dict[bytes, str]) -> Iterator[bytes]:
    """The windows that occur in the file, at any offset.

    Wherever a window lies, it holds whole words of the file: eight bytes at a multiple of eight. Only a piece of the
    file with a word that some window would show there is looked at byte by byte."""
    if not path.exists():
        return
    signs = frozenset(sign for window in windows for sign in signs_of(window))
    overlap = b""
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            text = overlap + chunk
            words = memoryview(text)[: len(text) // WORD_BYTES * WORD_BYTES].cast(WORD)
            if not signs.isdisjoint(words):
                yield from (
                    window
                    for start in range(len(text) - WINDOW_BYTES + 1)
                    if (window := text[start : start + WINDOW_BYTES]) in windows
                )
            overlap = text[-(WINDOW_BYTES - 1) :]


def signs_of(window: bytes) -> Iterator[int]:
    """For each way in which a window can lie across words, the word within it that is least like any other text."""
    for shift in range(WORD_BYTES):
        inside = (
            window[start : start + WORD_BYTES] for start in range(shift, WINDOW_BYTES - WORD_BYTES + 1, WORD_BYTES)
        )
        yield int.from_bytes(max(inside, key=lambda word: len(set(word))), sys.byteorder)


def main(random_bytes: Callable[[int], bytes]) -> None:
    """Read a Case from stdin, write a Verdict to stdout."""
    case = msgspec.json.decode(sys.stdin.buffer.read(), type=Case)
    sys.stdout.buffer.write(msgspec.json.encode(judge(case, random_bytes)) + b"\n")


def printable(names: tuple[str, ...], limit: int = 5) -> str:
    """The first few of a list, safe to print."""
    shown = ", ".join(re.sub(r"[^ -~]", "?", name) for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
