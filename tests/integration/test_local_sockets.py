"""Sockets of this machine on a real file system: their mode, their place, and whoever is at the other end."""

import os
import socket
import stat
import struct

import pytest
import trio

from ferryman.actors import local_sockets
from ferryman.actors.real_ports import make_real_ports


@pytest.fixture
def network():
    return make_real_ports().network


async def listen(network, path):
    try:
        return await network.listen_local(path)
    except OSError as error:
        raise AssertionError(f"no socket: {error}") from error


async def talk(network, path):
    listener = await listen(network, path)
    async with listener, await network.open_local(path) as ours, await listener.accept() as theirs:
        assert network.is_own_user(ours)
        assert network.is_own_user(theirs)
        await ours.send_all(b"ahoy")
        assert await theirs.receive_some(10) == b"ahoy"


@pytest.mark.parametrize("depth", [0, 3])
async def test_it_is_there_for_its_user_alone_however_long_the_path(network, tmp_path, depth):
    folder = tmp_path.joinpath(*["d" * 60] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control.sock"
    before = os.umask(0)
    try:
        async with await listen(network, path):
            about = path.lstat()
            assert stat.S_ISSOCK(about.st_mode)
            assert stat.S_IMODE(about.st_mode) == 0o600
            assert [one.name for one in folder.iterdir()] == ["control.sock"], "nothing else is left behind"
        await talk(network, path)
    finally:
        os.umask(before)


async def test_nobody_can_connect_before_the_mode_is_set(network, tmp_path, monkeypatch):
    """Whoever tries between bind and chmod finds nobody listening."""
    tried = []
    real = local_sockets.Path.chmod

    def chmod(path, mode):
        with socket.socket(socket.AF_UNIX) as early, pytest.raises(ConnectionRefusedError):
            early.connect(str(path))
        tried.append(path)
        real(path, mode)

    monkeypatch.setattr(local_sockets.Path, "chmod", chmod)
    async with await network.listen_local(tmp_path / "s"):
        assert len(tried) == 1


async def test_a_stale_socket_is_replaced_and_an_absent_one_is_told(network, tmp_path):
    path = tmp_path / "control.sock"
    with pytest.raises(FileNotFoundError):
        await network.open_local(path)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with pytest.raises(ConnectionRefusedError):
        await network.open_local(path)
    await talk(network, path)


async def test_a_draft_that_a_killed_process_left_is_replaced(network, tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / ".control.sock.draft"))
    async with await listen(network, tmp_path / "control.sock"):
        assert [one.name for one in tmp_path.iterdir()] == ["control.sock"]
    assert list(tmp_path.iterdir()) == [], "it goes with its listener"


async def test_what_cannot_be_a_socket_is_an_error_that_leaves_nothing(network, tmp_path):
    (tmp_path / "control.sock").mkdir()
    with pytest.raises(OSError, match="directory"):
        await network.listen_local(tmp_path / "control.sock")
    assert [one.name for one in tmp_path.iterdir()] == ["control.sock"]


async def test_another_user_is_known_by_the_kernels_word(network, tmp_path, monkeypatch):
    path = tmp_path / "s"
    async with (
        await listen(network, path) as listener,
        await network.open_local(path),
        await listener.accept() as at,
    ):
        assert network.is_own_user(at)
        monkeypatch.setattr(trio.SocketStream, "getsockopt", lambda *_: struct.pack("3i", 1, os.geteuid() + 1, 1))
        assert not network.is_own_user(at)
        monkeypatch.setattr(trio.SocketStream, "getsockopt", gone)
        assert not network.is_own_user(at)


def gone(*_):
    raise OSError(107, "Transport endpoint is not connected")
