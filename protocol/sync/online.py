"""A session while it is online: what each message means, and what to send next.

| the relay says      | then                                                                                        |
|---------------------|---------------------------------------------------------------------------------------------|
| PUSH_ACK            | the outbox may forget the blob; its cursor is known to be ours                              |
| NOTIFY              | the host hears of it; with its bytes it is held, else one PULL will bring it and all others |
| PULL_RESPONSE       | held for the host; more is asked for while there is room                                    |
| ERROR about a blob  | 2000, 2002, 3000: hold back, then again in order; 1000, 2001: never, the outbox drops it    |
| ERROR about no blob | the PULL under way is tried again later; without one, what is in flight, one by one         |
"""

from __future__ import annotations

from dataclasses import replace

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.errors import WireCode
from ferryman.protocol.relay.limits import take
from ferryman.protocol.relay.messages import (
    Ack,
    Error,
    Message,
    Notify,
    Peers,
    Presence,
    Pull,
    PullResponse,
    PushAck,
)
from ferryman.protocol.sync import events
from ferryman.protocol.sync import flight as outflow
from ferryman.protocol.sync import intake as inflow
from ferryman.protocol.sync.effects import (
    AnswerPull,
    Effect,
    LookAtOutbox,
    Ping,
    PushBlobs,
    RecordAcknowledged,
    RecordAdvance,
    RecordRejected,
    Send,
    SetTimer,
    Tell,
)
from ferryman.protocol.sync.happenings import (
    BlobsOpened,
    HostBegan,
    HostGot,
    HostPulled,
    HostTook,
    Input,
    OutboxGrew,
    OutboxSeen,
    PushGone,
    Recorded,
    TimerDue,
)
from ferryman.protocol.sync.session import (
    Online,
    PullUnderway,
    Session,
)
from ferryman.protocol.sync.shelf import Shelf

STALL_SECONDS = 30.0  # a relay that owes an answer and says nothing for so long is gone
ACK_SECONDS = 1.0  # one ACK a second is free of charge (wire §5)
ADVANCE_SECONDS = 1.0  # our own blobs move the frontier too; recording each would double the commits of a push
HOLD_SECONDS = 5.0  # after a refusal that does not say how long
LEAST_HOLD_SECONDS = 0.25
PULL_BURST = 30  # PULLs that follow a NOTIFY: so many at once, then one every two seconds, which leaves
PULL_BURST_SECONDS = 60.0  # most of a device's 100 messages a minute to its PUSHes
FOR_GOOD = (WireCode.INVALID_MESSAGE, WireCode.BLOB_TOO_LARGE)
LATER = (WireCode.RATE_LIMITED, WireCode.GROUP_QUOTA_EXCEEDED, WireCode.RELAY_OVERLOADED)

Step = tuple[Session, tuple[Effect, ...]]


def hear(session: Session, online: Online, message: Message) -> Step:
    """One message of the relay. Raises RemoteProtocolError."""
    match message:
        case PushAck(blob_id, cursor):
            flight, sent = outflow.landed(session.flight, blob_id)
            session = replace(session, phase=online, flight=flight, intake=inflow.acknowledged(session.intake, cursor))
            if sent is None:
                return session, ()
            session = replace(session, flight=outflow.acknowledged(flight))
            return session, (RecordAcknowledged(sent.seq, blob_id, cursor),)
        case Notify(blob_id, cursor, sender_id):
            told = Tell(events.BlobAvailable(blob_id, cursor, sender_id))
            return replace(session, phase=online, intake=inflow.notified(session.intake, message)), (told,)
        case PullResponse():
            return pulled(session, online, message)
        case Error():
            return complained(session, online, message)
        case Peers():
            return replace(session, phase=online), ()
        case _:
            raise RemoteProtocolError(f"{type(message).__name__} is not for a client")


def pulled(session: Session, online: Online, response: PullResponse) -> Step:
    pull, effects = online.pull, ()
    if pull is None:
        return replace(session, phase=online), ()
    if online.doubted and session.flight.sent:  # it was not the PULL that was refused: then it was a PUSH
        session = replace(session, flight=outflow.one_was_refused(session.flight))
        effects = (SetTimer("push", HOLD_SECONDS),)
    online = replace(online, pull=None, doubted=False)
    if pull.ticket:
        session = replace(session, intake=inflow.want(session.intake, response.max_cursor))
        return replace(session, phase=online), (AnswerPull(pull.ticket, response), *effects)
    inflows = session.intake
    if response.min_cursor is not None and inflows.covered < response.min_cursor - 1:
        inflows = inflow.skip_to(inflows, response.min_cursor - 1)
        effects += (Tell(events.ResyncRequired("the relay no longer has blobs that we had not pulled")),)
    inflows = inflow.answered(inflows, pull.after, response)
    online = replace(online, chained=response.has_more, catching_up=online.catching_up and response.has_more)
    return replace(session, phase=online, intake=inflows), effects


