"""The session of one device with its relay, without I/O: fed with what happened, it answers with what to do.

              Begin              Upgraded             Secured               WELCOME
    Offline --------> Connecting --------> Handshaking --------> AwaitingWelcome --------> Online
       ^              ^   |                    |                   |  ^ 1001: HELLO       |
       | End, 4001,   |   |                    |                   |  |  from zero        |
       | no auto_     |   +-----------+--------+-------------------+--+-------+-----------+
       |  reconnect   | retry         | Lost                                  | Lost
       +--------------+--------- BackingOff <--------------------------------+

`step` is the only entrance. A connection that is hung up is forgotten at once: what it still says is not fed in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.relay.errors import CloseCode, WireCode
from ferryman.protocol.relay.limits import HEARTBEAT_SECONDS, MAX_HELLOS, Bucket
from ferryman.protocol.relay.messages import Error, Presence, Welcome
from ferryman.protocol.sync import events
from ferryman.protocol.sync import intake as inflow
from ferryman.protocol.sync.effects import (
    BackOff,
    Dial,
    Effect,
    FailPull,
    HangUp,
    LookAtOutbox,
    PinRelay,
    RecordRestart,
    SayHello,
    Send,
    SetTimer,
    StopTimer,
    Tell,
)
from ferryman.protocol.sync.flight import Flight
from ferryman.protocol.sync.happenings import (
    Begin,
    End,
    HostPulled,
    Input,
    Lost,
    Received,
    Secured,
    TimerDue,
    Upgraded,
)
from ferryman.protocol.sync.online import PULL_BURST, PULL_BURST_SECONDS, STALL_SECONDS, hear, move, proceed
from ferryman.protocol.sync.session import (
    AwaitingWelcome,
    BackingOff,
    Connecting,
    Handshaking,
    Offline,
    Online,
    Session,
    TimerName,
)
from ferryman.protocol.sync.shelf import Shelf

WELCOME_SECONDS = 10.0  # a relay answers a HELLO from memory
CONNECTION_TIMERS: tuple[TimerName, ...] = ("welcome", "heartbeat", "stall", "pull", "push", "ack")

Step = tuple[Session, tuple[Effect, ...]]


def step(session: Session, happened: Input, now: float) -> Step:
    """The session afterwards, and what to do, in this order. now: seconds on a clock that never goes back."""
    try:
        after, effects = _step(session, happened, now)
    except RemoteProtocolError as error:
        after, effects = hang_up(session, CloseCode.POLICY, f"the relay broke the protocol: {error.message}")
    if isinstance(after.phase, Online):
        after, more = proceed(after, after.phase, now)
        effects += more
    if status(after) != status(session):
        effects += (Tell(events.StatusChanged(status(after))),)
    return after, effects


def status(session: Session) -> events.ConnectionStatus:
    match session.phase:
        case Offline(reason):
            return events.Disconnected(reason)
        case Connecting(0) | Handshaking(0) | AwaitingWelcome(0):
            return events.Connecting()
        case BackingOff(attempt) | Connecting(attempt) | Handshaking(attempt) | AwaitingWelcome(attempt):
            return events.Reconnecting(attempt, session.trouble)
        case Online(info):
            return events.Connected(info)
        case _:
            assert_never(session.phase)


def _step(session: Session, happened: Input, now: float) -> Step:
    match session.phase:
        case Offline():
            match happened:
                case Begin():
                    return replace(session, phase=Connecting()), (Dial(),)
                case _:
                    return idle(session, happened)
        case BackingOff(attempt):
            match happened:
                case Begin() | TimerDue("retry"):
                    return replace(session, phase=Connecting(attempt)), (StopTimer("retry"), Dial())
                case End():
                    return replace(session, phase=Offline()), (StopTimer("retry"),)
                case _:
                    return idle(session, happened)
        case Connecting(attempt):
            match happened:
                case Upgraded():
                    return replace(session, phase=Handshaking(attempt)), ()
                case End():
                    return leave(session)
                case Lost():
                    return lost(session, happened, attempt)
                case _:
                    return idle(session, happened)
        case Handshaking(attempt):
            match happened:
                case Secured():
                    greeting = (SayHello(session.recorded, session.incarnation), SetTimer("welcome", WELCOME_SECONDS))
                    return replace(session, phase=AwaitingWelcome(attempt)), greeting
                case End():
                    return leave(session)
                case Lost():
                    return lost(session, happened, attempt)
                case _:
                    return idle(session, happened)
        case AwaitingWelcome():
            match happened:
                case Received(Welcome() as welcome):
                    return welcomed(session, session.phase, welcome, now)
                case Received(Error() as error):
                    return greeted_with_error(session, session.phase, error)
                case Received():
                    return hang_up(session, CloseCode.POLICY, "the relay spoke before its WELCOME")
                case TimerDue("welcome"):
                    return hang_up(session, CloseCode.NORMAL, "the relay did not answer our HELLO")
                case End():
                    return leave(session)
                case Lost():
                    return lost(session, happened, session.phase.attempt)
                case _:
                    return idle(session, happened)
        case Online():
            match happened:
                case Received(Welcome()):
                    return hang_up(session, CloseCode.POLICY, "the relay welcomed us twice")
                case Received(Error(code=WireCode.UNAUTHORIZED | WireCode.RELAY_SHUTTING_DOWN) as error):
                    told = Tell(events.Error(error.code, error.message))
                    after, effects = hang_up(session, CloseCode.NORMAL, error.message)
                    return after, (told, *effects)
                case Received(message):
                    return hear(session, replace(session.phase, heard_at=now), message)
                case TimerDue("stall") if now - session.phase.heard_at >= STALL_SECONDS and awaits(session):
                    return hang_up(session, CloseCode.NORMAL, "the relay does not answer")
                case TimerDue("pull") if session.phase.doubted:
                    return hang_up(session, CloseCode.NORMAL, "the relay refused a PULL, or did not answer it")
                case Lost():
                    return lost(session, happened, 0)
                case End():
                    return leave(session)
                case _:
                    return move(session, session.phase, happened)


def idle(session: Session, happened: Input) -> Step:
    """What can happen without a connection. Late mail of an old one falls through."""
    match happened:
        case HostPulled(ticket):
            return session, (FailPull(ticket, "the relay cannot be reached now"),)
        case Begin() | End() | Upgraded() | Secured() | Received() | Lost():
            return session, ()
        case _:
            return move(session, None, happened)


def welcomed(session: Session, phase: AwaitingWelcome, welcome: Welcome, now: float) -> Step:
    """Compare the relay's history with ours, then begin to pull and push."""
    incarnation = welcome.incarnation or b""
    effects: list[Effect] = [StopTimer("welcome"), PinRelay()]
    other = session.incarnation and incarnation and incarnation != session.incarnation
    if phase.from_zero or other or welcome.max_cursor < session.intake.covered:
        empty = inflow.resume(session.intake.device_id, 0, ())
        session = replace(session, incarnation=incarnation, recorded=0, intake=empty, run=session.run + 1)
        required = events.ResyncRequired("the relay does not have the history that we had")
        effects += [RecordRestart(session.run, incarnation), Tell(required)]
    elif incarnation and not session.incarnation:
        session = replace(session, incarnation=incarnation)
        effects.append(RecordRestart(session.run, incarnation))
    hello_cursor = 0 if phase.from_zero else session.recorded
    inflows = inflow.want(session.intake, welcome.max_cursor)
    if welcome.min_cursor is not None and inflows.covered < welcome.min_cursor - 1:
        inflows = inflow.skip_to(inflows, welcome.min_cursor - 1)
        effects.append(Tell(events.ResyncRequired("the relay no longer has blobs that we had not pulled")))
    info = events.ConnectionInfo(welcome.relay_id, welcome.max_cursor, welcome.pending_count)
    online = Online(
        info,
        heartbeat_seconds=float(welcome.heartbeat or HEARTBEAT_SECONDS),
        max_blob_size=welcome.max_blob_size,
        heard_at=now,
        pace=Bucket.full(PULL_BURST, PULL_BURST_SECONDS, now),
        acknowledged=hello_cursor,
    )
    effects += [
        Tell(events.Connected(info)),
        SetTimer("heartbeat", online.heartbeat_seconds),
        SetTimer("stall", STALL_SECONDS),
        LookAtOutbox(),
    ]
    return replace(session, phase=online, intake=inflows), tuple(effects)


