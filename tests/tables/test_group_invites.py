"""Invites and short codes: what is written, what is read, and what a relay may see of it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from ferryman.protocol.errors import BadInput, LocalProtocolError
from ferryman.protocol.sync.invite import LIFETIME_SECONDS, GroupInvite, read_link, read_payload
from ferryman.protocol.sync.short_code import (
    ALPHABET,
    ShortCode,
    canonical,
    derive_key,
    new_code,
    open_payload,
    read_code,
    seal_payload,
)
from tests.fakes.wire import ANNA, NONCE, NOW, RELAY_ID, SECRET, group

INVITE = GroupInvite("wss://relay.example/ä~~~???", group().group_id, SECRET, ANNA.device_id, NOW + LIFETIME_SECONDS)
FULL = replace(INVITE, relay_key=RELAY_ID, invite_id=b"\xfblabel\xff", bootstrap=True)


def changed(**entries) -> bytes:
    whole = {**json.loads(INVITE.payload()), **entries}
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


@pytest.mark.req("S4-138", "S4-142")
@pytest.mark.req("W9-02")
def test_the_payload_has_the_short_keys_and_base64_values_of_the_source():
    b64 = lambda raw: base64.b64encode(raw).decode()  # noqa: E731 - its name is what reads well below
    assert json.loads(INVITE.payload()) == {
        "v": 1,
        "r": "wss://relay.example/ä~~~???",
        "g": b64(group().group_id),
        "s": b64(SECRET),
        "c": b64(ANNA.device_id),
        "e": NOW + 600,
    }
    extra = {"k": b64(RELAY_ID), "i": b64(b"\xfblabel\xff"), "b": 1}
    assert json.loads(FULL.payload()) == {**json.loads(INVITE.payload()), **extra}


@pytest.mark.req("S4-142")
@pytest.mark.req("W9-01", "W9-03", "W9-04")
def test_a_link_is_base64url_without_padding_under_the_configured_scheme():
    head, _, data = FULL.link("cashtable").partition("?invite=")
    assert head == "cashtable://sync"
    assert FULL.link().startswith("ferryman://sync?invite=")
    assert base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)) == FULL.payload()
    assert not set(data) & set("+/=")
    assert read_link(FULL.link()) == FULL


STANDARD = base64.b64encode(FULL.payload()).decode()
LINKS = {
    "standard alphabet, padded": f"ferryman://sync?invite={STANDARD}",
    "padding in percent": f"ferryman://sync?invite={STANDARD.replace('=', '%3D').replace('+', '%2B')}",
    "another scheme": FULL.link("cashtable"),
    "blanks around": f"  {FULL.link()}\n",
    "more in the query": FULL.link().replace("?", "?utm=x&") + "&y=z",
    "a slash before the query": FULL.link().replace("sync?", "sync/?"),
    "a fragment": FULL.link() + "#shared",
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
@pytest.mark.req("W9-05")
def test_a_link_is_read_in_every_form_that_people_paste(link):
    assert understood(link) == FULL


def understood(link: str) -> GroupInvite | None:
    try:
        return read_link(link)
    except BadInput:
        return None


def test_the_links_of_the_test_use_both_letters_of_the_standard_alphabet():
    assert set("+/") <= set(STANDARD)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "ferryman://sync",
        "ferryman://sync?invite=",
        "ferryman://sync?other=x",
        "ferryman://elsewhere?invite=eyJ9",
        FULL.link()[:-1],
        FULL.link() + "&invite=again",
        "ferryman://sync?invite=!!!!",
        "K7QD-29XM-F4TB-8VHN",
    ],
)
def test_what_is_no_invite_link_is_bad_input(link):
    with pytest.raises(BadInput):
        read_link(link)


READ = {
    "unknown keys": (changed(later=[1]), INVITE),
    "base64url inside": (changed(g=base64.urlsafe_b64encode(group().group_id).decode().rstrip("=")), INVITE),
    "a label that cannot be read": (changed(i="!!"), INVITE),
    "a label that is no text": (changed(i=7), INVITE),
    "b as 0": (changed(b=0), INVITE),
    "b as true": (changed(b=True), replace(INVITE, bootstrap=True)),
    "k as null": (changed(k=None), INVITE),
}


@pytest.mark.parametrize(("payload", "invite"), READ.values(), ids=READ)
def test_a_payload_of_another_writer_is_read(payload, invite):
    assert read_payload(payload) == invite


REFUSED = {
    "not JSON": b"{",
    "not UTF-8": b"\xff\xff",
    "nested too deep": b"[" * 4_000,
    "a list": b"[]",
    "no version": changed(v=...),
    "version 2": changed(v=2),
    "version true": changed(v=True),
    "no relay": changed(r=...),
    "an empty relay": changed(r=""),
    "no group": changed(g=...),
    "a group of 31 bytes": changed(g=base64.b64encode(bytes(31)).decode()),
    "a secret of 33 bytes": changed(s=base64.b64encode(bytes(33)).decode()),
    "a creator that is a number": changed(c=5),
    "a relay key that is not base64": changed(k="!!"),
    "no expiry": changed(e=...),
    "an expiry with a fraction": changed(e=1.5),
    "an expiry before time": changed(e=-1),
    "an expiry past all time": changed(e=2**63),
    "too long": changed(x="x" * 4_096),
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED)
def test_a_payload_that_is_no_invite_is_bad_input(payload):
    with pytest.raises(BadInput):
        read_payload(payload)


@pytest.mark.req("W9-06")
def test_a_joiner_rejects_only_ten_minutes_past_the_expiry():
    assert LIFETIME_SECONDS == 600
    verdicts = {late: rejected(INVITE, INVITE.expires_at + late) for late in (-600, 0, 600, 601)}
    assert verdicts == {-600: False, 0: False, 600: False, 601: True}


def rejected(invite: GroupInvite, now: int) -> bool:
    try:
        invite.check_expiry(now)
    except BadInput as bad:
        return bad.code == "INVITE_EXPIRED"
    return False


def test_the_secret_does_not_show():
    assert repr(SECRET) not in repr(INVITE)
    code = new_code(bytes(range(10)))
    assert code.secret_half not in repr(code)


@pytest.mark.req("S4-143", "S4-144")
@pytest.mark.req("W9-07", "W9-12")
def test_a_short_code_is_sixteen_letters_in_four_groups_the_first_eight_its_lookup_key():
    code = new_code(bytes.fromhex("00443214c74254b635cf"))
    assert code.shown == "0123-4567-89AB-CDEF"
    assert (code.lookup_key, code.secret_half) == ("01234567", "89ABCDEF")
    assert new_code(b"\xff" * 10).shown == "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    assert (len(ALPHABET), set("ILOU") & set(ALPHABET)) == (32, set())


@pytest.mark.req("W9-08")
def test_a_short_code_is_made_of_eighty_random_bits_and_sealed_under_192():
    with pytest.raises(LocalProtocolError):
        new_code(bytes(9))
    with pytest.raises(LocalProtocolError):
        seal_payload(b"", code=CODE, key=KEY, nonce=bytes(12))


TYPED = [
    "0123-4567-89AB-CDEF",
    "0123456789abcdef",
    " o l23 - 4567 89AB--CDEF ",
    "OI23-4567-89AB-CDEF",
    "oL23456789abcdef",
]


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.req("W9-09")
def test_a_code_is_read_as_people_type_it(typed):
    assert read_code(typed) == ShortCode("01234567", "89ABCDEF")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "0123-4567",
        "0123-4567-89AB-CDEU",
        "0123-4567-89AB-CDEF-0",
        "0123_456789ABCDEF",
        "ſ123456789ABCDEF",
        "ı123456789ABCDEF",
    ],
)
def test_what_is_no_code_is_bad_input(typed):
    with pytest.raises(BadInput, match="16 letters"):
        read_code(typed)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("0123-4567", "01234567"),
        ("oil2345 6", "01123456"),
        ("0123456", None),
        ("012345678", None),
        ("0123456U", None),
        ("ı1234567", None),
        ("0123\n4567", None),
    ],
)
@pytest.mark.req("W9-09")
def test_the_relay_looks_keys_up_in_canonical_form(typed, found):
    assert canonical(typed) == found


CODE = ShortCode("01234567", "89ABCDEF")
KEY = derive_key(CODE)
SEALED = seal_payload(INVITE.payload(), code=CODE, key=KEY, nonce=NONCE)


@pytest.mark.req("S4-144", "S4-147")
@pytest.mark.req("W9-12")
def test_what_a_relay_gets_holds_neither_the_payload_nor_the_rest_of_the_code():
    raw = base64.urlsafe_b64decode(SEALED + "=" * (-len(SEALED) % 4))
    assert raw[:24] == NONCE
    for secret in (CODE.secret_half.encode(), INVITE.relay_url.encode(), SECRET, group().group_id):
        assert secret not in raw
        assert secret not in SEALED.encode()
    assert open_payload(SEALED, code=CODE, key=KEY) == INVITE.payload()


@pytest.mark.req("W9-13")
def test_the_key_comes_from_the_rest_of_the_code_and_its_lookup_key_by_argon2id():
    import hashlib

    from nacl import bindings

    salt = hashlib.sha256(b"ferryman/short-code/1" + b"01234567").digest()[:16]
    assert (
        bindings.crypto_pwhash_alg(32, b"89ABCDEF", salt, 3, 65_536 * 1024, bindings.crypto_pwhash_ALG_ARGON2ID13)
        == KEY
    )


@pytest.mark.parametrize(
    "encrypted", ["", "AAAA", "!", SEALED[:-2], "A" + SEALED[1:], SEALED[:-8] + "AAAAAAAA"], ids=range(6)
)
def test_a_payload_that_does_not_open_is_bad_input(encrypted):
    with pytest.raises(BadInput, match="last eight letters"):
        open_payload(encrypted, code=CODE, key=KEY)


@pytest.mark.req("W9-14")
def test_a_payload_opens_under_its_own_lookup_key_alone():
    with pytest.raises(BadInput):
        open_payload(SEALED, code=ShortCode("76543210", CODE.secret_half), key=KEY)
    with pytest.raises(BadInput):
        open_payload(SEALED, code=CODE, key=bytes(32))
