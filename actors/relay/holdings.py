"""What the buffer holds, counted in memory, so that a quota costs no query: groups, their blobs and accounted bytes.

of(group)   a group from disk, or a new one that stands in memory until its first blob
undo()      after a failed transaction nothing that was counted in it is true: what is stored is read again
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ferryman.actors.ports import Entropy
from ferryman.actors.relay.records import GroupRecord, Push
from ferryman.actors.relay.tables import Tables
from ferryman.protocol.relay.errors import Refusal
from ferryman.protocol.relay.group import Device, Group, GroupLimits, judge_push

INCARNATION_BYTES = 16
KEPT_GROUPS = 10_000  # of those on disk; reading one again costs two queries


@dataclass(slots=True)
class Holding:
    """One group. Until it is `stored`, incarnation, proof and devices are only here."""

    incarnation: bytes
    stored: bool
    blobs: int = 0
    size: int = 0
    closed: bool = False
    devices: dict[bytes, Device] = field(default_factory=dict[bytes, Device])

    def register(self, device: Device) -> None:
        before = self.devices.get(device.device_id)
        if before is not None:
            device = replace(device, proven=device.proven or before.proven)
        self.devices[device.device_id] = device

    def close(self) -> None:
        self.closed = True
        self.devices = {device_id: device for device_id, device in self.devices.items() if device.proven}


class Holdings:
    def __init__(self, tables: Tables, entropy: Entropy, rules: Callable[[], GroupLimits]) -> None:
        self._tables = tables
        self._entropy = entropy
        self._rules = rules
        self._groups: OrderedDict[bytes, Holding] = OrderedDict()
        self.blobs, self.size = tables.stored_bytes()
        self.groups = tables.count_groups()

    def of(self, group_id: bytes) -> Holding:
        holding = self._groups.get(group_id)
        if holding is None:
            holding = self._load(group_id)
            self._groups[group_id] = holding
            self._forget_some()
        else:
            self._groups.move_to_end(group_id)
        return holding

    def _load(self, group_id: bytes) -> Holding:
        record = self._tables.group(group_id)
        if record is None:
            return Holding(self._entropy.random_bytes(INCARNATION_BYTES), stored=False)
        blobs, total = self._tables.stored_bytes(group_id)
        return Holding(record.incarnation, stored=True, blobs=blobs, size=total, closed=record.closed)

    def _forget_some(self) -> None:
        while len(self._groups) > KEPT_GROUPS:
            stored = next((group_id for group_id, holding in self._groups.items() if holding.stored), None)
            if stored is None:  # groups in memory only are as many as connections
                return
            del self._groups[stored]

    def record(self, group_id: bytes) -> GroupRecord:
        """The group as its router starts with it."""
        holding = self.of(group_id)
        group = self._tables.group(group_id) if holding.stored else None
        if group is None:
            group = Group(group_id, holding.incarnation, closed=holding.closed, devices=dict(holding.devices))
        return GroupRecord(group, holding.stored)

    @property
    def rules(self) -> GroupLimits:
        """The quotas as they are now."""
        return self._rules()

    def judge(self, holding: Holding, push: Push, rules: GroupLimits) -> Refusal | None:
        """Whether a new blob fits into its group and the relay."""
        return judge_push(
            blob_id=push.blob_id,
            size=len(push.payload),
            group_stored=holding.size,
            total_stored=self.size,
            rules=rules,
        )

    def added(self, holding: Holding, push: Push) -> None:
        cost = push.cost
        holding.blobs += 1
        holding.size += cost
        self.blobs += 1
        self.size += cost

    def went(self, group_id: bytes, blobs: int, total: int) -> None:
        holding = self._groups.get(group_id)
        if holding is not None:
            holding.blobs -= blobs
            holding.size -= total
        self.blobs -= blobs
        self.size -= total

    def group_stored(self, holding: Holding) -> None:
        holding.stored = True
        holding.devices = {}
        self.groups += 1

    def groups_went(self, groups: list[bytes]) -> None:
        for group_id in groups:
            self._groups.pop(group_id, None)
        self.groups -= len(groups)

    def unload(self, group_id: bytes) -> None:
        holding = self._groups.get(group_id)
        if holding is not None and not holding.stored:
            del self._groups[group_id]

    def undo(self, before: dict[bytes, Holding | None]) -> None:
        """Read everything again that is stored; what stood only here is as it was `before`, or was not concerned."""
        kept = {group_id: holding for group_id, holding in self._groups.items() if group_id not in before}
        kept.update((group_id, holding) for group_id, holding in before.items() if holding is not None)
        self._groups = OrderedDict((group_id, holding) for group_id, holding in kept.items() if not holding.stored)
        self.blobs, self.size = self._tables.stored_bytes()
        self.groups = self._tables.count_groups()

    def in_memory(self, groups: list[bytes]) -> dict[bytes, Holding | None]:
        """What to return to, for each of these groups: a copy, where it stands only here, or None."""
        return {group_id: unstored(self._groups.get(group_id)) for group_id in groups}


def unstored(holding: Holding | None) -> Holding | None:
    return None if holding is None or holding.stored else replace(holding, devices=dict(holding.devices))
