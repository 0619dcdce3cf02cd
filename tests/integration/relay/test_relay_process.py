"""The relay as a process: a SIGKILL costs nothing acknowledged, SIGTERM ends it in order, what stops it is one line."""

import json
import socket
import sqlite3
import stat

import pytest
import trio

from ferryman.protocol.relay.messages import Error, Notify, Push, PushAck
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.relay_load import Load, check_nothing_lost, pull_everything
from tests.fakes.relay_process import relay_process, run_to_its_end, write_config
from tests.fakes.wire_client import blob_id, connect, device

GROUPS = (b"the first of two groups pushed to", b"the second group that is pushed to")
GROUP = GROUPS[0][:32]
LATE = 10.0  # of a machine that does other things as well; whoever takes nothing for fifteen seconds is cut off anyway
EVENTS = ["listening", "connected", "shutting down", "disconnected", "stopped"]


@pytest.mark.req("S4-115", "S4-117")
async def test_a_sigkill_under_load_loses_nothing_acknowledged_and_gives_no_cursor_twice(tmp_path):
    config = write_config(tmp_path)
    groups = [group[:32] for group in GROUPS]
    ports = {}
    load = Load(lambda name: connect(ports["now"], device(name)))
    async with trio.open_nursery() as nursery:
        async with relay_process(config) as relay:
            ports["now"] = relay.port
            for group in groups:
                nursery.start_soon(load.push_on, f"pusher of {group!r}", group, 400)
            with trio.fail_after(PATIENCE_SECONDS):
                await load.until(lambda: min(load.acked(group) for group in groups) >= 100)
            await relay.kill()
        acknowledged_before = {group: dict(load.acknowledged[group]) for group in groups}
        assert all(len(before) < 400 for before in acknowledged_before.values())
        async with relay_process(config) as relay:
            ports["now"] = relay.port
            for group in groups:
                async with connect(relay.port, device("reader")) as reader:
                    await reader.hello(group)
                    found = await pull_everything(reader)
                    for number, (cursor, payload) in acknowledged_before[group].items():
                        assert found[cursor] == (number, payload)
            with trio.fail_after(PATIENCE_SECONDS):
                await load.until(lambda: min(load.acked(group) for group in groups) >= 400)
            for group in groups:
                async with connect(relay.port, device("reader")) as reader:
                    await reader.hello(group)
                    found = await pull_everything(reader)
                check_nothing_lost(load, group, found)
                assert sorted(found) == list(range(1, 401))


@pytest.mark.req("S4-190")
async def test_sigterm_lets_what_is_in_flight_be_acknowledged_and_tells_everybody(tmp_path):
    config = write_config(tmp_path)
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        async with connect(relay.port, device("bert")) as bert:
            await bert.hello(GROUP)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(relay.stop)
                for client in (anna, bert):
                    error = await client.receive(Error)
                    assert error.code == 3001
                    assert await client.closed() == 1001
        assert relay.process.returncode == 0


async def test_pushes_sent_before_sigterm_are_acknowledged_or_not_stored(tmp_path):
    config = write_config(tmp_path)
    told = set()
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        for number in range(100):
            await anna.send(Push(blob_id(number), bytes(1000), 0))
        told.add((await anna.receive(PushAck)).cursor)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.stop)
            while isinstance(message := (await anna.receive_frame()).message, PushAck):
                told.add(message.cursor)
            assert message.code == 3001
    async with relay_process(config) as relay, connect(relay.port, device("bert")) as bert:
        await bert.hello(GROUP)
        assert set(await pull_everything(bert)) == told


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end(tmp_path):
    config = write_config(tmp_path, server={"shutdown_grace": 3})
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        deaf = socket.create_connection(("127.0.0.1", relay.port))
        half = socket.create_connection(("127.0.0.1", relay.port))
        half.sendall(b"GET / HTTP/1.1\r\nHost: relay\r\n")
        async with connect(relay.port, device("bert")) as bert:
            await bert.hello(GROUP, inline=65_536)
            for number in range(100):
                await anna.push(number, bytes(60_000))
            started = trio.current_time()
            assert await relay.stop() == 0
            assert trio.current_time() - started < 3 + LATE
        deaf.close()
        half.close()


@pytest.mark.timeout(90)
@pytest.mark.req("W5-87")
async def test_a_hundred_clients_that_read_nothing_cannot_make_the_end_longer_than_its_grace(tmp_path):
    """Each has more on its way than kernels hold, so that the relay waits in the middle of a write to it."""
    roomy = {"storage": {"max_group_storage": 2**30}, "limits": {"max_devices_per_group": 200}}
    config = write_config(tmp_path, server={"shutdown_grace": 4}, **roomy)
    async with relay_process(config) as relay, trio.open_nursery() as nursery:
        deaf = []

        async def sit(number, task_status):
            async with connect(relay.port, device(f"deaf {number}")) as client:
                await client.hello(GROUP, inline=65_536)
                deaf.append(client)
                task_status.started()
                await trio.sleep_forever()

        for number in range(100):
            await nursery.start(lambda task_status, number=number: sit(number, task_status))
        async with connect(relay.port, device("anna")) as anna:
            await anna.hello(GROUP)
            for number in range(60):
                await anna.push(number, bytes(60_000))
            for client in deaf[:50]:  # half of them send, too, and do not hear the answer
                await client.send(Push(blob_id(1), b"other bytes", 0))
            started = trio.current_time()
            assert await relay.stop() == 0
            assert trio.current_time() - started < 4 + LATE
        nursery.cancel_scope.cancel()


