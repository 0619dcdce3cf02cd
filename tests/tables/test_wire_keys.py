"""Keys: what a device and a group have, what a passphrase must be, and which key belongs to whom."""

from __future__ import annotations

import pytest

from ferryman.protocol.crypto import domains
from ferryman.protocol.crypto.group_proof import certifies, proof_holds
from ferryman.protocol.crypto.keys import (
    DeviceKeys,
    derive_group,
    derive_joined_group,
    passphrase_input,
    sign_pub_belongs,
    signature_holds,
)
from ferryman.protocol.crypto.noise import static_public
from ferryman.protocol.errors import BadInput, LocalProtocolError
from ferryman.protocol.identity import read_base64, read_id, show_id
from tests.fakes.wire import ANNA, BERT, GROUP_SALT, SECRET, group


@pytest.mark.req("S4-32")
def test_a_device_id_is_its_noise_public_key_and_is_shown_as_base64():
    assert ANNA.device_id == static_public(ANNA.noise_private)
    assert len(ANNA.device_id) == 32
    assert show_id(ANNA.device_id) == "Dr+YCoYN5Ryi4IBvQfUnZiTuGuTOI5/LctGwKNt+OR4="
    assert read_id(show_id(ANNA.device_id)) == ANNA.device_id


def test_the_signing_key_and_the_device_id_belong_to_one_device():
    assert sign_pub_belongs(ANNA.sign_pub, ANNA.device_id)
    assert not sign_pub_belongs(ANNA.sign_pub, BERT.device_id)


SMALL_ORDER = [bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]


@pytest.mark.parametrize("sign_pub", [*SMALL_ORDER, b"", b"x" * 31, b"\xff" * 32], ids=lambda raw: raw.hex()[:8])
def test_a_key_of_small_order_or_none_at_all_belongs_to_nobody(sign_pub):
    assert not sign_pub_belongs(sign_pub, ANNA.device_id)


@pytest.mark.req("W10-06")
def test_a_device_signs_only_what_begins_with_its_domain_string():
    message = domains.BLOB_SIGNATURE + b"fields"
    assert signature_holds(ANNA.sign_pub, message, ANNA.sign(message))
    assert not signature_holds(BERT.sign_pub, message, ANNA.sign(message))
    for other in (b"fields", b"", domains.GROUP_PROOF + b"fields", b"x" + message):
        with pytest.raises(LocalProtocolError):
            ANNA.sign(other)


@pytest.mark.req("W10-07")
def test_no_domain_string_begins_another_and_all_stand_in_the_table():
    strings = [value for name, value in vars(domains).items() if name.isupper() and isinstance(value, bytes)]
    assert not [(a, b) for a in strings for b in strings if a is not b and b.startswith(a)]
    assert domains.__doc__ is not None
    table = [line.split()[1].encode() for line in domains.__doc__.splitlines() if line.startswith("| ferryman/")]
    assert sorted(table) == sorted(strings)


def test_secrets_do_not_show():
    shown = repr(ANNA) + repr(group())
    for secret in (ANNA.seed, ANNA.noise_private, group().encryption_key, group().authentication_key):
        assert repr(secret) not in shown


def test_a_seed_of_another_length_is_our_bug():
    with pytest.raises(LocalProtocolError):
        DeviceKeys.from_seed(bytes(31))
    with pytest.raises(LocalProtocolError):
        derive_group(SECRET, bytes(15))


@pytest.mark.req("S4-141")
def test_whoever_joins_derives_the_keys_of_whoever_created():
    assert derive_joined_group(SECRET, group().group_id) == group()


def test_an_invite_whose_secret_does_not_fit_its_group_is_refused():
    for group_id in (group().group_id[:-1] + b"\x00", bytes(32)):
        with pytest.raises(BadInput, match="does not fit"):
            derive_joined_group(SECRET, group_id)
    with pytest.raises(BadInput, match="does not fit"):
        derive_joined_group(bytes(32), group().group_id)


def test_a_bare_group_has_the_same_keys_and_sends_no_proof():
    bare = derive_joined_group(SECRET, GROUP_SALT + bytes(16), allow_bare=True)
    assert bare.encryption_key == group().encryption_key
    assert (bare.group_key, bare.prove(bytes(32))) == (None, None)


def test_a_group_id_certifies_one_key():
    keys = group()
    assert keys.group_key is not None
    assert certifies(keys.group_id, keys.group_key)
    assert not certifies(keys.group_id, ANNA.sign_pub)
    assert not certifies(bytes(32), keys.group_key)


def test_a_proof_holds_for_its_handshake_group_and_key_alone():
    keys, handshake_hash = group(), bytes(range(32))
    proof = keys.prove(handshake_hash)
    assert proof is not None
    assert keys.group_key is not None
    assert proof_holds(keys.group_key, proof, handshake_hash, keys.group_id)
    assert not proof_holds(keys.group_key, proof, bytes(32), keys.group_id)
    assert not proof_holds(keys.group_key, proof, handshake_hash, bytes(32))
    assert not proof_holds(ANNA.sign_pub, proof, handshake_hash, keys.group_id)
    assert not proof_holds(keys.group_key, proof[:-1], handshake_hash, keys.group_id)
    assert not proof_holds(keys.group_key[:-1], proof, handshake_hash, keys.group_id)


GOOD = "correct horse battery staple river stone"
PASSPHRASES = [
    (GOOD, GOOD.encode()),
    (f" {GOOD} ", f" {GOOD} ".encode()),
    (GOOD.replace("o", "\N{FULLWIDTH LATIN SMALL LETTER O}"), GOOD.encode()),
    ("a\u0301 b c d e f g h i j k l", "á b c d e f g h i j k l".encode()),
]


@pytest.mark.req("S4-21")
@pytest.mark.parametrize(("passphrase", "expected"), PASSPHRASES)
def test_a_passphrase_goes_in_as_the_utf_8_of_its_nfkc_form_untrimmed(passphrase, expected):
    assert passphrase_input(passphrase) == expected


@pytest.mark.parametrize(
    "passphrase", ["", "correct horse battery staple river", "a b c d e f", "x" * 40, "ab cd ef gh ij kl m"]
)
def test_a_short_passphrase_is_refused(passphrase):
    with pytest.raises(BadInput, match="6 words and 20 characters"):
        passphrase_input(passphrase)


@pytest.mark.req("S4-21")
def test_a_passphrase_and_a_secret_both_make_a_group():
    keys = derive_group(passphrase_input(GOOD), GROUP_SALT)
    assert len(keys.encryption_key) == 32
    assert keys.encryption_key != group().encryption_key


@pytest.mark.parametrize(
    ("text", "raw"),
    [("", b""), ("_-8", b"\xff\xef"), ("/+8=", b"\xff\xef"), ("AA", b"\0"), ("AA==", b"\0"), ("AAAA", b"\0\0\0")],
)
def test_base64_of_either_alphabet_is_read_padded_or_not(text, raw):
    assert read_base64(text) == raw


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA===", "AA=A", "A A", "AA\n", "ÄÄ", "AA!"])
def test_what_is_not_base64_is_refused(text):
    with pytest.raises(ValueError, match="not base64"):
        read_base64(text)


@pytest.mark.parametrize("text", ["", "AAAA", "no id at all"])
def test_what_is_not_an_id_is_bad_input(text):
    with pytest.raises(BadInput):
        read_id(text)
