"""Committed bytes: what this version writes, every later one writes, and a stranger can make it from the page."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import msgpack
import pytest
from nacl import bindings
from nacl.signing import SigningKey, VerifyKey

from ferryman.protocol.crypto.sealing import open_blob
from ferryman.protocol.relay.envelope import decode_frame
from ferryman.protocol.relay.messages import CODES
from ferryman.protocol.sync.control import Member, decode_control
from ferryman.protocol.sync.invite import read_link, read_payload
from ferryman.protocol.sync.short_code import derive_key, open_payload, read_code
from tests.fakes.wire import ANNA, BLOB_ID, GROUP_SALT, NONCE, NOW, RELAY_PRIVATE, SECRET, group
from tests.fakes.wire_samples import SAMPLES
from tests.vectors import noise_by_hand
from tests.vectors.wire_cases import CONTENT, INVITE, cases

COMMITTED = json.loads((Path(__file__).parent / "wire.json").read_text())


@pytest.mark.req("W2-01", "W10-05")
@pytest.mark.parametrize("part", COMMITTED)
def test_this_version_makes_the_committed_bytes(part):
    assert cases()[part] == COMMITTED[part]


@pytest.mark.req("S4-22", "S4-23", "S4-24")
def test_the_keys_are_those_of_the_published_vector():
    keys = group()
    assert keys.encryption_key.hex() == "1f048c1477793db151594eba95a740ab97554659d0fac421f3d0b3020f78499b"
    assert keys.group_key is not None
    assert keys.group_key.hex() == "a24d3bcb40763cc81aa47b2c303d4c3f4f101e55525f92321ac34c530ba0cf2d"
    assert keys.group_id.hex() == "6465666768696a6b6c6d6e6f707172730cb55e8e945e4722e75f28dca212ae41"
    assert len(keys.encryption_key) == len(keys.authentication_key) == 32
    assert keys.encryption_key != keys.authentication_key


@pytest.mark.req("S4-24")
def test_both_group_keys_are_hkdf_sha256_of_one_argon2id_key():
    salt = hashlib.sha256(b"ferryman/group-salt/1" + GROUP_SALT).digest()[:16]
    group_secret = bindings.crypto_pwhash_alg(32, SECRET, salt, 2, 19_456 * 1024, bindings.crypto_pwhash_ALG_ARGON2ID13)
    prk = hmac.digest(GROUP_SALT, group_secret, "sha256")
    keys = group()
    assert keys.encryption_key == hmac.digest(prk, b"ferryman/encryption/1\x01", "sha256")
    assert keys.authentication_key == hmac.digest(prk, b"ferryman/authentication/1\x01", "sha256")
    assert keys.group_key == bytes(SigningKey(keys.authentication_key).verify_key)


@pytest.mark.req("W10-01", "W10-05")
def test_a_group_proof_signs_its_own_string_the_handshake_and_the_group():
    keys = group()
    proof = bytes.fromhex(COMMITTED["keys"]["group_proof of handshake hash 00..1f"])
    assert keys.group_key is not None
    VerifyKey(keys.group_key).verify(b"ferryman/group-proof/1" + bytes(range(32)) + keys.group_id, proof)


@pytest.mark.req("W2-01", "W2-02")
@pytest.mark.req("S4-25", "S4-26", "S4-28")
def test_the_handshake_is_noise_xx_over_25519_and_blake2s():
    *messages, handshake_hash, _, _ = noise_by_hand.conversation(
        ANNA.noise_private, b"a" * 32, RELAY_PRIVATE, b"b" * 32
    )
    committed = COMMITTED["handshake"]
    assert [message.hex() for message in messages] == [committed[f"message{n}"] for n in (1, 2, 3)]
    assert [len(message) for message in messages] == [32, 96, 64]
    assert handshake_hash.hex() == committed["handshake_hash"]


@pytest.mark.req("S4-27")
def test_frames_are_sealed_with_chachapoly_and_a_counter():
    *_, from_client, from_relay = noise_by_hand.conversation(ANNA.noise_private, b"a" * 32, RELAY_PRIVATE, b"b" * 32)
    committed = COMMITTED["handshake"]
    assert noise_by_hand.transport(from_client, 0, b"\x80").hex() == committed["client's first frame"]
    assert noise_by_hand.transport(from_client, 1, b"\x90").hex() == committed["client's second frame"]
    assert noise_by_hand.transport(from_relay, 0, b"\x80").hex() == committed["relay's first frame"]


ENVELOPE = ["version", "msg_type", "sender_id", "group_id", "cursor", "timestamp", "nonce", "payload"]
FIELDS = {
    0x01: "version device_name group_id last_cursor group_key group_proof inline incarnation",
    0x02: "version relay_id max_cursor pending_count min_cursor heartbeat incarnation max_blob_size",
    0x10: "blob_id payload ttl",
    0x11: "blob_id cursor timestamp",
    0x20: "after_cursor limit ack",
    0x21: "blobs has_more max_cursor min_cursor",
    0x22: "up_to_cursor",
    0x30: "status",
    0x31: "blob_id cursor sender_id timestamp size payload",
    0x32: "devices",
    0x40: "blob_id",
    0xFF: "code message ref retry_after_ms",
}


@pytest.mark.req("W3-01", "W3-02", "W3-14")
@pytest.mark.req("S4-16", "S4-17", "S4-19")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_plain_msgpack_reader_finds_the_fields_of_the_page_in_their_order(sample):
    envelope = msgpack.unpackb(bytes.fromhex(COMMITTED["frames"][sample.name]))
    assert list(envelope) == ENVELOPE
    assert [len(envelope[name]) for name in ("sender_id", "group_id", "nonce")] == [32, 32, 24]
    message = msgpack.unpackb(envelope["payload"])
    optional_left_out = [name for name in FIELDS[envelope["msg_type"]].split() if name in message]
    assert list(message) == optional_left_out
    assert None not in message.values()


TYPES = {
    "HELLO": ("0x01", "S4-49", "W4-01"),
    "WELCOME": ("0x02", "S4-50", "W4-02"),
    "PUSH": ("0x10", "S4-51", "W4-03"),
    "PUSH_ACK": ("0x11", "S4-52", "W4-04"),
    "PULL": ("0x20", "S4-53", "W4-05"),
    "PULL_RESPONSE": ("0x21", "S4-54", "W4-06"),
    "PRESENCE": ("0x30", "S4-55", "W4-08"),
    "NOTIFY": ("0x31", "S4-56", "W4-09"),
    "DELETE": ("0x40", "S4-57", "W4-11"),
    "ERROR": ("0xff", "S4-58", "W4-12"),
    "ACK": ("0x22", "W4-07"),
    "PEERS": ("0x32", "W4-10"),
}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param(name, code, id=name, marks=[pytest.mark.req(each) for each in settled])
        for name, (code, *settled) in TYPES.items()
    ],
)
def test_every_message_has_the_code_of_the_page(name, code):
    written = {
        msgpack.unpackb(bytes.fromhex(COMMITTED["frames"][sample.name]))["msg_type"]
        for sample in SAMPLES
        if CODES[type(sample.message)].name == name
    }
    assert written == {int(code, 16)}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_committed_frames_are_read_as_what_they_were(sample):
    read = decode_frame(bytes.fromhex(COMMITTED["frames"][sample.name]), from_client=sample.from_client)
    assert read.message == sample.message
    assert (read.timestamp, read.nonce, read.bytes_as_integers) == (NOW, NONCE, False)


@pytest.mark.req("W10-05")
@pytest.mark.req("S4-98", "S4-99")
def test_a_sealed_blob_is_made_of_the_parts_of_the_page():
    sealed = bytes.fromhex(COMMITTED["blobs"]["bare chain"])
    aad = b"ferryman/blob/1" + b"\x01" + bytes(4) + group().group_id + ANNA.device_id + BLOB_ID
    assert sealed[:29] == b"\x01" + bytes(4) + NONCE
    plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[29:], aad, NONCE, group().encryption_key)
    chain = b"chain-id" + (1).to_bytes(8, "big") + bytes(16)
    assert plain == b"\x08" + chain + CONTENT


@pytest.mark.req("W10-08")
def test_a_signed_and_padded_blob_is_made_of_the_parts_of_the_page():
    sealed = bytes.fromhex(COMMITTED["blobs"]["padded and signed"])
    aad = b"ferryman/blob/1" + b"\x01" + bytes(4) + group().group_id + ANNA.device_id + BLOB_ID
    plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[29:], aad, NONCE, group().encryption_key)
    chain = b"chain-id" + (1).to_bytes(8, "big") + bytes(16)
    signature = plain[65:129]
    signed = b"ferryman/blob-sig/1" + aad + b"\x19" + chain + hashlib.sha256(CONTENT).digest()
    VerifyKey(ANNA.sign_pub).verify(signed, signature)
    whole = b"\x19" + chain + ANNA.sign_pub + signature + len(CONTENT).to_bytes(4, "big") + CONTENT
    assert len(whole) == 179  # E = 7, S = 3: the next multiple of 16
    assert plain == whole + bytes(192 - 179)


def test_the_committed_blobs_open():
    opened = {
        name: open_blob(bytes.fromhex(sealed), keys=group(), sender_id=ANNA.device_id, blob_id=BLOB_ID)
        for name, sealed in COMMITTED["blobs"].items()
    }
    assert opened["padded and signed"].content == opened["second of the chain"].content == CONTENT
    second, first = opened["second of the chain"].chain, bytes.fromhex(COMMITTED["blobs"]["padded and signed"])
    assert second is not None
    assert second.prev == hashlib.sha256(first).digest()[:16]
    assert opened["member"].control
    assert opened["member"].sign_pub == ANNA.sign_pub
    assert decode_control(opened["member"].content) == Member("Anna's laptop")


def test_the_committed_invites_are_read():
    committed = COMMITTED["invites"]
    code = read_code(committed["short code"])
    assert read_link(committed["link"]) == INVITE
    assert read_payload(open_payload(committed["encrypted_payload"], code=code, key=derive_key(code))) == INVITE
