"""A device inside an asyncio program, in the same thread: Trio runs as the guest of asyncio's loop.

python examples/embed_in_asyncio.py                                     a relay and a device, and asyncio's own clock

`await guest(work, ...)` has an async function of the device done and gives its answer, or raises what it raised. The
same few lines serve any loop that can be told "call this soon": with Qt, `run_sync_soon_threadsafe` posts an event.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

import ferryman

T = TypeVar("T")


class Guest:
    """`async with` it: what `opened` gives is `inside` meanwhile."""

    def __init__(self, opened: AbstractAsyncContextManager[Any]) -> None:
        self._opened = opened
        self._stop = trio.Event()

    async def __aenter__(self) -> "Guest":
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            self._live,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=self._ended.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        await asyncio.wait([self._ready, self._ended], return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            self._ended.result().unwrap()  # it could not be opened: that error, as it is
        return self

    async def __aexit__(self, *_: object) -> None:
        self._token.run_sync_soon(self._stop.set)
        (await self._ended).unwrap()

    async def __call__(self, work: Callable[..., Awaitable[T]], *arguments: object) -> T:
        if self._stop.is_set():
            raise ferryman.errors.Closed
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        scope = trio.CancelScope()

        async def do() -> None:
            try:
                with scope:
                    answer = await work(*arguments)
                    if not reply.done():
                        reply.set_result(answer)
            except Exception as error:  # noqa: BLE001 - it is the caller's
                if not reply.done():
                    reply.set_exception(error)
            finally:
                reply.cancel()  # when the device ends first; does nothing to a reply that has its answer

        self._token.run_sync_soon(self._nursery.start_soon, do)
        try:
            return await reply
        except asyncio.CancelledError:  # nobody waits for it any more
            self._token.run_sync_soon(scope.cancel)
            raise

    async def _live(self) -> None:
        async with self._opened as self.inside, trio.open_nursery() as self._nursery:
            self._token = trio.lowlevel.current_trio_token()
            self._ready.set_result(None)
            await self._stop.wait()
            self._nursery.cancel_scope.cancel()


@asynccontextmanager
async def harbour(folder: Path) -> AsyncGenerator[tuple[str, ferryman.SyncClient]]:
    """A relay and a device; your program opens a SyncClient alone. A thread has one guest run: all Trio lives in it."""
    relay_config = {"server": {"bind": "127.0.0.1:0"}, "storage": {"database": str(folder / "relay.db")}}
    config = ferryman.RuntimeConfig.check({"home": folder / "phone", "keys": {"allow_plain": True}})
    async with ferryman.open_relay(relay_config) as relay, ferryman.SyncClient(config) as client:
        yield f"ws://127.0.0.1:{relay.address[1]}", client


async def main(folder: Path) -> None:
    async with Guest(harbour(folder)) as guest:
        url, client = guest.inside
        info = await guest(client.connect, url)
        pushed = await asyncio.gather(*(guest(client.push, b"note %d" % number) for number in range(3)))
        print("connected to", info.relay_id[:6], "and pushed to", sorted(result.cursor for result in pushed))
        try:
            await asyncio.wait_for(guest(anext, client.blobs()), timeout=0.2)
        except TimeoutError:
            print("nobody else has written anything")
        print("all of it is", client.indicator())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
