"""A peer that chooses its handshake bytes: one exception for all of it, and no device with two IDs."""

from __future__ import annotations

import pytest

from ferryman.protocol.crypto.noise import AwaitingProof, AwaitingReply, initiate, respond, static_public
from ferryman.protocol.errors import RemoteProtocolError
from tests.fakes.wire import ANNA, RELAY_PRIVATE
from tests.vectors.noise_by_hand import Symmetric, third_message

P = 2**255 - 19
LOW_ORDER = {
    "zero": 0,
    "one": 1,
    "minus one": P - 1,
    "order 8": int.from_bytes(
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), "little"
    ),
    "order 8, the other": int.from_bytes(
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"), "little"
    ),
}
ANNA_NUMBER = int.from_bytes(ANNA.device_id, "little")
NOT_CANONICAL = {
    "the prime itself": P,
    "the prime and nine": P + 9,
    "all ones": 2**256 - 1,
    "a good key with its top bit set": ANNA_NUMBER | 1 << 255,
}


def key(number: int) -> bytes:
    return number.to_bytes(32, "little")


def started() -> tuple[AwaitingReply, bytes]:
    return initiate(ANNA.noise_private, b"a" * 32)


def answered() -> tuple[AwaitingReply, AwaitingProof, bytes]:
    awaiting_reply, message1 = started()
    awaiting_proof, message2 = respond(RELAY_PRIVATE, b"b" * 32, message1)
    return awaiting_reply, awaiting_proof, message2


@pytest.mark.req("W2-07")
@pytest.mark.parametrize("number", [*LOW_ORDER.values(), *NOT_CANONICAL.values()], ids=[*LOW_ORDER, *NOT_CANONICAL])
def test_the_relay_refuses_a_bad_ephemeral_key(number):
    with pytest.raises(RemoteProtocolError):
        respond(RELAY_PRIVATE, b"b" * 32, key(number))


@pytest.mark.req("W2-07")
@pytest.mark.parametrize("number", [*LOW_ORDER.values(), *NOT_CANONICAL.values()], ids=[*LOW_ORDER, *NOT_CANONICAL])
def test_the_client_refuses_a_bad_ephemeral_key(number):
    awaiting_reply, _, message2 = answered()
    with pytest.raises(RemoteProtocolError):
        awaiting_reply.read_reply(key(number) + message2[32:])


@pytest.mark.req("W2-06")
def test_a_key_just_above_the_prime_is_refused_for_its_form():
    """9 + p is a good point in another form: all that X25519 computes with it is what it computes with 9."""
    with pytest.raises(RemoteProtocolError, match="canonical"):
        respond(RELAY_PRIVATE, b"b" * 32, key(P + 9))
    awaiting_reply, _, message2 = answered()
    with pytest.raises(RemoteProtocolError, match="canonical"):
        awaiting_reply.read_reply(key(P + 9) + message2[32:])


class Impostor:
    """A peer that does everything right but may say another static key than the one it computes with."""

    @staticmethod
    def as_client(awaiting: AwaitingProof, message1_private: bytes, message2: bytes, *, private: bytes, shown: bytes):
        """Finishes as the client with `shown` in the place of its static public key."""
        relay = static_public(RELAY_PRIVATE)
        return awaiting.finish(third_message(message1_private, message2, relay, private=private, shown=shown))

    @staticmethod
    def as_relay(awaiting: AwaitingReply, message1: bytes, *, private: bytes, shown: bytes):
        state = Symmetric()
        state.mix_hash(message1)
        state.seal(b"")
        ephemeral = b"b" * 32
        state.mix_hash(static_public(ephemeral))
        state.mix_key(ephemeral, message1)
        static = state.seal(shown)
        state.mix_key(private, message1)
        return awaiting.read_reply(static_public(ephemeral) + static + state.seal(b""))


def test_the_impostor_is_a_good_client_when_it_does_not_lie():
    _, awaiting_proof, message2 = answered()
    session = Impostor.as_client(awaiting_proof, b"a" * 32, message2, private=ANNA.noise_private, shown=ANNA.device_id)
    assert session.remote_static == ANNA.device_id


