"""How events, replies and states become bytes and come back: a registered name a type, MessagePack for the fields.

    body  = [[named, ...events], named reply]        Ext 1 = a `Secret`, sealed under the ledger key
    named = [name, {field: value, ...}]              Ext 2 = the hash of a large value (payload.py)
    named = ["", value]                              a plain value: None, bool, int, float, str, bytes

    @recorded("outbox.queued/1")
    @dataclass(frozen=True, slots=True)
    class Queued: ...

A name is for ever: what was written under it must be readable for ever. A changed meaning is a new class under a new
number; a new field with a default keeps the number. Where a field may hold one of several types, make those
`msgspec.Struct(frozen=True, tag="...")`; MessagePack cannot tell two dataclasses apart.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import msgspec

from ferryman.protocol.crypto.domains import LEDGER_COMMAND
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger.errors import RecordUnreadable, UnknownRecordType
from ferryman.protocol.machine import Refused

T = TypeVar("T")
Seal = Callable[[bytes], bytes]

EXT_SECRET = 1
EXT_PAYLOAD = 2
PLAIN = ""
_PLAIN_TYPES = (type(None), bool, int, float, str, bytes)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Named = tuple[str, msgspec.Raw]
DecodeFields = Callable[[bytes | msgspec.Raw], Any]


class Secret:
    """Bytes that reach the disk only sealed. Shows nothing of itself; `reveal()` is the one way out."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return f"Secret({len(self._value)} bytes)"


_types: dict[str, type[Any]] = {}
_names: dict[type[Any], str] = {}


def recorded(name: str) -> Callable[[type[T]], type[T]]:
    """Register a frozen dataclass (or frozen msgspec.Struct) under `name`, e.g. "outbox.queued/1"."""

    def register(cls: type[T]) -> type[T]:
        if not _is_frozen(cls):
            raise LocalProtocolError(f"{cls.__qualname__} is no frozen dataclass or Struct: a record cannot hold it")
        known = _types.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise LocalProtocolError(f"two types are recorded as {name!r}: {known.__qualname__}, {cls.__qualname__}")
        _types[name] = cls
        _names[cls] = name
        return cls

    return register


def recorded_types() -> dict[str, type[Any]]:
    """All registered types by name."""
    return dict(_types)


def check_recorded(cls: type[Any]) -> None:
    """Raises LocalProtocolError if a value of `cls` could not come back as it was. Tests call it for every type."""
    try:
        _decoder(cls, _no_open)
        inside = list(_kinds(msgspec.inspect.type_info(cls), set()))
    except (TypeError, NameError) as error:
        raise LocalProtocolError(f"{cls.__qualname__} cannot be recorded: {error}") from None
    if any(isinstance(kind, msgspec.inspect.SetType | msgspec.inspect.FrozenSetType) for kind in inside):
        raise LocalProtocolError(f"{cls.__qualname__} has a set: its order differs from run to run; use a tuple")


def encode(value: object) -> bytes:
    """One value as bytes. A Secret in it raises LocalProtocolError: only a ledger seals."""
    return _pack(_unsealed, _named(value))


def decode(data: bytes) -> Any:
    """The value of `encode`. Raises UnknownRecordType, RecordUnreadable."""
    name, raw = _unpack(_pair, data)
    return _unpack(_decoder(_type_of(name), _no_open), raw)


def command_hash(command: object) -> bytes:
    """32 bytes that tell one command from another under the same id. The type's own name counts, not its module."""
    name = type(command).__name__.encode()
    digest = hashlib.sha256(LEDGER_COMMAND + len(name).to_bytes(2, "big") + name)
    digest.update(_pack(_bare, command))
    return digest.digest()


