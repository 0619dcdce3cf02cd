"""`ferryman demo` as a person runs it: real processes, real files, real SIGKILLs."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

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


def is_held(folder):
    with (folder / "demo.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


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
        (("demo", ""), "ferryman: the PATH is empty"),
        (("demo",), "ferryman: {tmp}: git tracks no files here; give a PATH"),
        (("demo", "--port", "99999"), "ferryman: Invalid value"),
        (("demo", "--nonsense"), "ferryman: Unknown option"),
    ],
)
async def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, arguments, line):
    (tmp_path / "void").mkdir()
    done = await run_ferryman(*(argument.format(tmp=tmp_path) for argument in arguments), cwd=tmp_path)
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


@asynccontextmanager
async def open_demo(*arguments, tmp_path, until, stdin=subprocess.DEVNULL):
    """A demo that runs, and what it said when it came to `until`."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "ferryman", "demo", *map(str, arguments)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        with trio.fail_after(WAIT_SECONDS):
            yield process, await said(process, until)
    finally:
        await end(process)


async def end(process):
    process.kill()
    with trio.CancelScope(shield=True):
        await process.wait()
        for stream in (process.stdout, process.stderr, process.stdin):
            if stream is not None:
                await stream.aclose()


async def said(process, until):
    """What a process says up to `until`: a pipe hands a line over in as many pieces as it likes."""
    text = ""
    while until not in text:
        chunk = await process.stdout.receive_some(4096)
        assert chunk, text + (await all_errors(process) if process.stderr else "")
        text += chunk.decode()
    return text


async def said_line(process, until):
    """The same, up to the end of the line with `until` in it."""
    text = await said(process, until)
    return text if "\n" in text.partition(until)[2] else text + await said(process, "\n")


async def all_errors(process):
    text = b""
    while chunk := await process.stderr.receive_some(4096):
        text += chunk
    return text.decode()


def children_of(process):
    listing = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, check=True).stdout.decode()
    rows = [line.split(None, 2) for line in listing.splitlines()[1:]]
    return {args: int(pid) for pid, parent, args in rows if int(parent) == process.pid}


def folders_in(tmp_path):
    return list(tmp_path.glob("ferryman-demo-*"))


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
)
async def test_a_demo_that_is_ended_leaves_nothing_running_and_no_folder(folder, tmp_path, how, code):
    async with open_demo(folder, tmp_path=tmp_path, until="joined by the short code") as (process, _):
        process.send_signal(how)
        assert await process.wait() == code
        if how != signal.SIGKILL:
            assert folders_in(tmp_path) == []
        while processes_of(tmp_path):  # the children notice that their stdin ended
            await trio.lowlevel.checkpoint()
        assert await all_errors(process) == ""
    if how == signal.SIGKILL:
        [left] = folders_in(tmp_path)
        while is_held(left):  # an ending process loses its name before its files
            await trio.lowlevel.checkpoint()
        async with open_demo(folder, tmp_path=tmp_path, until="short code") as (process, text):
            assert f"removed {left}, which a demo left behind" in text
            assert left not in folders_in(tmp_path)
            process.terminate()
            await process.wait()


async def test_a_relay_that_somebody_kills_is_named_at_once(folder, tmp_path):
    async with open_demo(folder, tmp_path=tmp_path, until="joined by the short code") as (process, _):
        [relay] = [pid for args, pid in children_of(process).items() if " relay " in args]
        os.kill(relay, signal.SIGKILL)
        with trio.fail_after(30):  # well under the director's patience
            assert await process.wait() == 1
        first, *last_words = (await all_errors(process)).splitlines()
    assert first.startswith("ferryman: the relay's process was ended by SIGKILL, and not by the demo")
    assert all(line.startswith("  | ") for line in last_words)
    assert folders_in(tmp_path) == []
    assert processes_of(tmp_path) == []


async def test_a_reader_that_has_seen_enough_ends_the_demo_quietly(folder, tmp_path):
    async with open_demo(folder, tmp_path=tmp_path, until="files") as (process, _):
        await process.stdout.aclose()
        assert (await process.wait(), await all_errors(process)) == (141, "")
    assert folders_in(tmp_path) == []
    assert processes_of(tmp_path) == []


async def test_what_it_says_that_one_can_do_afterwards_can_be_done(folder, tmp_path):
    """Join the note book by the command that is printed, talk both ways, and verify a ledger of the folder it keeps."""
    options = {"tmp_path": tmp_path, "stdin": subprocess.PIPE}
    async with open_demo(folder, "--keep", until="ledger verify", **options) as (process, text):
        if "\n" not in text.partition("ledger verify")[2]:  # the rest of its line may be here already
            text += await said(process, "\n")
        [join, verify] = [line.strip() for line in text.splitlines() if line.startswith("  ")][-2:]
        command = ["sh", "-c", f"exec {join.replace('python ', 'python -u ')}"]
        guest = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            await guest.stdin.send_all(b"ahoy from a [bold]guest\n")
            assert "ahoy from a [bold]guest" in await said(process, "guest\n")
            await process.stdin.send_all(b"ahoy yourself\n")
            assert "ahoy yourself" in await said(guest, "yourself")
            await process.stdin.send_all(b"\n")
            another = await said(process, " at ws://")
            assert re.search(r"another device may join by (\w{4}-){3}\w{4} at ws://", another)
            assert another.split(" by ")[1][:19] != join[-19:]
            await guest.stdin.aclose()
            await guest.wait()
        finally:
            await end(guest)
        process.send_signal(signal.SIGINT)
        last = await said_line(process, "rm -r")
        assert await process.wait() == 0
    [kept] = folders_in(tmp_path)
    assert f"The folder stays until you remove it: rm -r {kept}" in last + "\n"
    done = await trio.run_process(["sh", "-c", verify], capture_stdout=True, capture_stderr=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"all as recorded" in done.stdout
    assert (kept / "device-b" / "files" / "deep" / "large.bin").read_bytes() == (
        (folder / "deep" / "large.bin").read_bytes()
    )
