"""A Trio run as the guest of a plain test: it moves only while the test pumps, so a state machine can talk to it.

loop = GuestLoop(main, clock=MockClock())
loop.do(lambda: system.ref("/a").tell(Crash()))     runs inside Trio, then until all tasks are blocked
loop.close()                                        cancels main and returns its outcome
"""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

PATIENCE_SECONDS = 20  # of real time, for a bug that blocks the loop


class GuestLoop:
    def __init__(self, main: Callable[[], Awaitable[object]], *, clock: trio.abc.Clock | None = None) -> None:
        self._main = main
        self._work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._scope = trio.CancelScope()
        self._turn: Callable[[], object] | None = None
        self._wake = trio.Event()
        self._up = False
        self.outcome: Any = None
        trio.lowlevel.start_guest_run(
            self._run,
            run_sync_soon_threadsafe=self._work.put,
            done_callback=self._done,
            host_uses_signal_set_wakeup_fd=True,
            clock=clock,
        )
        self._pump(lambda: self._up)

    def do(self, turn: Callable[[], object]) -> None:
        """Run `turn` inside Trio and everything that follows from it."""
        self._turn = turn
        self._token.run_sync_soon(self._wake.set)
        self._pump(lambda: self._turn is None)

    def close(self) -> Any:
        if self.outcome is None:
            self._token.run_sync_soon(self._scope.cancel)
            self._pump(lambda: self.outcome is not None)
        return self.outcome

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._main)
                while True:
                    await trio.testing.wait_all_tasks_blocked()
                    self._turn = None
                    self._up = True
                    self._wake = trio.Event()
                    await self._wake.wait()
                    assert self._turn is not None
                    self._turn()

    def _done(self, outcome: object) -> None:
        self.outcome = outcome
        self._turn = None
        self._up = True

    def _pump(self, until: Callable[[], bool]) -> None:
        while not until():
            self._work.get(timeout=PATIENCE_SECONDS)()
