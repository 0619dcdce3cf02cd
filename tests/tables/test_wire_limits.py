"""The sizes, the rates and the error rows of the relay wire."""

from __future__ import annotations

import itertools

import pytest

from ferryman.protocol.relay import limits
from ferryman.protocol.relay import messages as m
from ferryman.protocol.relay.errors import CloseCode, Refusal, WireCode, close_code, invalid_closes
from ferryman.protocol.relay.limits import Bucket, pull_count, take
from tests.fakes.wire import BERT, BLOB_ID, frame

ERRORS = [
    pytest.param(1000, "INVALID_MESSAGE", False, marks=pytest.mark.req("S4-183")),
    pytest.param(1001, "UNKNOWN_GROUP", False, marks=pytest.mark.req("S4-184")),
    pytest.param(1002, "UNAUTHORIZED", True, marks=pytest.mark.req("S4-185")),
    pytest.param(2000, "RATE_LIMITED", False, marks=pytest.mark.req("S4-186")),
    pytest.param(2001, "BLOB_TOO_LARGE", False, marks=pytest.mark.req("S4-187")),
    pytest.param(2002, "GROUP_QUOTA_EXCEEDED", False, marks=pytest.mark.req("S4-188")),
    pytest.param(3000, "RELAY_OVERLOADED", False, marks=pytest.mark.req("S4-189")),
    pytest.param(3001, "RELAY_SHUTTING_DOWN", True, marks=pytest.mark.req("S4-190")),
]


@pytest.mark.parametrize(("number", "name", "closes"), ERRORS)
def test_an_error_has_its_number_and_closes_or_does_not(number, name, closes):
    code = WireCode[name]
    assert code == number
    assert Refusal(code, "").closes is closes
    assert Refusal(code, "", closing=True).closes


def test_shutting_down_is_going_away_and_every_other_closing_error_is_policy():
    assert {code: close_code(code) for code in WireCode if Refusal(code, "").closes} == {
        WireCode.UNAUTHORIZED: CloseCode.POLICY,
        WireCode.RELAY_SHUTTING_DOWN: CloseCode.GOING_AWAY,
    }


@pytest.mark.parametrize(
    ("envelope_is_valid", "welcomed", "invalid_so_far", "closes"),
    [
        (True, True, 1, False),
        (True, True, 2, False),
        (True, True, 3, True),
        (False, True, 1, True),
        (True, False, 1, True),
    ],
)
def test_when_an_invalid_message_closes(envelope_is_valid, welcomed, invalid_so_far, closes):
    verdict = invalid_closes(envelope_is_valid=envelope_is_valid, welcomed=welcomed, invalid_so_far=invalid_so_far)
    assert verdict is closes


@pytest.mark.req("S4-126", "S4-186")
def test_the_101st_message_of_a_minute_is_refused_and_told_when_to_come_back():
    bucket = Bucket.full(100, 60, now=0.0)
    for _ in range(100):
        bucket, allowed, retry_after_ms = take(bucket, 0.0)
        assert (allowed, retry_after_ms) == (True, 0)
    bucket, allowed, retry_after_ms = take(bucket, 0.0)
    assert (allowed, retry_after_ms) == (False, 600)
    assert not take(bucket, 0.599)[1]
    assert take(bucket, 0.6001)[1]


def test_a_refusal_costs_nothing():
    bucket = Bucket(10, 1, 5, 0.0)
    refused, allowed, _ = take(bucket, 0.0, cost=6)
    assert not allowed
    assert take(refused, 0.0, cost=5)[1]


def test_a_bucket_never_holds_more_than_its_capacity():
    bucket, allowed, _ = take(Bucket.full(10, 1, now=0.0), 1_000.0, cost=10)
    assert allowed
    assert not take(bucket, 1_000.0)[1]


def test_a_clock_that_goes_back_fills_nothing_and_takes_nothing():
    bucket = Bucket(10, 1, 0, 100.0)
    bucket, allowed, _ = take(bucket, 50.0)
    assert not allowed
    assert not take(bucket, 100.5)[1]
    assert take(bucket, 101.0)[1]


def test_a_cost_over_the_capacity_waits_for_a_full_bucket():
    bucket, allowed, _ = take(Bucket.full(10, 10, now=0.0), 0.0, cost=50)
    assert allowed
    assert bucket.tokens == 0
    _, allowed, retry_after_ms = take(bucket, 0.0, cost=50)
    assert (allowed, retry_after_ms) == (False, 10_000)


@pytest.mark.req("W1-17", "W1-18", "W1-19")
def test_the_longest_websocket_messages():
    assert limits.websocket_limit(welcomed=False, bytes_as_integers=False) == 4_096
    assert limits.websocket_limit(welcomed=False, bytes_as_integers=True) == 4_096
    assert limits.websocket_limit(welcomed=True, bytes_as_integers=False) == 1_048_576 + 65_536
    assert limits.websocket_limit(welcomed=True, bytes_as_integers=True) == 4 * (1_048_576 + 65_536)
    assert limits.client_websocket_limit() == 4 * 1_048_576 + 65_536
    assert limits.client_websocket_limit(16 * 1_048_576) == 16 * 1_048_576 + 65_536


def response(sizes) -> m.PullResponse:
    widest = 2**63 - 1
    entries = tuple(m.BlobEntry(BLOB_ID, widest, BERT.device_id, bytes(size), widest) for size in sizes)
    return m.PullResponse(entries, True, widest, widest)


@pytest.mark.req("W1-21")
@pytest.mark.req("S4-65")
@pytest.mark.parametrize(
    "sizes", [[1_048_576] * 9, [0] * 50_000, [300] * 20_000, [70_000] * 100], ids=lambda sizes: str(sizes[0])
)
def test_a_pull_response_stays_within_4_mib_and_wastes_little(sizes):
    count = pull_count(sizes)
    encoded = len(frame(response(sizes[:count])))
    assert encoded <= limits.PULL_RESPONSE_BYTES
    one_more = encoded + sizes[count] + 128
    assert one_more > 0.96 * limits.PULL_RESPONSE_BYTES


@pytest.mark.req("W1-21")
def test_a_pull_response_holds_at_least_one_blob_if_there_is_one():
    assert pull_count([5 * 1_048_576, 1]) == 1
    assert pull_count([]) == 0
    assert pull_count(itertools.repeat(1_048_576, 2)) == 2
