"""How a command of a device runs: opened, worked, closed; ended by a signal without leaving anything half-done.

| what happens                            | what follows                                            | exit code |
|-----------------------------------------|---------------------------------------------------------|-----------|
| the work is done                        | closed                                                  | the work's|
| SIGINT, SIGTERM                         | the work is cancelled, everything closed                | 130, 143  |
| the same, and it would go on for ever   | the same: that is how it ends                           | 0         |
| the holder ends, and a repeat is safe   | once more, with whoever holds the device now            |           |
| a second signal                         | the end, as by SIGKILL: the ledger is made for it       |           |
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import trio

from ferryman.actors.real_ports import make_real_ports
from ferryman.supervisors.cli.device import Device, Wish, open_device
from ferryman.supervisors.cli.home import Common, find_home
from ferryman.supervisors.cli.line import HolderEnded
from ferryman.supervisors.cli.screen import Screen

TRIES = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM)
ORDERLY_ENDS = tuple(128 + number for number in SIGNALS)
NO_WISH = Wish()

Work: TypeAlias = Callable[[Device, Screen], Awaitable[int]]


def run_on_device(
    common: Common, work: Work, wish: Wish = NO_WISH, *, repeatable: bool = True, endless: bool = False
) -> int:
    """The exit code. repeatable: the work may be begun again when the process that held the device ended.

    endless: it is begun again always, and to interrupt it is its orderly end."""
    home = find_home(common.home)
    show_only_errors()
    tries = math.inf if endless else TRIES if repeatable else 1
    code = trio.run(run, home, Screen(as_json=common.json), work, wish, tries)
    return 0 if endless and code in ORDERLY_ENDS else code


async def run(home: Path, screen: Screen, work: Work, wish: Wish, tries: float) -> int:
    code = 0
    caught: list[int] = []
    with trio.open_signal_receiver(*SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(obey_signals, signals, caught, nursery.cancel_scope)
            code = await attempt(home, screen, work, wish, tries)
            nursery.cancel_scope.cancel()
    return 128 + caught[0] if caught else code


async def attempt(home: Path, screen: Screen, work: Work, wish: Wish, tries: float) -> int:
    ports = make_real_ports()
    while True:
        tries -= 1
        try:
            async with open_device(home, ports, wish) as device:
                return await work(device, screen)
        except* HolderEnded:
            if not tries:
                raise


async def obey_signals(signals: AsyncIterator[int], caught: list[int], scope: trio.CancelScope) -> None:
    async for number in signals:
        if caught:
            os.kill(os.getpid(), signal.SIGKILL)
        caught.append(number)
        scope.cancel()


def show_only_errors() -> None:
    """Of the runtime's log, what a person at a terminal should hear: one line each."""
    log = logging.getLogger("ferryman")
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.ERROR)
    handler.setFormatter(logging.Formatter("ferryman: %(message)s"))
    log.handlers = [handler]
    log.propagate = False
