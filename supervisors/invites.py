"""Invites: a group's secret on its way to a new device, as a link, a QR code, or sealed behind a short code.

    create:  payload --+--> link, QR code
                       +--> sealed under the code's second half --> POST /invite under its first half
    read:    link, or code --> GET /invite/{first half} (it is gone there) --> opened --> payload

The relay sees neither the second half nor the payload (wire §9).
"""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import msgspec

from ferryman.actors.http_client import Answer, request
from ferryman.actors.ports import Ports
from ferryman.actors.transport import RelayAddress, read_relay_url
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.sync.errors import InviteRefused, RelayRefused
from ferryman.protocol.sync.invite import GroupInvite, read_link, read_payload
from ferryman.protocol.sync.short_code import derive_key, new_code, open_payload, read_code, seal_payload
from ferryman.supervisors.blobs import Invite

CODE_BYTES = 10  # of entropy: 16 letters of 5 bits
NONCE_BYTES = 24
CODE_TRIES = 3  # a code that is taken is one in a million million: a relay that says so thrice is broken
T = TypeVar("T")

JSON = ((b"Content-Type", b"application/json"),)


class Posted(msgspec.Struct, frozen=True):
    expires_at: int
    revoke_token: str


class Held(msgspec.Struct, frozen=True):
    encrypted_payload: str


class InviteDesk:
    """Makes and reads invites at one relay."""

    def __init__(self, ports: Ports, ca_file: str | None, scheme: str) -> None:
        self._ports = ports
        self._ca_file = ca_file
        self._scheme = scheme

    async def create(self, invite: GroupInvite) -> Invite:
        """Leave it at its relay under a fresh short code. Raises Offline, RelayRefused."""
        ports = self._ports
        for _ in range(CODE_TRIES):
            code = new_code(ports.entropy.random_bytes(CODE_BYTES))
            key = await ports.threads.run(partial(derive_key, code))
            sealed = seal_payload(invite.payload(), code=code, key=key, nonce=ports.entropy.random_bytes(NONCE_BYTES))
            body = msgspec.json.encode({"lookup_key": code.lookup_key, "encrypted_payload": sealed})
            answer = await self._request(read_relay_url(invite.relay_url), "POST", "/invite", body)
            if answer.status == 201:
                posted = read(answer, Posted)
                link = invite.link(self._scheme)
                room_id = invite.group_id if invite.bootstrap else b""
                return Invite(link, code.shown, invite.expires_at, posted.revoke_token, room_id)
            if answer.status != 409:
                raise refusal(answer)
        raise RelayRefused("the relay says that every short code is taken: try again later", retryable=True)

    async def read(self, text: str, relay_url: str | None) -> GroupInvite:
        """The invite behind a link or a short code. Raises BadInput, InviteRefused, Offline, RelayRefused."""
        if "://" in text:
            return read_link(text.strip())
        code = read_code(text)
        if relay_url is None:
            raise BadInput("a short code needs the relay's URL: give relay_url, or set sync.relay_url")
        answer = await self._request(read_relay_url(relay_url), "GET", f"/invite/{code.lookup_key}")
        if answer.status == 404:
            raise InviteRefused("no such invite: it expired, was used, or the code is mistyped; ask for a new one")
        if answer.status != 200:
            raise refusal(answer)
        with spending():
            key = await self._ports.threads.run(partial(derive_key, code))
            return read_payload(open_payload(read(answer, Held).encrypted_payload, code=code, key=key))

    async def cancel(self, invite: Invite, relay_url: str) -> bool:
        """Take an invite's short code back. False: it was used or is gone. Raises Offline, RelayRefused."""
        code = read_code(invite.short_code)
        bearer = ((b"Authorization", b"Bearer " + invite.revoke_token.encode()),)
        answer = await self._request(read_relay_url(relay_url), "DELETE", f"/invite/{code.lookup_key}", headers=bearer)
        if answer.status not in (204, 404):
            raise refusal(answer)
        return answer.status == 204

    async def _request(
        self,
        address: RelayAddress,
        method: str,
        path: str,
        body: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Answer:
        trust = None
        if address.secure:  # reading the system's certificates takes a disk, so a thread
            ca_file = self._ca_file
            trust = await self._ports.threads.run(lambda: ssl.create_default_context(cafile=ca_file))
        headers = (*headers, *(JSON if body else ()))
        return await request(self._ports, address, method, path, body=body, headers=headers, trust=trust)


@contextmanager
def spending(*, by_code: bool = True) -> Generator[None]:
    """What fails after a short code was fetched says that it is spent."""
    try:
        yield
    except AppError as error:
        if by_code:
            error.message = f"{error.message}; the short code is spent now: ask for a new one"
            error.args = (error.message,)
        raise


def read(answer: Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RelayRefused(f"the relay's answer is not what it should be: {type(error).__name__}") from None


def refusal(answer: Answer) -> RelayRefused:
    if answer.status in (429, 503):
        wait = answer.retry_after
        return RelayRefused(
            f"the relay takes no more invite requests now: try again in {wait or 60} s",
            retryable=True,
            retry_after_ms=None if wait is None else wait * 1000,
        )
    return RelayRefused(f"the relay answered with HTTP {answer.status}")
