"""Named places where a test or a simulation may end the world. Nothing happens there unless somebody installs a hook.

    crash_point("durable.append")            in the code: one global look-up and one comparison
    with crashing(hook): ...                 in a test: hook(name) is called at every point; what it raises, happens

POINTS says of each what a crash just before it leaves behind. A point of your own needs no entry: name it in a script.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

POINTS: dict[str, str] = {
    "durable.replay": "nothing: records are read, nobody has been answered",
    "durable.decide": "a command taken from the mailbox and lost",
    "durable.append": "a decision that nobody knows of",
    "durable.evolve": "a record that the state does not show",
    "durable.reply": "a record and a state, an asker who does not know",
    "durable.effects": "an asker who knows, debts that nobody works on",
    "ledger.commit": "a group of records inside a transaction that is not committed",
    "ledger.reply": "records on the disk, askers who do not know",
    "ledger.anchor": "records that the key store has not heard of",
    "keychain.write": "a key or an anchor that the key store does not have yet",
    "migrate.copy": "a ledger of an older format, and no copy of it",
    "migrate.commit": "a copy, and a new format inside a transaction that is not committed",
    "compact.snapshots": "snapshots that stand for what will be moved, in a transaction that is not committed",
    "compact.archive": "an archive that is not committed, and a ledger that still has it all",
    "compact.cut": "records in the archive and in the ledger",
    "outbox.announce": "a sealed blob on the disk that no client was told of",
    "client.hello": "a connection with keys, and no group at the relay",
    "client.push": "blobs in the outbox, sealed and not sent",
    "client.send": "a message to the relay, decided and not sent: a pull, an acknowledgement",
    "client.pushed": "the relay's acknowledgement, of which the outbox does not know",
    "client.page": "a page of blobs that the relay has sent and no host has seen",
    "connection.handshake": "half a handshake, and a client that waits for the other half",
    "connection.hello": "a client that has said who it is, and waits to be let in",
    "connection.requests": "pushes and pulls that are decoded and known to nobody",
    "router.propose": "pushes that passed the limits and have no cursor",
    "allocator.propose": "pushes in their order, not yet with the writer",
    "buffer.commit": "rows and cursors inside a transaction that is not committed",
    "buffer.answer": "rows on the disk, pushers who do not know",
    "buffer.checkpoint": "a full log that is not in the database yet",
    "backup.copy": "no copy, and a database that knows of none",
    "backup.mark": "a draft that does not say that it is a copy",
    "relay.restored": "a database out of a backup, its new incarnations inside a transaction that is not committed",
    "invites.answer": "an invite that is used up, and whose joiner has not got it",
}

DURABLE_POINTS = tuple(name for name in POINTS if name.startswith("durable."))

_hook: Callable[[str], None] | None = None


def crash_point(name: str) -> None:
    """Crash here if the installed hook says so."""
    if _hook is not None:
        _hook(name)


@contextmanager
def crashing(hook: Callable[[str], None]) -> Generator[None]:
    """Install a hook for the block. One at a time: the second would hide the first."""
    global _hook
    if _hook is not None:
        raise RuntimeError("a crash hook is installed already")
    _hook = hook
    try:
        yield
    finally:
        _hook = None
