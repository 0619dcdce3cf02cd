"""An example of every state that a machine can be in, and of everything it can be told: docs/machines/ is made of them.

    Portrait(machine, states, told, step)      `step` runs the real machine on one of each

A state is made by running what leads to it, never by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.crypto.sealing import Chain
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import Decision, Machine, Refused
from ferryman.protocol.relay.messages import Error, Notify, Peers, PushAck, Welcome
from ferryman.protocol.sync import (
    client,
    effects,
    group,
    happenings,
    inbox,
    outbox,
    room,
    room_commands,
    room_state,
    session,
)
from ferryman.protocol.sync.inbox import is_due
from ferryman.protocol.sync.intake import resume
from ferryman.protocol.sync.room_words import Challenge, Close, Open
from ferryman.protocol.sync.strands import Link, strands
from tests.fakes import room_values as people
from tests.fakes.sync_values import OURS, THEIRS, enqueue, group_keys, number, online, page, waiting


@dataclass(frozen=True)
class Outcome:
    """brings: events, or effects; answer: the reply or the refusal's code, "" where there is none."""

    after: Any
    brings: tuple[Any, ...]
    answer: str = ""


@dataclass(frozen=True)
class Portrait:
    """kinds: headline -> the union of all there are. state_of: under which name of `states` a state stands.

    of_old: events that only old records hold."""

    title: str
    module: ModuleType
    kinds: Mapping[str, Any]
    states: Mapping[str, Any]
    told: Mapping[str, Any]
    step: Callable[[Any, Any], Outcome]
    state_of: Callable[[Any], str]
    owed: Callable[[Any], tuple[Any, ...]] = lambda _: ()
    of_old: tuple[type, ...] = ()


def decider(machine: Machine[Any, Any, Any]) -> Callable[[Any, Any], Outcome]:
    def step(state: Any, command: Any) -> Outcome:
        decision = machine.decide(state, command)
        if isinstance(decision, Refused):
            return Outcome(state, (), f"refused: {decision.code}")
        for event in decision.events:
            state = machine.evolve(state, event)
        reply = decision.reply
        shown = str(reply) if isinstance(reply, int) else type(reply).__name__
        return Outcome(state, decision.events, "" if reply is None else f"reply: {shown}")

    return step


def led_by(machine: Machine[Any, Any, Any], *commands: Any) -> Any:
    state = machine.initial
    for command in commands:
        decision = machine.decide(state, command)
        assert isinstance(decision, Decision), decision
        for event in decision.events:
            state = machine.evolve(state, event)
    return state


# --- group

GROUP = b"g" * 32
JOIN = group.JoinGroup(GROUP, Secret(bytes(32)), "ws://one", b"c" * 32, None)
OTHER = group.JoinGroup(b"h" * 32, Secret(bytes(32)), "ws://one", b"c" * 32, None)
PIN = group.Pin(GROUP, b"k" * 32)
INTRODUCED = group.ConfirmIntroduced(GROUP)


def membership(state: group.GroupState) -> str:
    if state.member is None:
        return "no group"
    if not state.enabled:
        return "disabled"
    return "enabled" if state.member.introduced else "enabled, not introduced"


the_group = group.Group()
GROUP_PORTRAIT = Portrait(
    "Group",
    group,
    {
        "Commands": group.GroupCommand,
        "Events": group.GroupEvent,
        "Effects": group.KeepClient | group.DropClient | group.Introduce,
    },
    {
        "no group": the_group.initial,
        "enabled, not introduced": led_by(the_group, JOIN),
        "enabled": led_by(the_group, JOIN, PIN, INTRODUCED),
        "disabled": led_by(the_group, JOIN, PIN, INTRODUCED, group.SetEnabled(False)),
    },
    {
        "JoinGroup": JOIN,
        "JoinGroup, another group": OTHER,
        "SetEnabled(True)": group.SetEnabled(True),
        "SetEnabled(True), another relay": group.SetEnabled(True, "ws://two"),
        "SetEnabled(False)": group.SetEnabled(False),
        "Pin": PIN,
        "Trust, another key": group.Trust(bytes(31) + b"9"),
        "ConfirmIntroduced": INTRODUCED,
    },
    decider(the_group),
    membership,
    lambda state: tuple(the_group.owed(state).values()),
)

