"""A device let in at the command line: two homes, two real processes, one number on both screens."""

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
    done = shell.run("invite", "--yes", "--home", "A")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert "approve_joins" in done.err


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
    with inviting(shell) as first:
        code = json.loads(wait_for(first, "short_code"))["short_code"]
        assert end(first, signal.SIGINT) == 130
    done = shell.run("join", code, "--home", "B", "--relay", relay.url, "--allow-plain")
    assert (done.code, len(done.err.splitlines())) == (1, 1)


def test_ctrl_c_leaves_the_room_while_a_person_decides(shell, relay):
    shell.pair(relay.url, "A")
    with inviting(shell) as first:
        code = json.loads(wait_for(first, "short_code"))["short_code"]
        with join_as(shell, relay, "B", code) as second:
            wait_for(second, "join-shown")
            assert end(second, signal.SIGINT) == 130
        assert group_of(shell, "B") is None