class BodyCodec:
    """Encodes and decodes the bodies of one stream's records, sealing and opening their secrets."""

    def __init__(self, seal: Seal, open_sealed: Seal) -> None:
        self._encoder = _encoder(seal)
        self._open = open_sealed
        self._decoders: dict[str, DecodeFields] = {}

    def encode(self, events: tuple[object, ...], reply: object) -> bytes:
        """Raises LocalProtocolError for what is not @recorded."""
        return _pack(self._encoder, ([_named(event) for event in events], _named(reply)))

    def encode_one(self, value: object) -> Named:
        """A value to stand inside another, e.g. a state in its snapshot."""
        return _unpack(_pair, _pack(self._encoder, _named(value)))

    def decode(self, body: bytes) -> tuple[tuple[Any, ...], Any]:
        """(events, reply). Raises UnknownRecordType, RecordUnreadable."""
        decoders = self._decoders
        try:
            events, reply = _body.decode(body)
            found: list[Any] = []
            for name, raw in events:
                decode_fields = decoders.get(name) or self._learn(name)
                found.append(decode_fields(raw))
            name, raw = reply
            decode_fields = decoders.get(name) or self._learn(name)
            return tuple(found), decode_fields(raw)
        except _UNREADABLE as error:
            raise RecordUnreadable(str(error)) from None

    def decode_one(self, named: Named) -> Any:
        name, raw = named
        try:
            return (self._decoders.get(name) or self._learn(name))(raw)
        except _UNREADABLE as error:
            raise RecordUnreadable(str(error)) from None

    def _learn(self, name: str) -> DecodeFields:
        decoder = self._decoders[name] = _decoder(_type_of(name), self._open).decode
        return decoder


def split_body(body: bytes) -> tuple[list[Named], Named]:
    """(events, reply), their fields still packed. Raises RecordUnreadable."""
    return _unpack(_body, body)


def join_body(events: list[Named], reply: Named) -> bytes:
    """The inverse of `split_body`."""
    return _pack(_unsealed, (events, reply))


def is_known(name: str) -> bool:
    return name == PLAIN or name in _types


_pair: msgspec.msgpack.Decoder[Named] = msgspec.msgpack.Decoder(Named)
_body: msgspec.msgpack.Decoder[tuple[list[Named], Named]] = msgspec.msgpack.Decoder(tuple[list[Named], Named])


def _named(value: object) -> tuple[str, object]:
    name = _names.get(type(value))
    if name is not None:
        return name, value
    if type(value) in _PLAIN_TYPES:
        return PLAIN, value
    raise LocalProtocolError(f"{type(value).__qualname__} is not @recorded and no plain value")


def _type_of(name: str) -> Any:
    if name == PLAIN:
        return Any
    try:
        return _types[name]
    except KeyError:
        raise UnknownRecordType(name) from None


def _unpack(decoder: msgspec.msgpack.Decoder[T], data: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(data)
    except _UNREADABLE as error:
        raise RecordUnreadable(str(error)) from None


def _encoder(seal: Seal) -> msgspec.msgpack.Encoder:
    def hook(inner: object) -> object:
        if isinstance(inner, Secret):
            return msgspec.msgpack.Ext(EXT_SECRET, seal(inner.reveal()))
        raise TypeError(type(inner).__qualname__)

    return msgspec.msgpack.Encoder(enc_hook=hook)


def _pack(encoder: msgspec.msgpack.Encoder, value: object) -> bytes:
    try:
        return encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LocalProtocolError(f"a record cannot hold this: {error}") from None


def _decoder(cls: Any, open_sealed: Seal) -> msgspec.msgpack.Decoder[Any]:
    def hook(wanted: type[Any], value: object) -> object:
        if wanted is Secret and isinstance(value, msgspec.msgpack.Ext) and value.code == EXT_SECRET:
            return Secret(open_sealed(bytes(value.data)))
        raise msgspec.ValidationError(f"expected {wanted.__name__}")

    return msgspec.msgpack.Decoder(cls, dec_hook=hook)


def _is_frozen(cls: type[Any]) -> bool:
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_config__.frozen
    # by name: the types of the standard library know of no parameters
    return dataclasses.is_dataclass(cls) and bool(getattr(cls, "__dataclass_params__").frozen)  # noqa: B009


def _kinds(info: object, seen: set[Any]) -> Iterator[object]:
    """Every type that a type is made of."""
    yield info
    cls = getattr(info, "cls", None)
    if cls in seen:
        return
    if cls is not None:
        seen.add(cls)
    for part in ("item_type", "key_type", "value_type"):
        inner = getattr(info, part, None)
        if inner is not None:
            yield from _kinds(inner, seen)
    for part in ("item_types", "types", "fields"):
        for inner in cast("tuple[Any, ...]", getattr(info, part, ())):
            yield from _kinds(getattr(inner, "type", inner), seen)


def _no_seal(_: bytes) -> bytes:
    raise LocalProtocolError("a Secret leaves a ledger only sealed")


def _no_open(_: bytes) -> bytes:
    raise RecordUnreadable("a sealed field, and no key to open it")


_unsealed = _encoder(_no_seal)
_bare = _encoder(bytes)  # under a hash a secret counts as it is; the ledger stores that hash only masked

recorded("refused/1")(Refused)