@pytest.mark.req("W2-05")
def test_a_second_form_of_the_same_static_key_is_no_second_device_id():
    _, awaiting_proof, message2 = answered()
    twin = key(ANNA_NUMBER | 1 << 255)  # X25519 ignores the top bit: everything else of the handshake holds
    with pytest.raises(RemoteProtocolError, match="canonical"):
        Impostor.as_client(awaiting_proof, b"a" * 32, message2, private=ANNA.noise_private, shown=twin)


@pytest.mark.req("W2-05")
def test_a_second_form_of_the_relays_static_key_is_refused_too():
    awaiting_reply, message1 = started()
    relay = int.from_bytes(static_public(RELAY_PRIVATE), "little")
    known = Impostor.as_relay(awaiting_reply, message1, private=RELAY_PRIVATE, shown=key(relay))
    assert known.remote_static == key(relay)
    awaiting_reply, message1 = started()
    with pytest.raises(RemoteProtocolError, match="canonical"):
        Impostor.as_relay(awaiting_reply, message1, private=RELAY_PRIVATE, shown=key(relay | 1 << 255))


@pytest.mark.req("W2-07")
@pytest.mark.parametrize("number", LOW_ORDER.values(), ids=LOW_ORDER)
def test_the_relay_refuses_a_static_key_that_makes_every_secret_zero(number):
    _, awaiting_proof, message2 = answered()
    with pytest.raises(RemoteProtocolError):
        Impostor.as_client(awaiting_proof, b"a" * 32, message2, private=ANNA.noise_private, shown=key(number))


@pytest.mark.req("W2-07")
@pytest.mark.parametrize("number", LOW_ORDER.values(), ids=LOW_ORDER)
def test_the_client_refuses_a_static_key_that_makes_every_secret_zero(number):
    awaiting_reply, message1 = started()
    with pytest.raises(RemoteProtocolError):
        Impostor.as_relay(awaiting_reply, message1, private=RELAY_PRIVATE, shown=key(number))


@pytest.mark.req("W2-02", "W2-03")
@pytest.mark.req("S4-25")
@pytest.mark.parametrize("size", [0, 1, 31, 33, 48, 1_000])
def test_a_first_message_of_another_size_is_refused(size):
    with pytest.raises(RemoteProtocolError, match="bytes instead of 32"):
        respond(RELAY_PRIVATE, b"b" * 32, bytes([9]) * size)


@pytest.mark.req("W2-02", "W2-03")
def test_a_second_message_with_a_payload_or_cut_is_refused():
    for changed in (lambda message: message + b"x", lambda message: message[:-1], lambda _: b""):
        awaiting_reply, _, message2 = answered()
        with pytest.raises(RemoteProtocolError, match="bytes instead of 96"):
            awaiting_reply.read_reply(changed(message2))


@pytest.mark.req("W2-02", "W2-03")
def test_a_third_message_with_a_payload_or_cut_is_refused():
    for changed in (lambda message: message + b"x", lambda message: message[:-1], lambda _: b""):
        awaiting_reply, awaiting_proof, message2 = answered()
        _, message3 = awaiting_reply.read_reply(message2).finish()
        with pytest.raises(RemoteProtocolError, match="bytes instead of 64"):
            awaiting_proof.finish(changed(message3))


@pytest.mark.parametrize("at", range(32, 96, 7))
def test_a_changed_second_message_is_refused(at):
    awaiting_reply, _, message2 = answered()
    with pytest.raises(RemoteProtocolError):
        awaiting_reply.read_reply(message2[:at] + bytes([message2[at] ^ 1]) + message2[at + 1 :])


@pytest.mark.parametrize("at", range(0, 64, 7))
def test_a_changed_third_message_is_refused(at):
    awaiting_reply, awaiting_proof, message2 = answered()
    _, message3 = awaiting_reply.read_reply(message2).finish()
    with pytest.raises(RemoteProtocolError):
        awaiting_proof.finish(message3[:at] + bytes([message3[at] ^ 1]) + message3[at + 1 :])
