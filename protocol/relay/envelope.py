"""The envelope: a frame's plaintext, which says who speaks in which group, and carries one message (wire.md §3).

    frame --> not exactly one MessagePack value    RemoteProtocolError: hang up (1008), no ERROR
          --> not a valid envelope                 InvalidMessage(closing=True): ERROR 1000, then hang up
          --> a malformed or misplaced message     InvalidMessage: ERROR 1000
          --> Frame

Reading is liberal, writing is strict. Nearly every frame is canonical, a map with exactly the known keys and bytes as
bin, and one call into C reads it: a map whose header counts as many entries as fields were found can hold no
duplicate and no unknown key, so no rule is left to check. Whatever else comes goes to the patient reader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw, Struct
from msgspec.msgpack import Decoder

from ferryman.protocol.errors import LocalProtocolError, RemoteProtocolError
from ferryman.protocol.relay.errors import InvalidMessage
from ferryman.protocol.relay.liberal import MAX_ENTRIES, LiberalReader
from ferryman.protocol.relay.messages import (
    CODES,
    FROM_CLIENT,
    FROM_RELAY,
    VERSION,
    Bytes24,
    Bytes32,
    Error,
    Hello,
    Message,
    Notify,
    Peers,
    PullResponse,
    PushAck,
    Uint,
    Welcome,
    clean_device_name,
    clean_text,
)

NO_GROUP: Final = bytes(32)  # group_id of a relay's frame before WELCOME

_FIXMAP: Final = 0x80
_Reader: TypeAlias = Callable[[bytes], Message]
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ONE_VALUE: Final = Decoder(Raw)
_WRITE: Final = msgspec.msgpack.Encoder().encode


class _Envelope(Struct, frozen=True, gc=False):
    version: Uint
    msg_type: Uint
    sender_id: Bytes32
    group_id: Bytes32
    cursor: Uint
    timestamp: Uint
    nonce: Bytes24
    payload: bytes


class Frame(Struct, frozen=True):
    """One frame, read. `bytes_as_integers`: the envelope wrote bytes as arrays, so messages may be 4 times longer."""

    sender_id: bytes
    group_id: bytes
    cursor: int
    timestamp: int
    nonce: bytes
    message: Message
    bytes_as_integers: bool = False


_FAST_ENVELOPE: Final = Decoder(_Envelope)
_LIBERAL_ENVELOPE: Final = LiberalReader(_Envelope)
_ENVELOPE_HEAD: Final = _FIXMAP | len(_Envelope.__struct_fields__)


def decode_frame(data: bytes, *, from_client: bool) -> Frame:
    """Raises InvalidMessage, or RemoteProtocolError when `data` is not exactly one MessagePack value."""
    as_integers = False
    try:
        envelope = _FAST_ENVELOPE.decode(data)
        canonical = data[0] == _ENVELOPE_HEAD
    except _UNREADABLE:
        envelope, canonical = None, False
    if envelope is None or not canonical:
        envelope, as_integers = _patient_envelope(data)
    if envelope.version != VERSION:
        raise InvalidMessage(f"version {envelope.version}", closing=True)
    read = (_FROM_CLIENT if from_client else _FROM_RELAY).get(envelope.msg_type)
    if read is None:
        raise InvalidMessage(f"message type {envelope.msg_type:#x} is unknown, or not for this direction")
    return Frame(
        envelope.sender_id,
        envelope.group_id,
        envelope.cursor,
        envelope.timestamp,
        envelope.nonce,
        read(envelope.payload),
        as_integers,
    )


def encode_frame(
    message: Message, *, sender_id: bytes, group_id: bytes, timestamp: int, nonce: bytes, cursor: int = 0
) -> bytes:
    """The canonical bytes. What a reader would refuse is our bug: LocalProtocolError, but for `_UNCHECKED` messages."""
    code = CODES[type(message)]
    try:
        payload = _WRITE(message)
        frame = _WRITE(_Envelope(VERSION, code, sender_id, group_id, cursor, timestamp, nonce, payload))
        if type(message) not in _UNCHECKED:
            _WRITTEN[type(message)].decode(payload)
            _FAST_ENVELOPE.decode(frame)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise LocalProtocolError(f"{code.name} cannot be written: {error}") from None
    return frame


def _patient_envelope(data: bytes) -> tuple[_Envelope, bool]:
    try:
        _ONE_VALUE.decode(data)
    except msgspec.DecodeError:
        raise RemoteProtocolError("not exactly one MessagePack value") from None
    except RecursionError:
        raise InvalidMessage("nested too deep", closing=True) from None
    try:
        return _LIBERAL_ENVELOPE.read(data)
    except InvalidMessage as invalid:
        raise InvalidMessage(invalid.message, closing=True) from None


def _reader(struct: type[Message]) -> _Reader:
    patient = LiberalReader(struct)
    settle = _SETTLE.get(struct)
    fast = Decoder(struct)
    if struct in _NESTED:

        def read_nested(payload: bytes) -> Message:
            try:
                message = fast.decode(payload)
                entries = getattr(message, struct.__struct_fields__[0])
                if _WRITE(message) != payload or len(entries) > MAX_ENTRIES:
                    message = _patient_message(patient, payload)
            except _UNREADABLE:
                message = _patient_message(patient, payload)
            return message if settle is None else settle(message)

        return read_nested
    required = len(struct.__struct_fields__) - len(struct.__struct_defaults__)
    optional = struct.__struct_fields__[required:]

    def read(payload: bytes) -> Message:
        try:
            message = fast.decode(payload)
            present = required
            for name in optional:
                present += getattr(message, name) is not None
            if payload[0] != _FIXMAP | present:
                message = _patient_message(patient, payload)
        except _UNREADABLE:
            message = _patient_message(patient, payload)  # not canonical or not valid: it tells which
        return message if settle is None else settle(message)

    return read


def _patient_message(patient: LiberalReader[Any], payload: bytes) -> Message:
    try:
        _ONE_VALUE.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidMessage("the payload is not exactly one MessagePack value") from None
    return patient.read(payload)[0]


TEXT_BYTES: Final = 256  # of what the other side says for people: a line, not a page


def _settle_hello(message: Any) -> Message:
    hello = _settle_version(message)
    return msgspec.structs.replace(hello, device_name=clean_device_name(hello.device_name))


def _settle_peers(message: Any) -> Message:
    """A relay may not write to a user's terminal either."""
    replace = msgspec.structs.replace
    return Peers(tuple(replace(peer, device_name=clean_device_name(peer.device_name)) for peer in message.devices))


