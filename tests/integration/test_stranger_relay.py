"""Our client against a relay that a stranger wrote: it must lean on nothing but the page."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager

import pytest
import trio

from ferryman.protocol.sync.errors import Pending, RelayRefused
from ferryman.protocol.sync.events import (
    BlobPushed,
    Connected,
    Disconnected,
    Reconnecting,
    ResyncRequired,
    StatusChanged,
)
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.runtime import open_runtime
from tests.fakes.sync_world import connected, introduced, receive, until
from tests.integration.stranger import invite as invites
from tests.integration.stranger.blob import CONTROL, open_blob
from tests.integration.stranger.keys import Device, Group, new_group
from tests.integration.stranger.noise import public_of
from tests.integration.stranger.relay import strangers_relay
from tests.integration.stranger.relay_group import Refused

CREATOR = Device(b"a stranger's seed of 32 bytes...")
LARGEST = 1_048_576 - 256


@pytest.fixture
def relay():
    with strangers_relay() as relay:
        yield relay


class Party:
    """A group that the test knows the keys of, and how to get into it."""

    def __init__(self, relay) -> None:
        secret = os.urandom(32)
        self.group: Group = new_group(secret, os.urandom(16))
        self._invite = (relay.url, self.group.group_id, secret, CREATOR.device_id, int(time.time()) + 600)
        self.link = self.link_with()

    def link_with(self, **more: object) -> str:
        return invites.write_link(invites.write_payload(*self._invite, **more))


@pytest.fixture
def party(relay):
    return Party(relay)


@asynccontextmanager
async def device(home, **sync):
    config = RuntimeConfig(
        home=home,
        keys=KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False),
        sync=SyncConfig(device_name="ours", reconnect_delay_ms=100, **sync),
    )
    async with open_runtime(config) as runtime:
        with trio.fail_after(60):
            yield runtime


async def joined(runtime, party):
    await runtime.sync.join_invite(party.link)
    await connected(runtime)
    await introduced(runtime)


@pytest.mark.req("S4-88")
async def test_a_device_of_ours_makes_a_group_and_pushes(tmp_path, relay):
    async with device(tmp_path) as ours:
        await ours.sync.enable(relay.url)
        pushed = await ours.sync.push(b"to a strange place")
        await connected(ours)
        assert pushed.cursor == 2
        (hello,) = relay.heard("HELLO")
        assert (hello["version"], hello["device_name"], hello["last_cursor"]) == (1, "ours", 0)
        assert {"group_key", "group_proof"} <= set(hello)  # which this relay has verified
        assert [push["blob_id"] for push in relay.heard("PUSH")][-1] == pushed.blob_id


@pytest.mark.req("W3-06", "W3-10", "W3-11")
async def test_what_ours_writes_is_what_the_page_says(tmp_path, relay, party):
    async with device(tmp_path) as ours:
        await joined(ours, party)
        await ours.sync.push(b"data")
        await ours.sync.pull()
        sender = ours.sync.device_id()
    said = [(name, envelope, fields) for _, name, envelope, fields in relay.diary]
    assert {each["group_id"] for _, each, _ in said} == {party.group.group_id}
    assert {each["cursor"] for _, each, _ in said} == {0}
    assert len({each["nonce"] for _, each, _ in said}) == len(said)
    pushes = [(envelope, fields) for name, envelope, fields in said if name == "PUSH"]
    assert all(envelope["nonce"] == fields["payload"][5:29] for envelope, fields in pushes)
    opened = [
        open_blob(fields["payload"], group=party.group, sender_id=sender, blob_id=fields["blob_id"])
        for _, fields in pushes
    ]
    assert [(each.content, each.flags & CONTROL) for each in opened][1:] == [(b"data", 0)]
    assert opened[0].flags & CONTROL
    assert all(fields["ack"] is False for name, _, fields in said if name == "PULL")


@pytest.mark.parametrize("style", ["maps", "arrays", "integers"])
async def test_two_devices_of_ours_meet_at_a_relay_that_writes_in_any_way(tmp_path, relay, party, style):
    relay.style = style
    contents = [b"", b"one", os.urandom(70_000), b"last"]
    async with device(tmp_path / "a") as a, device(tmp_path / "b") as b:
        await joined(a, party)
        await joined(b, party)
        for content in contents:
            await a.sync.enqueue(content)
        assert await receive(b, len(contents)) == contents
        await b.sync.push(b"and back")
        assert await receive(a, 1) == [b"and back"]


async def test_the_largest_blob_and_a_hundred_small_ones_pass(tmp_path, relay, party):
    large = os.urandom(LARGEST)
    async with device(tmp_path / "a") as a:
        await joined(a, party)
        await a.sync.enqueue(large)
        for number in range(120):
            await a.sync.enqueue(b"%d" % number)
        async with device(tmp_path / "b") as b:
            await joined(b, party)
            assert await receive(b, 121) == [large, *(b"%d" % number for number in range(120))]


async def test_a_relay_that_says_only_what_it_must_is_enough(tmp_path, relay, party):
    """S4's own relay: no incarnation, no limits, no payload in a notify, no name in an error."""
    relay.bare = True
    async with device(tmp_path / "a") as a, device(tmp_path / "b") as b, b.sync.events() as events:
        await joined(a, party)
        await joined(b, party)
        assert (await a.sync.push(b"one")).cursor == 3
        assert await receive(b, 1) == [b"one"]
        relay.refuse = refuse_each("PUSH", 2001)
        with pytest.raises(RelayRefused):
            await a.sync.push(b"too large for a strange relay")
        relay.refuse = lambda *_: None
        before = len(relay.heard("HELLO"))
        relay.drop_everyone()
        await until(lambda: len(relay.heard("HELLO")) >= before + 2)
        await a.sync.push(b"two")
        assert await receive(b, 1) == [b"two"]
        relay.forget()
        relay.drop_everyone()
        async for event in events:
            if isinstance(event, ResyncRequired):
                break
        await connected(a)
        await a.sync.push(b"three")
        assert await receive(b, 1) == [b"three"]


