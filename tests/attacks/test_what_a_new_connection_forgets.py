"""Rates that a stranger would shed: on a new connection, by messages that nobody answers, by another method."""

import contextlib
import stat

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed

from ferryman.actors.real_ports import FileDisk, make_real_ports
from ferryman.protocol.errors import BadInput
from ferryman.protocol.relay.messages import Error, Pull, Push
from ferryman.supervisors.relay import open_relay
from tests.fakes.raw_wire import PING, UPGRADE, ws
from tests.fakes.relay_world import from_source, memory_relay, real_relay, relay_config
from tests.fakes.wire_client import blob_id

GROUP = b"a group that is one of bare IDs."


async def upgrade(stream):
    await stream.send_all(UPGRADE)
    head = await stream.receive_some(4096)
    await stream.aclose()
    lines = head.decode().split("\r\n")
    waits = [int(line.partition(": ")[2]) for line in lines if line.startswith("Retry-After: ")]
    return int(lines[0].split()[1]), waits


@pytest.mark.parametrize(
    ("limits", "pushes", "size"),
    [({"ingress_bytes_per_minute": 100_000}, 4, 30_000), ({"messages_per_minute": 5}, 60, 10)],
    ids=["bytes", "messages"],
)
@pytest.mark.req("W5-125")
async def test_a_source_that_sent_too_much_does_not_start_anew_with_a_connection(autojump_clock, limits, pushes, size):
    async with memory_relay(limits=limits) as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            for number in range(pushes):
                await anna.send(Push(blob_id(number), bytes(size), 0))
        await trio.testing.wait_all_tasks_blocked()  # it hung up before its account was ever settled
        status, waits = await upgrade(await world.stream())
        assert status == 429
        assert 0 < waits[0] <= 60
        elsewhere = from_source(world.ports, "203.0.113.9").network
        assert (await upgrade(await world.stream(elsewhere)))[0] == 101
        await trio.sleep(waits[0])
        assert (await upgrade(await world.stream()))[0] == 101


async def test_what_is_thrown_away_after_our_close_is_on_the_account(autojump_clock):
    async with memory_relay(limits={"ingress_bytes_per_minute": 100_000}) as world:
        stream = await world.stream()
        await stream.send_all(UPGRADE)
        await stream.receive_some(4096)
        await stream.send_all(ws(PING) * 65)
        await trio.testing.wait_all_tasks_blocked()
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(50):
                await stream.send_all(ws(PING) * 1000)
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert (await upgrade(await world.stream()))[0] == 429


async def test_an_error_now_and_then_does_not_keep_a_connection_that_is_in_no_group(autojump_clock):
    async with memory_relay() as world, world.client("mallory") as mallory:
        started = trio.current_time()

        async def go_on():
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await mallory.send(Error(1000, "still here"))
                    await trio.sleep(20)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(go_on)
            with trio.move_on_after(200):
                await world.relay.visitors.all_gone()
            nursery.cancel_scope.cancel()
        assert 85 < trio.current_time() - started < 95


async def test_errors_of_a_client_count_as_messages(autojump_clock):
    async with memory_relay(limits={"messages_per_minute": 5}) as world, world.client("mallory") as mallory:
        await mallory.hello(GROUP)
        for _ in range(60):
            await mallory.send(Error(1000, "and again"))
        await trio.sleep(1.5)
        await mallory.send(Push(blob_id(1), b"", 0))
        assert (await mallory.receive(Error)).message == "too much from this address"


@pytest.mark.req("W5-126")
async def test_asking_for_the_same_page_again_and_again_ends(autojump_clock):
    """A PULL that follows has_more is free; what it carries is not: one page may be four megabytes."""
    async with memory_relay(limits={"egress_bytes_per_minute": 1_000_000}) as world, world.client("mallory") as mallory:
        await mallory.hello(GROUP)
        for number in range(2):
            await mallory.push(number, bytes(100_000))
        for _ in range(15):
            assert (await mallory.pull(0, 1)).has_more
        await trio.sleep(1.5)
        await mallory.send(Pull(0, 1, False))
        error = await mallory.receive(Error)
        assert error.code == 2000
        assert (await mallory.push(3, b"others are not concerned")).cursor == 3
        await trio.sleep(error.retry_after_ms / 1000 + 1)  # the answers since then were sent, too
        assert len((await mallory.pull(0, 1)).blobs) == 1


async def test_revoking_is_counted_with_fetching(autojump_clock):
    async with memory_relay(limits={"invite_gets_per_minute": 2}) as world:
        said = []
        for method in ("DELETE", "DELETE", "DELETE", "GET"):
            stream = await world.stream()
            head = f"{method} /invite/0123ABCD HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer x\r\n\r\n"
            await stream.send_all(head.encode())
            said.append((await stream.receive_some(4096)).split()[1])
            await stream.aclose()
        assert said == [b"404", b"404", b"429", b"429"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
@pytest.mark.req("W7-32")
async def test_a_key_that_others_can_get_at_is_not_the_relays(tmp_path, mode):
    key = tmp_path / "relay.db.key"
    async with real_relay(tmp_path):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(mode)
    with pytest.raises(BadInput, match="chmod 600"):
        async with open_relay(relay_config(tmp_path / "relay.db"), make_real_ports()):
            pass
    key.chmod(0o600)
    async with real_relay(tmp_path):
        pass


def test_a_file_of_another_user_is_not_private(tmp_path, monkeypatch):
    planted = tmp_path / "planted"
    FileDisk().write(planted, b"x" * 32)
    assert FileDisk().is_private(planted)
    owner = planted.stat().st_uid
    monkeypatch.setattr("ferryman.actors.real_ports.ROOT", owner + 1)
    monkeypatch.setattr("os.geteuid", lambda: owner + 2)
    assert not FileDisk().is_private(planted)