def _settle_welcome(message: Any) -> Message:
    welcome = _settle_version(message)
    return msgspec.structs.replace(welcome, relay_id=clean_text(welcome.relay_id, TEXT_BYTES))


def _settle_error(message: Any) -> Message:
    return msgspec.structs.replace(message, message=clean_text(message.message, TEXT_BYTES))


def _settle_version(message: Any) -> Any:
    if message.version != VERSION:
        raise InvalidMessage(f"version {message.version} in an envelope of version {VERSION}")
    return message


# A struct inside a struct hides its own duplicates from the count: these are canonical if they are written just so.
_NESTED: Final = frozenset[type[Message]]({PullResponse, Peers})
_SETTLE: Final[dict[type[Message], Callable[[Any], Message]]] = {
    Hello: _settle_hello,
    Welcome: _settle_welcome,
    Error: _settle_error,
    Peers: _settle_peers,
}
# Two frames for every push, made by a relay of what it has read and checked.
_UNCHECKED: Final = frozenset[type[Message]]({PushAck, Notify})
_READERS: Final = {struct: _reader(struct) for struct in CODES}
_FROM_CLIENT: Final = {int(CODES[struct]): _READERS[struct] for struct in FROM_CLIENT}
_FROM_RELAY: Final = {int(CODES[struct]): _READERS[struct] for struct in FROM_RELAY}
_WRITTEN: Final[dict[type[Message], Decoder[Message]]] = {struct: Decoder(struct) for struct in CODES}
