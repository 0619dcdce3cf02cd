"""The command line as a process: what it says, and the code it leaves with."""

import subprocess
import sys

import pytest

from ferryman.supervisors.cli.main import run
from ferryman.version import __version__

FERRYMAN = [sys.executable, "-m", "ferryman"]


def test_the_version_is_printed():
    done = subprocess.run([*FERRYMAN, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


@pytest.mark.parametrize("command", ["relay", "ledger", "demo"])
def test_help_names_every_command_and_each_has_its_own(command):
    overview = subprocess.run([*FERRYMAN, "--help"], capture_output=True, text=True, check=True).stdout
    assert command in overview
    own = subprocess.run([*FERRYMAN, command, "--help"], capture_output=True, text=True, check=False)
    assert own.returncode == 0
    assert own.stdout != overview


@pytest.mark.parametrize("arguments", [["no-such-command"], ["demo", "--no-such-option"], ["demo", "--port", "99999"]])
def test_a_wrong_command_line_is_one_line_and_code_2(arguments):
    done = subprocess.run([*FERRYMAN, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("ferryman: ")


PRINTS_MUCH = """
import sys
from ferryman.supervisors.cli import main as cli
cli.app = lambda *arguments, **options: print("a line of a ledger" * 10_000)
cli.main()
"""


def test_a_reader_that_has_seen_enough_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-c", PRINTS_MUCH], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        said = process.stderr.read()
        code = process.wait(30)
    assert (code, said) == (141, b"")


def test_an_argument_too_many_is_not_repeated_since_it_may_be_an_invite(capsys):
    assert run(["join", "ferryman://sync?invite=eyJzZWNyZXQi", "extra-ferryman://sync?invite=eyJzZWNyZXQi"]) == 2
    said = capsys.readouterr().err
    assert "eyJzZWNyZXQi" not in said
    assert said.startswith("ferryman: there are more arguments than this command takes")
