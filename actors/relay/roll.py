"""The roll of a group: who is there, said to members who proved that they are (PEERS, wire.md §4).

    changed() --> at once, or 5 s after the last one: one PEERS with the latest state to each proven connection

Heartbeats and acknowledgements change nothing on the roll.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from heapq import nlargest

import trio

from ferryman.actors.relay.frames import FrameWriter
from ferryman.actors.relay.seats import Seat, Seats
from ferryman.protocol.relay.group import Device, Group
from ferryman.protocol.relay.liberal import MAX_ENTRIES
from ferryman.protocol.relay.messages import PeerDevice, Peers, Status

PEERS_SECONDS = 5.0  # the least between two PEERS of one group


class Roll:
    """`group` gives the latest state when a PEERS is due."""

    def __init__(self, tasks: trio.Nursery, group: Callable[[], Group], frames: FrameWriter, seats: Seats) -> None:
        self._tasks = tasks
        self._group = group
        self._frames = frames
        self._seats = seats
        self._told_at = -PEERS_SECONDS
        self._due = False

    def changed(self) -> None:
        """A device registered, connected, disconnected, was removed, or changed its name or its status."""
        if not self._due:
            self._due = True
            self._tasks.start_soon(self._tell)

    def heard(self, seat: Seat, status: Status) -> None:
        """A PRESENCE: most are heartbeats, and say what is known."""
        if status != seat.status:
            seat.status = status
            self.changed()

    async def _tell(self) -> None:
        await trio.sleep_until(self._told_at + PEERS_SECONDS)
        self._due = False
        self._told_at = trio.current_time()
        group = self._group()
        seats = self._seats.of(group.group_id)
        listeners = [seat for seat in seats.values() if seat.proven]
        if not listeners:
            return
        statuses: dict[bytes, Status] = {device_id: seat.status for device_id, seat in seats.items()}
        frame = self._frames.frame(peers(group.devices, statuses), group_id=group.group_id)
        for seat in listeners:
            seat.send(frame)


def peers(devices: Mapping[bytes, Device], statuses: Mapping[bytes, Status]) -> Peers:
    """Of more devices than a reader takes those that were seen last."""
    shown = devices.values() if len(devices) <= MAX_ENTRIES else nlargest(MAX_ENTRIES, devices.values(), key=last_seen)
    return Peers(
        tuple(
            PeerDevice(
                device.device_id,
                device.device_name,
                statuses.get(device.device_id, "offline"),
                device.last_seen,
                device.acked_cursor,
            )
            for device in shown
        )
    )


def last_seen(device: Device) -> int:
    return device.last_seen


def seen(device: Device, now: int) -> Device:
    return replace(device, last_seen=max(device.last_seen, now))
