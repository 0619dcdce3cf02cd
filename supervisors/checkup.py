"""What a doctor finds in a device's home, and what its owner should do about it. It changes nothing.

| finding  | is wrong when                                                                               |
|----------|---------------------------------------------------------------------------------------------|
| home     | somebody else owns the directory or a key, or could look into them                          |
| disk     | there is less room than a ledger that is compacted takes                                    |
| keychain | the key store does not open                                                                 |
| ledger   | a record, a page or the end of the ledger is not what was recorded                          |
| relay    | nothing answers at its URL, or it says that it is unwell                                    |
| clock    | it is a minute off the relay's, or behind what the ledger has recorded                      |
| sync     | the device is not connected and should be                                                   |
| outbox   | the relay refuses what waits, or a blob waits for an hour beside a connection               |
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from ferryman.actors.http_client import request
from ferryman.actors.keychain import OpenKeychain
from ferryman.actors.ledger_file import Place, executor, explained, look
from ferryman.actors.ledger_open import inspect, lock
from ferryman.actors.ledger_verify import check_deeply
from ferryman.actors.ports import Ports
from ferryman.actors.transport import read_relay_url
from ferryman.protocol.control import replies
from ferryman.protocol.ledger.errors import LedgerError, LedgerUnknownType
from ferryman.protocol.sync.errors import Offline

LEAST_ROOM_BYTES = 64 << 20
SKEW_SECONDS = 60  # an invite lives ten minutes: a minute off is a tenth of that
STUCK_SECONDS = 3_600
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """said: one line on how it is. do: what to do about it, "" where nothing is wrong."""

    name: str
    said: str
    do: str = ""

    @property
    def ok(self) -> bool:
        return not self.do


def look_at_home(home: Path) -> Finding:
    """Who owns it, and who else can read it."""
    us = os.geteuid()
    for path in (home, home / "keys", *sorted((home / "keys").iterdir())):
        found = path.stat()
        if found.st_uid != us:
            return Finding("home", f"{path} belongs to another user", f"chown -R {us} {home}")
        if path != home and stat.S_IMODE(found.st_mode) & 0o077:
            return Finding("home", f"others can read {path}", f"chmod -R go= {home}")
    if stat.S_IMODE(home.stat().st_mode) & 0o077:
        return Finding("home", f"others can look into {home}", f"chmod go= {home}")
    return Finding("home", f"{home}, its owner's alone")


def look_at_disk(home: Path, ledger: Path) -> Finding:
    """Whether there is room for the ledger once more, as compacting wants it, and some besides."""
    free = (found := os.statvfs(home)).f_bavail * found.f_frsize
    wanted = max(LEAST_ROOM_BYTES, 2 * ledger.stat().st_size if ledger.exists() else 0)
    said = f"{free // MIB:,} MiB free"
    return Finding("disk", said, "" if free >= wanted else f"make room: the device wants {wanted // MIB:,} MiB")


@dataclass(frozen=True, slots=True)
class LedgerLook:
    """newest: when its newest record was made, UNIX seconds; 0 for none."""

    finding: Finding
    newest: int = 0


def look_at_ledger(path: Path, keys: OpenKeychain, ports: Ports) -> LedgerLook:
    """Every record, value and page, and the anchor. Blocking."""
    place = Place(path, ports.disk, keys.keychain, ports.entropy)
    try:
        release = lock(ports.disk, path)
        try:
            checked = inspect(place)
            if checked is None:
                return LedgerLook(Finding("ledger", "nothing is recorded yet"))
            check_deeply(place, checked)
            newest = newest_record(place)
        finally:
            release()
    except LedgerUnknownType:
        how = f"`ferryman ledger verify {path} --types MODULE` checks them with the application's module"
        return LedgerLook(Finding("ledger", f"has records of an application; {how}"))
    except LedgerError as error:
        return LedgerLook(Finding("ledger", error.message, "do as the line says; `ferryman restore` makes a home anew"))
    return LedgerLook(Finding("ledger", f"{checked.head.records:,} records, all as recorded"), newest)


def newest_record(place: Place) -> int:
    with explained(place.path), look(place.disk, place.path) as connection:
        [(at,)] = executor(connection)("SELECT coalesce(max(recorded_at), 0) FROM record").fetchall()
    return int(at)


@dataclass(frozen=True, slots=True)
class RelayLook:
    """date: the relay's clock, UNIX seconds; None when it did not say."""

    finding: Finding
    date: int | None = None


async def look_at_relay(ports: Ports, url: str, ca_file: str | None) -> RelayLook:
    """Ask its /health. Raises BadInput for what is no relay URL."""
    address = read_relay_url(url)
    trust = None
    try:
        if address.secure:  # reading the system's certificates takes a disk, so a thread
            trust = await ports.threads.run(lambda: ssl.create_default_context(cafile=ca_file))
        answer = await request(ports, address, "GET", "/health", trust=trust)
    except Offline as error:
        return RelayLook(Finding("relay", f"{url}: {error.message}", "check the network, the URL, and that it runs"))
    except OSError as error:
        return RelayLook(Finding("relay", f"sync.ca_file: {error.strerror or error}", "name a PEM file, or none"))
    match answer.status:
        case 200:
            return RelayLook(Finding("relay", f"{url} answers, and is well"), answer.date)
        case 503:
            said = f"{url} says that it is unwell"
            return RelayLook(Finding("relay", said, "its operator sees why in `ferryman relay status`"), answer.date)
        case status:
            said = f"{url}: HTTP {status} is no answer of a relay"
            return RelayLook(Finding("relay", said, "check the URL, and the proxy before the relay"), answer.date)


def look_at_clock(now: int, relay: int | None, newest: int) -> Finding:
    do = "set this machine's clock: invites, and how long blobs are kept, go by it"
    if relay is not None and abs(now - relay) > SKEW_SECONDS:
        behind = "behind" if now < relay else "ahead of"
        return Finding("clock", f"{abs(now - relay):,} s {behind} the relay's", do)
    if now < newest - SKEW_SECONDS:
        return Finding("clock", f"{newest - now:,} s behind what the ledger has recorded", do)
    return Finding("clock", "as the relay's" if relay is not None else "with no relay to compare it with")


def look_at_sync(standing: replies.Standing) -> Finding:
    if standing.group is None:
        return Finding("sync", "in no group yet: `ferryman enable`, or `ferryman join`")
    if not standing.enabled:
        return Finding("sync", "switched off: `ferryman enable` switches it on")
    if standing.connection == "connected":
        return Finding("sync", f"connected to {standing.relay_url}")
    reason = standing.reason or "no connection came about"
    return Finding("sync", reason, "see the relay's line; `ferryman status` says how it goes on")


def look_at_outbox(page: replies.OutboxPage, standing: replies.Standing, now: int) -> Finding:
    if not page.waiting:
        refused = f"empty; the relay refused {len(page.refused):,} for good" if page.refused else "empty"
        return Finding("outbox", refused)
    oldest = page.waiting[0]
    said = f"{page.count:,} waiting"
    if oldest.state == "held back":
        do = "it goes when there is room: devices that are away hold blobs at the relay; its operator can raise limits"
        return Finding("outbox", f"{said}, refused by the relay for now", do)
    age = 0 if oldest.queued_at is None else now - oldest.queued_at
    if standing.connection == "connected" and age > STUCK_SECONDS:
        return Finding("outbox", f"{said}, the oldest for {age // 60:,} minutes", "`ferryman outbox retry`")
    return Finding("outbox", said)
