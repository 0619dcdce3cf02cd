"""Control blobs that later versions will read (wire §7): to this one they change nothing."""

import msgpack
import pytest

from ferryman.protocol.relay.messages import Peers
from ferryman.protocol.sync.control import Member, UnknownControl, decode_control
from ferryman.protocol.sync.opening import Given, PassedOver, open_entry
from tests.fakes.sync_values import Sender, group_keys, online
from tests.tables.test_sync_session import Received, run

LATER = {
    "move": {"move_id": bytes(16), "removed": [bytes(32)], "sealed": {}},
    "admin": {"device_id": bytes(32)},
    "ping": {"nonce": bytes(16)},
    "pong": {"nonce": bytes(16)},
}


@pytest.mark.parametrize("kind", LATER)
def test_what_a_later_version_says_is_passed_over_and_the_stream_goes_on(kind):
    sender, seen = Sender(), {}
    outcomes, told = [], ()
    content = msgpack.packb({"kind": kind, **LATER[kind]})
    for entry in (sender.entry(1, content, control=True), sender.entry(2, b"data")):
        outcome, seen, more = open_entry(entry, keys=group_keys(), chains=seen, max_blob_size=1 << 20)
        outcomes.append(outcome)
        told += more
    assert decode_control(content) == UnknownControl(kind)
    assert [type(outcome) for outcome in outcomes] == [PassedOver, Given]
    assert (outcomes[0].unreadable, outcomes[1].content, told) == (False, b"data", ())


def test_a_member_blob_is_told_from_those():
    assert decode_control(msgpack.packb({"kind": "member", "device_name": "phone"})) == Member("phone")


@pytest.mark.req("W7-18")
def test_a_roll_that_the_relay_calls_makes_nobody_a_member():
    before = online()
    session, wanted = run(before, Received(Peers(())))
    assert (session, wanted) == (before, ())
