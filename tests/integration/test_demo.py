"""`ferryman demo` as a person runs it: real processes, real files, real SIGKILLs."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import trio

WAIT_SECONDS = 120


async def run_ferryman(*arguments, cwd=None, environment=None):
    with trio.fail_after(WAIT_SECONDS):
        return await trio.run_process(
            [sys.executable, "-m", "ferryman", *map(str, arguments)],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
        )


def processes_of(folder):
    """The command lines of living processes that name `folder`."""
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout.decode()
    return [line for line in listing.splitlines() if str(folder) in line]


def row(name, text):
    found = re.search(rf"{name}\D*?([\d,]+)\s*│?\s*$", text, re.MULTILINE)
    assert found, text
    return int(found[1].replace(",", ""))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "source"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "large.bin").write_bytes(os.urandom(1_500_000))
    (root / "empty").touch()
    for number in range(20):
        (root / f"note {number}.txt").write_bytes(b"dear diary, today nothing was lost at all: %d\n" % number * 40)
    return root


@pytest.mark.req("S4-01", "S4-34", "S4-38")
async def test_the_demo_loses_nothing_while_the_relay_and_a_device_are_killed(folder, tmp_path):
    done = await run_ferryman("demo", folder, environment={"TMPDIR": str(tmp_path)})
    text = done.stdout.decode()
    assert done.returncode == 0, text + done.stderr.decode()
    assert row("files", text) == 22
    assert row("unacknowledged at the kill", text) >= 1
    assert row("reconnects", text) >= 2
    assert row("lost", text) == row("duplicated", text) == 0
    assert row("relay bytes", text) == 0
    assert row("windows searched for", text) > 64
    assert processes_of(tmp_path) == []


async def test_one_tiny_file_is_enough_for_the_whole_story(tmp_path):
    file = tmp_path / "one.txt"
    file.write_text("a single line that is longer than a window of thirty-two bytes\n")
    done = await run_ferryman("demo", file, environment={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert row("unacknowledged at the kill", done.stdout.decode()) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("demo", "{tmp}/nowhere"), "ferryman: {tmp}/nowhere: no such file or folder"),
        (("demo", "{tmp}/void"), "ferryman: {tmp}/void: holds no files"),
        (("demo", "--port", "99999"), "ferryman: Invalid value"),
        (("demo", "--nonsense"), "ferryman: Unknown option"),
    ],
)
async def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, arguments, line):
    (tmp_path / "void").mkdir()
    done = await run_ferryman(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.decode().startswith(line.format(tmp=tmp_path))
    assert done.stderr.count(b"\n") == 1


async def test_a_port_in_use_is_one_line_and_leaves_nothing_running(folder, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = await run_ferryman("demo", folder, "--port", port, environment={"TMPDIR": str(tmp_path)})
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_demo_that_is_killed_leaves_nothing_running(folder, tmp_path, how):
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "ferryman", "demo", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    text = b""
    with trio.fail_after(WAIT_SECONDS):
        while b"joined by the short code" not in text:
            text += await process.stdout.receive_some(4096)
        process.send_signal(how)
        await process.wait()
        await process.stdout.aclose()
        while processes_of(tmp_path):  # the children notice that their stdin ended
            await trio.lowlevel.checkpoint()
