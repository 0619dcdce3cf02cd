"""What goes wrong at the command line: one line each, nothing half-done, nothing said twice."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.command_line import FERRYMAN, end, holder, wait_for


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status"], "there is no device here"),
        (["push", "a.txt"], "there is no device here"),
        (["push"], "FILES"),
        (["push", "a.txt", "--wait", "3", "--no-wait"], "contradict"),
        (["push", "a.txt", "--wait", "0"], "--wait"),
        (["pull", "--after", "-1"], "--after"),
        (["enable"], "--relay URL"),
        (["enable", "--relay", "http://example.com"], "wss://"),
        (["join", "ABCD"], "short code"),
        (["join", "ferryman://sync?invite=%%%"], "link"),
        (["join", "0000-0000-0000-0000"], "--relay URL"),
        (["outbox", "--limit", "0"], "--limit"),
        (["outbox", "drop"], "ITEM"),
        (["outbox", "drop", "86a484e3"], "--yes"),
        (["outbox", "drop", "86a484e3", "--yes"], "there is no device here"),
        (["outbox", "retry"], "there is no device here"),
        (["status", "--home", "a.txt"], "is a file"),
        (["watch", "--no-such-option"], "--no-such-option"),
    ],
)
def test_bad_input_is_one_line_and_code_2_and_makes_nothing(shell, arguments, says):
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    done = shell.run(*arguments, *([] if "--home" in arguments else ["--home", "H"]))
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert line.startswith("ferryman: ")
    assert says in line
    assert [path.name for path in shell.folder.iterdir()] == ["a.txt"]


@pytest.mark.req("S4-205")
def test_the_relay_backend_needs_a_url_and_says_where_it_would_stand(shell):
    for arguments in (["enable"], ["join", "0000-0000-0000-0000"]):
        done = shell.run(*arguments, "--home", "H", "--allow-plain")
        assert (done.code, done.out) == (2, "")
        [line] = done.err.splitlines()
        assert f"{shell.folder}/H/ferryman.toml: sync.relay_url: " in line
    assert not (shell.folder / "H").exists()


def test_a_backend_that_is_not_built_is_one_line_and_makes_no_device(shell):
    (shell.folder / "H").mkdir()
    (shell.folder / "H/ferryman.toml").write_text('[sync]\nbackend = "iroh"\n')
    for arguments in (["enable"], ["enable", "--relay", "ws://127.0.0.1:9"]):
        done = shell.run(*arguments, "--home", "H", "--allow-plain")
        assert (done.code, done.out) == (2, "")
        [line] = done.err.splitlines()
        assert '"iroh" is not in this build' in line
    assert [path.name for path in (shell.folder / "H").iterdir()] == ["ferryman.toml"]


def test_with_json_an_error_is_one_object(shell):
    done = shell.run("status", "--home", "H", "--json")
    assert (done.code, done.out) == (2, "")
    error = json.loads(done.err)
    assert (error["type"], error["code"]) == ("error", "BAD_INPUT")


def test_without_keychain_and_passphrase_it_says_what_to_do_and_makes_no_keys(shell, monkeypatch):
    monkeypatch.setattr("ferryman.supervisors.runtime.find_os_backend", lambda: None)
    done = shell.run("enable", "--home", "H", "--relay", "ws://127.0.0.1:9")
    assert done.code == 2
    [line] = done.err.splitlines()
    assert "FERRYMAN_PASSPHRASE" in line
    assert "--allow-plain" in line
    assert not (shell.folder / "H" / "keys" / "store.json").exists()


def test_a_passphrase_seals_the_keys_and_a_wrong_one_opens_nothing(shell, monkeypatch):
    monkeypatch.setattr("ferryman.supervisors.runtime.find_os_backend", lambda: None)
    monkeypatch.setenv("FERRYMAN_PASSPHRASE", "aye")
    shell.ok("enable", "--home", "H", "--relay", "ws://127.0.0.1:9")
    assert json.loads((shell.folder / "H/keys/store.json").read_text())["kind"] == "sealed"
    assert not (shell.folder / "H/ferryman.toml").exists()
    monkeypatch.setenv("FERRYMAN_PASSPHRASE", "nay")
    assert shell.run("status", "--home", "H").code == 2
    monkeypatch.delenv("FERRYMAN_PASSPHRASE")
    done = shell.run("status", "--home", "H")
    assert (done.code, "FERRYMAN_PASSPHRASE" in done.err) == (2, True)


def test_allow_plain_is_said_once(shell):
    shell.ok("enable", "--home", "H", "--relay", "ws://127.0.0.1:9", "--allow-plain")
    [status] = shell.ok("status", "--home", "H", "--json").objects
    assert (status["indicator"], status["connection"]) == ("failed", "reconnecting"), "the introduction waits"
    assert "unsealed" in status["warning"]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_no_file_of_a_device_takes_the_place_of_a_closed_stream(shell, closed):
    """The shell closes one; whatever the command opens next must not be what it prints into."""
    (shell.folder / "x").write_bytes(b"ahoy\n")
    shell.ok("enable", "--home", "H", "--relay", "ws://127.0.0.1:9", "--allow-plain")
    look = (
        "import os, sys; from ferryman.supervisors.cli import main; main.keep_standard_streams();"
        f" opened = os.open('x', os.O_RDWR); assert opened > 2, opened; sys.std{['in', 'out', 'err'][closed]}.flush();"
        f" print('fine', file=sys.std{'err' if closed == 1 else 'out'})"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closed}>&-', sys.executable, "-c", look],
        capture_output=True, text=True, check=False, cwd=shell.folder,
    )  # fmt: skip
    assert "fine" in done.stdout + done.stderr, done
    command = ["push", "-", "--no-wait"] if closed == 0 else ["status"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {closed}>&-', *FERRYMAN, *command, "--home", "H"],
        capture_output=True, text=True, check=False, cwd=shell.folder,
    )  # fmt: skip
    assert done.returncode == (0 if closed == 2 else 2)
    assert len(done.stderr.splitlines()) == (0 if closed == 2 else 1)


def test_a_ledger_that_cannot_be_read_is_one_line(shell):
    shell.ok("enable", "--home", "H", "--relay", "ws://127.0.0.1:9", "--allow-plain")
    (shell.folder / "H/ledger.db").write_bytes(b"garbage")
    done = shell.run("status", "--home", "H")
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1, done.err
    assert "this is no Ferryman ledger" in done.err


def test_settings_that_cannot_be_added_to_are_refused_before_a_device_is_made(shell):
    (shell.folder / "H").mkdir()
    settings = shell.folder / "H/ferryman.toml"
    settings.write_text("keys = { use_os_keychain = false }\n")
    done = shell.run("enable", "--home", "H", "--relay", "ws://127.0.0.1:9", "--allow-plain")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert f"{settings}: " in done.err
    assert settings.read_text() == "keys = { use_os_keychain = false }\n"
    assert [path.name for path in (shell.folder / "H").iterdir()] == ["ferryman.toml"]
    settings.write_text("keys = { use_os_keychain = false, allow_plain = true }\n")
    shell.ok("enable", "--home", "H", "--relay", "ws://127.0.0.1:9", "--allow-plain")
    settings.write_text("keys.use_os_keychain = false\n")
    shell.ok("enable", "--home", "H", "--allow-plain")
    shell.ok("status", "--home", "H")


def test_a_push_without_a_relay_waits_in_the_outbox_and_goes_out_later(shell, relay):
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    shell.pair(relay.url, "A", "B")
    relay.kill()
    assert "in the outbox" in shell.ok("push", "a.txt", "--home", "A").out
    assert shell.run("push", "a.txt", "--home", "A", "--wait", "0.5").code == 75, "it was told to insist"
    began = time.monotonic()
    assert shell.ok("push", "a.txt", "--home", "A", "--no-wait", "--json").objects[0]["type"] == "waiting"
    assert time.monotonic() - began < 10
    [outbox] = shell.ok("outbox", "--home", "A", "--json").objects
    assert (outbox["count"], len(outbox["waiting"])) == (3, 3)
    assert all(abs(one["queued_at"] - time.time()) < 120 for one in outbox["waiting"])
    assert shell.run("pull", "--home", "B", "--out", "in").code == 1
    assert not list((shell.folder / "in").iterdir())
    relay.start()
    shell.ok("status", "--home", "A")  # any command is the device for its time
    assert shell.ok("outbox", "--home", "A", "--json").objects[0]["count"] == 0
    assert len(shell.ok("pull", "--home", "B", "--json").objects) == 3


def test_a_file_over_the_limit_stops_all_before_the_first_goes_out(shell, relay):
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    (shell.folder / "large").write_bytes(bytes(1_048_321))
    shell.pair(relay.url, "A")
    done = shell.run("push", "a.txt", "large", "--home", "A")
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert "1,048,320 bytes" in line
    assert shell.ok("status", "--home", "A", "--json").objects[0]["max_cursor"] == 1, "its introduction, nothing else"
    assert shell.process("push", "-", "--home", "A", stdin=bytes(1_048_321)).code == 2
    assert shell.run("push", "missing", "--home", "A").err == "ferryman: missing: No such file or directory\n"
    assert "directory" in shell.run("push", ".", "--home", "A").err


def test_a_holder_killed_in_the_middle_of_a_push_loses_nothing_and_the_next_command_takes_over(shell, relay):
    """The relay is away, so the push waits; its holder dies meanwhile, leaving lock and socket behind."""
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    shell.pair(relay.url, "A", "B")
    relay.kill()
    with holder(shell.folder, "watch", "--home", "A", "--json") as watching:
        wait_for(watching, '"reconnecting"')
        with holder(shell.folder, "push", "a.txt", "--home", "A", "--wait", "60", "--json") as pushing:
            while shell.ok("outbox", "--home", "A", "--json").objects[0]["count"] == 0:
                pass
            end(watching, signal.SIGKILL)
            assert (shell.folder / "A" / "control.sock").exists()
            said = json.loads(wait_for(pushing, "{"))
            assert (said["type"], pushing.wait(PATIENCE_SECONDS)) == ("waiting", 75)
    relay.start()
    [status] = shell.ok("status", "--home", "A", "--json").objects
    assert status["indicator"] == "synced"
    [blob] = shell.ok("pull", "--home", "B", "--json").objects
    assert blob["id"] == said["id"]


def test_garbage_on_the_socket_hurts_nobody(shell, relay):
    shell.pair(relay.url, "A")
    with holder(shell.folder, "watch", "--home", "A", "--json") as watching:
        wait_for(watching, '"connected"')
        strangers = []
        for words in (b"\n", b"{}\n", b"\xff\xfe\x00" * 1000 + b"\n", b"[" * 50_000 + b"\n", b"A" * 1_600_000, b""):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect(str(shell.folder / "A" / "control.sock"))
            with contextlib.suppress(OSError):  # hung up on, in the middle
                stranger.sendall(words)
            strangers.append(stranger)
        for stranger in strangers[:-1]:
            stranger.settimeout(PATIENCE_SECONDS)
            heard = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := stranger.recv(65536):
                    heard += piece
            assert b'"error"' in heard or b'"hello"' in heard
        assert shell.ok("status", "--home", "A", "--json").objects[0]["pid"] == watching.pid
        for stranger in strangers:
            stranger.close()
        assert end(watching) == 0
        assert watching.stderr.read() == ""


def test_sigterm_in_the_middle_of_a_push_leaves_it_in_the_outbox(shell, relay):
    (shell.folder / "a.txt").write_bytes(b"ahoy\n")
    shell.pair(relay.url, "A")
    relay.kill()
    with holder(shell.folder, "push", "a.txt", "--home", "A", "--wait", "60") as pushing:
        while not (shell.folder / "A" / "control.sock").exists():
            time.sleep(0.05)  # of the real clock: a process starts
        while shell.ok("outbox", "--home", "A", "--json").objects[0]["count"] == 0:
            pass
        assert end(pushing, signal.SIGTERM) == 143
        assert pushing.stderr.read() == ""
    assert not (shell.folder / "A" / "control.sock").exists()
    assert shell.ok("outbox", "--home", "A", "--json").objects[0]["count"] == 1


def test_a_home_whose_path_is_longer_than_a_socket_address_works_too(shell, relay):
    deep = shell.folder / ("d" * 100) / ("e" * 100)
    shell.ok("enable", "--home", str(deep), "--relay", relay.url, "--allow-plain")
    with holder(shell.folder, "watch", "--home", str(deep), "--json") as watching:
        wait_for(watching, '"connected"')
        assert len(os.fsencode(deep / "control.sock")) > 108
        assert shell.ok("status", "--home", str(deep), "--json").objects[0]["pid"] == watching.pid


@pytest.mark.parametrize("name", ["", " ", "an\nna"])
def test_an_api_key_without_a_name_is_not_made(shell, name):
    done = shell.run("relay", "key", name)
    assert (done.code, done.out) == (2, "")
    assert done.err == "ferryman: the key wants a name, by which you will find it in relay.toml again\n"


def test_a_relay_that_refuses_is_not_called_unreachable(shell, relay):
    shell.pair(relay.url, "A")
    relay.kill()
    relay.lose_key()
    other = relay.start()
    done = shell.ok("enable", "--home", "A")
    assert f"not connected to {other.url}: the relay shows another key than before" in done.out
    assert "reachable" not in f"{done.out}{done.err}"
