"""`ferryman relay status`: what the desk tells, to whom, and that nobody who asks can hold the relay up."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from ferryman.actors.relay.status_desk import status_desk
from ferryman.actors.simulated.network import MemoryNetwork
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay_status import fetch, lines
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.relay_process import relay_process, run_to_its_end, write_config
from tests.fakes.relay_world import MEMORY_PATH, memory_relay, real_relay
from tests.fakes.wire_client import connect, device

GROUP = b"a group that is one of bare IDs."
BUSY = b"a second group, which does more."


async def look(world):
    return await fetch(world.ports.network, world.config.status_socket, world.config.database)


async def test_the_desk_tells_of_connections_groups_crashes_and_the_tree(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(BUSY)
        await anna.push(1, bytes(1000))
        for number in range(5):
            await bert.push(number, bytes(100))
        world.crash("/infrastructure/invites")
        await trio.sleep(1)
        seen = await look(world)
        assert (seen.state, seen.connections, seen.groups, seen.groups_awake) == ("ok", 2, 2, 2)
        assert (seen.blobs_buffered, seen.bytes_buffered) == (6, 1500 + 6 * 256)
        assert seen.restarts == {"invites": 1}
        assert [(busy.connected, round(busy.pushes_a_minute)) for busy in seen.busiest] == [(1, 5), (1, 1)]
        names = [place.path for place in seen.tree.children]
        assert names == ["/buffer", "/infrastructure", "/groups", "/http", "/connections", "/door"]
        [groups] = [place for place in seen.tree.children if place.path == "/groups"]
        assert (groups.members, groups.children) == (2, ())
        assert groups.handled > 6
        assert set(seen.mailboxes) >= {"buffer", "group_router", "connection", "status_desk"}
        text = "\n".join(lines(seen))
        assert "ok: ferryman" in text
        for whole in (GROUP, BUSY):
            assert whole.hex() not in text


async def test_what_was_busy_fades(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        for number in range(8):
            await anna.push(number)
        await trio.sleep(60)
        [busy] = (await look(world)).busiest
        assert 2.8 < busy.pushes_a_minute < 3.1  # an e-th of 8


async def test_who_comes_before_the_tree_is_up_is_told_when_it_is(autojump_clock):
    network, path = MemoryNetwork(), Path("/desk")
    listener = await network.listen_local(path)
    up = trio.Event()
    desk = status_desk([listener], lambda: b"up" if up.is_set() else b"too early", up)
    system = open_system(Supervisor([ChildSpec("desk", desk)], because="alone"))
    async with system, await network.open_local(path) as stream:
        await trio.sleep(1)
        up.set()
        assert await stream.receive_some(1000) == b"up"


async def test_who_does_not_read_holds_nobody_up_for_long(autojump_clock):
    network, path = MemoryNetwork(), Path("/desk")
    listener = await network.listen_local(path)
    up = trio.Event()
    up.set()
    desk = status_desk([listener], lambda: bytes(10_000_000), up)  # more than any pipe takes
    async with open_system(Supervisor([ChildSpec("desk", desk)], because="alone")):
        deaf = [await network.open_local(path) for _ in range(20)]
        started = trio.current_time()
        stream = await network.open_local(path)
        assert await stream.receive_some(10)
        assert 20 < trio.current_time() - started < 26  # five rounds of four, five seconds each
        assert len(deaf) == 20


async def test_a_relay_that_ends_says_so_while_it_does(autojump_clock):
    async with memory_relay() as world:
        world.relay.metrics.draining = True
        assert (await look(world)).state == "shutting_down"


async def test_the_socket_is_for_its_owner_and_goes_with_the_relay(tmp_path):
    path = tmp_path / "relay.db.sock"
    async with real_relay(tmp_path) as world:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await look(world)).connections == 0
    assert not path.exists()


async def test_the_socket_of_a_relay_that_was_killed_is_replaced(tmp_path):
    config = write_config(tmp_path)
    path = tmp_path / "relay.db.sock"
    async with relay_process(config) as relay:
        await relay.kill()
    assert path.is_socket()
    done = await trio.to_thread.run_sync(run_to_its_end, "status", "--config", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no relay is running: the one that left this socket was killed" in done.stderr
    async with relay_process(config):
        done = await trio.to_thread.run_sync(run_to_its_end, "status", "--config", str(config))
        assert done.returncode == 0
        assert done.stdout.startswith("ok: ferryman")


def test_without_a_relay_there_is_one_line(tmp_path):
    done = run_to_its_end("status", "--database", str(tmp_path / "relay.db"))
    assert done.returncode == 2
    assert done.stderr == f"ferryman: {tmp_path}/relay.db.sock: no relay is running on {tmp_path}/relay.db\n"


async def test_status_as_json_is_one_document(tmp_path):
    config = write_config(tmp_path, server={"status_socket": str(tmp_path / "desk")})
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        await anna.push(1)
        done = await trio.to_thread.run_sync(run_to_its_end, "status", "--json", "--config", str(config))
    seen = json.loads(done.stdout)
    assert (seen["connections"], seen["groups"], seen["blobs_buffered"]) == (1, 1, 1)
    assert GROUP.hex() not in done.stdout


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "desk").write_text("mine")
    with pytest.raises(BadInput, match=r"server\.status_socket: cannot listen at"):
        async with real_relay(tmp_path, server={"status_socket": str(tmp_path / "desk")}):
            pass
    assert (tmp_path / "desk").read_text() == "mine"


async def test_a_socket_that_somebody_listens_at_is_left_alone(tmp_path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "desk"))
        other.listen()
        with pytest.raises(BadInput, match=r"server\.status_socket: cannot listen at"):
            async with real_relay(tmp_path, server={"status_socket": str(tmp_path / "desk")}):
                pass
        assert (tmp_path / "desk").is_socket()


async def test_a_path_too_long_for_an_address_is_no_hindrance(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    async with real_relay(folder) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        assert (await look(world)).connections == 1


async def test_where_no_socket_can_be_the_desk_is_missing_and_not_the_relay(tmp_path):
    (tmp_path / "relay.db.sock").mkdir()
    async with real_relay(tmp_path) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        with pytest.raises(BadInput, match=r"cannot be asked|no relay is running"):
            await look(world)


async def test_what_is_no_relay_is_told_so(tmp_path):
    path = tmp_path / "desk"
    listener = await make_real_ports_network().listen_local(path)

    async def nonsense():
        stream = await listener.accept()
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(nonsense)
        with pytest.raises(BadInput, match="no relay of this version"):
            await fetch(make_real_ports_network(), path, Path(MEMORY_PATH))
    await listener.aclose()


def make_real_ports_network():
    from ferryman.actors.real_ports import TcpNetwork

    return TcpNetwork()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_socket_of_somebody_else_is_one_line(tmp_path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "relay.db.sock"))
        other.listen()
        (tmp_path / "relay.db.sock").chmod(0)
        done = run_to_its_end("status", "--database", str(tmp_path / "relay.db"))
    assert "cannot be asked" in done.stderr
