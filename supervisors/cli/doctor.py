"""`ferryman doctor`: a device looked over, a line a finding. It changes nothing, and may be asked at any time.

| the device is held by | then                                                                               |
|-----------------------|------------------------------------------------------------------------------------|
| nobody                | keys are opened and the ledger is read whole; then it connects, as `status` does    |
| another process       | that process has opened the keys and read the ledger; it is asked how it stands     |
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from ferryman.actors.keychain import OpenKeychain, open_keychain
from ferryman.actors.keychain_errors import DeviceInUse
from ferryman.actors.ports import Ports
from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.control import replies, requests
from ferryman.protocol.errors import AppError
from ferryman.supervisors.checkup import (
    Finding,
    look_at_clock,
    look_at_disk,
    look_at_home,
    look_at_ledger,
    look_at_outbox,
    look_at_relay,
    look_at_sync,
)
from ferryman.supervisors.cli.command import NO_WISH, show_only_errors
from ferryman.supervisors.cli.device import open_device
from ferryman.supervisors.cli.home import COMMON, Common, find_home, load_config, require_device
from ferryman.supervisors.cli.keys import KeyRing
from ferryman.supervisors.cli.line import ask
from ferryman.supervisors.cli.screen import Screen
from ferryman.supervisors.config import RuntimeConfig
from ferryman.supervisors.runtime import choice

SETTLE_SECONDS = 10.0  # for a first connection: a person who is looking for a fault waits that long
EXIT_WRONG = 1
NAME_COLUMNS = 8


def doctor(*, common: Common = COMMON) -> int:
    """Look this device over: directory, disk, keys, ledger, relay, clock, connection, outbox. Changes nothing.

    A line a finding: ok, or what is wrong and what to do. The exit code is 1 when something is wrong."""
    home = find_home(common.home)
    require_device(home)
    show_only_errors()
    return trio.run(report, home, Screen(as_json=common.json))


async def report(home: Path, screen: Screen) -> int:
    code = 0
    async for finding in examine(home, make_real_ports()):
        code = code if finding.ok else EXIT_WRONG
        entries = {"type": "finding", "name": finding.name, "ok": finding.ok, "text": finding.said, "do": finding.do}
        await screen.line(entries, in_words(finding))
    return code


def in_words(finding: Finding) -> str:
    mark, rest = ("ok   ", "") if finding.ok else ("wrong", f" - {finding.do}")
    return f"{mark}  {finding.name.ljust(NAME_COLUMNS)}  {finding.said}{rest}"


async def examine(home: Path, ports: Ports) -> AsyncIterator[Finding]:
    """What does not open ends it: what lies behind is nobody's to say then. Raises BadInput for wrong settings."""
    config = load_config(home, allow_plain=False, takes=False)
    yield await ports.threads.run(lambda: look_at_home(home))
    yield await ports.threads.run(lambda: look_at_disk(home, config.ledger))
    keys = KeyRing(home)
    newest = 0
    try:
        opened, _ = await keys.unlock(config, partial(open_keys, ports))
    except DeviceInUse:
        yield Finding("keychain", "open in the process that holds this device")
        yield Finding("ledger", "open in the process that holds this device, which read it all when it started")
    except AppError as error:
        yield Finding("keychain", error.message, "do as the line says")
        return
    else:
        try:
            looked = await ports.threads.run(lambda: look_at_ledger(config.ledger, opened, ports))
        finally:
            await ports.threads.run(opened.close)
        yield Finding("keychain", opened.warning or f"opens ({opened.kind})")
        yield looked.finding
        if not looked.finding.ok:
            return
        newest = looked.newest
    async for finding in examine_sync(home, ports, config, keys, newest):
        yield finding


async def open_keys(ports: Ports, config: RuntimeConfig) -> OpenKeychain:
    return await ports.threads.run(lambda: open_keychain(replace(choice(config, ports), create=False)))


async def examine_sync(
    home: Path, ports: Ports, config: RuntimeConfig, keys: KeyRing, newest: int
) -> AsyncIterator[Finding]:
    """How it stands with the relay. newest: when the ledger's newest record was made."""
    try:
        standing, page = await stand(home, ports, keys)
    except AppError as error:
        yield Finding("sync", error.message, "do as the line says")
        return
    date = None
    if standing.relay_url is not None:
        relay = await look_at_relay(ports, standing.relay_url, config.sync.ca_file)
        yield relay.finding
        date = relay.date
    now = ports.clock.now()
    yield look_at_clock(now, date, newest)
    yield look_at_sync(standing)
    yield look_at_outbox(page, standing, now)


async def stand(home: Path, ports: Ports, keys: KeyRing) -> tuple[replies.Standing, replies.OutboxPage]:
    async with open_device(home, ports, NO_WISH, keys) as device, device.line() as line:
        standing = await ask(line, requests.AskStatus(settle_seconds=SETTLE_SECONDS), replies.Standing)
        return standing, await ask(line, requests.ListOutbox(limit=1), replies.OutboxPage)