async def test_the_end_of_standard_input_is_the_end_of_the_relay(tmp_path):
    async with relay_process(write_config(tmp_path), "--stop-with-stdin") as relay:
        await relay.process.stdin.aclose()
        with trio.fail_after(PATIENCE_SECONDS):
            assert await relay.process.wait() == 0


@pytest.mark.req("W7-32")
async def test_the_first_line_says_where_it_listens_and_which_key_it_has(tmp_path):
    async with relay_process(write_config(tmp_path)) as relay:
        assert relay.listening["address"] == f"127.0.0.1:{relay.port}"
        async with connect(relay.port, device("anna")) as anna:
            assert (await anna.hello(GROUP)).relay_id == relay.listening["key"]
    for name in ("relay.db", "relay.db.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


async def test_no_payload_and_no_id_of_a_group_or_device_is_in_the_log(tmp_path):
    config = write_config(tmp_path, log={"file": str(tmp_path / "relay.log"), "level": "debug"})
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        await anna.push(1, b"the payload of a push")
        await relay.stop()
    log = (tmp_path / "relay.log").read_text()
    assert [json.loads(line)["event"] for line in log.splitlines()] == EVENTS
    for secret in ("payload of", GROUP.hex(), GROUP.decode(), anna.device.device_id.hex()):
        assert secret not in log


def complaint(done):
    assert done.returncode == 2, done
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_to_its_end("--config", str(write_config(tmp_path, port=port)))
    assert f"127.0.0.1:{port}" in complaint(done)


async def test_a_database_that_another_relay_holds_is_one_line(tmp_path):
    config = write_config(tmp_path)
    async with relay_process(config):
        line = complaint(await trio.to_thread.run_sync(run_to_its_end, "--config", str(config)))
    assert "relay.db: another process holds this database" in line


def test_a_file_that_is_no_database_is_one_line_and_stays_as_it_is(tmp_path):
    (tmp_path / "relay.db").write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    before = (tmp_path / "relay.db").read_bytes()
    assert "is not an SQLite database" in complaint(run_to_its_end("--config", str(write_config(tmp_path))))
    assert (tmp_path / "relay.db").read_bytes() == before


def test_the_database_of_another_program_is_one_line_and_stays_as_it_is(tmp_path):
    other = sqlite3.connect(tmp_path / "relay.db")
    other.execute("CREATE TABLE recipes (name)")
    other.close()
    before = (tmp_path / "relay.db").read_bytes()
    assert "another program" in complaint(run_to_its_end("--config", str(write_config(tmp_path))))
    assert (tmp_path / "relay.db").read_bytes() == before


def test_a_database_of_a_newer_relay_is_one_line(tmp_path):
    newer = sqlite3.connect(tmp_path / "relay.db")
    newer.executescript("CREATE TABLE x (y); PRAGMA application_id = 0x46524C59; PRAGMA user_version = 99;")
    newer.close()
    assert "version 99" in complaint(run_to_its_end("--config", str(write_config(tmp_path))))


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    config = write_config(tmp_path, storage={"database": str(tmp_path / "file" / "relay.db")})
    assert "cannot be made there" in complaint(run_to_its_end("--config", str(config)))


def test_a_key_that_is_none_is_one_line(tmp_path):
    (tmp_path / "relay.db.key").write_bytes(b"short")
    (tmp_path / "relay.db.key").chmod(0o600)
    assert "is no relay key" in complaint(run_to_its_end("--config", str(write_config(tmp_path))))


def test_a_wrong_key_in_the_configuration_is_one_line_with_file_and_key(tmp_path):
    config = write_config(tmp_path, server={"max_conections": 5})
    line = complaint(run_to_its_end("--config", str(config)))
    assert f"{config}: server.max_conections: there is no such key" in line


def test_a_missing_configuration_is_one_line(tmp_path):
    assert "nowhere.toml: cannot be read" in complaint(run_to_its_end("--config", str(tmp_path / "nowhere.toml")))


async def test_notifies_reach_a_device_that_came_back_after_the_kill(tmp_path):
    config = write_config(tmp_path)
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        await anna.push(1)
        await relay.kill()
    async with relay_process(config) as relay, connect(relay.port, device("bert")) as bert:
        assert (await bert.hello(GROUP)).pending_count == 1
        assert (await bert.receive(Notify)).cursor == 1
