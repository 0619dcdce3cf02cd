"""The roll of a group as PEERS shows it."""

from __future__ import annotations

import pytest

from ferryman.actors.relay.roll import peers
from ferryman.protocol.relay.envelope import decode_frame
from ferryman.protocol.relay.group import Device
from tests.fakes.wire import frame


@pytest.mark.req("W3-15", "W4-10")
@pytest.mark.parametrize("count", [1_024, 1_025])
def test_a_roll_has_as_many_devices_as_a_reader_takes_and_those_seen_last(count):
    devices = {number.to_bytes(32, "big"): number for number in range(count)}
    roll = {name: Device(name, "", 0, last_seen=seen, acked_cursor=0, proven=True) for name, seen in devices.items()}
    called = peers(roll, {})
    assert sorted(peer.last_seen for peer in called.devices) == list(range(count - 1_024, count))
    assert decode_frame(frame(called), from_client=False).message == called
