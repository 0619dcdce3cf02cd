"""The relay as a process: listens, says so in one line, ends in order when it is asked to.

| asked by                              | what follows                                                        |
|---------------------------------------|---------------------------------------------------------------------|
| SIGTERM, SIGINT                       | drained, stopped, exit code 0, within `server.shutdown_grace`       |
| the end of what the caller waits for  | the same                                                            |
| a second signal                       | stopped without waiting for anybody                                 |
| a disk that fails                     | one line, exit code 2                                               |
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from ferryman.actors.ports import Ports
from ferryman.supervisors.relay import Relay, open_relay
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.relay_log import Log


async def run_relay(
    config: RelayConfig,
    ports: Ports,
    *,
    log: Log,
    on_listening: Callable[[Relay], None],
    until: Callable[[], Awaitable[None]] = trio.sleep_forever,
    restored: bool = False,
) -> None:
    """Run until asked to end, or until `until` returns.

    Raises BadInput when it cannot start, RecoveryFailed when the disk fails."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with open_relay(config, ports, log=log, restored=restored) as relay, trio.open_nursery() as nursery:
            on_listening(relay)
            log.info("listening", address=f"{relay.address[0]}:{relay.address[1]}", key=relay.fingerprint)
            asked = trio.Event()
            nursery.start_soon(obey_signals, signals, asked, nursery.cancel_scope)
            nursery.start_soon(obey, until, asked)
            await asked.wait()
            log.info("shutting down", connections=relay.visitors.total)
            await relay.drain()
            nursery.cancel_scope.cancel()
        log.info("stopped")


async def obey_signals(signals: AsyncIterator[int], asked: trio.Event, scope: trio.CancelScope) -> None:
    async for _ in signals:
        if asked.is_set():
            scope.cancel()
        asked.set()


async def obey(until: Callable[[], Awaitable[None]], asked: trio.Event) -> None:
    await until()
    asked.set()
