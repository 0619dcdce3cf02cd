"""A device let in at the command line: two homes, two real processes, one number on both screens."""

import contextlib
import json
import signal
import subprocess

import pytest

from tests.fakes.child import child
from tests.fakes.command_line import FERRYMAN, end, holder, wait_for


def inviting(shell, *more: str):
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    return child(*FERRYMAN, "invite", "--home", "A", "--json", *more, cwd=shell.folder, text=True, **pipes)


def answer(process, text: str) -> None:
    process.stdin.write(text)
    process.stdin.flush()


def join_as(shell, relay, name: str, code: str):
    return holder(shell.folder, "join", code, "--home", name, "--relay", relay.url, "--allow-plain", "--json")


def code_of(process) -> int | None:
    """Its exit code, None for one that goes on."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(30)
    return None


def group_of(shell, name: str) -> str:
    return shell.ok("status", "--home", name, "--json").objects[0]["group"]


@pytest.mark.parametrize("held", [False, True], ids=["alone", "through the process that holds the device"])
def test_a_device_is_let_in_when_a_person_has_seen_the_number_on_both(shell, relay, held):
    shell.pair(relay.url, "A")
    if held:
        with holder(shell.folder, "watch", "--home", "A", "--json") as watching:
            wait_for(watching, '"connected"')
            let_in(shell, relay)
    else:
        let_in(shell, relay)
    assert group_of(shell, "A") == group_of(shell, "B")


def let_in(shell, relay) -> None:
    with inviting(shell) as first:
        code = json.loads(wait_for(first, "short_code"))["short_code"]
        with join_as(shell, relay, "B", code) as second:
            asked = json.loads(wait_for(first, "join_asked"))
            shown = json.loads(wait_for(second, "join-shown"))
            assert asked["sas"] == shown["sas"]
            assert second.poll() is None, "nobody has said yes"
            answer(first, "yes\n")
            assert json.loads(wait_for(first, "join_ended"))["joined"]
            assert json.loads(wait_for(second, '"status"'))["connection"] == "connected"
            assert (first.wait(60), second.wait(60)) == (0, 0)


@pytest.mark.parametrize("word", ["no\n", "yes please\n", "\n"])
def test_anything_but_yes_lets_nobody_in_and_both_hear_why(shell, relay, word):
    shell.pair(relay.url, "A")
    with inviting(shell) as first:
        code = json.loads(wait_for(first, "short_code"))["short_code"]
        with join_as(shell, relay, "B", code) as second:
            wait_for(first, "join_asked")
            answer(first, word)
            assert not json.loads(wait_for(first, "join_ended"))["joined"]
            assert second.wait(60) == 1
            [line] = second.stderr.read().splitlines()
            assert "the inviting device has ended this invite" in line
            assert first.wait(60) == 1
    assert group_of(shell, "B") is None


def test_yes_beforehand_lets_nobody_in_unseen(shell, relay):
    shell.pair(relay.url, "A")
    with inviting(shell, "--yes") as first:
        assert code_of(first) == 2
        assert first.stdout.read() == ""
        [error] = first.stderr.read().splitlines()
        assert "approve_joins" in json.loads(error)["message"]


def test_where_joins_need_no_approval_the_first_is_let_in(shell, relay):
    shell.pair(relay.url, "A")
    (shell.folder / "A" / "ferryman.toml").write_text("[sync]\napprove_joins = false\n[keys]\nallow_plain = true\n")
    with inviting(shell, "--yes") as first:
        code = json.loads(wait_for(first, "short_code"))["short_code"]
        with join_as(shell, relay, "B", code) as second:
            assert json.loads(wait_for(first, "join_ended"))["joined"]
            assert (first.wait(60), second.wait(60)) == (0, 0)
    assert group_of(shell, "A") == group_of(shell, "B")


def test_ctrl_c_takes_an_invite_back_that_nobody_has_used(shell, relay):
    shell.pair(relay.url, "A")
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with child(*FERRYMAN, "invite", "--home", "A", cwd=shell.folder, text=True, **pipes) as first:
        code = wait_for(first, "Short code").split()[-1]
        assert "Waiting" in first.stderr.readline()
        assert end(first, signal.SIGINT) == 130
    with join_as(shell, relay, "B", code) as second:
        assert code_of(second) == 1
        assert "no such invite" in second.stderr.read()


def test_ctrl_c_leaves_the_room_while_a_person_decides(shell, relay):
    shell.pair(relay.url, "A")
    with inviting(shell) as first:
        code = json.loads(wait_for(first, "short_code"))["short_code"]
        with join_as(shell, relay, "B", code) as second:
            wait_for(second, "join-shown")
            assert end(second, signal.SIGINT) == 130
        assert group_of(shell, "B") is None
