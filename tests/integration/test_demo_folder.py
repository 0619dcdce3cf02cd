"""The demo's folder: removed at its end, cleared away after a kill, and never somebody else's."""

import os
import sys

import pytest

from ferryman.supervisors.demo.folder import LOCK, open_folder, remove_abandoned
from tests.fakes.child import child


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def abandon(temporary):
    """A folder as a demo leaves it that is killed: its lock is there, and nobody holds it."""
    path = temporary / "ferryman-demo-killed"
    (path / "device-b" / "files").mkdir(parents=True)
    (path / "device-b" / "files" / "diary.txt").write_text("plain text\n")
    (path / LOCK).touch()
    return path


def test_it_is_gone_when_the_demo_ends(temporary):
    with open_folder(keep=False) as folder:
        (folder.path / "relay.db").touch()
    assert list(temporary.iterdir()) == []


def test_it_is_gone_when_the_demo_fails(temporary):
    with pytest.raises(KeyboardInterrupt), open_folder(keep=False):
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def test_one_that_is_kept_stays_and_is_never_cleared_away():
    with open_folder(keep=True) as folder:
        pass
    assert remove_abandoned() == ()
    assert folder.path.is_dir()


def test_what_a_killed_demo_left_is_removed_and_named(temporary):
    left = abandon(temporary)
    assert remove_abandoned() == (left,)
    assert list(temporary.iterdir()) == []


def test_a_demo_that_lives_keeps_its_folder():
    with open_folder(keep=False) as folder:
        assert remove_abandoned() == ()
        assert folder.path.is_dir()


def test_a_device_that_outlives_its_director_keeps_the_folder():
    with open_folder(keep=False) as folder:
        lock = folder.locks[0]
        command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
        with child(*command, pass_fds=[lock]) as device:
            device.stdout.readline()
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, lock)  # the director's own hold on the lock ends here
            os.close(nowhere)
            assert remove_abandoned() == ()
            device.stdin.close()
            device.wait()
        assert remove_abandoned() == (folder.path,)


def test_a_folder_without_a_lock_is_not_a_demos(temporary):
    (temporary / "ferryman-demo-of-mine").mkdir()
    assert remove_abandoned() == ()
    assert (temporary / "ferryman-demo-of-mine").is_dir()


def test_a_link_is_not_followed(temporary):
    elsewhere = abandon(temporary).rename(temporary / "elsewhere")
    (temporary / "ferryman-demo-link").symlink_to(elsewhere)
    assert remove_abandoned() == ()
    assert (elsewhere / LOCK).exists()


def test_another_users_folder_is_left_alone(temporary, monkeypatch):
    left = abandon(temporary)
    monkeypatch.setattr("os.getuid", lambda: left.stat().st_uid + 1)
    assert remove_abandoned() == ()
    assert left.is_dir()
