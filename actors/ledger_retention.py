"""Emptying bodies that may no longer be kept. Their records stay: who, what kind, when, and the chain.

A record in stream "ledger" says which bodies were emptied and why, in the same transaction, so that `verify` can tell
retention from somebody who emptied one by hand.
"""

from __future__ import annotations

from collections.abc import Sequence

from ferryman.actors.ledger_file import executor, explained, pragma
from ferryman.actors.ledger_store import LedgerStore
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.record import Append
from ferryman.protocol.ledger.snapshot import LEDGER_STREAM, SNAPSHOT_CLASS, Blanked, own_id


def blank(store: LedgerStore, seqs: Sequence[int], reason: str, now: int) -> None:
    """Empty these records' bodies. Raises LocalProtocolError for one that is not here, or that replays start from."""
    execute = executor(store.connection)
    with explained(store.path):
        pragma(store.connection, "secure_delete", True)  # zeros over what is let go, not only a free page
        store.begin()
        try:
            for seq in seqs:
                found = execute("SELECT class, stream FROM record WHERE seq = ?", (seq,)).fetchone()
                if found is None or found[0] == SNAPSHOT_CLASS or found[1] == LEDGER_STREAM:
                    raise LocalProtocolError(f"record {seq} is none that retention may empty")
                execute("UPDATE body SET bytes = NULL WHERE seq = ?", (seq,))
                execute("DELETE FROM payload_use WHERE seq = ?", (seq,))
            execute("DELETE FROM payload WHERE hash NOT IN (SELECT hash FROM payload_use)")
            version = store.version(LEDGER_STREAM)
            event = Blanked(tuple(seqs), reason)
            store.stage(Append(LEDGER_STREAM, version, own_id(version), bytes(32), (event,)), now)
            store.commit()
        finally:
            store.rollback()
            pragma(store.connection, "secure_delete", False)
        store.head.blanked.extend(seqs)
        store.checkpoint(empty=True)  # the log still holds them