def complained(session: Session, online: Online, error: Error) -> Step:
    told = Tell(events.Error(error.code, error.message))
    hold_seconds = max((error.retry_after_ms or HOLD_SECONDS * 1000) / 1000, LEAST_HOLD_SECONDS)
    if error.ref is not None:
        flight, sent = outflow.landed(session.flight, error.ref)
        if sent is None:
            return replace(session, phase=online), (told,)
        if error.code in FOR_GOOD:
            session = replace(session, phase=online, flight=flight)
            return session, (RecordRejected(sent.seq, error.ref, error.code), told)
        before = session.flight
        session = replace(session, phase=online, flight=outflow.refused(flight, sent.seq))
        if before.held_back:
            return session, ()
        hold = SetTimer("push", hold_seconds)
        return session, (hold,) if before.window == 1 else (hold, told)  # told once until it goes smoothly again
    if online.pull is None and session.flight.sent and error.code in (*LATER, WireCode.BLOB_TOO_LARGE):
        blob_id, *others = session.flight.sent  # `ref` is optional: a relay may not say which PUSH it refused
        if not others:
            return complained(session, online, Error(error.code, error.message, blob_id, error.retry_after_ms))
        flight = outflow.one_was_refused(session.flight)
        return replace(session, phase=online, flight=flight), (SetTimer("push", hold_seconds), told)
    if online.pull is None:
        return replace(session, phase=online), (told,)
    wait = SetTimer("pull", max(hold_seconds, HOLD_SECONDS))
    return replace(session, phase=replace(online, doubted=True)), (wait, told)


def move(session: Session, online: Online | None, happened: Input) -> Step:
    """What the host, the recorders and the timers bring, online or not."""
    match happened:
        case OutboxGrew():
            return session, (LookAtOutbox(),)
        case OutboxSeen(shelf):
            return replace(session, shelf=shelf), ()
        case PushGone(blob_id):
            return replace(session, flight=outflow.landed(session.flight, blob_id)[0]), ()
        case BlobsOpened(through, passed):
            return advance(replace(session, intake=inflow.took(inflow.opened(session.intake, through), *passed)))
        case HostGot(through):
            return replace(session, intake=inflow.handed(session.intake, through)), ()
        case HostTook(cursors):
            return advance(replace(session, intake=inflow.took(session.intake, *cursors)))
        case HostBegan():
            return replace(session, intake=inflow.rewound(session.intake)), ()
        case HostPulled(ticket, after, limit):
            pull = PullUnderway(session.recorded if after is None else after, limit, ticket)
            return replace(session, host_pulls=(*session.host_pulls, pull)), ()
        case Recorded(through):
            through = min(through, session.intake.frontier)  # never more than this history accounts for
            return replace(session, recorded=max(session.recorded, through)), ()
        case TimerDue("advance"):
            session = replace(session, advance_armed=False)
            through = session.intake.frontier
            return session, (RecordAdvance(through),) if through > session.recorded else ()
        case TimerDue("heartbeat") if online is not None:
            return session, (Send(Presence("online")), Ping(), SetTimer("heartbeat", online.heartbeat_seconds))
        case TimerDue("stall") if online is not None:
            return session, (SetTimer("stall", STALL_SECONDS),)
        case TimerDue("pull") if online is not None:
            return replace(session, phase=replace(online, pulls_held=False)), ()
        case TimerDue("push") if online is not None:
            return replace(session, flight=outflow.release(session.flight), shelf=Shelf()), (LookAtOutbox(),)
        case TimerDue("ack") if online is not None:
            return replace(session, phase=replace(online, ack_armed=False)), ()
        case _:  # a timer of a connection that is gone
            return session, ()


def advance(session: Session) -> Step:
    """Have the frontier recorded before long; a Take that is recorded meanwhile carries it along."""
    if session.advance_armed or session.intake.frontier <= session.recorded:
        return session, ()
    return replace(session, advance_armed=True), (SetTimer("advance", ADVANCE_SECONDS),)


def proceed(session: Session, online: Online, now: float) -> Step:
    """Whatever can be sent now: first a PULL, then PUSHes once we have caught up, then an ACK."""
    session, effects = advance(session)
    session, online, more = _pull(session, online, now)
    effects += more
    if online.catching_up and online.pull is None and (online.pulls_held or not session.intake.missing):
        online = replace(online, catching_up=False)
    if not online.catching_up:
        flight, chosen = outflow.pick(session.flight, session.shelf)
        session = replace(session, flight=flight)
        effects += (PushBlobs(chosen),) if chosen else ()
    if session.recorded > online.acknowledged and not online.ack_armed:
        online = replace(online, acknowledged=session.recorded, ack_armed=True)
        effects += (Send(Ack(session.recorded)), SetTimer("ack", ACK_SECONDS))
    return replace(session, phase=online), effects


def _pull(session: Session, online: Online, now: float) -> tuple[Session, Online, tuple[Effect, ...]]:
    if online.pull is not None or online.pulls_held:
        return session, online, ()
    if session.host_pulls:
        pull, *rest = session.host_pulls
        session = replace(session, host_pulls=tuple(rest))
        return session, replace(online, pull=pull), (Send(Pull(pull.after, pull.limit, ack=False)),)
    missing = session.intake.missing
    if not missing:  # one that waits for room still follows has_more
        more = session.intake.covered < session.intake.wanted
        return session, replace(online, chained=online.chained and more), ()
    if not online.chained:
        pace, allowed, wait_ms = take(online.pace, now)
        online = replace(online, pace=pace)
        if not allowed:
            return session, replace(online, pulls_held=True), (SetTimer("pull", wait_ms / 1000),)
    pull = PullUnderway(session.intake.covered, missing)
    return session, replace(online, pull=pull, chained=False), (Send(Pull(pull.after, missing, ack=False)),)