async def test_what_a_host_took_is_acknowledged_and_not_asked_for_again(tmp_path, relay, party):
    async with device(tmp_path / "a") as a, device(tmp_path / "b") as b:
        await joined(a, party)
        await joined(b, party)
        pushed = await a.sync.push(b"once")
        assert await receive(b, 1) == [b"once"]
        await until(lambda: any(ack["up_to_cursor"] >= pushed.cursor for ack in relay.heard("ACK")))
        before = len(relay.heard("HELLO"))
        relay.drop_everyone()
        await until(lambda: len(relay.heard("HELLO")) >= before + 2)
        assert max(hello["last_cursor"] for hello in relay.heard("HELLO")[before:]) >= pushed.cursor
        await a.sync.push(b"twice")
        assert await receive(b, 1) == [b"twice"]


@pytest.mark.req("S4-97")
async def test_ours_comes_back_after_each_end_and_sends_what_waited(tmp_path, relay, party):
    async with device(tmp_path) as ours, ours.sync.events() as events:
        await joined(ours, party)
        relay.refuse = refuse_once("PUSH", Refused(3001, closes=True))
        with pytest.raises(Pending) as on_the_way:
            await ours.sync.push(b"on the way")
        statuses = []
        async for event in events:
            match event:
                case StatusChanged(status):
                    statuses.append(type(status))
                case BlobPushed(blob_id, 2):
                    assert blob_id == on_the_way.value.blob_id
                    break
                case _:
                    pass
        assert statuses[-2:] == [Reconnecting, Connected]
        assert len({push["blob_id"] for push in relay.heard("PUSH")}) == 2  # the introduction and this one


def refuse_once(name, refused):
    left = [refused]

    def refuse(_device, said, _fields):
        if said == name and left:
            raise left.pop()

    return refuse


def refuse_each(name, code):
    def refuse(_device, said, fields):
        if said == name:
            raise Refused(code, ref=fields["blob_id"])

    return refuse


@pytest.mark.req("S4-186")
async def test_a_push_over_the_rate_goes_out_later_and_one_too_large_never(tmp_path, relay, party):
    async with device(tmp_path) as ours:
        await joined(ours, party)
        relay.refuse = refuse_once("PUSH", Refused(2000, retry_after_ms=50))
        assert (await ours.sync.push(b"patient")).cursor == 2
        relay.refuse = refuse_each("PUSH", 2001)
        with pytest.raises(RelayRefused):
            await ours.sync.push(b"too large for a strange relay")
        assert ours.sync.outbox().count == 0


@pytest.mark.req("S4-184")
async def test_a_relay_that_forgot_everything_is_told_to_the_host_and_used_again(tmp_path, relay, party):
    async with device(tmp_path) as ours, ours.sync.events() as events:
        await joined(ours, party)
        await ours.sync.push(b"before")
        await until(lambda: ours.sync.last_cursor() >= 1)
        relay.forget()
        relay.drop_everyone()
        async for event in events:
            if isinstance(event, ResyncRequired):
                break
        last_cursors = [hello["last_cursor"] for hello in relay.heard("HELLO")]
        assert last_cursors[-1] == 0
        await connected(ours)
        assert (await ours.sync.push(b"after")).cursor >= 1


@pytest.mark.req("S4-35")
async def test_a_relay_with_another_key_gets_no_word_and_not_even_our_key(tmp_path, relay, party):
    async with device(tmp_path) as ours:
        await joined(ours, party)
        said = len(relay.diary)
        relay.private = os.urandom(32)
        relay.drop_everyone()
        await until(lambda: relay.turned_away > 0)
        assert len(relay.diary) == said
        assert not isinstance(ours.sync.status(), Connected)

        await ours.sync.join_invite(party.link_with(k=invites.base64_of(public_of(relay.private))))
        await connected(ours)
        assert (await ours.sync.push(b"a member said that it is the relay's")).cursor == 2


async def test_a_device_whose_place_another_connection_took_stays_away_until_it_is_asked(tmp_path, relay, party):
    async with device(tmp_path) as ours, ours.sync.events() as events:
        await joined(ours, party)
        said = len(relay.heard("HELLO"))
        relay.drop_everyone(4001)
        async for event in events:
            if isinstance(event, StatusChanged) and isinstance(event.status, Disconnected):
                break
        await trio.sleep(0.5)  # five times the pause before a reconnect
        assert len(relay.heard("HELLO")) == said
        await ours.sync.reconnect()
        await connected(ours)
