"""`ferryman outbox` at a terminal and in a script: what is dropped was meant, and what waits is tried."""

import os
import pty
import subprocess

import pytest

from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.command_line import FERRYMAN


@pytest.fixture
def waiting(shell):
    """The id of a blob that waits for a relay that is not there."""
    (shell.folder / "note.txt").write_bytes(b"ahoy\n")
    shell.ok("enable", "--home", "H", "--relay", "ws://127.0.0.1:9", "--allow-plain")
    shell.ok("push", "note.txt", "--home", "H", "--no-wait")
    [page] = shell.ok("outbox", "--home", "H", "--json").objects
    [blob] = [entry for entry in page["waiting"] if not entry["introduction"]]
    assert blob["state"] == "waiting"
    assert len(page["group"]) == 8
    return blob["id"]


def typed(shell, answer, *arguments):
    """The command at a terminal, where a person types this. Returns its exit code and what stands beside the output."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [*FERRYMAN, *arguments], stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=shell.folder
        ) as process:
            os.write(ours, answer)
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, said.decode()
    finally:
        os.close(ours)
        os.close(theirs)


def left(shell):
    [page] = shell.ok("outbox", "--home", "H", "--json").objects
    return [entry["id"] for entry in page["waiting"] if not entry["introduction"]]


def test_a_person_is_asked_before_a_blob_is_dropped_and_may_think_better_of_it(shell, waiting):
    code, said = typed(shell, b"\n", "outbox", "drop", waiting[:6], "--home", "H")
    assert (code, left(shell)) == (1, [waiting])
    assert said.startswith(f"Drop blob {waiting[:8]}, ")
    assert "stays in the outbox" in said
    code, _ = typed(shell, b"y\n", "outbox", "drop", waiting[:6], "--home", "H")
    assert (code, left(shell)) == (0, [])


def test_a_script_says_that_it_means_it(shell, waiting):
    refused = shell.run("outbox", "drop", waiting[:8], "--home", "H")
    assert (refused.code, left(shell)) == (2, [waiting])
    [dropped] = shell.ok("outbox", "drop", waiting[:8], "--yes", "--home", "H", "--json").objects
    assert dropped == {
        "type": "dropped", "id": waiting, "size": dropped["size"], "queued_at": dropped["queued_at"], "sent": False,
        "gone": True,
    }  # fmt: skip
    assert left(shell) == []
    again = shell.run("outbox", "drop", waiting[:8], "--yes", "--home", "H")
    assert (again.code, "begins so" in again.err) == (2, True)


def test_a_retry_says_what_still_waits_and_that_nothing_does(shell, waiting, relay):
    failed = shell.run("outbox", "retry", "--home", "H")
    assert failed.code == 1
    assert "2 blobs" in failed.out
    assert "not connected to ws://127.0.0.1:9" in failed.out
    shell.ok("enable", "--home", "H", "--relay", relay.url)
    done = shell.ok("outbox", "retry", "--home", "H")
    assert done.out == "The relay has everything.\n"
