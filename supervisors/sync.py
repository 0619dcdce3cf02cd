"""`runtime.sync`: what a host does with its group. Local first: what it hands over is on disk before anything else.

| call                       | returns when                                        | raises                            |
|----------------------------|-----------------------------------------------------|-----------------------------------|
| enable, join_invite        | the group is recorded and its client runs           | BadInput, AlreadyJoined, ...      |
| disable                    | it is recorded, and the client has left             |                                   |
| enqueue                    | the sealed blob is on disk                          | BlobTooLarge, OutboxFull          |
| push                       | the relay has it on disk                            | Pending when that takes too long  |
| pull                       | the relay has answered                              | Offline                           |
| blobs                      | (a stream)                                          |                                   |
| status, last_cursor, ...   | at once: the newest known                           |                                   |
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio

from ferryman.actors.core.errors import ActorCrashed, ActorStopped, NoSuchActor
from ferryman.actors.core.ref import Ref
from ferryman.actors.durable_host import is_full
from ferryman.actors.event_hub import Subscription
from ferryman.actors.recorder import insist, look
from ferryman.actors.sync_messages import PullBlobs, Reconnect, Taken
from ferryman.protocol.crypto.sealing import BlobTooLarge
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import Command, Refused
from ferryman.protocol.relay.limits import DEFAULT_PULL_LIMIT, MAX_PULL_LIMIT
from ferryman.protocol.sync import outbox as out
from ferryman.protocol.sync.errors import (
    AlreadyJoined,
    Closed,
    InviteRefused,
    NotEnabled,
    Offline,
    OutboxFull,
    Pending,
    RelayRefused,
)
from ferryman.protocol.sync.events import (
    BlobPushed,
    BlobRejected,
    Connected,
    Connecting,
    ConnectionStatus,
    Indicator,
    JoinRequested,
)
from ferryman.protocol.sync.group import GroupState, JoinGroup, Membership, SetEnabled, Trust
from ferryman.protocol.sync.inbox import Take
from ferryman.protocol.sync.room import INVITE_ENDED
from ferryman.protocol.sync.strands import strands
from ferryman.supervisors.blobs import BlobStream, Invite, OutboxStatus, PullResult, PushResult, show
from ferryman.supervisors.deliveries import Deliveries
from ferryman.supervisors.harbour import GROUP, INBOX, OUTBOX, Harbour
from ferryman.supervisors.invitations import Invitation, Invitations, open_invitation
from ferryman.supervisors.outbox_desk import OutboxDesk
from ferryman.supervisors.standing import Standings

SECRET_BYTES = 32
SALT_BYTES = 16
KEY_BYTES = 32
CONNECT_SECONDS = 30.0  # as long as a push waits
REFUSALS: dict[str, type[AppError]] = {
    out.BLOB_TOO_LARGE: BlobTooLarge,
    out.OUTBOX_FULL: OutboxFull,
    "ALREADY_JOINED": AlreadyJoined,
    INVITE_ENDED: InviteRefused,
}


class Sync:
    """The host's hands. One a runtime."""

    def __init__(self, harbour: Harbour, ref: Callable[[str], Ref[Any]]) -> None:
        self._harbour = harbour
        self._ref = ref
        self._readers = 0
        self._deliveries = Deliveries(harbour, ref, self._note)
        self.queue = OutboxDesk(harbour, ref)
        self.standing = Standings(harbour, ref)
        self.invitations = Invitations(harbour, ref, self._do)

    # --- the group

    async def enable(self, relay_url: str | None = None) -> None:
        """Sync with this device's group; without one, make one. relay_url: the configured one when left out."""
        harbour = self._harbour
        member = (await self._group()).member
        if member is not None:
            await self._do(GROUP, SetEnabled(True, relay_url))
        else:
            url = self._relay_url(relay_url)
            secret = harbour.ports.entropy.random_bytes(SECRET_BYTES)
            keys = await harbour.new_group(secret, harbour.ports.entropy.random_bytes(SALT_BYTES))
            await self._do(GROUP, JoinGroup(keys.group_id, Secret(secret), url, self.device_id(), None))
        await self._client_started()

    async def disable(self) -> None:
        """Leave the relay. The group and what waits for it stay: `enable()` comes back."""
        await self._do(GROUP, SetEnabled(False))
        while self._harbour.board.client is not None and not self._harbour.board.closed:
            await self._harbour.board.changed.wait()

    async def create_invite(self, *, direct: bool = False) -> Invite:
        """An invite for one more device, for ten minutes. It opens a room: JoinRequested tells who asks, `approve` or
        `refuse` answers. direct: it holds the group's secret itself. Raises NotEnabled, Offline, RelayRefused."""
        return await self.invitations.create(await self._member(), direct=direct)

    def invite(self) -> AbstractAsyncContextManager[Invitation]:
        """An invite as long as the block runs, with the answer to who comes by it. Raises as `create_invite`."""
        return open_invitation(self.invitations, self._member)

    async def approve(self, request: JoinRequested) -> None:
        """Its number is the same on both screens: let it in. Raises InviteRefused when it is too late."""
        await self.invitations.approve(request)

    async def refuse(self, request: JoinRequested) -> None:
        """The invite ends, and lets nobody in. Raises as `approve`."""
        await self.invitations.refuse(request)

    async def cancel_invite(self, invite: Invite) -> bool:
        """Take it back. False: it was used before, or is gone."""
        return await self.invitations.cancel(invite, (await self._member()).relay_url)

    async def join_invite(self, code_or_link: str, relay_url: str | None = None) -> None:
        """Become a member by a short code (from relay_url, or the configured relay) or a link.

        In a room, JoinShown brings the number to read out, and it returns when that was approved; cancelled, it leaves.
        Raises BadInput, InviteRefused, AlreadyJoined, Offline, RelayRefused."""
        await self.invitations.join(code_or_link, relay_url)
        await self._client_started()

    # --- out

    async def enqueue(self, data: bytes) -> bytes:
        """Seal it for the group and queue it; on return it is on disk. Returns the blob's id.

        data: at most max_blob_size - 256 bytes. Raises NotEnabled, BlobTooLarge, OutboxFull."""
        blob_id = self._harbour.ports.ids.new_id()
        await self._enqueue(blob_id, data)
        return blob_id

    async def push(self, data: bytes, timeout: float = 30.0) -> PushResult:
        """Queue it and wait until the relay has it on disk. timeout: seconds.

        Raises as `enqueue`; RelayRefused when the relay will never take it; Pending(blob_id) without an answer in time,
        at once without a connection, or when it is lost meanwhile: it goes out later."""
        harbour = self._harbour
        blob_id = harbour.ports.ids.new_id()
        with harbour.hub.watch(blob_id) as watch:
            await self._enqueue(blob_id, data)
            if not isinstance(self.status(), Connected | Connecting):
                raise Pending(blob_id)
            with trio.move_on_after(timeout):
                await watch.settled.wait()
        match watch.outcome:
            case BlobPushed(_, cursor):
                return PushResult(blob_id, cursor)
            case BlobRejected() as rejected:
                raise RelayRefused(rejected.why)
            case None:
                raise Pending(blob_id)

    # --- in

    async def pull(
        self, after_cursor: int | None = None, limit: int = DEFAULT_PULL_LIMIT, *, own: bool = False
    ) -> PullResult:
        """What the relay holds after a cursor (after what was taken, when left out). Acknowledges nothing.

        limit: 1 to 1,000; the relay may give fewer. own: this device's blobs too. Pages with nothing for the host are
        passed over: without a blob, nothing is there. A connection that is just being made is waited for.
        Raises NotEnabled, Offline."""
        if not 1 <= limit <= MAX_PULL_LIMIT or (after_cursor is not None and after_cursor < 0):
            raise BadInput(f"limit is 1 to {MAX_PULL_LIMIT}, after_cursor counts from 0")
        await self._member()
        await self._harbour.board.while_connecting(CONNECT_SECONDS)
        client = self._harbour.board.client
        if client is None:
            raise Offline("sync is switched off: call enable()", retryable=True)
        try:
            page = await self._ref(client).ask(PullBlobs(after_cursor, limit, own))
            while page.has_more and not page.blobs and page.through > (after_cursor or 0):
                after_cursor = page.through
                page = await self._ref(client).ask(PullBlobs(after_cursor, limit, own))
        except (ActorCrashed, ActorStopped, NoSuchActor) as error:
            raise Offline("the sync client was restarted meanwhile: try again", retryable=True) from error
        blobs = tuple(show(handed, self._deliveries.take) for handed in page.blobs)
        return PullResult(blobs, page.has_more, page.max_cursor)

    def blobs(self) -> BlobStream:
        """The others' blobs, from the first that was not taken, for ever. It waits while sync is off or offline."""
        self._readers += 1
        return BlobStream(self._deliveries, self._readers)

    # --- how it stands

    def status(self) -> ConnectionStatus:
        return self._harbour.board.status

    def indicator(self) -> Indicator:
        """In one word, for a person: synced, pending, failed or offline (S4 §10.2)."""
        return self._harbour.light.word

    def last_cursor(self) -> int:
        """Everything up to it is taken, and recorded as taken."""
        return self._harbour.board.last_cursor

    def device_id(self) -> bytes:
        """32 bytes, X25519 public key (S4 §4.3)."""
        return self._harbour.device.device_id

    def outbox(self) -> OutboxStatus:
        return self.queue.status()

    def events(self) -> Subscription:
        """`async with` it and `async for` over it. A slow listener gets Lagged(count) for what it missed."""
        return self._harbour.hub.subscribe()

    subscribe = events

    async def reconnect(self, *, anew: bool = False) -> None:
        """Try now, whatever the backoff says, also after another connection of this device took over.

        anew: also where there is a connection."""
        await self._member()
        await self._redial(anew=anew)

    async def trust_relay(self, relay_key: bytes) -> None:
        """Accept this key from now on, and no other. relay_key: 32 bytes, as the relay's operator told it.

        A connection to another key ends; the next try begins at once. Raises NotEnabled, BadInput."""
        if len(relay_key) != KEY_BYTES:
            raise BadInput(f"a relay's key has {KEY_BYTES} bytes, this one {len(relay_key)}")
        member = await self._member()
        if member.relay_key != relay_key:
            await self._do(GROUP, Trust(bytes(relay_key)))
            await self._redial(anew=True)

    # --- inside

    async def _redial(self, *, anew: bool = False) -> None:
        await self._client_started()
        client = self._harbour.board.client
        if client is not None:
            await self._ref(client).send(Reconnect(anew))

    def _relay_url(self, given: str | None) -> str:
        url = given or self._harbour.config.sync.access().url
        if url is None:
            raise BadInput("sync.relay_url: which relay? Give enable() its URL, or set it")
        self._harbour.check_relay_url(url)
        return url

    async def _group(self) -> GroupState:
        try:
            return await look(self._ref(GROUP))
        except (ActorStopped, NoSuchActor) as gone:  # it stands as long as the runtime does
            raise Closed from gone

    async def _member(self) -> Membership:
        member = (await self._group()).member
        if member is None:
            raise NotEnabled
        return member

    async def _do(self, path: str, command: Command[Any]) -> Any:
        """The reply of a durable actor. Raises what its refusal means."""
        answer = await insist(self._ref(path), self._harbour.ports.ids.new_id(), command, full_disk_waits=False)
        if isinstance(answer, Refused):
            raise REFUSALS.get(answer.code, AppError)(answer.message, code=answer.code, retryable=is_full(answer))
        return answer

    async def _enqueue(self, blob_id: bytes, data: object) -> None:
        if not isinstance(data, bytes | bytearray):  # bytes(5) would be five zeros
            raise BadInput(f"data is bytes, not {type(data).__name__}: encode it first")
        member = await self._member()
        queued = await self._harbour.enqueue(self._ref(OUTBOX), member, blob_id, bytes(data))
        if isinstance(queued, Refused):
            room_may_come = queued.code != out.BLOB_TOO_LARGE
            raise REFUSALS.get(queued.code, AppError)(queued.message, code=queued.code, retryable=room_may_come)

    async def _client_started(self) -> None:
        """The group's client is started by the group's actor; one that has ended for good comes back here."""
        state = await self._group()
        if state.member is None or not state.enabled:
            return
        await self._harbour.start_client(state.member)

    async def _note(self, blobs: list[Taken]) -> None:
        """Have the inbox record these as taken, without knowing what lies before them."""
        member = await self._member()
        cursors = tuple(blob.cursor for blob in blobs)
        links = (blob.link for blob in blobs if blob.link is not None)
        await self._do(INBOX, Take(member.group_id, blobs[0].run, cursors, tuple(strands(links))))