# --- outbox

LANE = group_keys().group_id
the_outbox = outbox.Outbox()


def filled() -> outbox.OutboxState:
    huge = outbox.BlobQueued(LANE, number(1), 1, bytes(16), outbox.MAX_WAITING_BYTES)
    return the_outbox.evolve(the_outbox.evolve(the_outbox.initial, outbox.ChainStarted(LANE, bytes(8))), huge)


def queue(state: outbox.OutboxState) -> str:
    lane = state.lanes.get(LANE)
    if lane is None:
        return "no chain yet"
    if lane.shelf.size >= outbox.MAX_WAITING_BYTES:
        return "full"
    return {0: "nothing waits", 1: "one blob waits"}.get(lane.shelf.count, "several wait")


ACKNOWLEDGED = outbox.Acknowledge(LANE, 1, number(1), 7)
OUTBOX_PORTRAIT = Portrait(
    "Outbox",
    outbox,
    {"Commands": outbox.OutboxCommand, "Events": outbox.OutboxEvent, "Effects": outbox.AnnounceBlobs},
    {
        "no chain yet": the_outbox.initial,
        "nothing waits": led_by(the_outbox, enqueue(1), ACKNOWLEDGED),
        "one blob waits": led_by(the_outbox, enqueue(1)),
        "several wait": led_by(the_outbox, enqueue(1), enqueue(2)),
        "full": filled(),
    },
    {
        "Enqueue": enqueue(9),
        "Enqueue, too large": enqueue(9, bytes(1_048_576)),
        "Acknowledge": ACKNOWLEDGED,
        "Acknowledge, something else": outbox.Acknowledge(LANE, 1, number(5), 7),
        "Reject": outbox.Reject(LANE, 1, number(1), 2001),
        "ForgetLane": outbox.ForgetLane(LANE),
    },
    decider(the_outbox),
    queue,
    lambda state: tuple(the_outbox.owed(state).values()),
)

# --- inbox

ERA, LATER = b"incarnation-one.", b"incarnation-two."
the_inbox = inbox.Inbox()


def take(*cursors: int, through: int = 0, run: int = 1, link: bool = True) -> inbox.Take:
    links = [Link(THEIRS.device_id, Chain(b"chain-00", each, bytes(16)), bytes(16)) for each in cursors]
    return inbox.Take(GROUP, run, cursors, strands(links) if link else (), through, len(cursors), 0)


def standing(state: inbox.InboxState) -> str:
    position = state.positions.get(GROUP)
    if position is None:
        return "nothing known"
    if is_due(position):
        return "a checkpoint is due"
    return "behind a hole" if position.above else "without a hole"


