"""A device that only syncs, under the names of S4 §6.1: a face over a runtime's `sync`, nothing of its own inside.

    async with SyncClient(config) as client:
        await client.connect()
        await client.enqueue(b"...")                   in the outbox, on disk: the user interface goes on
        async for blob in client.blobs(): ...          everything else that the group says

| call                    | returns when                                  | raises                                     |
|-------------------------|-----------------------------------------------|--------------------------------------------|
| connect                 | the relay has welcomed this device            | Offline, RelayUntrusted                    |
| disconnect              | it has left the relay; what waits stays       |                                            |
| enqueue                 | the sealed blob is on disk                    | NotEnabled, BlobTooLarge, OutboxFull       |
| push                    | the relay has it on disk                      | Pending: it is queued and goes out later   |
| pull                    | the relay has answered                        | NotEnabled, Offline                        |
| status, last_cursor ... | at once: the newest known                     |                                            |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType

import trio

from ferryman.actors.event_hub import Subscription
from ferryman.actors.ports import Ports
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.relay.limits import DEFAULT_PULL_LIMIT
from ferryman.protocol.sync.errors import Offline
from ferryman.protocol.sync.events import Connected, ConnectionInfo, ConnectionStatus, Indicator
from ferryman.supervisors.blobs import BlobStream, Invite, OutboxStatus, PullResult, PushResult
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.lifecycle import SYNC_NOW_SECONDS, Cycle, Key, Lifecycle, Saved, ShowProgress, welcome
from ferryman.supervisors.runtime import Runtime, open_runtime
from ferryman.supervisors.sync import Sync

PATIENCE_SECONDS = 30.0


class SyncClient:
    """One device. It lives inside `async with`; every call outside of it is a LocalProtocolError."""

    def __init__(self, config: RuntimeConfig, *, ports: Ports | None = None, rng: Random | None = None) -> None:
        self._config = config
        self._ports = ports
        self._rng = rng
        self._stack = AsyncExitStack()
        self._runtime: Runtime | None = None

    async def __aenter__(self) -> SyncClient:
        """Open the home directory. A device that was connected before connects again by itself, in the background."""
        self._runtime = await self._stack.enter_async_context(
            open_runtime(self._config, ports=self._ports, rng=self._rng)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Leave the relay, which takes half a second at most, and close the home directory."""
        self._runtime = None
        return await self._stack.__aexit__(kind, error, trace)

    @property
    def runtime(self) -> Runtime:
        """What the face stands on: its tree, and `runtime.sync` with all of its calls."""
        if self._runtime is None:
            raise LocalProtocolError("a SyncClient works inside its `async with` block")
        return self._runtime

    # --- the connection

    async def connect(self, relay_url: str | None = None, *, timeout: float = PATIENCE_SECONDS) -> ConnectionInfo:
        """Connect now, and wait for the relay's welcome. A device without a group makes one.

        relay_url: the configured one when left out. Raises Offline when the first try fails or takes longer than
        `timeout` seconds, and RelayUntrusted; unless `sync.auto_reconnect` is off it goes on trying by itself."""
        sync = self._sync
        async with sync.subscribe() as events:
            await sync.enable(relay_url)
            if not isinstance(sync.status(), Connected):
                await sync.reconnect()
            with trio.move_on_after(timeout):
                return await welcome(sync, events)
        raise Offline("the relay did not answer in time; it is tried again", retryable=True)

    async def disconnect(self) -> None:
        """Leave the relay and stay away, over restarts too, until `connect`. The outbox is kept."""
        await self._sync.disable()

    def subscribe(self) -> Subscription:
        """`async with` it and `async for` over it: every event from now on. A slow one gets Lagged(count)."""
        return self._sync.subscribe()

    def status(self) -> ConnectionStatus:
        return self._sync.status()

    def last_cursor(self) -> int:
        """Everything up to it is taken, and recorded as taken."""
        return self._sync.last_cursor()

    def device_id(self) -> bytes:
        """32 bytes, X25519 public key (S4 §4.3)."""
        return self._sync.device_id()

    async def trust_relay(self, relay_key: bytes) -> None:
        """Accept this key of the relay from now on, and no other (wire §7)."""
        await self._sync.trust_relay(relay_key)

    # --- the group

    async def create_invite(self) -> Invite:
        """For one more device, for ten minutes."""
        return await self._sync.create_invite()

    async def join_invite(self, code_or_link: str, relay_url: str | None = None) -> None:
        """Become a member of the group that the invite opens."""
        await self._sync.join_invite(code_or_link, relay_url)

    # --- blobs

    async def enqueue(self, data: bytes) -> bytes:
        """Seal and queue it. On return it is on disk; the blob's id."""
        return await self._sync.enqueue(data)

    async def push(self, data: bytes, *, timeout: float = PATIENCE_SECONDS) -> PushResult:
        """Queue it, and wait for the relay. Raises Pending(blob_id) at once without a connection, else in time."""
        return await self._sync.push(data, timeout)

    async def pull(self, after_cursor: int | None = None, limit: int = DEFAULT_PULL_LIMIT) -> PullResult:
        """What the relay holds of the others after a cursor (after what was taken, when left out)."""
        return await self._sync.pull(after_cursor, limit)

    def blobs(self) -> BlobStream:
        """The others' blobs, each at least once, from the first that was not taken."""
        return self._sync.blobs()

    def outbox(self) -> OutboxStatus:
        return self._sync.outbox()

    # --- as the application lives (S4 §10)

    def indicator(self) -> Indicator:
        """In one word, for a person: synced, pending, failed or offline."""
        return self._sync.indicator()

    async def connect_and_pull(self) -> Cycle:
        """The application starts."""
        return await self._lifecycle.connect_and_pull()

    async def sync_pending_then_pull(self) -> Cycle:
        """The application is in front again."""
        return await self._lifecycle.sync_pending_then_pull()

    def mark_pending_for_next_launch(self) -> int:
        """The application is about to close. At once; how many blobs wait."""
        return self._lifecycle.mark_pending_for_next_launch()

    async def quick_flush(self) -> int:
        """Push what waits, for half a second at most; how many blobs still wait."""
        return await self._lifecycle.quick_flush()

    async def sync_now(self, on_progress: ShowProgress = lambda _: None, *, timeout: float = SYNC_NOW_SECONDS) -> Cycle:
        """A person asks for it: returns when all is done, or cannot be done now."""
        return await self._lifecycle.sync_now(on_progress, timeout=timeout)

    async def save_transaction(
        self, data: bytes, save: Callable[[], Awaitable[Key]], mark_synced: Callable[[Key, int], Awaitable[object]]
    ) -> Saved[Key]:
        """Save it here, tell it, then queue and push it."""
        return await self._lifecycle.save_transaction(data, save, mark_synced)

    @property
    def _lifecycle(self) -> Lifecycle:
        return self.runtime.lifecycle

    @property
    def _sync(self) -> Sync:
        return self.runtime.sync
