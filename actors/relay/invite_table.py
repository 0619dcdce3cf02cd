"""Invites in the buffer's database: put once, claimed once, gone after ten minutes. Blocking, inside a transaction."""

from __future__ import annotations

from typing import cast

from ferryman.actors.relay.buffer_messages import PutInvite
from ferryman.actors.relay.sql import Sql


class InviteTable:
    """One connection's statements about invites. Not to be used by two threads at a time."""

    def __init__(self, connection: Sql) -> None:
        self._connection = connection

    def put(self, invite: PutInvite, now: int) -> str:
        """ "" when it is put, "taken" where the key lives already, "full" where too many are open."""
        over = "DELETE FROM invites WHERE lookup_key = ? AND expires_at <= ?"
        self._connection.execute(over, (invite.lookup_key, now))
        taken = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM invites WHERE lookup_key = ?)", (invite.lookup_key,)
        ).get
        if taken:
            return "taken"
        open_invites = self._connection.execute("SELECT count(*) FROM invites WHERE expires_at > ?", (now,)).get
        if cast("int", open_invites) >= invite.limit:
            return "full"
        self._connection.execute(
            "INSERT INTO invites VALUES (?, ?, ?, ?)",
            (invite.lookup_key, invite.encrypted_payload, invite.revoke_hash, invite.expires_at),
        )
        return ""

    def claim(self, lookup_key: str, now: int) -> str | None:
        """The sealed payload, and it is gone: one statement, so that two claims cannot both have it."""
        row = self._connection.execute(
            "DELETE FROM invites WHERE lookup_key = ? RETURNING encrypted_payload, expires_at", (lookup_key,)
        ).fetchone()
        if row is None:
            return None
        payload, expires_at = cast("tuple[str, int]", row)
        return payload if expires_at > now else None

    def revoke(self, lookup_key: str, revoke_hash: bytes, now: int) -> bool:
        """Whether there was such an invite of whoever holds the token with that SHA-256."""
        row = self._connection.execute(
            "DELETE FROM invites WHERE lookup_key = ? AND revoke_hash = ? RETURNING expires_at",
            (lookup_key, revoke_hash),
        ).fetchone()
        return row is not None and cast("tuple[int]", row)[0] > now
