"""Two devices and a relay at the command line, from nothing to files."""

import base64
import json
import os
import signal
import socket

import pytest

from tests.fakes.command_line import end, holder, mode, wait_for


def test_what_one_device_pushes_the_other_pulls_and_nothing_comes_twice(shell, relay):
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    noise = os.urandom(100_000)
    (shell.folder / "b.bin").write_bytes(noise)
    shell.pair(relay.url, "A", "B")
    pushed = shell.ok("push", "a.txt", "b.bin", "--home", "A", "--json").objects
    assert [one["type"] for one in pushed] == ["pushed", "pushed"]
    listed = shell.ok("pull", "--home", "B", "--json").objects
    assert [(one["id"], one["size"]) for one in listed] == [(pushed[0]["id"], 5), (pushed[1]["id"], 100_000)]
    shell.ok("pull", "--home", "B", "--out", "in")
    names = [f"{one['cursor']:08d}-{one['id'][:8]}" for one in pushed]
    assert sorted(path.name for path in (shell.folder / "in").iterdir()) == sorted(names)
    assert (shell.folder / "in" / names[0]).read_bytes() == b"ahoy\n"
    assert (shell.folder / "in" / names[1]).read_bytes() == noise
    assert mode(shell.folder / "in" / names[0]) == "0o600"
    assert "Nothing new" in shell.ok("pull", "--home", "B", "--out", "in").err, "taken is taken"
    assert len(shell.ok("pull", "--home", "B", "--after", "0", "--json").objects) == 2, "it can be read again"
    assert len(shell.ok("pull", "--home", "B", "--after", pushed[0]["cursor"], "--json").objects) == 1


def test_standard_input_and_output_are_a_file_too(shell, relay):
    shell.pair(relay.url, "A", "B")
    data = bytes(range(256)) * 10
    assert shell.process("push", "-", "--home", "A", stdin=data).code == 0
    [blob] = shell.ok("pull", "--home", "B", "--out", "-", "--json", "--after", "0").objects
    assert base64.urlsafe_b64decode(blob["data"]) == data
    assert shell.process("pull", "--home", "B", "--out", "-").raw == data
    assert shell.ok("pull", "--home", "B", "--out", "-").out == "", "what was written was taken"


def test_what_standard_output_did_not_take_comes_again_under_the_same_id(shell, relay):
    (shell.folder / "b.bin").write_bytes(bytes(500_000))
    shell.pair(relay.url, "A", "B")
    [pushed] = shell.ok("push", "b.bin", "--home", "A", "--json").objects
    for _ in range(2):  # more than a pipe holds, and a reader that has seen enough
        with holder(shell.folder, "pull", "--home", "B", "--out", "-", "--json") as pulling:
            assert pushed["id"] in pulling.stdout.read(200)
            pulling.stdout.close()
            assert pulling.wait(60) == 141
    [blob] = shell.ok("pull", "--home", "B", "--out", "-", "--json").objects
    assert blob["id"] == pushed["id"]
    assert shell.ok("pull", "--home", "B", "--out", "-", "--json").out == ""


def test_ctrl_c_while_the_code_is_fetched_ends_the_join_and_not_the_code(shell, relay):
    """A go-between hands the request on once the command was interrupted: the relay has forgotten the code then."""
    shell.pair(relay.url, "A")
    [invite] = shell.ok("invite", "--direct", "--home", "A", "--json").objects
    with socket.create_server(("127.0.0.1", 0)) as between:
        url = f"ws://127.0.0.1:{between.getsockname()[1]}"
        arguments = ["join", invite["short_code"], "--home", "B", "--relay", url, "--allow-plain"]
        with holder(shell.folder, *arguments) as joining:
            near, _ = between.accept()
            asked = near.recv(65_536)
            assert asked.startswith(b"GET /invite/")
            joining.send_signal(signal.SIGINT)
            assert "spent" in joining.stderr.readline()
            with socket.create_connection(("127.0.0.1", relay.port)) as far:
                far.sendall(asked)
                while answer := far.recv(65_536):
                    near.sendall(answer)
            near.close()
            said = joining.stdout.read()
            assert joining.wait(60) == 130
    assert said.startswith("Joined: this device is in group ")
    [standing] = shell.ok("enable", "--home", "B", "--relay", relay.url, "--json").objects
    assert standing["group"] == shell.ok("status", "--home", "A", "--json").objects[0]["group"]


def test_commands_go_through_the_process_that_holds_the_device(shell, relay):
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    shell.pair(relay.url, "A", "B")
    with holder(shell.folder, "watch", "--home", "A", "--json") as watching:
        wait_for(watching, '"connected"')
        [status] = shell.ok("status", "--home", "A", "--json").objects
        assert (status["pid"], status["indicator"], status["waiting"]) == (watching.pid, "synced", 0)
        [pushed] = shell.ok("push", "a.txt", "--home", "A", "--json").objects
        assert pushed["id"] in wait_for(watching, '"pushed"')
        shell.ok("push", "a.txt", "--home", "B")
        assert '"arrived"' in wait_for(watching, '"arrived"')
        assert shell.ok("pull", "--home", "A", "--out", "in").out.count("\n") == 1
        assert mode(shell.folder / "A" / "control.sock") == "0o600"
        assert mode(shell.folder / "A") == "0o700"
        assert end(watching) == 0
    assert not (shell.folder / "A" / "control.sock").exists()
    assert "Nothing new" in shell.ok("pull", "--home", "A", "--out", "in").err, "taken through the other process"


def test_watch_writes_what_arrives_and_keeps_it_from_others(shell, relay):
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    shell.pair(relay.url, "A", "B")
    with holder(shell.folder, "watch", "--home", "B", "--out", "in", "--json") as watching:
        wait_for(watching, '"connected"')
        shell.ok("push", "a.txt", "--home", "A")
        wait_for(watching, '"path"')
        [written] = (shell.folder / "in").iterdir()
        assert written.read_bytes() == b"ahoy\n"
        refused = shell.run("pull", "--home", "B", "--out", "elsewhere")
        assert (refused.code, len(refused.err.splitlines())) == (2, 1)
        assert str(watching.pid) in refused.err
        assert len(shell.ok("pull", "--home", "B", "--after", "0", "--json").objects) == 1
        assert end(watching, signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_watch_takes_over_from_the_one_that_held_the_device(shell, relay, number):
    shell.pair(relay.url, "A")
    with holder(shell.folder, "watch", "--home", "A", "--json") as first:
        wait_for(first, '"connected"')
        with holder(shell.folder, "watch", "--home", "A", "--json") as second:
            wait_for(second, '"connected"')
            end(first, number)
            wait_for(second, '"connected"')
            [status] = shell.ok("status", "--home", "A", "--json").objects
            assert status["pid"] == second.pid


def test_an_invite_that_is_waited_for_is_taken_back_by_ctrl_c(shell, relay):
    shell.pair(relay.url, "A")
    with holder(shell.folder, "invite", "--direct", "--wait", "--home", "A", "--json") as inviting:
        code = json.loads(wait_for(inviting, "short_code"))["short_code"]
        inviting.send_signal(signal.SIGINT)
        assert '"in_time": true' in wait_for(inviting, "invite_cancelled")
        assert end(inviting) == 130
    done = shell.run("join", code, "--home", "B", "--relay", relay.url, "--allow-plain")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert code not in done.err