BEGIN = inbox.Restart(GROUP, 1, ERA)
MANY = tuple(range(1, inbox.CHECKPOINT_BLOBS + 1))
INBOX_PORTRAIT = Portrait(
    "Inbox",
    inbox,
    {"Commands": inbox.InboxCommand, "Events": inbox.InboxEvent, "Effects": inbox.MakeCheckpoint},
    {
        "nothing known": the_inbox.initial,
        "without a hole": led_by(the_inbox, BEGIN, take(1, through=1)),
        "behind a hole": led_by(the_inbox, BEGIN, take(1, through=1), take(3)),
        "a checkpoint is due": led_by(the_inbox, BEGIN, take(*MANY, through=len(MANY))),
    },
    {
        "Take, the next one": take(2, through=2),
        "Take, up to the one behind the hole": take(2, through=3),
        "Take, one behind a hole": take(5),
        "Take, one that was taken": take(1),
        "Take, of an earlier run": take(4, run=9),
        "Take, of an earlier run and no chain": take(4, run=9, link=False),
        "Take, the 256th since the last checkpoint": take(*MANY, through=len(MANY)),
        "Advance": inbox.Advance(GROUP, 1, 5),
        "Advance, no further": inbox.Advance(GROUP, 1, 1),
        "Advance, an earlier run": inbox.Advance(GROUP, 9, 5),
        "Restart, another run": inbox.Restart(GROUP, 2, LATER),
        "Restart, the same run is named": inbox.Restart(GROUP, 1, LATER),
        "Restart, the same run and name": inbox.Restart(GROUP, 1, ERA),
        "ConfirmCheckpoint": inbox.ConfirmCheckpoint(GROUP, inbox.CHECKPOINT_BLOBS),
        "ForgetPosition": inbox.ForgetPosition(GROUP),
    },
    decider(the_inbox),
    standing,
    lambda state: tuple(the_inbox.owed(state).values()),
    of_old=(inbox.BlobTaken,),
)

# --- session


def at(phase: session.Phase) -> session.Session:
    return session.Session(resume(OURS.device_id, 0, ()), phase=phase)


def carried(state: session.Session, *happened: happenings.Input) -> session.Session:
    for each in happened:
        state, _ = client.step(state, each, 0.0)
    return state


def hear(state: session.Session, happened: happenings.Input) -> Outcome:
    after, wanted = client.step(state, happened, 0.0)
    return Outcome(after, wanted)


def notice(cursor: int) -> happenings.Received:
    return happenings.Received(Notify(number(cursor), cursor, THEIRS.device_id, 0, 6, None))


def phase_of(state: session.Session) -> str:
    return type(state.phase).__name__


# One push is done, a second and a PULL of the host are under way.
ONLINE = carried(
    online(),
    happenings.OutboxSeen(waiting(1, 2)),
    happenings.Received(PushAck(number(1), 1, 0)),
    happenings.HostPulled(1, 0, 10),
)
TIMERS = ("retry", "welcome", "heartbeat", "stall", "pull", "push", "ack", "advance")
SESSION_PORTRAIT = Portrait(
    "Session",
    client,
    {"What happens": happenings.Input, "Effects": effects.Effect},
    {
        "Offline": at(session.Offline()),
        "Connecting": at(session.Connecting()),
        "Handshaking": at(session.Handshaking(0)),
        "AwaitingWelcome": at(session.AwaitingWelcome(0)),
        "Online": ONLINE,
        "BackingOff": at(session.BackingOff(1)),
    },
    {
        "Begin": happenings.Begin(),
        "End": happenings.End(),
        "Upgraded": happenings.Upgraded(),
        "Secured": happenings.Secured(),
        "Lost": happenings.Lost("gone"),
        "Lost(4001), another connection took over": happenings.Lost("another", 4001),
        "Received(Welcome)": happenings.Received(Welcome(1, "relay", 2, 2, incarnation=ERA)),
        "Received(Error 1001), unknown group": happenings.Received(Error(1001, "unknown")),
        "Received(Error 2000), about a push": happenings.Received(Error(2000, "slow down", ref=number(2))),
        "Received(Error 2001), about a push": happenings.Received(Error(2001, "too large", ref=number(2))),
        "Received(PushAck)": happenings.Received(PushAck(number(2), 2, 0)),
        "Received(Notify)": notice(2),
        "Received(PullResponse)": happenings.Received(page(1)),
        "Received(Peers)": happenings.Received(Peers(())),
        **{f"TimerDue({name})": happenings.TimerDue(name) for name in TIMERS},
        "OutboxGrew": happenings.OutboxGrew(),
        "OutboxSeen": happenings.OutboxSeen(waiting(2, 3)),
        "PushGone": happenings.PushGone(number(2)),
        "HostPulled": happenings.HostPulled(2, None, 10),
        "BlobsOpened": happenings.BlobsOpened(1),
        "HostGot": happenings.HostGot(1),
        "HostTook": happenings.HostTook((1,)),
        "HostBegan": happenings.HostBegan(),
        "Recorded": happenings.Recorded(0),
    },
    hear,
    phase_of,
)

