"""The clerk of a device: carries out what commands ask of it, over one runtime's `sync`.

    a command's request --> its socket, or its own process --> Clerk --> runtime.sync

| what is asked           | answered when                                                              |
|-------------------------|----------------------------------------------------------------------------|
| push                    | the relay has it; without a connection at once, unless the asker insists   |
| status                  | a connection that is being made is made, or given up                       |
| trust                   | the relay was tried with that key                                          |
| take                    | each of the blobs is on record as taken                                    |
| follow                  | never: news follow until the asker hangs up                                |
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, assert_never

import trio

from ferryman.actors.control import Say
from ferryman.actors.core.ref import Ref
from ferryman.actors.event_hub import Subscription
from ferryman.actors.ports import Ports
from ferryman.actors.recorder import look
from ferryman.protocol.control import replies, requests
from ferryman.protocol.control.events import describe, describe_status
from ferryman.protocol.control.standing import connection_of, is_settled, make_standing
from ferryman.protocol.errors import BadInput
from ferryman.protocol.identity import show_id
from ferryman.protocol.sync.errors import Closed, RelayRefused
from ferryman.protocol.sync.events import (
    BlobPushed,
    BlobRejected,
    Connected,
    Disconnected,
    Lagged,
    Reconnecting,
    RelayKeyChanged,
    StatusChanged,
)
from ferryman.protocol.sync.group import GroupState
from ferryman.supervisors.blobs import Blob
from ferryman.supervisors.clerk_joins import Inviting, joined
from ferryman.supervisors.clerk_outbox import drop, show_page
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.harbour import GROUP
from ferryman.supervisors.sync import Sync


class DeviceClerk:
    """Carries out requests, one after the other, over one runtime. takes: may take blobs in the host's stead."""

    def __init__(
        self,
        config: RuntimeConfig,
        ports: Ports,
        sync: Sync,
        ref: Callable[[str], Ref[Any]],
        warning: str,
        *,
        takes: bool,
    ) -> None:
        self._config = config
        self._ports = ports
        self._sync = sync
        self._ref = ref
        self._warning = warning
        self._takes = takes
        self._page: dict[int, Blob] = {}
        self._inviting = Inviting(sync, asks=config.sync.approve_joins)
        self._patience = trio.CancelScope()
        self._hurried = False

    async def serve(self, request: requests.Request, say: Say) -> replies.Reply:
        """The last reply; those before it go to `say`. Raises AppError."""
        sync = self._sync
        match request:
            case requests.EnableSync(relay_url=relay_url):
                await sync.enable(relay_url)
                return await self._standing(0)
            case requests.DisableSync():
                await sync.disable()
                return await self._standing(0)
            case requests.CreateInvite(direct=direct):
                return await self._inviting.create(direct=direct)
            case requests.AwaitJoin():
                with self._wait(requests.MAX_WAIT_SECONDS):
                    return await self._inviting.asked()
                raise Closed
            case requests.AnswerJoin(approve=approve, sas=sas):
                with self._wait(requests.MAX_WAIT_SECONDS):
                    return await self._inviting.answer(sas, approve=approve)
                raise Closed
            case requests.CancelInvite():
                return await self._inviting.cancel()
            case requests.JoinGroup(invite=text, relay_url=relay_url):
                await joined(sync, text, relay_url, say)
                return await self._standing(0)
            case requests.TrustRelay(relay_key=relay_key, settle_seconds=seconds):
                await self._trust(relay_key, seconds)
                return await self._standing(0)
            case requests.PushBlob():
                return await self._push(request, say)
            case requests.PullBlobs(after=after, limit=limit):
                return await self._pull(after, limit)
            case requests.TakeBlobs(cursors=cursors):
                return await self._take(cursors)
            case requests.AskStatus(settle_seconds=seconds):
                return await self._standing(seconds)
            case requests.ListOutbox(limit=limit):
                return show_page(await sync.queue.items(limit))
            case requests.DropBlob(id=prefix, dry=dry):
                return await drop(sync.queue, prefix, dry=dry)
            case requests.RetryOutbox(settle_seconds=seconds):
                await sync.queue.retry()
                return await self._standing(seconds)
            case requests.Follow():
                return await self._follow(say)
            case _:
                assert_never(request)

    def hurry(self) -> None:
        """The device is about to stop: whoever only waits is answered now."""
        self._hurried = True
        self._patience.cancel()

    def _wait(self, seconds: float) -> trio.CancelScope:
        """A scope for what may be given up, at the end of `seconds` or when the device stops."""
        self._patience = trio.move_on_after(seconds)
        if self._hurried:
            self._patience.cancel()
        return self._patience

    # --- out

    async def _push(self, request: requests.PushBlob, say: Say) -> replies.Reply:
        sync = self._sync
        async with sync.events() as events:
            blob_id = await sync.enqueue(request.data)
            await say(replies.Queued(id=blob_id.hex()))
            enabled = (await self._group()).enabled
            with self._wait(request.wait_seconds):
                if not request.patient and self._is_away(enabled):
                    return self._waiting(blob_id, enabled)
                async for event in events:
                    match event:
                        case BlobPushed(id=done, cursor=cursor) if done == blob_id:
                            return replies.Pushed(id=blob_id.hex(), cursor=cursor)
                        case BlobRejected(id=done) if done == blob_id:
                            raise RelayRefused(event.why)
                        case StatusChanged() if not request.patient and self._is_away(enabled):
                            break
                        case Lagged():  # what became of it may have been among what we missed
                            break
                        case _:
                            pass
        return self._waiting(blob_id, enabled)

    def _is_away(self, enabled: bool) -> bool:
        """There is no connection, and none is being made for the first time."""
        status = self._sync.status()
        return is_settled(status, enabled) and connection_of(status) != "connected"

    def _waiting(self, blob_id: bytes, enabled: bool) -> replies.Waiting:
        if self._hurried:
            reason = "the process that held this device has ended"
        elif not enabled:
            reason = "sync is switched off"
        elif connection_of(self._sync.status()) == "connected":
            reason = "the relay has not answered in time"
        else:
            reason = "there is no connection to the relay now"
        return replies.Waiting(id=blob_id.hex(), reason=reason)

    # --- in

    async def _pull(self, after: int | None, limit: int) -> replies.Page:
        page = await self._sync.pull(after, limit)
        given = [
            replies.Given(
                cursor=blob.cursor,
                id=blob.id.hex(),
                sender=show_id(blob.sender),
                timestamp=blob.timestamp,
                data=blob.data,
            )
            for blob in page.blobs
        ]
        shown = replies.one_page(given, has_more=page.has_more, max_cursor=page.max_cursor)
        self._page = {blob.cursor: blob for blob in page.blobs[: len(shown.blobs)]}
        return shown

    async def _take(self, cursors: list[int]) -> replies.Taken:
        if not self._takes:
            raise BadInput(
                "the process that holds this device keeps its blobs to itself; `ferryman pull --after 0` reads them"
                " without taking them"
            )
        for cursor in cursors:
            blob = self._page.get(cursor)
            if blob is None:
                raise BadInput(f"blob {cursor} was not in the last page of this connection")
            await blob.taken()
            self._page.pop(cursor, None)  # only now: what failed may be asked for again
        return replies.Taken(last_cursor=self._sync.last_cursor())

    # --- how it stands

    async def _standing(self, settle_seconds: float) -> replies.Standing:
        sync = self._sync
        enabled = (await self._group()).enabled
        async with sync.events() as events:
            with self._wait(settle_seconds):
                while not is_settled(sync.status(), enabled) or self._is_pushing():
                    await events.receive()
        state = await self._group()
        return make_standing(
            state.member,
            state.enabled,
            sync.status(),
            sync.indicator(),
            device_id=sync.device_id(),
            device_name=self._config.sync.device_name,
            waiting=sync.outbox().count,
            waiting_bytes=sync.outbox().bytes,
            last_cursor=sync.last_cursor(),
            pid=os.getpid(),
            warning=self._warning,
        )

    def _is_pushing(self) -> bool:
        return isinstance(self._sync.status(), Connected) and self._sync.outbox().count > 0

    async def _trust(self, relay_key: bytes, settle_seconds: float) -> None:
        """Returns when the relay was tried with that key. Raises BadInput when it shows another."""
        sync = self._sync
        before = await self._group()
        known = before.member is not None and before.member.relay_key == relay_key
        async with sync.events() as events:
            await sync.trust_relay(relay_key)
            if not before.enabled or (known and isinstance(sync.status(), Connected)):
                return
            if known:  # and so no reason for a new try
                await sync.reconnect()
            with self._wait(settle_seconds):
                await tried(events, relay_key)

    async def _follow(self, say: Say) -> replies.Reply:
        async with self._sync.events() as events:
            with self._wait(requests.MAX_WAIT_SECONDS):
                if is_settled(self._sync.status(), (await self._group()).enabled):
                    await say(describe_status(self._sync.status()))
                async for event in events:
                    happened = describe(event)
                    if happened is not None:
                        await say(happened)
        raise Closed

    async def _group(self) -> GroupState:
        return await look(self._ref(GROUP))


async def tried(events: Subscription, relay_key: bytes) -> None:
    """The relay was tried with this key. Raises BadInput when it shows another."""
    stale = False
    async for event in events:
        match event:
            case RelayKeyChanged(relay_key=shown) if shown == relay_key:
                stale = True  # the end of a try with the key before
            case RelayKeyChanged(relay_key=shown):
                raise BadInput(f"the relay shows another key, {show_id(shown)}, and is left alone: ask its operator")
            case StatusChanged(Reconnecting()) if stale:
                stale = False
            case StatusChanged(Connected() | Reconnecting()):
                return
            case StatusChanged(Disconnected(reason=reason)) if reason and not stale:
                return
            case _:
                pass
