"""A client written from docs/wire.md, sharing no line with ours, against our relay as a process."""

from __future__ import annotations

import itertools
import os

import pytest

from tests.integration.stranger.client import dial
from tests.integration.stranger.keys import Device, new_group
from tests.integration.stranger.process import running_relay

ANNA, BERT, CARL = (Device(bytes([letter]) * 32) for letter in b"ABC")
GROUP = new_group(b"a secret of thirty-two bytes ...", b"a salt, 16 bytes")
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    with running_relay(tmp_path_factory.mktemp("relay")) as running:
        yield running


@pytest.fixture
def group_id():
    """A bare group's ID (S4 §8.2): 32 random bytes."""
    return os.urandom(32)


def blob_id() -> bytes:
    return next(NUMBERS).to_bytes(16, "big")


def test_a_first_sync_from_the_handshake_to_the_acknowledgement(relay, group_id):
    first = blob_id()
    with dial(relay.port, ANNA) as anna, dial(relay.port, BERT) as bert:
        welcome = anna.hello(group_id)
        assert (welcome["version"], welcome["max_cursor"], welcome["pending_count"]) == (1, 0, 0)
        bert.hello(group_id)
        pushed = anna.push(first, b"sealed")
        assert (pushed["blob_id"], pushed["cursor"]) == (first, 1)
        notified = bert.expect("NOTIFY")
        assert (notified["blob_id"], notified["cursor"], notified["size"]) == (first, 1, 6)
        assert notified["sender_id"] == ANNA.device_id
        assert "payload" not in notified
        answer = bert.pull(0)
        entry = {"blob_id": first, "cursor": 1, "sender_id": ANNA.device_id, "payload": b"sealed"}
        assert answer["blobs"] == [{**entry, "timestamp": pushed["timestamp"]}]
        assert (answer["has_more"], answer["max_cursor"]) == (False, 1)
        bert.ack(1)
        assert bert.pull(1)["blobs"] == []
    with dial(relay.port, BERT) as bert:
        assert bert.hello(group_id, 1)["pending_count"] == 0
