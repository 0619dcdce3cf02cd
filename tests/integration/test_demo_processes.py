"""The demo's child processes: whoever ends one by hand is answered at once, by its name."""

import os
import signal
import socket
import sys

import pytest
import trio

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.demo.director import create_group, invite_from, open_stage
from ferryman.supervisors.demo.failure import DemoFailed, one_cause
from ferryman.supervisors.demo.folder import open_folder, remove_abandoned
from ferryman.supervisors.demo.processes import Child, describe_end

WAIT_SECONDS = 30  # for a process to start, under load
NOTICE_SECONDS = 30  # for the director to notice an end; it needs milliseconds

RELAY_TOML = """
[server]
bind = "127.0.0.1:{port}"

[storage]
database = "{folder}/relay.db"

[log]
file = "{folder}/relay.log"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_folder(keep=False) as folder:
        yield folder


def config_in(folder, port=0):
    config = folder.path / "relay.toml"
    config.write_text(RELAY_TOML.format(folder=folder.path, port=port))
    return config


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended by itself with exit code 0"),
        (2, "ended by itself with exit code 2"),
        (-signal.SIGKILL, "was ended by SIGKILL, and not by the demo"),
        (-signal.SIGSEGV, "was ended by SIGSEGV, and not by the demo"),
        (-60, "was ended by signal 60, and not by the demo"),
    ],
)
def test_an_end_is_told_in_words(code, words):
    assert describe_end(code) == words


async def open_python(tmp_path, script):
    log = tmp_path / "stderr.log"
    with log.open("ab") as stderr:
        process = await trio.lowlevel.open_process([sys.executable, "-c", script], stderr=stderr)
    return Child("device X", process, (log, tmp_path / "not written"))


async def test_a_process_that_ends_by_itself_is_named_with_its_last_words(tmp_path):
    script = "import sys; print('one\\ntwo\\n\\nthree\\nfour', file=sys.stderr); sys.exit(7)"
    child = await open_python(tmp_path, script)
    with trio.move_on_after(WAIT_SECONDS), pytest.raises(DemoFailed) as failure:
        await child.watch()
    assert failure.value.message == "device X's process ended by itself with exit code 7"
    assert failure.value.last_words == ("two", "three", "four")


async def test_a_process_that_the_demo_kills_may_end(tmp_path):
    child = await open_python(tmp_path, "import time; time.sleep(60)")
    await child.kill()
    await child.watch()
    assert child.process.returncode == -signal.SIGKILL


async def play(folder, act):
    """Start the stage, let `act` do something to it, and give the director the time to notice."""
    async with open_stage(folder, "passphrase") as stage:
        await act(stage)
        with trio.move_on_after(NOTICE_SECONDS):
            await trio.sleep_forever()


async def test_a_relay_that_is_killed_by_hand_ends_the_demo_at_once(folder):
    async def kill_relay(stage):
        relay = await stage.start_relay(config_in(folder))
        os.kill(relay.process.pid, signal.SIGKILL)

    with pytest.raises(DemoFailed, match=r"^the relay's process was ended by SIGKILL, and not by the demo$"):
        await play(folder, kill_relay)


async def test_a_device_that_is_killed_by_hand_ends_the_demo_at_once(folder):
    async def kill_device(stage):
        device = await stage.start_device("A")
        os.kill(device.child.process.pid, signal.SIGTERM)

    with pytest.raises(DemoFailed, match=r"^device A's process was ended by SIGTERM, and not by the demo$"):
        await play(folder, kill_device)


async def test_a_device_that_gives_up_says_why(folder):
    async def invite_without_a_relay(stage):
        device = await stage.start_device("A")
        await create_group(device, "ws://127.0.0.1:1")
        await invite_from(device)

    with pytest.raises(DemoFailed, match=r"^device A gave up: .*127\.0\.0\.1"):
        await play(folder, invite_without_a_relay)


async def test_a_relay_that_is_killed_as_it_starts_is_named(folder, monkeypatch):
    async def say_nothing(child):
        os.kill(child.process.pid, signal.SIGKILL)
        await child.process.wait()
        for line in ():
            yield line

    monkeypatch.setattr(Child, "lines", say_nothing)
    with pytest.raises(DemoFailed, match=r"^the relay's process was ended by SIGKILL, and not by the demo$"):
        await play(folder, lambda stage: stage.start_relay(config_in(folder)))


async def test_a_relay_that_cannot_listen_says_why_itself(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            await play(folder, lambda stage: stage.start_relay(config_in(folder, port)))


async def test_a_process_holds_the_folder_that_it_writes_to(folder):
    with trio.fail_after(WAIT_SECONDS):
        async with open_stage(folder, "passphrase") as stage:
            device = await stage.start_device("A")
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, folder.locks[0])  # as if the director were gone, and its own hold on the lock with it
            os.close(nowhere)
            assert remove_abandoned() == ()
            await device.kill()
            assert remove_abandoned() == (folder.path,)


def test_one_cause_is_told_and_a_bug_is_shown_whole():
    with pytest.raises(DemoFailed, match="first"), one_cause():
        raise ExceptionGroup("", [ExceptionGroup("", [DemoFailed("first")]), DemoFailed("second")])
    with pytest.raises((ExceptionGroup, DemoFailed)) as raised, one_cause():
        raise ExceptionGroup("", [DemoFailed("first"), ZeroDivisionError()])
    assert isinstance(raised.value, ExceptionGroup)
