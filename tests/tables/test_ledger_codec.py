"""What a record can hold, and how it comes back."""

import hashlib
import pkgutil
from dataclasses import dataclass, field
from enum import Enum

import msgpack
import msgspec
import pytest

import ferryman.protocol
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger import codec
from ferryman.protocol.ledger.codec import (
    BodyCodec,
    Secret,
    check_recorded,
    command_hash,
    decode,
    encode,
    recorded,
    recorded_types,
    split_body,
)
from ferryman.protocol.ledger.errors import RecordUnreadable, UnknownRecordType
from ferryman.protocol.ledger.payload import PAYLOAD_BYTES, hashes, lift, lower, payload_hash
from ferryman.protocol.machine import Command, Refused


class Colour(Enum):
    RED = "red"


@recorded("codec.inner/1")
@dataclass(frozen=True, slots=True)
class Inner:
    number: int


@recorded("codec.full/1")
@dataclass(frozen=True, slots=True)
class Full:
    """Every kind of field that machines use."""

    text: str
    data: bytes
    ratio: float
    colour: Colour
    inner: Inner
    many: tuple[Inner, ...]
    by_id: dict[bytes, Inner]
    maybe: int | None = None
    secret: Secret | None = None


FULL = Full("é", b"\x00", 0.5, Colour.RED, Inner(1), (Inner(2), Inner(3)), {b"k": Inner(4)}, secret=Secret(b"s"))


class Cat(msgspec.Struct, frozen=True, tag="cat"):
    lives: int


class Dog(msgspec.Struct, frozen=True, tag="dog"):
    name: str


@recorded("codec.pets/1")
class Pets(msgspec.Struct, frozen=True):
    pets: tuple[Cat | Dog, ...]


def mirror(secret):
    """A seal that can be seen."""
    return secret[::-1]


@pytest.fixture
def body_codec():
    return BodyCodec(mirror, mirror)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        -1,
        2**63,
        1.5,
        "text",
        b"bytes",
        Inner(1),
        Refused("NO", "why", record=True),
        Pets((Cat(9), Dog("Rex"))),
    ],
    ids=repr,
)
def test_a_value_comes_back_equal_and_of_its_type(value):
    again = decode(encode(value))
    assert again == value
    assert type(again) is type(value)


def test_every_kind_of_field_comes_back(body_codec):
    events, reply = body_codec.decode(body_codec.encode((FULL, Inner(9)), FULL))
    assert events == (FULL, Inner(9))
    assert reply == FULL
    assert isinstance(events[0].many, tuple)


def test_a_secret_is_sealed_in_the_body_and_shows_nothing_of_itself(body_codec):
    secret = Secret(b"abcdef")
    body = body_codec.encode((Full("", b"", 0, Colour.RED, Inner(0), (), {}, secret=secret),), None)
    assert b"fedcba" in body
    assert b"abcdef" not in body
    assert repr(secret) == "Secret(6 bytes)"
    assert secret == Secret(b"abcdef") != Secret(b"abcdeg")
    assert len({secret, Secret(b"abcdef")}) == 1


def test_a_secret_leaves_only_through_a_seal():
    with pytest.raises(LocalProtocolError, match="only sealed"):
        encode(FULL)
    with pytest.raises(LocalProtocolError, match="only sealed"):
        BodyCodec(codec._no_seal, codec._no_open).encode((FULL,), None)


def test_a_sealed_field_without_a_key_cannot_be_read(body_codec):
    body = body_codec.encode((FULL,), None)
    with pytest.raises(RecordUnreadable):
        BodyCodec(codec._no_seal, codec._no_open).decode(body)


@dataclass(frozen=True, slots=True)
class Nameless:
    number: int = 0


@pytest.mark.parametrize("value", [Nameless(), object(), [1], (1,), {"a": 1}, {1}, 2**64])
def test_what_has_no_name_is_not_recorded(value):
    with pytest.raises(LocalProtocolError):
        encode(value)


def test_what_can_change_is_not_recorded():
    @dataclass
    class Loose:
        number: int

    class LooseStruct(msgspec.Struct):
        number: int

    for cls in (Loose, LooseStruct, int):
        with pytest.raises(LocalProtocolError, match="no frozen"):
            recorded("codec.loose/1")(cls)


