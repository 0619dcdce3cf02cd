"""A door into a Trio loop that runs in a thread of its own: a program without a loop calls in and waits for the answer.

    the program's threads                            the loop's thread
    call(work) --> a reply is noted --> soon ------> a task of the nursery: work, and its result or error into the reply
        waits  <---------------------------------------+
                                                     the loop has ended: whatever reply is left gets Closed

This file is the one place of the project that starts such a thread. Its end is always waited for by `close`.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar, TypeVarTuple

import trio

from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.sync.errors import Closed

Inside = TypeVar("Inside")
Answer = TypeVar("Answer")
Arguments = TypeVarTuple("Arguments")


class Portal(Generic[Inside]):
    """`inside` is what `opened` gave, there until `close`. Raises what `opened` raises, in the thread that makes it."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[Inside]], name: str) -> None:
        self._lock = threading.Lock()
        self._replies: set[Future[Any]] = set()
        self._ended = False
        self._failure: BaseException | None = None
        self._stop = trio.Event()
        beginning: Future[tuple[Inside, trio.lowlevel.TrioToken, trio.Nursery]] = Future()
        # A daemon: a program that ends without `close` ends as if it was killed, which loses nothing.
        self._thread = threading.Thread(target=self._run, args=(opened, beginning), name=name, daemon=True)
        self._thread.start()
        failure = beginning.exception()
        if failure is not None:
            self._thread.join()
            raise failure
        self.inside, self._token, self._nursery = beginning.result()

    def __enter__(self) -> Portal[Inside]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, work: Callable[[*Arguments], Awaitable[Answer]], *arguments: *Arguments) -> Answer:
        """Have it done there, and wait. Raises what it raises, and Closed. An interrupt cancels it."""
        self._require_outside()
        reply: Future[Answer] = Future()
        with self._lock:
            if self._ended:
                raise Closed
            self._replies.add(reply)
        scope = trio.CancelScope()
        try:  # an interrupt may come as soon as it has begun
            self._soon(partial(self._begin, partial(work, *arguments), reply, scope))
            return reply.result()
        finally:
            if not reply.done():
                self._soon(scope.cancel)
            with self._lock:
                self._replies.discard(reply)

    def close(self) -> None:
        """End the loop and its thread; calls that wait get Closed. Raises, once, what ended it before."""
        self._require_outside()
        self._soon(self._stop.set)
        self._thread.join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _require_outside(self) -> None:
        if threading.current_thread() is self._thread:
            raise LocalProtocolError("a blocking call in the device's own thread would wait for itself: await it there")

    def _soon(self, act: Callable[[], object]) -> None:
        with suppress(trio.RunFinishedError):  # then every reply is answered by the end of the thread
            self._token.run_sync_soon(act)

    # --- in the loop's thread

    def _run(
        self,
        opened: Callable[[], AbstractAsyncContextManager[Inside]],
        beginning: Future[tuple[Inside, trio.lowlevel.TrioToken, trio.Nursery]],
    ) -> None:
        try:
            trio.run(self._live, opened, beginning)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread of whoever closes it, or opened it
            self._failure = error
        with self._lock:
            self._ended = True
            left = list(self._replies)
        for reply in left:
            if not reply.done():
                reply.set_exception(Closed())
        if not beginning.done():
            beginning.set_exception(self._failure or Closed())

    async def _live(
        self,
        opened: Callable[[], AbstractAsyncContextManager[Inside]],
        beginning: Future[tuple[Inside, trio.lowlevel.TrioToken, trio.Nursery]],
    ) -> None:
        async with opened() as inside, trio.open_nursery() as nursery:
            beginning.set_result((inside, trio.lowlevel.current_trio_token(), nursery))
            try:
                await self._stop.wait()
            finally:
                self._stop.set()  # also when it ends by itself: no new task
                nursery.cancel_scope.cancel()

    def _begin(self, work: Callable[[], Awaitable[Any]], reply: Future[Any], scope: trio.CancelScope) -> None:
        if not self._stop.is_set():
            self._nursery.start_soon(self._work, work, reply, scope)

    async def _work(self, work: Callable[[], Awaitable[Any]], reply: Future[Any], scope: trio.CancelScope) -> None:
        with scope:
            try:
                answer = await work()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                reply.set_exception(error)
            else:
                reply.set_result(answer)
