"""The rooms of a device, each made for one join: how a stranger is let in, and by whom (wire.md §9).

    creator   OpenRoom          join               open              Approve            sent
       none -----------> Waiting ---> Challenged ---------> Comparing --------> Parting ----> Closing ---> gone
                            |             | another join, a wrong open, Refuse    (joined)       ^
                            |             +-----------------------------> Parting (not let in) --+
                            +--- Cancel, Expire -------------------------------------------------+

    joiner    EnterRoom          challenge            admit              group recorded
       none -----------> Knocking ---------> Showing --------> Entering ---------------> Closing ---> gone
                            |  close, Cancel, Expire                                        ^
                            +---------------------------------------------------------------+

| while                      | is owed                                                                   |
|----------------------------|---------------------------------------------------------------------------|
| up to Parting, Showing     | KeepRoom: a client in the room; EndAt: its deadline                       |
| a word is chosen           | SayWord: into the outbox, under one id                                    |
| Parting, all said          | AwaitSent                                                                 |
| Entering                   | EnterGroup: the real group on record                                      |
| Closing                    | GiveUpRoom: nothing of the room is left on this device                    |
| always                     | TellPhase: to whoever waits for it                                        |

Only the first who asks is challenged, and only one whose number was approved is admitted: the number comes with the
approval, so an answer to an older question approves nobody. Words of anybody else than the one who is due are passed
over; a second one who asks ends the invite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, TypeAlias, assert_never

from ferryman.protocol.crypto.admission import commitment, open_admission, seal_admission, short_string
from ferryman.protocol.errors import RemoteProtocolError
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import DebtId, Decision, Effect, Refused
from ferryman.protocol.sync import room_state as it
from ferryman.protocol.sync.invite import LATE_SECONDS
from ferryman.protocol.sync.room_commands import (
    Approve,
    Cancel,
    ConfirmEntered,
    ConfirmGone,
    ConfirmSaid,
    ConfirmSent,
    EnterRoom,
    Expire,
    Hear,
    Inside,
    OpenRoom,
    Refuse,
    RoomCommand,
)
from ferryman.protocol.sync.room_state import Closing, Phase, RoomEvent, RoomsState, Stay
from ferryman.protocol.sync.room_words import Admit, Challenge, Close, Join, Open, RoomWord, encode_word

MAX_ROOMS: Final = 8  # open at once; each holds a connection, and a person compares one number at a time
MAX_ENDED: Final = 16  # outcomes kept for those who still ask
FAREWELL_SECONDS: Final = 10.0
TOO_MANY_ROOMS: Final = "TOO_MANY_ROOMS"
INVITE_ENDED: Final = "INVITE_REFUSED"


Outcome: TypeAlias = Decision[RoomEvent] | Refused
NOTHING: Final[Decision[RoomEvent]] = Decision()


class Rooms:
    """The machine. Its actor is `ferryman.actors.rooms`."""

    name = "rooms"
    initial = RoomsState()

    def decide(self, state: RoomsState, command: RoomCommand) -> Outcome:
        match command:
            case OpenRoom(room):
                if len(state.stays) >= MAX_ROOMS:
                    return Refused(TOO_MANY_ROOMS, f"{MAX_ROOMS} invites are open: take one back, or let it expire")
                return Decision((it.RoomOpened(room, it.Waiting()),))
            case EnterRoom(room):
                return enter(state, command)
            case _:
                stay = state.stays.get(command.room_id)
                return gone(state, command) if stay is None else inside(stay, command)

    def evolve(self, state: RoomsState, event: RoomEvent) -> RoomsState:
        match event:
            case it.RoomOpened(room, phase):
                return replace(state, stays={**state.stays, room.room_id: Stay(room, phase)})
            case it.RoomGone(room_id, outcome):
                stays = {each: stay for each, stay in state.stays.items() if each != room_id}
                ended = [(each, how) for each, how in state.ended.items() if each != room_id]
                return RoomsState(stays, dict([*ended, (room_id, outcome)][-MAX_ENDED:]))
            case it.RoomMoved(room_id, phase):
                stay = replace(state.stays[room_id], phase=phase)
            case it.WordChosen(room_id, blob_id, content):
                stay = state.stays[room_id]
                stay = replace(stay, words=(*stay.words, it.Word(blob_id, content)))
            case it.WordSaid(room_id, blob_id):
                stay = state.stays[room_id]
                stay = replace(stay, words=tuple(word for word in stay.words if word.blob_id != blob_id))
        return replace(state, stays={**state.stays, event.room_id: stay})

    def owed(self, state: RoomsState) -> Mapping[DebtId, Effect]:
        debts: dict[DebtId, Effect] = {}
        for room_id in state.ended:
            debts[f"tell/{room_id.hex()}"] = it.TellPhase(room_id, None)
        for room_id, stay in state.stays.items():
            for kind, effect in owed_in(stay):
                debts[f"{kind}/{room_id.hex()}"] = effect
            debts[f"tell/{room_id.hex()}"] = it.TellPhase(room_id, stay.phase)
        return debts


def owed_in(stay: Stay) -> list[tuple[str, it.RoomEffect]]:
    room = stay.room
    late = it.EndAt(room.room_id, room.expires_at + LATE_SECONDS)
    staying: list[tuple[str, it.RoomEffect]] = [("keep", it.KeepRoom(room))]
    staying += [(f"say/{word.blob_id.hex()}", it.SayWord(room, word)) for word in stay.words]
    match stay.phase:
        case it.Waiting() | it.Challenged() | it.Comparing():
            return [*staying, ("end", it.EndAt(room.room_id, room.expires_at))]
        case it.Knocking() | it.Showing():  # the creator's clock may be another
            return [*staying, ("end", late)]
        case it.Parting(outcome):
            sent = [] if stay.words else [("sent", it.AwaitSent(room.room_id))]
            end = late if outcome == it.JOINED else it.EndSoon(room.room_id, FAREWELL_SECONDS)
            return [*staying, *sent, ("end", end)]
        case it.Entering(group_id, secret):
            return [("enter", it.EnterGroup(room, group_id, secret))]
        case Closing():
            return [("close", it.GiveUpRoom(room.room_id))]
        case _:
            assert_never(stay.phase)


# --- deciding


def enter(state: RoomsState, command: EnterRoom) -> Outcome:
    if command.room.room_id in state.stays:
        return NOTHING  # the same invite again, after a crash: it goes on
    left = tuple(
        it.RoomMoved(room_id, Closing(it.CANCELLED))
        for room_id, stay in state.stays.items()
        if isinstance(stay.phase, it.Knocking | it.Showing)
    )
    room_id, nonce_j = command.room.room_id, command.nonce_j
    join = encode_word(Join(command.device_name, commitment(nonce_j.reveal())))
    opened = it.RoomOpened(command.room, it.Knocking(command.joiner_id, nonce_j))
    return Decision((*left, opened, it.WordChosen(room_id, command.blob_id, join)))


def gone(state: RoomsState, command: Inside) -> Outcome:
    """Late mail. A person who answers hears how it ended."""
    match command:
        case Approve() | Refuse():
            return ended(state.ended.get(command.room_id, it.EXPIRED))
        case Cancel():
            return Decision(reply=state.ended.get(command.room_id) != it.JOINED)
        case _:
            return NOTHING


def ended(outcome: str) -> Refused:
    return Refused(INVITE_ENDED, f"this invite has ended: {it.SENTENCES[outcome]}")


def inside(stay: Stay, command: Inside) -> Outcome:
    room_id, phase = stay.room.room_id, stay.phase
    match command:
        case Approve() | Refuse() if isinstance(phase, it.Parting | Closing):
            return ended(phase.outcome)
        case Hear():
            if isinstance(phase, it.Knocking | it.Showing):
                return heard_by_joiner(stay.room, phase, command)
            return heard_by_creator(stay.room, phase, command)
        case Approve():
            return approve(stay.room, phase, command)
        case Refuse(_, sas, blob_id):
            if isinstance(phase, it.Comparing) and phase.sas == sas:
                return part(room_id, it.REFUSED, Close(), blob_id, phase.guest)
            return Refused(INVITE_ENDED, "nobody waits to be let in by this invite")
        case Cancel(_, blob_id):
            return cancel(room_id, phase, blob_id)
        case Expire():
            return expire(room_id, phase)
        case ConfirmSaid(_, blob_id):
            known = any(word.blob_id == blob_id for word in stay.words)
            return Decision((it.WordSaid(room_id, blob_id),)) if known else NOTHING
        case ConfirmSent():
            if isinstance(phase, it.Parting) and not stay.words:
                return move(room_id, Closing(phase.outcome, phase.guest))
            return NOTHING
        case ConfirmEntered(_, outcome):
            return move(room_id, Closing(outcome)) if isinstance(phase, it.Entering) else NOTHING
        case ConfirmGone():
            return Decision((it.RoomGone(room_id, phase.outcome),)) if isinstance(phase, Closing) else NOTHING


def heard_by_creator(room: it.Room, phase: Phase, heard: Hear) -> Outcome:
    room_id, sender = room.room_id, heard.sender
    match phase, heard.word:
        case it.Waiting(), Join(device_name, commit):
            guest = it.Guest(sender, device_name, commit)
            said = it.WordChosen(room_id, heard.blob_id, encode_word(Challenge(heard.nonce_c)))
            return Decision((it.RoomMoved(room_id, it.Challenged(guest, heard.nonce_c)), said))
        case ((it.Challenged(guest=guest) | it.Comparing(guest=guest)), Join(_, commit)):
            if (sender, commit) == (guest.device_id, guest.commit):
                return NOTHING
            return part(room_id, it.CONTESTED, Close(), heard.blob_id, guest)
        case it.Challenged(guest, nonce_c), Open(nonce_j) if sender == guest.device_id:
            if commitment(nonce_j) != guest.commit:
                return part(room_id, it.BROKEN, Close(), heard.blob_id, guest)
            sas = short_string(room_id, room.creator_id, sender, commit=guest.commit, nonce_c=nonce_c, nonce_j=nonce_j)
            return move(room_id, it.Comparing(guest, sas))
        case _:
            return NOTHING


def heard_by_joiner(room: it.Room, phase: it.Knocking | it.Showing, heard: Hear) -> Outcome:
    room_id = room.room_id
    if heard.sender != room.creator_id:
        return NOTHING
    match phase, heard.word:
        case it.Knocking(joiner_id, secret), Challenge(nonce_c):
            nonce_j = secret.reveal()
            commit = commitment(nonce_j)
            sas = short_string(room_id, room.creator_id, joiner_id, commit=commit, nonce_c=nonce_c, nonce_j=nonce_j)
            said = it.WordChosen(room_id, heard.blob_id, encode_word(Open(nonce_j)))
            return Decision((it.RoomMoved(room_id, it.Showing(joiner_id, sas)), said))
        case it.Showing(), Admit(sealed):
            try:
                group_id, secret = open_admission(sealed, room_id=room_id, device=heard.device)
            except RemoteProtocolError:
                return NOTHING  # for somebody else; ours may come
            return move(room_id, it.Entering(group_id, Secret(secret)))
        case _, Close():
            return move(room_id, Closing(it.CLOSED))
        case _:
            return NOTHING


def approve(room: it.Room, phase: Phase, command: Approve) -> Outcome:
    if not isinstance(phase, it.Comparing) or phase.sas != command.sas:
        return Refused(INVITE_ENDED, "nobody waits to be let in with this number")
    guest = phase.guest
    try:
        sealed = seal_admission(
            command.group_id,
            command.secret.reveal(),
            room_id=room.room_id,
            joiner_id=guest.device_id,
            seed=command.seed,
        )
    except RemoteProtocolError:
        return part(room.room_id, it.BROKEN, Close(), command.blob_id, guest)
    return part(room.room_id, it.JOINED, Admit(sealed), command.blob_id, guest)


def cancel(room_id: bytes, phase: Phase, blob_id: bytes) -> Outcome:
    match phase:
        case it.Challenged(guest=guest) | it.Comparing(guest=guest):
            return part(room_id, it.CANCELLED, Close(), blob_id, guest, in_time=True)
        case it.Waiting() | it.Knocking() | it.Showing():
            return Decision((it.RoomMoved(room_id, Closing(it.CANCELLED)),), reply=True)
        case it.Entering():
            return Decision(reply=False)
        case it.Parting(outcome) | Closing(outcome):
            return Decision(reply=outcome != it.JOINED)


def expire(room_id: bytes, phase: Phase) -> Outcome:
    match phase:
        case it.Parting(outcome, guest):
            return move(room_id, Closing(it.UNSENT if outcome == it.JOINED else outcome, guest))
        case it.Entering() | Closing():
            return NOTHING
        case _:
            return move(room_id, Closing(it.EXPIRED))


def move(room_id: bytes, phase: Phase) -> Decision[RoomEvent]:
    return Decision((it.RoomMoved(room_id, phase),))


def part(
    room_id: bytes, outcome: str, word: RoomWord, blob_id: bytes, guest: it.Guest, *, in_time: bool | None = None
) -> Decision[RoomEvent]:
    """Say a last word, and stay until the relay has it."""
    said = it.WordChosen(room_id, blob_id, encode_word(word))
    return Decision((it.RoomMoved(room_id, it.Parting(outcome, guest)), said), reply=in_time)