def test_one_name_is_one_type():
    with pytest.raises(LocalProtocolError, match="two types"):
        recorded("codec.inner/1")(Nameless)
    assert recorded_types()["codec.inner/1"] is Inner
    assert recorded("codec.inner/1")(Inner) is Inner  # a module that is imported again


@dataclass(frozen=True, slots=True)
class Unordered:
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Either:
    one: Inner | Nameless = field(default_factory=Nameless)


@pytest.mark.parametrize(("cls", "words"), [(Unordered, "use a tuple"), (Either, "cannot be recorded")])
def test_a_type_that_would_not_come_back_the_same_is_refused(cls, words):
    with pytest.raises(LocalProtocolError, match=words):
        check_recorded(cls)


def test_every_recorded_type_of_ours_comes_back():
    for found in pkgutil.walk_packages(ferryman.protocol.__path__, "ferryman.protocol."):
        __import__(found.name)
    for cls in recorded_types().values():
        check_recorded(cls)


def test_an_unknown_name_is_told_from_damage():
    with pytest.raises(UnknownRecordType, match=r"nobody\.knows/1"):
        decode(msgspec.msgpack.encode(("nobody.knows/1", {})))
    for damaged in (
        b"",
        b"\xc1",
        encode(Inner(1))[:-1],
        msgspec.msgpack.encode(("codec.inner/1", {"number": "x"})),
        b"\x80",
    ):
        with pytest.raises(RecordUnreadable):
            decode(damaged)


def test_a_new_field_with_a_default_reads_old_records_and_an_old_program_reads_new_ones(monkeypatch):
    @dataclass(frozen=True, slots=True)
    class Inner2:
        number: int
        added: str = "default"

    old = encode(Inner(5))
    monkeypatch.setitem(codec._types, "codec.inner/1", Inner2)
    monkeypatch.setitem(codec._names, Inner2, "codec.inner/1")
    assert decode(old) == Inner2(5)
    new = encode(Inner2(6, "x"))
    monkeypatch.setitem(codec._types, "codec.inner/1", Inner)
    assert decode(new) == Inner(6)


# --- command hashes


@dataclass(frozen=True, slots=True)
class Add(Command[int]):
    amount: int
    why: Secret | None = None


@dataclass(frozen=True, slots=True)
class Take(Command[int]):
    amount: int
    why: Secret | None = None


def test_equal_commands_have_one_hash_and_others_another():
    same = command_hash(Add(1, Secret(b"s")))
    assert same == command_hash(Add(1, Secret(b"s")))
    others = [Add(2, Secret(b"s")), Add(1, Secret(b"t")), Add(1), Take(1, Secret(b"s"))]
    assert len({same, *map(command_hash, others)}) == 5
    assert len(same) == 32


def test_a_command_hash_covers_the_types_name_and_its_fields_and_nothing_of_this_process():
    by_hand = (
        b"ferryman/ledger-command/1" + b"\x00\x03Add" + msgpack.packb({"amount": 1, "why": msgpack.ExtType(1, b"s")})
    )
    assert command_hash(Add(1, Secret(b"s"))) == hashlib.sha256(by_hand).digest()


# --- large values


def test_a_large_value_is_lifted_out_and_lowered_back(body_codec):
    large = bytes(range(256)) * 17
    full = Full("t", large, 0, Colour.RED, Inner(0), (), {b"key": Inner(1)}, secret=Secret(b"s"))
    body = body_codec.encode((full, full), large)
    small, lifted = lift(body)
    assert lifted == {payload_hash(large): large}
    assert hashes(small) == [payload_hash(large)]
    assert len(small) < 500
    assert lower(small, lifted.__getitem__) == body
    assert split_body(small)[0][0][0] == "codec.full/1"


def test_a_value_at_the_limit_stays(body_codec):
    at, over = b"a" * PAYLOAD_BYTES, b"a" * (PAYLOAD_BYTES + 1)
    assert lift(body_codec.encode((), at))[1] == {}
    assert list(lift(body_codec.encode((), over))[1].values()) == [over]


def test_a_large_value_that_is_not_what_was_recorded_is_refused(body_codec):
    small, lifted = lift(body_codec.encode((), b"a" * 5000))
    with pytest.raises(RecordUnreadable, match="not what was recorded"):
        lower(small, lambda _: b"b" * 5000)
    assert hashes(b"no hashes in here") == []
    assert len(lifted) == 1
