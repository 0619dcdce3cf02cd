"""`ferryman relay backup`: a copy made under load is one moment of the relay, and whoever starts with it says so."""

import shutil
import sqlite3
import stat

import pytest
import trio

from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.relay.schema import open_database
from ferryman.protocol.errors import BadInput
from ferryman.protocol.relay.messages import Error
from ferryman.protocol.sync.events import ResyncRequired
from ferryman.supervisors import relay_backup
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.relay_backup import copy_into
from ferryman.supervisors.runtime import open_runtime
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.relay_load import Load, check_nothing_lost, pull_everything
from tests.fakes.relay_process import relay_process, run_to_its_end, write_config
from tests.fakes.sync_world import connected, flushed
from tests.fakes.wire_client import connect, device

GROUP = b"a group that is one of bare IDs."


async def back_up(config, target):
    return await trio.to_thread.run_sync(run_to_its_end, "backup", str(target), "--config", str(config))


async def test_a_copy_made_under_load_is_whole_and_has_all_that_was_acknowledged_before(tmp_path):
    config = write_config(tmp_path)
    copy = tmp_path / "copy.db"
    async with relay_process(config) as relay, trio.open_nursery() as nursery:
        load = Load(lambda name: connect(relay.port, device(name)))
        nursery.start_soon(load.push_on, "anna", GROUP, 100_000)
        with trio.fail_after(PATIENCE_SECONDS):
            await load.until(lambda: load.acked(GROUP) >= 200)
        acknowledged = dict(load.acknowledged[GROUP])
        done = await back_up(config, copy)
        assert done.returncode == 0, done.stderr
        with trio.fail_after(PATIENCE_SECONDS):  # the relay goes on
            target = load.acked(GROUP) + 50
            await load.until(lambda: load.acked(GROUP) >= target)
        nursery.cancel_scope.cancel()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("*copy*")] == ["copy.db"]
    (tmp_path / "other").mkdir()
    other = write_config(tmp_path / "other", storage={"database": str(copy)})
    async with relay_process(other, "--restored") as relay, connect(relay.port, device("bert")) as bert:
        await bert.hello(GROUP)
        found = await pull_everything(bert)
    assert sorted(found) == list(range(1, len(found) + 1))
    load.acknowledged[GROUP] = acknowledged
    check_nothing_lost(load, GROUP, found)


@pytest.mark.parametrize("arguments", [("--restored",), ()], ids=["said", "forgotten"])
async def test_a_relay_that_starts_with_a_copy_begins_new_cursors_whether_one_says_so_or_not(tmp_path, arguments):
    config = write_config(tmp_path)
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        first = await anna.hello(GROUP)
        await anna.push(1)
        assert (await back_up(config, tmp_path / "copy.db")).returncode == 0
        await anna.push(2)  # its cursor must not be given twice
    other = write_config(tmp_path, storage={"database": str(tmp_path / "copy.db")})
    async with relay_process(other, *arguments) as relay, connect(relay.port, device("anna")) as anna:
        await anna.say_hello(GROUP, last_cursor=1, incarnation=first.incarnation)
        assert (await anna.receive(Error)).code == 1001
        assert (await anna.hello(GROUP)).incarnation != first.incarnation


async def test_a_device_that_comes_back_to_a_restored_relay_is_told_that_it_must_resync(tmp_path):
    config = write_config(tmp_path)
    keys = KeysConfig(allow_plain=True, use_os_keychain=False)
    sync = SyncConfig(reconnect_delay_ms=50, max_reconnect_delay_ms=200)
    heard = []
    async with open_runtime(RuntimeConfig(home=tmp_path / "device", keys=keys, sync=sync)) as runtime:
        async with relay_process(config) as relay:
            port = relay.port
            with trio.fail_after(PATIENCE_SECONDS):
                await runtime.sync.enable(f"ws://127.0.0.1:{port}")
                await runtime.sync.enqueue(b"before the copy")
                await connected(runtime)
                await flushed(runtime)
            assert (await back_up(config, tmp_path / "copy.db")).returncode == 0
            with trio.fail_after(PATIENCE_SECONDS):
                await runtime.sync.enqueue(b"after the copy")
                await flushed(runtime)
        shutil.copy(tmp_path / "relay.db.key", tmp_path / "copy.db.key")
        config = write_config(tmp_path, port=port, storage={"database": str(tmp_path / "copy.db")})
        async with runtime.sync.events() as events, relay_process(config, "--restored"):
            with trio.fail_after(PATIENCE_SECONDS):
                async for event in events:
                    heard.append(event)
                    if isinstance(event, ResyncRequired):
                        break
    assert isinstance(heard[-1], ResyncRequired)


def complaint(done):
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    return line


def test_nothing_is_overwritten(tmp_path):
    sqlite3.connect(tmp_path / "relay.db").close()
    (tmp_path / "precious").write_text("mine")
    done = run_to_its_end("backup", str(tmp_path / "precious"), "--database", str(tmp_path / "relay.db"))
    assert "exists already" in complaint(done)
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_name_taken_while_the_copy_is_made_is_not_overwritten(tmp_path, monkeypatch):
    disk = make_real_ports().disk
    open_database(disk, tmp_path / "relay.db", synchronous="full").close()
    target = tmp_path / "copy"

    def copy_slowly(*places):
        copy_into(*places)
        target.write_text("mine")

    monkeypatch.setattr(relay_backup, "copy_into", copy_slowly)
    with pytest.raises(BadInput, match="exists already"):
        relay_backup.back_up(disk, tmp_path / "relay.db", target)
    assert target.read_text() == "mine"
    assert list(tmp_path.glob(".copy*")) == []


def test_without_a_database_there_is_nothing_to_copy(tmp_path):
    done = run_to_its_end("backup", str(tmp_path / "copy"), "--database", str(tmp_path / "relay.db"))
    assert "there is no such database" in complaint(done)
    assert list(tmp_path.iterdir()) == []


def test_the_database_of_another_program_is_not_copied(tmp_path):
    other = sqlite3.connect(tmp_path / "relay.db")
    other.execute("CREATE TABLE recipes (name)")
    other.close()
    done = run_to_its_end("backup", str(tmp_path / "copy"), "--database", str(tmp_path / "relay.db"))
    assert "another program" in complaint(done)
    assert [path.name for path in tmp_path.iterdir()] == ["relay.db"]


async def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    config = write_config(tmp_path)
    async with relay_process(config):
        done = await back_up(config, tmp_path / "nowhere" / "copy")
    assert "nowhere/copy: cannot be written" in complaint(done)
