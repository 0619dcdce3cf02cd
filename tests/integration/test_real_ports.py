"""The real ports against a real kernel: sockets, files, SQLite, locks, threads."""

import os
import socket
import stat
import subprocess
import sys
import threading
import uuid

import apsw
import pytest
import trio
import trio.testing

from ferryman.actors.real_ports import HUMAN_SECONDS, make_real_ports

LOOPBACK = "127.0.0.1"


@pytest.fixture
def ports():
    return make_real_ports()


def test_ids_are_random_uuids_of_version_4(ports):
    drawn = [ports.ids.new_id() for _ in range(64)]
    parsed = [uuid.UUID(bytes=one) for one in drawn]
    assert {(one.version, one.variant) for one in parsed} == {(4, uuid.RFC_4122)}
    assert len(set(drawn)) == 64


def test_the_clock_gives_seconds_and_milliseconds_of_one_time(ports):
    assert abs(ports.clock.now_ms() / 1000 - ports.clock.now()) < 2


async def test_both_ends_of_a_connection_send_small_messages_at_once(ports):
    [listener] = await ports.network.listen(LOOPBACK, 0)
    async with listener:
        host, port = ports.network.address(listener)
        opened = await ports.network.open_stream(host, port)
        accepted = await listener.accept()
        async with opened, accepted:
            for stream in (opened, accepted):
                assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            await opened.send_all(b"ahoy")
            assert await accepted.receive_some(4) == b"ahoy"
            assert ports.network.peer(accepted) == LOOPBACK


async def test_a_peer_that_is_gone_has_no_address_and_raises_nothing(ports):
    [listener] = await ports.network.listen(LOOPBACK, 0)
    async with listener:
        opened = await ports.network.open_stream(*ports.network.address(listener))
        accepted = await listener.accept()
        await opened.aclose()
        await accepted.aclose()
        assert ports.network.peer(accepted) == ""


async def test_a_port_in_use_is_an_os_error(ports):
    [listener] = await ports.network.listen(LOOPBACK, 0)
    async with listener:
        with pytest.raises(OSError, match="in use"):
            await ports.network.listen(*ports.network.address(listener))


def test_a_written_file_is_replaced_whole_with_its_mode(ports, tmp_path):
    path = tmp_path / "secret"
    ports.disk.write(path, b"first")
    ports.disk.write(path, b"second", mode=0o640)
    assert ports.disk.read(path) == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(ports, tmp_path):
    path = tmp_path / "secret"
    path.mkdir()  # a directory cannot be replaced by a file
    with pytest.raises(OSError, match="secret"):
        ports.disk.write(path, b"lost")
    assert path.is_dir()
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_what_is_written_is_synced_before_its_name_and_the_name_after(ports, tmp_path, monkeypatch):
    """The order is the promise, and only the system calls show it: a file system in memory of power would hide it."""
    calls = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_fsync(descriptor)

    def replace(source, target):
        calls.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    ports.disk.write(tmp_path / "secret", b"data")
    assert calls == (["rename", "directory"] if sys.platform == "darwin" else ["file", "rename", "directory"])


def test_removing_what_is_not_there_is_no_error(ports, tmp_path):
    ports.disk.remove(tmp_path / "nothing")
    ports.disk.write(tmp_path / "something", b"")
    ports.disk.remove(tmp_path / "something")
    assert not ports.disk.exists(tmp_path / "something")


def test_directories_are_made_private_with_their_parents(ports, tmp_path):
    folder = tmp_path / "a" / "b"
    ports.disk.make_directory(folder)
    ports.disk.make_directory(folder)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (folder.parent, folder)] == [0o700, 0o700]


def test_a_database_and_its_wal_are_readable_by_the_owner_only(ports, tmp_path):
    path = tmp_path / "ledger.db"
    connection = ports.disk.connect(path)
    assert connection.pragma("journal_mode", "wal") == "wal"
    connection.execute("create table t (x)")
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 0o600)
    reader = ports.disk.connect(path, read_only=True)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("insert into t values (1)")
    reader.close()
    connection.close()


def test_a_database_in_a_missing_folder_is_reported_by_sqlite(ports, tmp_path):
    with pytest.raises(apsw.CantOpenError):
        ports.disk.connect(tmp_path / "missing" / "ledger.db")


def test_a_lock_is_held_against_others_until_released(ports, tmp_path):
    path = tmp_path / "lock"
    release = ports.disk.lock(path)
    assert release is not None
    assert ports.disk.lock(path) is None
    assert _lock_in_another_process(path) == "held"
    release()
    release()  # a second release must not close somebody else's descriptor
    assert _lock_in_another_process(path) == "free"


def _lock_in_another_process(path):
    script = (
        "import sys; from pathlib import Path; from ferryman.actors.real_ports import FileDisk\n"
        "print('held' if FileDisk().lock(Path(sys.argv[1])) is None else 'free')"
    )
    return subprocess.run(
        [sys.executable, "-c", script, path], check=True, capture_output=True, text=True
    ).stdout.strip()


async def test_work_runs_off_the_loop_and_its_error_comes_back(ports):
    assert await ports.threads.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await ports.threads.run(lambda: 1 // 0)


async def test_work_that_was_begun_is_waited_for_when_cancelled(ports):
    begun, go_on, order = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        go_on.wait(10)

    async def caller(scope):
        with scope:
            await ports.threads.run(work)
        order.append("returned")

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(caller, scope)
        await trio.to_thread.run_sync(begun.wait, 10)
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        order.append("work ends")
        go_on.set()
    assert order == ["work ends", "returned"]


async def test_without_a_host_every_question_is_refused(ports):
    assert await ports.human.approve("Open the door?", request_id=bytes(16)) is False


async def test_the_hosts_answer_counts_and_silence_is_a_no(autojump_clock):
    async def ask(question, request_id):
        if question == "silence":
            await trio.sleep_forever()
        return request_id == b"y" * 16

    human = make_real_ports(ask_human=ask).human
    assert await human.approve("?", request_id=b"y" * 16) is True
    assert await human.approve("?", request_id=b"n" * 16) is False
    before = trio.current_time()
    assert await human.approve("silence", request_id=b"y" * 16) is False
    assert trio.current_time() - before == HUMAN_SECONDS
