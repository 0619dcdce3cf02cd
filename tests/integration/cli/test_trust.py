"""`ferryman trust`: a relay that lost its key, and a person who asks its operator."""

import base64

import pytest

from tests.fakes.command_line import end, holder, wait_for


@pytest.fixture
def other(shell, relay):
    """Device A knows the relay by a key that it has no longer."""
    shell.pair(relay.url, "A")
    relay.kill()
    relay.lose_key()
    return relay.start()


def test_the_key_that_the_operator_tells_is_accepted_and_no_other(shell, other):
    [status] = shell.ok("status", "--home", "A", "--json").objects
    assert status["connection"] != "connected"
    assert f"{other.key}, `ferryman trust`" in status["reason"]
    wrong = shell.run("trust", base64.b64encode(bytes(32)).decode(), "--home", "A")
    assert (wrong.code, len(wrong.err.splitlines())) == (2, 1)
    assert f"{other.key}, and is left alone: ask its operator" in wrong.err
    done = shell.ok("trust", other.key, "--home", "A")
    assert done.out == f"The relay's key is {other.key} from now on: this device is connected to {other.url}.\n"
    assert shell.ok("status", "--home", "A", "--json").objects[0]["connection"] == "connected"


def test_the_process_that_holds_the_device_carries_it_out(shell, other):
    with holder(shell.folder, "watch", "--home", "A", "--json") as watching:
        wait_for(watching, '"reconnecting"')
        [trusted] = shell.ok("trust", other.key, "--home", "A", "--json").objects
        assert (trusted["pid"], trusted["connection"]) == (watching.pid, "connected")
        assert trusted["relay_key"] == other.key
        wait_for(watching, '"connected"')
        assert end(watching) == 0


@pytest.mark.parametrize("key", ["sesame", "", "ws://127.0.0.1", base64.b64encode(bytes(31)).decode()])
def test_what_is_no_key_is_one_line(shell, key):
    done = shell.run("trust", key, "--home", "A")
    assert (done.code, done.out) == (2, "")
    assert done.err == "ferryman: a relay's key is 44 characters of base64, as `ferryman relay` prints it\n"
