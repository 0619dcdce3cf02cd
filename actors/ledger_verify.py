"""What a start has no time for: the large values themselves, and every page and index of the database."""

from __future__ import annotations

from pathlib import Path

from ferryman.actors.ledger_file import RESTORE, Execute, Place, executor, explained, look
from ferryman.actors.ledger_open import Checked
from ferryman.protocol.ledger.errors import LedgerBroken
from ferryman.protocol.ledger.payload import hashes, payload_hash

_MARKED = "SELECT seq, bytes FROM body WHERE bytes IS NOT NULL AND length(bytes) > 32 ORDER BY seq"


def check_deeply(place: Place, checked: Checked) -> None:
    """After `inspect`. Raises LedgerBroken for the first record or page that is wrong."""
    path = place.path
    with explained(path), look(place.disk, path) as connection:
        execute = executor(connection)
        _check_values(execute, path)
        for (said,) in execute("PRAGMA integrity_check(1)"):
            if said != "ok":
                words = " ".join(str(said).split())
                raise LedgerBroken(
                    f"{path}: all {checked.head.records} records are as they were recorded, but the file is damaged"
                    f" beside them ({words}); {RESTORE}"
                )


def _check_values(execute: Execute, path: Path) -> None:
    sound: dict[bytes, None] = {}
    for seq, body in execute(_MARKED):
        for digest in hashes(body):
            if digest in sound:
                continue
            found = execute("SELECT bytes FROM payload WHERE hash = ?", (digest,)).fetchone()
            if found is None or payload_hash(found[0]) != digest:
                lost = "is missing" if found is None else "is not what was recorded"
                raise LedgerBroken(f"{path}: record {seq}: a large value of it {lost}; {RESTORE}", record=seq)
            sound[digest] = None
