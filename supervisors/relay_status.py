"""How a relay is, as its operator sees it: what the status desk hands out, who fetches it, and how it looks.

    look(...) -> bytes (JSON)  --- <database>.sock --->  fetch(...) -> Status -> lines(status)

Groups have shortened ids, actors their kinds. All connections are one line in the tree, with their sum, and all groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import trio

from ferryman.actors.ports import Network
from ferryman.protocol.errors import BadInput
from ferryman.protocol.identity import show_id
from ferryman.supervisors.node import TreeNode

SHOWN_GROUPS = 10
SHORT_ID = 8  # characters of base64: 48 of 256 bits, enough to know one's own group again
FETCH_SECONDS = 5.0
FETCH_BYTES = 1024 * 1024  # a document has some 4 KiB
FOLDED = ("/groups", "/connections")


class Place(msgspec.Struct, frozen=True):
    """One actor or supervisor. `members`: so many dynamic children are summed up here."""

    path: str
    kind: str
    state: str
    incarnation: int
    queued: int
    handled: int
    restarts: int
    members: int = 0
    children: tuple[Place, ...] = ()


class BusyGroup(msgspec.Struct, frozen=True):
    group: str
    connected: int
    pushes_a_minute: float
    bytes_a_minute: int


class Status(msgspec.Struct, frozen=True):
    state: str
    version: str
    address: str
    key: str
    uptime_seconds: int
    connections: int
    connections_total: int
    groups: int
    groups_awake: int
    blobs_buffered: int
    bytes_buffered: int
    blobs_delivered: int
    bytes_transferred: int
    errors: dict[str, int]
    restarts: dict[str, int]
    mailboxes: dict[str, int]
    busiest: tuple[BusyGroup, ...]
    tree: Place


def short_id(group_id: bytes) -> str:
    """A group's id as logs and status may show it."""
    return show_id(group_id)[:SHORT_ID]


def folded(node: TreeNode) -> Place:
    """The tree with its crowds summed up."""
    below = node.children
    if node.path in FOLDED:
        everybody = list(within(node))
        return place(
            node,
            queued=sum(one.queued for one in everybody),
            handled=sum(one.handled for one in everybody),
            restarts=sum(one.restarts for one in everybody),
            members=len(below),
        )
    return place(node, children=tuple(folded(child) for child in below))


def place(node: TreeNode, **other: object) -> Place:
    plain = Place(node.path, node.kind, node.state, node.incarnation, node.queued, node.handled, node.restarts)
    return msgspec.structs.replace(plain, **other)


def within(node: TreeNode) -> Iterator[TreeNode]:
    yield node
    for child in node.children:
        yield from within(child)


async def fetch(network: Network, socket: Path, database: Path) -> Status:
    """Ask the relay that runs on this database. Raises BadInput, one line, where none answers."""
    try:
        with trio.fail_after(FETCH_SECONDS):
            stream = await network.open_local(socket)
            async with stream:
                document = await read_all(stream)
    except FileNotFoundError:
        raise BadInput(f"{socket}: no relay is running on {database}") from None
    except ConnectionRefusedError:
        said = "no relay is running: the one that left this socket was killed; start it again"
        raise BadInput(f"{socket}: {said}") from None
    except trio.TooSlowError:
        raise BadInput(f"{socket}: the relay does not answer within {FETCH_SECONDS:g} s") from None
    except OSError as error:
        raise BadInput(f"{socket}: cannot be asked: {error.strerror or error}") from None
    try:
        return msgspec.json.decode(document, type=Status)
    except msgspec.DecodeError:
        raise BadInput(f"{socket}: what answers is no relay of this version") from None


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    document = bytearray()
    while len(document) < FETCH_BYTES:
        try:
            piece = await stream.receive_some(65_536)
        except trio.BrokenResourceError:
            break
        if not piece:
            break
        document += piece
    return bytes(document)


def lines(status: Status) -> Iterator[str]:
    """For people."""
    yield f"{status.state}: ferryman {status.version} on {status.address}, up {duration(status.uptime_seconds)}"
    yield f"key          {status.key}"
    yield f"connections  {status.connections:,} open, {status.connections_total:,} so far"
    yield f"groups       {status.groups:,} stored, {status.groups_awake:,} awake"
    yield f"buffered     {status.blobs_buffered:,} blobs, {status.bytes_buffered:,} bytes"
    yield f"delivered    {status.blobs_delivered:,} blobs; {status.bytes_transferred:,} bytes in and out"
    yield f"errors sent  {counted(status.errors)}"
    yield f"restarts     {counted(status.restarts)}"
    yield f"waiting      {counted(status.mailboxes)}"
    if status.busiest:
        yield "busiest groups"
        for busy in status.busiest:
            yield (
                f"  {busy.group}…  {busy.connected} connected, {busy.pushes_a_minute:.1f} pushes"
                f" and {busy.bytes_a_minute:,} bytes a minute"
            )
    yield "actors"
    yield from shown(status.tree, "  ")


def counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "none"


def duration(seconds: int) -> str:
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((number for number, (amount, _) in enumerate(parts) if amount), 3)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[first : first + 2])


def shown(node: Place, indent: str) -> Iterator[str]:
    name = node.path.rsplit("/", 1)[-1] or "/"
    crowd = f", {node.members} of them" if node.path in FOLDED else ""
    yield (
        f"{indent}{name}  {node.kind}, {node.state}{crowd}, incarnation {node.incarnation},"
        f" {node.queued} queued, {node.handled:,} handled, {node.restarts} restarts"
    )
    for child in node.children:
        yield from shown(child, indent + "  ")
