"""The invariants: what must hold at the end of every run, whatever crashed.

| name          | a sentence                                                                                      |
|---------------|-------------------------------------------------------------------------------------------------|
| acknowledged  | nothing that was acknowledged is lost: what a device was told is on disk, every other one has    |
| cursors       | no cursor is given twice, and none is left out                                                  |
| order         | each sender's blobs come to each host as they were sent; as the relay took them, if it refused some |
| applied_once  | no blob has two contents, and none that was taken is given again                                |
| replies       | a command that is repeated gets the reply it got first                                          |
| ledger        | every ledger verifies, to the last value                                                        |
| memory        | the relay's memory and its database agree                                                       |
| converges     | once the faults stop, everything is done within a bounded time                                  |
| log           | each group's log is linearizable: see linear.py                                                 |
| no_crash      | no actor crashes, and no process ends, but by the faults of the run                             |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from ferryman.actors.keychain_file import FileKeychain
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import inspect
from ferryman.actors.ledger_verify import check_deeply
from ferryman.actors.simulated.ports import SeededEntropy
from ferryman.protocol.ledger.errors import LedgerError
from ferryman.protocol.relay.limits import BLOB_OVERHEAD
from ferryman.protocol.sync.events import HistoryGap, ResyncRequired
from ferryman.supervisors.simulation.devices import HOME, Host
from ferryman.supervisors.simulation.history import (
    Denied,
    Down,
    Enqueued,
    Handed,
    Pulled,
    Pushed,
    Replied,
    Restored,
    Taken,
    Told,
    short,
)
from ferryman.supervisors.simulation.linear import faults
from ferryman.supervisors.simulation.programs import DATABASE, KEYS, LEDGER, RelayProgram
from ferryman.supervisors.simulation.registry import invariant


@invariant("acknowledged")
def acknowledged(world: Any) -> Iterator[str]:
    sent = {one.blob_id: one for one in world.history if isinstance(one, Enqueued)}
    members = {
        name: one.host for name, one in world.machines.items() if isinstance(one.host, Host) and one.host.enabled
    }
    for one in sent.values():
        for name, host in members.items():
            theirs = name != one.device and host.group == members[one.device].group
            if theirs and one.data not in host.earlier and host.stored.get(one.blob_id) != one.data:
                yield f"{name} never got {short(one.blob_id)}, which {one.device} had enqueued at {one.ended:.3f} s"
    for one in alarms(world):
        yield f"{one.device} was told of a {type(one.event).__name__}: {one.event}"


def alarms(world: Any) -> Iterator[Told]:
    """What a host should not have to hear. A group whose relay went down before its first push was acknowledged has
    another incarnation afterwards (wire §5: it is stored with its first row), which a device that came before reports.
    """
    relay = [name for name, one in world.machines.items() if isinstance(one.program, RelayProgram)]
    pushed, stored, restored = False, True, False
    experienced: dict[str, None] = {}  # who had no history has not lost it
    for one in world.history:
        match one:
            case Restored():
                restored = True
            case Pushed(device):
                pushed = True
                experienced[device] = None
            case Handed(device) | Taken(device):
                experienced[device] = None
            case Down(machine) if machine in relay:
                stored = pushed
            case Told(_, HistoryGap()):
                pass
            case Told(device, ResyncRequired()) if restored or not stored or device not in experienced:
                pass
            case Told():
                yield one
            case _:
                pass


@invariant("cursors")
def cursors(world: Any) -> Iterator[str]:
    for seen in histories(world):
        places: dict[int, bytes] = {}
        homes: dict[bytes, int] = {}
        for cursor, blob_id in sightings(seen):
            if places.setdefault(cursor, blob_id) != blob_id:
                yield f"cursor {cursor} was given to {short(places[cursor])} and to {short(blob_id)}"
            if homes.setdefault(blob_id, cursor) != cursor:
                yield f"{short(blob_id)} stands at cursor {homes[blob_id]} and at {cursor}"
    for machine in relays(world):
        for _, next_cursor, known in database(machine):
            missing = sorted(set(range(1, next_cursor)) - known)
            if missing:
                yield f"the relay gave cursors up to {next_cursor - 1}, but nobody had {missing[0]}"
            beyond = [cursor for cursor in known if cursor >= next_cursor]
            if beyond:
                yield f"the relay holds a blob at cursor {max(beyond)}, and will give {next_cursor} next"


def histories(world: Any) -> Iterable[list[object]]:
    """What hosts saw, group by group."""
    homes = {name: one.host.group for name, one in world.machines.items() if isinstance(one.host, Host)}
    groups: dict[str, list[object]] = {}
    for one in world.history:
        if (device := getattr(one, "device", None)) in homes:
            groups.setdefault(homes[device], []).append(one)
    return groups.values()


def sightings(history: Iterable[object]) -> Iterator[tuple[int, bytes]]:
    for one in history:
        match one:
            case Pushed(_, blob_id, cursor) | Handed(_, _, blob_id, cursor):
                yield cursor, blob_id
            case Pulled():
                yield from one.entries
            case _:
                pass


@invariant("order")
def order(world: Any) -> Iterator[str]:
    sent: dict[str, list[bytes]] = {}
    denied = {one.device: None for one in world.history if isinstance(one, Denied)}
    for one in world.history:
        if isinstance(one, Enqueued):
            sent.setdefault(one.device, []).append(one.blob_id)
    for name, machine in world.machines.items():
        if not isinstance(machine.host, Host):
            continue
        place = {blob_id: number for number, blob_id in enumerate(machine.host.stored)}
        for sender, blobs in sent.items():
            known = [place[blob_id] for blob_id in blobs if blob_id in place]
            if sender != name and known != sorted(known) and sender not in denied:
                yield f"{name} stored the blobs of {sender} in another order than they were sent"


@invariant("applied_once")
def applied_once(world: Any) -> Iterator[str]:
    contents: dict[bytes, bytes] = {}
    taken: dict[tuple[str, bytes], int] = {}
    for one in world.history:
        match one:
            case Handed(device, life, blob_id, _, data):
                if contents.setdefault(blob_id, data) != data:
                    yield f"{short(blob_id)} came to {device} with other contents than before"
                if (device, blob_id) in taken:
                    yield f"{device} got {short(blob_id)} again in life {life}, after it had taken it"
            case Taken(device, life, blob_id):
                taken[device, blob_id] = life
            case _:
                pass


@invariant("replies")
def replies(world: Any) -> Iterator[str]:
    first: dict[tuple[str, bytes], object] = {}
    for one in world.history:
        if isinstance(one, Replied) and first.setdefault((one.machine, one.command_id), one.reply) != one.reply:
            known = first[one.machine, one.command_id]
            yield f"{one.machine} answered {short(one.command_id)} with {known!r}, and then with {one.reply!r}"


@invariant("ledger")
def ledger(world: Any) -> Iterator[str]:
    for machine in world.machines.values():
        for path, keys in ((LEDGER, KEYS), (HOME / "ledger.db", HOME / "keys")):
            disk = machine.disk.copy()
            if disk.exists(path):
                entropy = SeededEntropy("reader")
                place = Place(path, disk, FileKeychain(disk, keys, entropy, None), entropy)
                try:
                    checked = inspect(place)
                    if checked is not None:
                        check_deeply(place, checked)
                except LedgerError as error:
                    yield f"{machine.name}: {error}"


@invariant("memory")
def memory(world: Any) -> Iterator[str]:
    for machine in relays(world):
        told = machine.program.totals
        if told is None:
            continue
        connection = machine.disk.copy().connect(DATABASE, read_only=True)
        try:
            count, size = connection.execute("SELECT count(*), ifnull(sum(length(payload)), 0) FROM blobs").get
        finally:
            connection.close()
        accounted = size + count * BLOB_OVERHEAD
        if (told.blobs, told.bytes) != (count, accounted):
            memory_has = f"{told.blobs} blobs of {told.bytes} bytes"
            yield f"the relay's memory has {memory_has}, its database {count} of {accounted}"


@invariant("converges")
def converges(world: Any) -> Iterator[str]:
    yield from world.violations


@invariant("log")
def log(world: Any) -> Iterator[str]:
    for history in histories(world):
        yield from faults(history)


@invariant("no_crash")
def no_crash(world: Any) -> Iterator[str]:
    yield from world.crashes
    for machine in world.machines.values():
        for said in machine.ends:
            yield f"{machine.name}: its process ended by itself: {said}"


def relays(world: Any) -> list[Any]:
    return [one for one in world.machines.values() if isinstance(one.program, RelayProgram)]


def database(machine: Any) -> Iterator[tuple[bytes, int, set[int]]]:
    """Of each group: its next cursor, and those that the relay remembers."""
    connection = machine.disk.copy().connect(DATABASE, read_only=True)
    try:
        groups = connection.execute("SELECT group_id, next_cursor FROM group_cursors").fetchall()
        find = partial(
            connection.execute,
            "SELECT cursor FROM blobs WHERE group_id = :g"
            " UNION SELECT cursor FROM remembered_blobs WHERE group_id = :g",
        )
        for group_id, next_cursor in groups:
            yield group_id, next_cursor, {cursor for (cursor,) in find({"g": group_id})}
    finally:
        connection.close()
