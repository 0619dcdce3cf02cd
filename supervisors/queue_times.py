"""Since when blobs wait: the ledger's records of the commands that queued them, whose ids are the blobs'."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from ferryman.actors.ledger_file import executor, open_reader
from ferryman.actors.outbox import STREAM
from ferryman.actors.ports import Disk

SELECT = "SELECT recorded_at FROM record WHERE stream = ? AND command_id = ?"


def queue_times(disk: Disk, ledger: Path, blob_ids: Sequence[bytes]) -> dict[bytes, int]:
    """UNIX seconds; without those whose records are in an archive by now. Blocking."""
    found: dict[bytes, int] = {}
    with contextlib.closing(open_reader(disk, ledger)) as connection:
        execute = executor(connection)
        for blob_id in blob_ids:
            row = execute(SELECT, (STREAM, blob_id)).fetchone()
            if row is not None:
                found[blob_id] = cast("int", row[0])
    return found
