"""What the buffer holds, counted in memory, so that a quota costs no query: groups, their blobs and accounted bytes.

of(group)   a group from disk, or a new one that stands in memory until its first blob
begin()     a transaction begins: what it may change is noted
undo()      it failed as a whole: all is as it was, and nothing is read or counted for that
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

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

    def standing(self) -> Standing:
        """What a transaction changes, as it is now. A stored group's devices are on disk only."""
        devices = self.devices if self.stored else dict(self.devices)
        return self, self.stored, self.blobs, self.size, self.closed, devices

    def close(self) -> None:
        self.closed = True
        self.devices = {device_id: device for device_id, device in self.devices.items() if device.proven}


Standing: TypeAlias = tuple[Holding, bool, int, int, bool, dict[bytes, Device]]  # each commit makes some: no dataclass


class Holdings:
    def __init__(self, tables: Tables, entropy: Entropy, rules: Callable[[], GroupLimits]) -> None:
        self._tables = tables
        self._entropy = entropy
        self._rules = rules
        self._groups: OrderedDict[bytes, Holding] = OrderedDict()
        self.blobs, self.size = tables.stored_bytes()
        self.groups = tables.count_groups()
        self._before: dict[bytes, Standing | None] = {}
        self._totals: tuple[int, int, int] = self.groups, self.blobs, self.size

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
        self._note(group_id)
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
            self._note(group_id)
            self._groups.pop(group_id, None)
        self.groups -= len(groups)

    def unload(self, group_id: bytes) -> None:
        holding = self._groups.get(group_id)
        if holding is not None and not holding.stored:
            del self._groups[group_id]
            self._before.pop(group_id, None)  # a transaction that fails now does not bring it back

    # a transaction

    def begin(self, groups: Iterable[bytes]) -> None:
        """Note what to return to, for each of these groups. What is swept beside them is noted as it goes."""
        self._before = {}
        for group_id in groups:
            self._note(group_id)
        self._totals = self.groups, self.blobs, self.size

    def _note(self, group_id: bytes) -> None:
        if group_id not in self._before:
            holding = self._groups.get(group_id)
            self._before[group_id] = None if holding is None else holding.standing()

    def undo(self) -> None:
        for group_id, before in self._before.items():
            if before is None:  # it was not in memory, and is read again when somebody asks for it
                self._groups.pop(group_id, None)
            else:
                holding, holding.stored, holding.blobs, holding.size, holding.closed, holding.devices = before
                self._groups[group_id] = holding
        self.groups, self.blobs, self.size = self._totals
