"""`ferryman status`: how a device stands."""

from __future__ import annotations

from ferryman.protocol.control import replies, requests
from ferryman.supervisors.cli.command import run_on_device
from ferryman.supervisors.cli.device import Device
from ferryman.supervisors.cli.home import COMMON, Common, find_home
from ferryman.supervisors.cli.line import ask
from ferryman.supervisors.cli.screen import Screen
from ferryman.supervisors.cli.words import table, waiting

SETTLE_SECONDS = 3.0  # a person who asks how it stands wants no long wait

MEANINGS: dict[replies.Indicator, str] = {
    "synced": "the relay has everything",
    "pending": "on its way to the relay",
    "failed": "not reached, or refused by the relay; it is tried again",
    "offline": "no connection; changes are saved on this device",
    "off": "sync is switched off",
}


def status(*, common: Common = COMMON) -> int:
    """How this device stands: connection, group, outbox, what it received."""

    async def work(device: Device, screen: Screen) -> int:
        async with device.line() as line:
            standing = await ask(line, requests.AskStatus(settle_seconds=SETTLE_SECONDS), replies.Standing)
        home = str(find_home(common.home))
        await screen.show(standing, table(rows(standing, home, device.holder)), home=home)
        return 0

    return run_on_device(common, work)


def rows(standing: replies.Standing, home: str, holder: int | None) -> list[tuple[str, ...]]:
    lines = [
        ("sync", f"{standing.indicator}: {MEANINGS[standing.indicator]}"),
        ("relay", relay(standing)),
        ("group", "none" if standing.group is None else standing.group),
        ("device", f"{standing.device} ({standing.device_name})"),
        ("outbox", waiting(standing) if standing.waiting else "empty"),
        ("taken", f"up to {standing.last_cursor}" if standing.last_cursor else "nothing yet"),
        ("home", home),
        ("held by", "nobody else" if holder is None else f"process {holder}"),
    ]
    if standing.warning:
        lines.append(("warning", standing.warning))
    return lines


def relay(standing: replies.Standing) -> str:
    if standing.relay_url is None:
        return "none: `ferryman enable --relay URL`, or `ferryman join`"
    reason = f", {standing.reason}" if standing.reason else ""
    attempt = f", attempt {standing.attempt}" if standing.attempt else ""
    return f"{standing.relay_url} ({standing.connection}{attempt}{reason})"
