"""Which group this device belongs to, and whether it syncs: the first thing that a restarted device reads.

              JoinGroup                    SetEnabled(False)
    no group ----------> member, enabled <-------------------> member, disabled
                                                SetEnabled(True)

| owed while               | effect                                                                        |
|--------------------------|-------------------------------------------------------------------------------|
| enabled                  | KeepClient: a client for this group runs                                        |
| disabled                 | DropClient: none runs                                                           |
| enabled, not introduced  | Introduce: a `member` control blob in the outbox, which the roster is made of   |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from ferryman.protocol.ledger.codec import Secret, recorded
from ferryman.protocol.machine import Command, DebtId, Decision, Effect, Refused

ALREADY_JOINED = "ALREADY_JOINED"
NOT_A_MEMBER = "SYNC_NOT_ENABLED"


@dataclass(frozen=True, slots=True)
class Membership:
    """secret: what the group's keys are derived from (wire §7). relay_key: pinned; None before the first contact.

    bare: a group of S4's own, whose ID is 32 random bytes and certifies nothing; it sends no proof.
    """

    group_id: bytes
    secret: Secret
    relay_url: str
    creator_id: bytes
    relay_key: bytes | None = None
    introduced: bool = False
    bare: bool = False


@recorded("group.state/1")
@dataclass(frozen=True, slots=True)
class GroupState:
    member: Membership | None = None
    enabled: bool = False


@dataclass(frozen=True, slots=True)
class JoinGroup(Command[None]):
    """Refused when this device belongs to another group. For its own group: another relay, or another key of it."""

    group_id: bytes
    secret: Secret
    relay_url: str
    creator_id: bytes
    relay_key: bytes | None
    bare: bool = False


@dataclass(frozen=True, slots=True)
class SetEnabled(Command[None]):
    enabled: bool
    relay_url: str | None = None


@dataclass(frozen=True, slots=True)
class Pin(Command[None]):
    """The relay showed this key at the first contact (wire §7). A pinned one is never replaced by this."""

    group_id: bytes
    relay_key: bytes


@dataclass(frozen=True, slots=True)
class ConfirmIntroduced(Command[None]):
    group_id: bytes


@dataclass(frozen=True, slots=True)
class Trust(Command[None]):
    """A person accepts this key in the place of the pinned one (wire §7)."""

    relay_key: bytes


GroupCommand: TypeAlias = JoinGroup | SetEnabled | Pin | Trust | ConfirmIntroduced


@recorded("group.joined/1")
@dataclass(frozen=True, slots=True)
class GroupJoined:
    group_id: bytes
    secret: Secret
    relay_url: str
    creator_id: bytes
    relay_key: bytes | None
    bare: bool = False


@recorded("group.enabled/1")
@dataclass(frozen=True, slots=True)
class SyncSwitched:
    enabled: bool


@recorded("group.relay_changed/1")
@dataclass(frozen=True, slots=True)
class RelayChanged:
    """relay_key None: the next contact pins."""

    relay_url: str
    relay_key: bytes | None


@recorded("group.introduced/1")
@dataclass(frozen=True, slots=True)
class Introduced:
    group_id: bytes


GroupEvent: TypeAlias = GroupJoined | SyncSwitched | RelayChanged | Introduced


@dataclass(frozen=True, slots=True)
class KeepClient:
    member: Membership


@dataclass(frozen=True, slots=True)
class DropClient:
    group_id: bytes


@dataclass(frozen=True, slots=True)
class Introduce:
    member: Membership


class Group:
    """The machine. Its actor is `ferryman.actors.group`."""

    name = "group"
    initial = GroupState()

    def decide(self, state: GroupState, command: GroupCommand) -> Decision[GroupEvent] | Refused:
        member = state.member
        match command:
            case JoinGroup():
                return join(state, command)
            case SetEnabled(enabled, relay_url):
                if member is None:
                    return Refused(NOT_A_MEMBER, "this device belongs to no group yet")
                events: tuple[GroupEvent, ...] = ()
                if relay_url is not None and relay_url != member.relay_url:
                    events = (RelayChanged(relay_url, None),)
                if enabled != state.enabled:
                    events = (*events, SyncSwitched(enabled))
                return Decision(events)
            case Pin(group_id, relay_key):
                if member is None or member.group_id != group_id or member.relay_key is not None:
                    return Decision()
                return Decision((RelayChanged(member.relay_url, relay_key),))
            case Trust(relay_key):
                if member is None:
                    return Refused(NOT_A_MEMBER, "this device belongs to no group yet")
                return Decision((RelayChanged(member.relay_url, relay_key),) if member.relay_key != relay_key else ())
            case ConfirmIntroduced(group_id):
                if member is None or member.group_id != group_id or member.introduced:
                    return Decision()
                return Decision((Introduced(group_id),))

    def evolve(self, state: GroupState, event: GroupEvent) -> GroupState:
        match event:
            case GroupJoined(group_id, secret, relay_url, creator_id, relay_key, bare):
                member = Membership(group_id, secret, relay_url, creator_id, relay_key, bare=bare)
                return GroupState(member, enabled=True)
            case SyncSwitched(enabled):
                return replace(state, enabled=enabled)
            case RelayChanged(relay_url, relay_key):
                assert state.member is not None  # noqa: S101 - decide records it for a member only
                return replace(state, member=replace(state.member, relay_url=relay_url, relay_key=relay_key))
            case Introduced():
                assert state.member is not None  # noqa: S101 - the same
                return replace(state, member=replace(state.member, introduced=True))

    def owed(self, state: GroupState) -> Mapping[DebtId, Effect]:
        member = state.member
        if member is None:
            return {}
        name = member.group_id.hex()
        if not state.enabled:
            return {f"client/{name}": DropClient(member.group_id)}
        # the pin is not part of it: a client that pinned its relay goes on as it is
        debts: dict[DebtId, Effect] = {f"client/{name}": KeepClient(replace(member, relay_key=None, introduced=True))}
        if not member.introduced:
            debts[f"introduce/{name}"] = Introduce(replace(member, relay_key=None))
        return debts


def join(state: GroupState, command: JoinGroup) -> Decision[GroupEvent] | Refused:
    member = state.member
    if member is None:
        how = (command.relay_url, command.creator_id, command.relay_key, command.bare)
        return Decision((GroupJoined(command.group_id, command.secret, *how),))
    if member.group_id != command.group_id:
        return Refused(ALREADY_JOINED, "this device belongs to another group: a home directory holds one")
    events: tuple[GroupEvent, ...] = ()
    if command.relay_url != member.relay_url or (command.relay_key or member.relay_key) != member.relay_key:
        events = (RelayChanged(command.relay_url, command.relay_key),)
    if not state.enabled:
        events = (*events, SyncSwitched(True))
    return Decision(events)
