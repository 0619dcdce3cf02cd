"""The local socket of a device, on a network in memory: who is answered, who is hung up on."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from ferryman.protocol.control import replies, requests
from ferryman.protocol.control.lines import Lines, encode
from ferryman.protocol.errors import AppError, BadInput
from ferryman.protocol.identity import show_id
from ferryman.protocol.sync.events import Error
from ferryman.supervisors.clerk import DeviceClerk
from tests.fakes.sync_world import World, connected, join

SOCKET = Path("/home/control.sock")
LOUD = Error(0, "x" * 1_000)


class Caller:
    """A client that says what it likes."""

    def __init__(self, stream):
        self.stream = stream
        self._lines = Lines(2**26)
        self._ready = []

    async def say(self, data):
        await self.stream.send_all(data if isinstance(data, bytes) else encode(data))

    async def hear(self):
        """The next reply, None when it was hung up on."""
        while not self._ready:
            data = await self.stream.receive_some(65_536)
            if not data:
                return None
            self._ready += self._lines.feed(data)
        return replies.read_reply(self._ready.pop(0))

    async def ask(self, request):
        with contextlib.suppress(trio.BrokenResourceError):
            await self.say(request)
        return await self.hear()


async def call(world):
    caller = Caller(await world.network.open_local(SOCKET))
    hello = await caller.hear()
    return caller, hello


def clerk_of(runtime, world):
    return DeviceClerk(world.config("x"), world.ports("x"), runtime.sync, runtime.system.ref, "", takes=True)


async def keep_quiet(_):
    await trio.lowlevel.checkpoint()


@pytest.fixture
def world():
    return World()


async def test_a_push_is_on_disk_before_it_is_at_the_relay_and_each_is_told(autojump_clock, world):
    async with world.relay(), world.device("a") as device:
        caller, hello = await call(world)
        assert (hello.protocol, hello.max_data_bytes, hello.takes) == (1, 1_048_320, False)
        standing = await caller.ask(requests.EnableSync(relay_url=world.url))
        assert standing.enabled
        await connected(device)
        queued = await caller.ask(requests.PushBlob(data=b"ahoy"))
        assert queued.type == "queued"
        pushed = await caller.hear()
        assert pushed.type == "pushed"
        assert (pushed.id, pushed.cursor) == (queued.id, 2)


async def test_what_waits_is_said_at_once_without_a_relay_and_later_to_who_insists(autojump_clock, world):
    async with world.device("a"):
        caller, _ = await call(world)
        await caller.ask(requests.EnableSync(relay_url=world.url))
        await caller.ask(requests.AskStatus(settle_seconds=60))
        began = trio.current_time()
        await caller.ask(requests.PushBlob(data=b"ahoy", wait_seconds=30))
        assert (await caller.hear()).type == "waiting"
        assert trio.current_time() - began < 1
        await caller.ask(requests.PushBlob(data=b"ahoy", wait_seconds=30, patient=True))
        assert (await caller.hear()).type == "waiting"
        assert trio.current_time() - began >= 30
        page = await caller.ask(requests.ListOutbox())
        assert (page.count, [one.introduction for one in page.waiting]) == (3, [True, False, False])
        assert all(one.queued_at is not None for one in page.waiting)


async def test_a_refusal_is_a_reply_and_the_conversation_goes_on(autojump_clock, world):
    async with world.device("a"):
        caller, _ = await call(world)
        for request, code in [
            (requests.PushBlob(data=b"ahoy"), "SYNC_NOT_ENABLED"),
            (requests.PullBlobs(), "SYNC_NOT_ENABLED"),
            (requests.EnableSync(), "BAD_INPUT"),
            (requests.JoinGroup(invite="sesame"), "BAD_INPUT"),
            (requests.CancelInvite(), "BAD_INPUT"),
        ]:
            reply = await caller.ask(request)
            assert (reply.type, reply.code) == ("error", code)
            assert "sesame" not in reply.message
        assert (await caller.ask(requests.AskStatus())).indicator == "off"


async def test_the_relays_new_key_is_accepted_over_the_socket_and_a_wrong_one_is_told(autojump_clock, world):
    async with world.relay(), world.device("a") as device:
        caller, _ = await call(world)
        refused = await caller.ask(requests.TrustRelay(relay_key=bytes(32)))
        assert refused.code == "SYNC_NOT_ENABLED"
        await caller.ask(requests.EnableSync(relay_url=world.url))
        await connected(device)
    async with world.relay("another") as other, world.device("a"):
        for wrong in (bytes(32), bytes(32), b"\1" * 32):
            caller, _ = await call(world)
            refused = await caller.ask(requests.TrustRelay(relay_key=wrong, settle_seconds=60))
            assert refused.type == "error", "it is taken for the relay's"
            assert refused.code == "BAD_INPUT"
            assert show_id(other.key) in refused.message
        for _ in range(2):
            standing = await caller.ask(requests.TrustRelay(relay_key=other.key, settle_seconds=60))
            assert standing.connection == "connected"


async def test_a_key_for_a_relay_that_is_away_is_noted_at_once(autojump_clock, world):
    async with world.relay(), world.device("a") as device:
        await device.sync.enable(world.url)
        await connected(device)
    async with world.device("a") as device:
        caller, _ = await call(world)
        began = trio.current_time()
        standing = await caller.ask(requests.TrustRelay(relay_key=bytes(32), settle_seconds=60))
        assert (standing.connection, trio.current_time() - began < 1) == ("reconnecting", True)
        await device.sync.disable()
        standing = await caller.ask(requests.TrustRelay(relay_key=b"\1" * 32, settle_seconds=60))
        assert (standing.indicator, trio.current_time() - began < 1) == ("off", True)
    async with world.relay(), world.device("a"):
        caller, _ = await call(world)
        standing = await caller.ask(requests.EnableSync())
        standing = await caller.ask(requests.AskStatus(settle_seconds=60))
        assert "another key" in standing.reason


async def test_blobs_are_not_taken_behind_the_back_of_the_host(autojump_clock, world):
    async with world.relay(), world.device("a"):
        caller, _ = await call(world)
        await caller.ask(requests.EnableSync(relay_url=world.url))
        refused = await caller.ask(requests.TakeBlobs(cursors=[1]))
        assert (refused.type, refused.code) == ("error", "BAD_INPUT")
        assert "keeps its blobs" in refused.message


async def test_what_was_compressed_comes_in_pages_that_a_reader_takes(autojump_clock, world):
    async with world.relay(), world.device("a", compress_blobs=True) as a, world.device("b") as b:
        await join(a, b)
        for _ in range(9):
            await a.sync.push(bytes(1_048_000))
        clerk = clerk_of(b, world)
        sizes, cursors = [], []
        while True:
            page = await clerk.serve(requests.PullBlobs(), keep_quiet)
            sizes.append(len(encode(page)))
            cursors += [blob.cursor for blob in page.blobs]
            await clerk.serve(requests.TakeBlobs(cursors=[blob.cursor for blob in page.blobs]), keep_quiet)
            if not page.has_more:
                break
        assert (len(cursors), len(set(cursors))) == (9, 9)
        assert max(sizes) <= replies.PAGE_BYTES
        assert b.sync.last_cursor() == cursors[-1]


async def test_a_blob_that_could_not_be_taken_can_be_taken_later(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a, b)
        await a.sync.push(b"ahoy")
        clerk = clerk_of(b, world)
        [given] = (await clerk.serve(requests.PullBlobs(), keep_quiet)).blobs
        blob = clerk._page[given.cursor]

        async def refuse(_):
            raise AppError("the disk is full", code="STORAGE_FULL")

        clerk._page[given.cursor] = replace(blob, take=refuse)
        with pytest.raises(AppError, match="full"):
            await clerk.serve(requests.TakeBlobs(cursors=[given.cursor]), keep_quiet)
        assert given.cursor in clerk._page, "nobody took it"
        clerk._page[given.cursor] = blob
        taken = await clerk.serve(requests.TakeBlobs(cursors=[given.cursor]), keep_quiet)
        assert taken.last_cursor == given.cursor
        with pytest.raises(BadInput, match="not in the last page"):
            await clerk.serve(requests.TakeBlobs(cursors=[given.cursor]), keep_quiet)


@pytest.mark.parametrize("words", [b"{}\n", b"\n", b"\xff\x00\n", b"[" * 20_000 + b"\n", b"x" * 1_500_000])
async def test_garbage_is_answered_once_and_hung_up_on(autojump_clock, world, words):
    async with world.device("a") as device:
        caller, _ = await call(world)
        try:
            await caller.say(words)
        except trio.BrokenResourceError:
            pass
        else:
            assert (await caller.hear()).type == "error"
            assert await caller.hear() is None
        other, _ = await call(world)
        assert (await other.ask(requests.AskStatus())).type == "status"
        assert device.system.stats.crashes == 0


async def test_who_asks_for_much_at_once_is_hung_up_on(autojump_clock, world):
    async with world.device("a") as device:
        caller, _ = await call(world)
        await caller.say(encode(requests.AskStatus()) * 50)
        heard = []
        while (reply := await caller.hear()) is not None:
            heard.append(reply.type)
        assert heard[-1] == "error"
        assert len(heard) < 50
        assert device.system.stats.crashes == 0


async def test_a_client_that_reads_nothing_is_let_go(autojump_clock, world):
    async with world.device("a") as device:
        caller, _ = await call(world)
        await caller.say(requests.Follow())
        for _ in range(3_000):
            await caller.stream.wait_send_all_might_not_block()
            device.sync._harbour.hub.publish(LOUD)
            await trio.lowlevel.checkpoint()
        await trio.sleep(31)
        with pytest.raises(trio.BrokenResourceError):
            await caller.say(requests.AskStatus())
        assert device.system.stats.crashes == 0


async def test_an_idle_client_and_one_too_many_are_let_go(autojump_clock, world):
    async with world.device("a"):
        callers = [(await call(world))[0] for _ in range(16)]
        _, refused = await call(world)
        assert refused.type == "error"
        assert refused.code == "BUSY"
        assert (await callers[0].ask(requests.AskStatus())).type == "status"
        await trio.sleep(301)
        began = trio.current_time()
        assert await callers[1].hear() is None
        assert trio.current_time() == began, "it was let go before we looked"
        _, hello = await call(world)
        assert hello.type == "hello"


async def test_another_user_hears_nothing(autojump_clock, world):
    async with world.device("a"):
        world.network._source = "somebody else"
        stranger = Caller(await world.network.open_local(SOCKET))
        world.network._source = "127.0.0.1"
        assert await stranger.hear() is None


async def test_hanging_up_takes_back_what_is_waited_for_and_keeps_what_is_recorded(autojump_clock, world):
    async with world.device("a") as device:
        caller, _ = await call(world)
        await caller.ask(requests.EnableSync(relay_url=world.url))
        queued = await caller.ask(requests.PushBlob(data=b"ahoy", wait_seconds=3_600, patient=True))
        await caller.stream.aclose()
        await trio.sleep(1)
        other, _ = await call(world)
        page = await other.ask(requests.ListOutbox())
        assert queued.id in [one.id for one in page.waiting]
        assert not device.sync._harbour.hub._subscriptions, "nobody listens any more"


async def test_a_device_that_stops_answers_who_only_waits(autojump_clock, world):
    async with world.device("a"):
        pushing, _ = await call(world)
        await pushing.ask(requests.EnableSync(relay_url=world.url))
        await pushing.ask(requests.PushBlob(data=b"ahoy", wait_seconds=3_600, patient=True))
        following, _ = await call(world)
        await following.say(requests.Follow())
        await trio.sleep(5)
        began = trio.current_time()
    assert trio.current_time() - began < 2
    waiting = await pushing.hear()
    assert waiting is not None, "it was cut off"
    assert (waiting.type, waiting.reason) == ("waiting", "the process that held this device has ended")
    while (reply := await following.hear()).type != "error":
        pass
    assert reply.code == "CLOSED"
    with pytest.raises(OSError, match="nobody listens"):
        await world.network.open_local(SOCKET)


async def test_the_socket_goes_first_also_when_the_host_is_cancelled(autojump_clock, world):
    async with world.relay():
        with trio.CancelScope() as scope:
            async with world.device("a") as device:
                await device.sync.enable(world.url)
                await connected(device)
                following, _ = await call(world)
                await following.say(requests.Follow())
                assert (await following.hear()).connection == "connected"
                scope.cancel()
                await trio.sleep_forever()
        heard = []
        while (reply := await following.hear()) is not None:
            heard.append(reply)
    assert heard[-1].type == "error"
    assert [one for one in heard if one.type == "event" and one.connection == "disconnected"] == []


async def test_a_socket_that_crashes_ends_no_device_and_comes_back(autojump_clock, world):
    async with world.relay(), world.device("a") as device:
        await device.sync.enable(world.url)
        assert device.system.crash("/control/socket", RuntimeError("planted"))
        await trio.sleep(1)
        caller, _ = await call(world)
        assert (await caller.ask(requests.AskStatus(settle_seconds=5))).connection == "connected"
        for _ in range(10):
            if "/control/socket" in device.system.nodes:
                device.system.crash("/control/socket", RuntimeError("planted"))
            await trio.sleep(0.2)
        assert "/control/socket" not in device.system.nodes, "it has spent its restarts"
        assert (await device.sync.push(b"ahoy")).cursor == 2


async def test_a_ledger_that_restarts_hangs_up_on_nobody(autojump_clock, world):
    async with world.relay(), world.device("a") as device:
        caller, _ = await call(world)
        await caller.ask(requests.EnableSync(relay_url=world.url))
        device.system.crash("/ledger", RuntimeError("planted"))
        await trio.sleep(5)
        standing = await caller.ask(requests.AskStatus(settle_seconds=5))
        assert standing is not None, "it was hung up on"
        assert standing.connection == "connected"


async def test_a_place_where_no_socket_can_be_is_no_reason_not_to_start(autojump_clock, world, monkeypatch):
    async def refuse(self, path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(world.network), "listen_local", refuse)
    cursor = 0
    with contextlib.suppress(Exception):
        async with world.relay(), world.device("a") as device:
            await device.sync.enable(world.url)
            cursor = (await device.sync.push(b"ahoy")).cursor
    assert cursor == 2