# --- room

ASKED = people.at_comparing()[0].phase
CHALLENGED = people.creator()
CHALLENGED.hear(THEIRS, people.joiner().said[0])
CLOSING = people.closing(people.at_entering()[1])


def approve(sas: str) -> room_commands.Approve:
    return room_commands.Approve(people.ROOM_ID, sas, people.GROUP_ID, people.GROUP_SECRET, bytes(32), number(50))


def word(sender: DeviceKeys, said: Any) -> room_commands.Hear:
    return room_commands.Hear(people.ROOM_ID, sender.device_id, said, b"c" * 32, number(9), THEIRS)


def room_phase(state: room_state.RoomsState) -> str:
    stay = state.stays.get(people.ROOM_ID)
    if stay is not None:
        return type(stay.phase).__name__
    return "gone" if state.ended else "no room"


SAID = people.at_comparing()[1].said
ROOM_PORTRAIT = Portrait(
    "Room",
    room,
    {
        "Commands": room_commands.RoomCommand,
        "Events": room_state.RoomEvent,
        "Effects": room_state.RoomEffect,
    },
    {
        "no room": room.Rooms.initial,
        "Waiting": people.creator().state,
        "Challenged": CHALLENGED.state,
        "Comparing": people.at_comparing()[0].state,
        "Parting": people.at_entering()[0].state,
        "Knocking": people.joiner().state,
        "Showing": people.at_comparing()[1].state,
        "Entering": people.at_entering()[1].state,
        "Closing": CLOSING.state,
        "gone": people.gone(people.closing(people.at_entering()[1])).state,
    },
    {
        "OpenRoom": people.OPEN,
        "EnterRoom": people.ENTER,
        "Hear(join), from the joiner": word(THEIRS, SAID[0]),
        "Hear(join), from another device": word(people.STRANGER, SAID[0]),
        "Hear(challenge), from the creator": word(OURS, Challenge(b"c" * 32)),
        "Hear(challenge), from another device": word(people.STRANGER, Challenge(b"c" * 32)),
        "Hear(open), what it had chosen": word(THEIRS, SAID[1]),
        "Hear(open), something else": word(THEIRS, Open(b"x" * 32)),
        "Hear(admit), from the creator": word(OURS, people.at_entering()[0].said[-1]),
        "Hear(admit), from another device": word(people.STRANGER, people.at_entering()[0].said[-1]),
        "Hear(close), from the creator": word(OURS, Close()),
        "Approve, with the number": approve(ASKED.sas),
        "Approve, with another number": approve("000-000"),
        "Refuse": room_commands.Refuse(people.ROOM_ID, ASKED.sas, number(51)),
        "Cancel": room_commands.Cancel(people.ROOM_ID, number(52)),
        "Expire": room_commands.Expire(people.ROOM_ID),
        "ConfirmSaid, the join": room_commands.ConfirmSaid(people.ROOM_ID, number(1)),
        "ConfirmSaid, the last word": room_commands.ConfirmSaid(people.ROOM_ID, number(50)),
        "ConfirmSent": room_commands.ConfirmSent(people.ROOM_ID),
        "ConfirmEntered": room_commands.ConfirmEntered(people.ROOM_ID, room_state.JOINED),
        "ConfirmGone": room_commands.ConfirmGone(people.ROOM_ID),
    },
    decider(room.Rooms()),
    room_phase,
    lambda state: tuple(room.Rooms().owed(state).values()),
)

PORTRAITS = {
    "group": GROUP_PORTRAIT,
    "room": ROOM_PORTRAIT,
    "outbox": OUTBOX_PORTRAIT,
    "inbox": INBOX_PORTRAIT,
    "session": SESSION_PORTRAIT,
}
