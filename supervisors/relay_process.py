"""The relay as a process: listens, says so in one line, ends in order when it is asked to.

| asked by                              | what follows                                                        |
|---------------------------------------|---------------------------------------------------------------------|
| SIGTERM, SIGINT                       | drained, stopped, exit code 0, within `server.shutdown_grace`       |
| the end of what the caller waits for  | the same                                                            |
| a second signal                       | stopped without waiting for anybody                                 |
| SIGHUP                                | the configuration is read again, no connection ends                 |
| a disk that fails                     | one line, exit code 2                                               |
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import trio

from ferryman.actors.ports import Ports
from ferryman.protocol.errors import BadInput
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
    read_again: Callable[[], RelayConfig] | None = None,
    restored: bool = False,
) -> None:
    """Run until asked to end, or until `until` returns.

    Raises BadInput when it cannot start, RecoveryFailed when the disk fails."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with open_relay(config, ports, log=log, restored=restored) as relay, trio.open_nursery() as nursery:
            on_listening(relay)
            log.info("listening", address=f"{relay.address[0]}:{relay.address[1]}", key=relay.fingerprint)
            asked = trio.Event()
            again = partial(reload, relay, ports, read_again, log)
            nursery.start_soon(obey_signals, signals, again, asked, nursery.cancel_scope)
            nursery.start_soon(obey, until, asked)
            await asked.wait()
            log.info("shutting down", connections=relay.visitors.total)
            await relay.drain()
            nursery.cancel_scope.cancel()
        log.info("stopped")


async def obey_signals(
    signals: AsyncIterator[int], again: Callable[[], Awaitable[None]], asked: trio.Event, scope: trio.CancelScope
) -> None:
    async for number in signals:
        if number == signal.SIGHUP:
            await again()
            continue
        if asked.is_set():
            scope.cancel()
        asked.set()


async def reload(relay: Relay, ports: Ports, read_again: Callable[[], RelayConfig] | None, log: Log) -> None:
    """Read the configuration again and go on under it; a wrong one is one line in the log, and nothing changes."""
    if read_again is None:
        log.warning("nothing to read again", cause="this relay was started without a file")
        return
    try:
        new = await ports.threads.run(read_again)
        reloaded = relay.reload(new)
    except BadInput as error:
        log.error("not reloaded", cause=error.message)
    else:
        log.info("reloaded", changed=list(reloaded.changed), wants_restart=list(reloaded.kept))


async def obey(until: Callable[[], Awaitable[None]], asked: trio.Event) -> None:
    await until()
    asked.set()
