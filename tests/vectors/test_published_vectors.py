"""Numbers that others published, through the libraries that our code stands on and through the stranger's own code.

What a library gives for published numbers, ours give for theirs: tests/vectors/test_transcripts.py closes the circle.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import rfc8785
from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings
from noise.connection import Keypair, NoiseConnection

from ferryman.protocol.crypto.noise import NAME
from tests.integration.stranger import keys, xchacha
from tests.integration.stranger.noise import Handshake


def published(name):
    return json.loads((Path(__file__).parent / "published" / f"{name}.json").read_text())


NOISE = published("noise")
MESSAGES = [(bytes.fromhex(each["payload"]), bytes.fromhex(each["ciphertext"])) for each in NOISE["messages"]]
XCHACHA = published("xchacha20poly1305")
JCS = published("jcs")


def raw(case, *names):
    return [bytes.fromhex(case[name]) for name in names]


# --- Noise


def library_party(*, initiator):
    """The library set up as `ferryman.protocol.crypto.noise` does, and with the prologue of the vector."""
    connection = NoiseConnection.from_name(NAME)
    connection.set_prologue(bytes.fromhex(NOISE["prologue"]))
    (connection.set_as_initiator if initiator else connection.set_as_responder)()
    static, ephemeral = raw(NOISE, *(f"{'init' if initiator else 'resp'}_{kind}" for kind in ("static", "ephemeral")))
    connection.set_keypair_from_private_bytes(Keypair.STATIC, static)
    connection.start_handshake()
    state = connection.noise_protocol
    state.handshake_state.e = state.keypair_class.from_private_bytes(ephemeral)
    return connection


@pytest.mark.req("S4-25", "S4-26", "S4-28")
def test_the_noise_library_of_ours_makes_the_published_messages():
    writer, reader = library_party(initiator=True), library_party(initiator=False)
    assert NOISE["protocol_name"].encode() == NAME
    for payload, ciphertext in MESSAGES[:3]:
        assert bytes(writer.write_message(payload)) == ciphertext
        assert bytes(reader.read_message(ciphertext)) == payload
        writer, reader = reader, writer
    assert writer.get_handshake_hash().hex() == reader.get_handshake_hash().hex() == NOISE["handshake_hash"]
    for payload, ciphertext in MESSAGES[3:]:  # the responder goes on, as the vector has it
        assert writer.encrypt(payload) == ciphertext
        assert reader.decrypt(ciphertext) == payload
        writer, reader = reader, writer


def test_the_strangers_noise_makes_the_published_messages():
    prologue = bytes.fromhex(NOISE["prologue"])
    sides = []
    for name, initiator in (("init", True), ("resp", False)):
        static, ephemeral = raw(NOISE, f"{name}_static", f"{name}_ephemeral")
        sides.append(Handshake(initiator=initiator, static=static, ephemeral=ephemeral, prologue=prologue))
    for turn, (payload, ciphertext) in enumerate(MESSAGES[:3]):
        assert sides[turn % 2].write(payload) == ciphertext
        assert sides[1 - turn % 2].read(ciphertext) == payload
    ways = [side.split() for side in sides]
    assert {way.handshake_hash.hex() for way in ways} == {NOISE["handshake_hash"]}
    for turn, (payload, ciphertext) in enumerate(MESSAGES[3:], start=3):
        assert ways[turn % 2].seal(payload) == ciphertext
        assert ways[1 - turn % 2].open(ciphertext) == payload


# --- XChaCha20-Poly1305


@pytest.mark.req("S4-98")
def test_both_seals_make_the_published_ciphertext():
    key, nonce, associated, plain, ciphertext, tag = raw(
        XCHACHA["aead"], "key", "nonce", "associated", "plaintext", "ciphertext", "tag"
    )
    seal = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt
    assert seal(plain, associated, nonce, key) == ciphertext + tag
    assert xchacha.seal(key, nonce, plain, associated) == ciphertext + tag
    assert xchacha.open_sealed(key, nonce, ciphertext + tag, associated) == plain


def test_the_strangers_hchacha20_makes_the_published_subkey():
    key, nonce, subkey = raw(XCHACHA["hchacha20"], "key", "nonce", "subkey")
    assert xchacha.hchacha20(key, nonce) == subkey


# --- key derivation


@pytest.mark.req("S4-24")
@pytest.mark.parametrize("case", published("hkdf_sha256")["cases"], ids=["A.1", "A.2", "A.3"])
def test_both_hkdfs_make_the_published_keys(case):
    material, salt, info, made = raw(case, "ikm", "salt", "info", "okm")
    assert HKDF(algorithm=SHA256(), length=len(made), salt=salt, info=info).derive(material) == made
    assert keys.hkdf(material, salt=salt, info=info, length=len(made)) == made


@pytest.mark.req("S4-22")
@pytest.mark.parametrize("case", published("argon2id")["cases"], ids=lambda case: case["tag"][:8])
def test_both_argon2ids_make_the_published_tags(case):
    password, salt, secret, associated, tag = raw(case, "password", "salt", "secret", "associated", "tag")
    lanes, kib, passes = case["lanes"], case["memory_kib"], case["passes"]
    cost = {"lanes": lanes, "kib": kib, "passes": passes}
    assert keys.argon2id(password, salt=salt, secret=secret, associated=associated, **cost) == tag
    if not secret:  # our library's door takes neither a secret nor associated data, and we need none
        cost = {"time_cost": passes, "memory_cost": kib, "parallelism": lanes}
        assert hash_secret_raw(password, salt, hash_len=len(tag), type=Type.ID, **cost) == tag


# --- canonical JSON


@pytest.mark.parametrize("document", JCS["documents"], ids=["the example", "sorting"])
def test_documents_have_the_published_canonical_form(document):
    assert rfc8785.dumps(json.loads(document["json"])).hex() == document["canonical"]


@pytest.mark.parametrize(("bits", "text"), JCS["numbers"].items())
def test_numbers_have_the_published_canonical_form(bits, text):
    assert rfc8785.dumps(struct.unpack(">d", bytes.fromhex(bits))[0]).decode() == text


@pytest.mark.parametrize("bits", JCS["refused"])
def test_what_is_no_number_has_no_canonical_form(bits):
    with pytest.raises(rfc8785.FloatDomainError):
        rfc8785.dumps(struct.unpack(">d", bytes.fromhex(bits))[0])