def greeted_with_error(session: Session, phase: AwaitingWelcome, error: Error) -> Step:
    told = Tell(events.Error(error.code, error.message))
    if error.code == WireCode.UNKNOWN_GROUP and phase.hellos < MAX_HELLOS:
        again = replace(phase, hellos=phase.hellos + 1, from_zero=True)
        return replace(session, phase=again), (SayHello(0, b""), SetTimer("welcome", WELCOME_SECONDS))
    after, effects = hang_up(session, CloseCode.NORMAL, error.message)
    return after, (told, *effects)


def awaits(session: Session) -> bool:
    """Whether the relay owes us an answer."""
    return bool(session.flight.sent) or (isinstance(session.phase, Online) and session.phase.pull is not None)


def attempts(session: Session) -> int:
    match session.phase:
        case BackingOff(attempt) | Connecting(attempt) | Handshaking(attempt) | AwaitingWelcome(attempt):
            return attempt
        case Offline() | Online():
            return 0


def hang_up(session: Session, close_code: int, reason: str) -> Step:
    """We end the connection, and try again later."""
    after, effects = lost(session, Lost(reason), attempts(session))
    return after, (HangUp(close_code, reason), *effects)


def leave(session: Session) -> Step:
    """The host ends it: say so, hang up, and stay away."""
    farewell = (Send(Presence("offline")),) if isinstance(session.phase, Online) else ()
    after, effects = disconnected(session, "sync was ended")
    return replace(after, phase=Offline()), (*farewell, HangUp(CloseCode.NORMAL, "sync was ended"), *effects)


def lost(session: Session, how: Lost, attempt: int) -> Step:
    """The connection is gone: the next try comes by itself, unless another connection of this device took over."""
    after, effects = disconnected(session, how.reason)
    if how.notable:
        effects = (Tell(events.Error(0, how.reason)), *effects)
    if how.other_key is not None:
        effects = (Tell(events.RelayKeyChanged(how.other_key)), *effects)
    if how.close_code == CloseCode.REPLACED:
        return replace(after, phase=Offline("another connection of this device took over")), effects
    if not session.rules.auto_reconnect:
        return replace(after, phase=Offline(how.reason)), effects
    after = replace(after, phase=BackingOff(attempt + 1), trouble=how.reason)
    return after, (*effects, BackOff(attempt + 1))


def disconnected(session: Session, reason: str) -> Step:
    """Forget what belonged to the connection. What is held for the host stays, and so does what covers it."""
    effects: list[Effect] = [StopTimer(name) for name in CONNECTION_TIMERS]
    pulls = session.host_pulls
    if isinstance(session.phase, Online):
        effects.append(Tell(events.Disconnected(reason)))
        if session.phase.pull is not None and session.phase.pull.ticket:
            pulls = (session.phase.pull, *pulls)
    effects += [FailPull(pull.ticket, reason) for pull in pulls]
    return replace(session, flight=Flight(), shelf=Shelf(), host_pulls=()), tuple(effects)
