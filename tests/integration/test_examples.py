"""Each example runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.child import child
from tests.fakes.command_line import RelayProcess

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def relay(tmp_path):
    relay = RelayProcess(tmp_path).start()
    yield relay
    relay.kill()


@pytest.mark.req("S4-158")
def test_two_devices():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "two_devices.py"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("hello from the phone")


@pytest.mark.req("S4-153")
def test_embed_in_trio(relay, tmp_path):
    def start(name, *arguments):
        command = [sys.executable, "-u", EXAMPLES / "embed_in_trio.py", tmp_path / name, relay.url, *arguments]
        return child(*command, stderr=subprocess.PIPE)

    with start("first") as first:
        said = first.stdout.readline().decode()
        assert said.startswith("invite: ")
        with start("second", said.split()[1]) as second:
            first.stdin.write(b"ahoy from the first\n")
            first.stdin.flush()
            assert second.stdout.readline().endswith(b"ahoy from the first\n")
            second.stdin.write(b"ahoy yourself\n")
            second.stdin.flush()
            assert first.stdout.readline().endswith(b"ahoy yourself\n")
            second.stdin.close()  # not before: what is queued when a device ends, it pushes when it starts again
            assert second.wait() == 0
        first.stdin.close()
        assert first.wait() == 0


def test_every_example_is_tested():
    tested = Path(__file__).read_text()
    assert all(example.name in tested for example in EXAMPLES.glob("*.py"))
