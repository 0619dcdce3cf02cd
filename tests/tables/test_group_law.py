"""The law of a group: who is let in, what an acknowledgement is worth, when a blob is complete, what fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferryman.protocol.relay import messages as m
from ferryman.protocol.relay.envelope import decode_frame
from ferryman.protocol.relay.errors import Refusal, WireCode
from ferryman.protocol.relay.group import (
    Admission,
    Device,
    Group,
    GroupLimits,
    PullPlan,
    after_ack,
    after_hello,
    carries_inline,
    clamp_ttl,
    complete_up_to,
    judge_ack,
    judge_hello,
    judge_proof,
    judge_pull,
    judge_push,
    judge_repeat,
    judge_sender,
    min_cursor,
)
from tests.fakes.wire import ANNA, BERT, BLOB_ID, NOW, frame, group
from tests.fakes.wire_samples import GROUP_ID, INCARNATION

RULES = GroupLimits()
WEEK = RULES.default_ttl
FRESH = Group(GROUP_ID, INCARNATION)
USED = replace(FRESH, max_cursor=10)
HANDSHAKE = bytes(range(32))


def device(name: bytes, *, acked: int = 0, seen: int = NOW, proven: bool = False) -> Device:
    return Device(name * 32, "", NOW - 100, seen, acked, proven)


def with_devices(group: Group, *devices: Device) -> Group:
    return replace(group, devices={device.device_id: device for device in devices})


def hello(last_cursor: int = 0, **fields) -> m.Hello:
    return m.Hello(1, "Anna's laptop", GROUP_ID, last_cursor, **fields)


def judged(group: Group, message: m.Hello, *, who: bytes = b"a", proven: bool = False, rules: GroupLimits = RULES):
    return judge_hello(group, message, device_id=who * 32, proven=proven, now=NOW, rules=rules)


def code(verdict: object) -> WireCode | None:
    return verdict.code if isinstance(verdict, Refusal) else None


HELLOS = [
    ("the first of a new group", FRESH, hello(), None),
    ("a cursor in a group nobody pushed to", FRESH, hello(1), WireCode.UNKNOWN_GROUP),
    ("a history that the group has", USED, hello(10), None),
    ("a cursor above the highest", USED, hello(11), WireCode.UNKNOWN_GROUP),
    ("the right incarnation", USED, hello(10, incarnation=INCARNATION), None),
    ("another incarnation", USED, hello(10, incarnation=b"incarnation-0002"), WireCode.UNKNOWN_GROUP),
    ("another incarnation, from the start", USED, hello(0, incarnation=b"incarnation-0002"), None),
    ("no proof in a closed group", replace(USED, closed=True), hello(), WireCode.UNAUTHORIZED),
    ("no proof and another history", replace(USED, closed=True), hello(11), WireCode.UNAUTHORIZED),
]


@pytest.mark.req("S4-184", "S4-185")
@pytest.mark.parametrize(("name", "group", "message", "refused"), HELLOS, ids=[row[0] for row in HELLOS])
def test_hello(name, group, message, refused):
    assert code(judged(group, message)) == refused


def test_hello_registers_the_device_and_acknowledges_all_up_to_its_cursor():
    verdict = judged(USED, hello(7))
    assert verdict == Admission(Device(b"a" * 32, "Anna's laptop", NOW, NOW, 7, proven=False))
    assert after_hello(USED, verdict).devices[b"a" * 32].acked_cursor == 7


def test_a_second_hello_keeps_the_first_sight_and_never_lowers_what_was_acknowledged():
    verdict = judged(with_devices(USED, device(b"a", acked=9, seen=NOW - 50)), hello(3))
    assert isinstance(verdict, Admission)
    assert (verdict.device.first_seen, verdict.device.last_seen, verdict.device.acked_cursor) == (NOW - 100, NOW, 9)


def test_the_first_proof_closes_the_group_and_evicts_whoever_came_without():
    group = with_devices(USED, device(b"a"), device(b"b"), device(b"c", proven=True))
    verdict = judged(group, hello(), proven=True)
    assert isinstance(verdict, Admission)
    assert (verdict.closes, verdict.evicted) == (True, (b"b" * 32,))
    after = after_hello(group, verdict)
    assert after.closed
    assert sorted(after.devices) == [b"a" * 32, b"c" * 32]
    assert after.devices[b"a" * 32].proven


def test_a_later_proof_closes_nothing_again():
    verdict = judged(replace(USED, closed=True), hello(), proven=True)
    assert isinstance(verdict, Admission)
    assert (verdict.closes, verdict.evicted) == (False, ())


def test_a_bare_group_stays_open():
    verdict = judged(USED, hello())
    assert isinstance(verdict, Admission)
    assert not after_hello(USED, verdict).closed


TWO = GroupLimits(max_devices=2)


@pytest.mark.req("S4-188")
def test_a_group_takes_so_many_devices_and_no_more():
    full = with_devices(USED, device(b"b"), device(b"c"))
    assert code(judged(full, hello(), rules=TWO)) == WireCode.GROUP_QUOTA_EXCEEDED
    assert code(judged(full, hello(), who=b"b", rules=TWO)) is None


def test_a_device_unseen_for_the_default_ttl_gives_its_place_away():
    full = with_devices(USED, device(b"b"), device(b"c", seen=NOW - WEEK))
    assert code(judged(full, hello(), rules=TWO)) is None
    still_there = with_devices(USED, device(b"b"), device(b"c", seen=NOW - WEEK + 1))
    assert code(judged(still_there, hello(), rules=TWO)) == WireCode.GROUP_QUOTA_EXCEEDED


def test_a_device_that_comes_back_after_that_needs_a_place_again():
    full = with_devices(USED, device(b"a", seen=NOW - WEEK), device(b"b"), device(b"c"))
    assert code(judged(full, hello(), rules=TWO)) == WireCode.GROUP_QUOTA_EXCEEDED


def test_the_places_of_evicted_strangers_are_free():
    full = with_devices(USED, device(b"b"), device(b"c"))
    assert code(judged(full, hello(), proven=True, rules=TWO)) is None


def proof(**changed) -> m.Hello:
    keys = group()
    fields = {"group_key": keys.group_key, "group_proof": keys.prove(HANDSHAKE), **changed}
    return m.Hello(1, "", keys.group_id, 0, **fields)


PROOFS = [
    ("valid", proof(), True),
    ("none", proof(group_key=None, group_proof=None), False),
    ("a key without a proof", proof(group_proof=None), WireCode.UNAUTHORIZED),
    ("a proof without a key", proof(group_key=None), WireCode.UNAUTHORIZED),
    ("a key that the ID does not certify", proof(group_key=BERT.sign_pub), WireCode.UNAUTHORIZED),
    ("a proof of another connection", proof(group_proof=group().prove(bytes(32))), WireCode.UNAUTHORIZED),
    ("a proof of zeros", proof(group_proof=bytes(64)), WireCode.UNAUTHORIZED),
]


@pytest.mark.req("S4-185")
@pytest.mark.parametrize(("name", "message", "expected"), PROOFS, ids=[row[0] for row in PROOFS])
def test_group_proof(name, message, expected):
    verdict = judge_proof(message, HANDSHAKE)
    assert (code(verdict) or verdict) == expected


def test_a_proof_for_one_group_is_none_for_another():
    keys = group()
    other = m.Hello(1, "", GROUP_ID, 0, group_key=keys.group_key, group_proof=keys.prove(HANDSHAKE))
    assert code(judge_proof(other, HANDSHAKE)) == WireCode.UNAUTHORIZED


@pytest.mark.req("W2-23", "W3-04")
@pytest.mark.req("S4-43", "S4-185")
def test_an_envelope_of_another_sender_or_group_is_unauthorized():
    read = decode_frame(frame(m.Ack(1)), from_client=True)
    mine = group().group_id
    assert judge_sender(read, ANNA.device_id, mine) is None
    assert judge_sender(read, ANNA.device_id, None) is None
    assert code(judge_sender(read, BERT.device_id, mine)) == WireCode.UNAUTHORIZED
    assert code(judge_sender(read, ANNA.device_id, GROUP_ID)) == WireCode.UNAUTHORIZED


def pushed(size: int, *, stored: int = 0, total: int = 0) -> WireCode | None:
    return code(judge_push(blob_id=BLOB_ID, size=size, group_stored=stored, total_stored=total, rules=RULES))


@pytest.mark.req("W1-23")
@pytest.mark.req("S4-127", "S4-187")
def test_a_blob_has_at_most_a_mebibyte():
    assert pushed(1_048_576) is None
    assert pushed(1_048_577) == WireCode.BLOB_TOO_LARGE


@pytest.mark.req("S4-128", "S4-188")
def test_a_group_stores_a_hundred_mebibytes_and_256_bytes_count_for_every_blob():
    assert pushed(1_000, stored=104_857_600 - 1_256) is None
    assert pushed(1_000, stored=104_857_600 - 1_255) == WireCode.GROUP_QUOTA_EXCEEDED


@pytest.mark.req("S4-189")
def test_a_full_relay_is_overloaded_and_says_when_to_come_back():
    assert pushed(1_000, total=10 * 2**30 - 1_256) is None
    total = 10 * 2**30 - 1_255
    refusal = judge_push(blob_id=BLOB_ID, size=1_000, group_stored=0, total_stored=total, rules=RULES)
    assert refusal is not None
    assert refusal.code == WireCode.RELAY_OVERLOADED
    assert refusal.retry_after_ms
    assert refusal.ref == BLOB_ID


@pytest.mark.req("S4-36")
def test_the_same_blob_again_gets_the_first_cursor_and_another_under_its_id_none():
    def repeat(payload_hash):
        return judge_repeat(blob_id=BLOB_ID, payload_hash=payload_hash, first_hash=b"h" * 32, first_cursor=5)

    assert repeat(b"h" * 32) == 5
    assert code(repeat(b"i" * 32)) == WireCode.INVALID_MESSAGE


def test_an_acknowledgement_never_goes_down_nor_above_what_was_given():
    anna = device(b"a", acked=4)
    assert judge_ack(USED, anna, 6) == 6
    assert judge_ack(USED, anna, 2) == 4
    assert judge_ack(USED, anna, 10) == 10
    assert code(judge_ack(USED, anna, 11)) == WireCode.INVALID_MESSAGE
    assert after_ack(with_devices(USED, anna), anna.device_id, 6).devices[anna.device_id].acked_cursor == 6


PULLS = [
    ("without ack", m.Pull(6, 50), PullPlan(6, 50, 6)),
    ("with ack", m.Pull(6, 50, True), PullPlan(6, 50, 6)),
    ("ack false", m.Pull(6, 50, False), PullPlan(6, 50, None)),
    ("below what is acknowledged", m.Pull(2, 50), PullPlan(2, 50, 4)),
    ("above the highest, ack false", m.Pull(11, 50, False), PullPlan(11, 50, None)),
    ("above the highest", m.Pull(11, 50), WireCode.INVALID_MESSAGE),
    ("limit 0", m.Pull(6, 0, False), PullPlan(6, 100, None)),
    ("limit over the cap", m.Pull(6, 1_001, False), PullPlan(6, 1_000, None)),
]


@pytest.mark.req("S4-64")
@pytest.mark.parametrize(("name", "pull", "expected"), PULLS, ids=[row[0] for row in PULLS])
def test_pull(name, pull, expected):
    verdict = judge_pull(USED, device(b"a", acked=4), pull)
    assert (code(verdict) or verdict) == expected


GONE = NOW - WEEK
COMPLETE = [
    ("nobody else", [device(b"s")], 0),
    ("one other that has it", [device(b"s"), device(b"a", acked=5)], 5),
    ("the slowest of the others", [device(b"s"), device(b"a", acked=5), device(b"b", acked=3)], 3),
    ("the sender's own acknowledgement does not count", [device(b"s", acked=9), device(b"a", acked=2)], 2),
    ("a device gone for the ttl does not hold back", [device(b"a", acked=5), device(b"b", acked=1, seen=GONE)], 5),
    ("nor does it count as having it, alone", [device(b"s"), device(b"b", acked=1, seen=GONE)], 1),
    ("one second before it does hold back", [device(b"a", acked=5), device(b"b", acked=1, seen=GONE + 1)], 1),
    ("a sender that is not registered any more", [device(b"a", acked=5)], 5),
]


@pytest.mark.req("S4-121")
@pytest.mark.parametrize(("name", "devices", "cursor"), COMPLETE, ids=[row[0] for row in COMPLETE])
def test_complete(name, devices, cursor):
    assert complete_up_to(with_devices(USED, *devices), b"s" * 32, now=NOW, default_ttl=WEEK) == cursor


def test_min_cursor_is_the_smallest_buffered_or_the_next_to_come():
    assert min_cursor(4, 10) == 4
    assert min_cursor(None, 10) == 11
    assert min_cursor(None, 0) == 1


@pytest.mark.req("W4-18")
@pytest.mark.req("S4-62", "S4-129")
@pytest.mark.parametrize(
    ("ttl", "kept"), [(0, 604_800), (1, 1), (604_800, 604_800), (604_801, 604_800), (2**32 - 1, 604_800)]
)
def test_a_ttl_is_at_most_the_default_and_0_means_the_default(ttl, kept):
    assert clamp_ttl(ttl, RULES.default_ttl) == kept


@pytest.mark.parametrize(
    ("size", "wanted", "inline"),
    [
        (10, None, False),
        (10, 10, True),
        (11, 10, False),
        (0, 0, True),
        (65_536, 2**32 - 1, True),
        (65_537, 2**32 - 1, False),
    ],
)
def test_a_notify_takes_the_payload_along_when_the_device_wants_so_much(size, wanted, inline):
    assert carries_inline(size, wanted) is inline
