"""The unit: systemd finds nothing wrong with it, and it leaves the relay one port, one directory and what it needs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ferryman.supervisors.relay_config import load_relay_config
from tests.fakes.child import PATIENCE_SECONDS, child, listening
from tests.fakes.deploying import DEPLOY, ferryman, unit
from tests.fakes.relay_process import write_config
from tests.fakes.wire_client import connect, device

UNIT = DEPLOY / "ferryman-relay.service"
SERVICE = unit(UNIT)["Service"]
CONFIG = load_relay_config(DEPLOY / "relay.toml")
PROGRAM = "/opt/ferryman/bin/ferryman"
EXPOSURE_AT_MOST = 15  # tenths, on systemd's scale from 0 to 100: a plain service has 96
systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: apt install systemd)"
)


def analyze(*arguments):
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def installed(tmp_path):
    """The unit, with the interpreter of this test where the relay's program will be."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace(PROGRAM, f"{sys.executable} -m ferryman"))
    return path


@systemd
def test_systemd_finds_nothing_wrong(installed):
    done = analyze("verify", "--man=no", installed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@systemd
def test_systemd_calls_its_exposure_low(installed):
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_AT_MOST}", installed)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("key", ["ExecStartPre", "ExecStart"])
def test_its_commands_are_those_that_the_program_has(key, tmp_path):
    [command] = SERVICE[key]
    program, *words = command.split()
    assert program == PROGRAM
    assert words[-2:] == ["--config", "/etc/ferryman/relay.toml"]
    check = [] if "--check" in words else ["--check"]
    words[-1] = str(DEPLOY / "relay.toml")
    done = ferryman(*words, *check, FERRYMAN_RELAY_STORAGE_DATABASE=str(tmp_path / "relay.db"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "listens on 127.0.0.1:8080, without TLS, for this machine only" in done.stdout


def test_the_relay_keeps_its_data_where_the_unit_lets_it_write():
    assert SERVICE["ProtectSystem"] == ["strict"]
    [state] = SERVICE["StateDirectory"]
    assert CONFIG.database.parent == Path("/var/lib") / state
    assert "ReadWritePaths" not in SERVICE
    assert CONFIG.log.file is None, "the journal has the log"


def test_it_is_nobody_s_user_with_no_power():
    assert SERVICE["DynamicUser"] == ["yes"]
    assert SERVICE["CapabilityBoundingSet"] == [""]
    assert "User" not in SERVICE
    assert CONFIG.address[1] >= 1024, "a lower port wants a capability"


def test_a_relay_that_cannot_start_is_not_started_for_ever():
    assert SERVICE["RestartPreventExitStatus"] == ["2"]
    assert int(SERVICE["TimeoutStopSec"][0]) > CONFIG.server.shutdown_grace


def test_there_are_handles_for_every_place():
    assert int(SERVICE["LimitNOFILE"][0]) > 2 * CONFIG.server.max_connections


def test_a_reload_is_the_signal_that_the_relay_knows():
    assert SERVICE["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert "SIGHUP" in (DEPLOY.parents[1] / "docs" / "relay.md").read_text()


def allowed_calls():
    """The system calls that the unit's filter lets through, as systemd's own lists say."""
    calls: set[str] = set()
    for line in SERVICE["SystemCallFilter"]:
        named = set().union(*(members(name) for name in line.removeprefix("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def members(name):
    if not name.startswith("@"):
        return {name}
    listed = analyze("syscall-filter", name).stdout.splitlines()
    words = [line.strip() for line in listed[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*(members(word) for word in words))


# Asked for and refused, and no harm done: SQLite gives its files their owner when root runs it.
REFUSED_WITHOUT_HARM = {"fchown", "chown"}


@systemd
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (Debian: apt install strace)")
async def test_a_relay_at_work_makes_no_system_call_that_the_unit_refuses(tmp_path):
    trace = tmp_path / "trace"
    relay = [sys.executable, "-m", "ferryman", "relay", "--config", write_config(tmp_path), "--stop-with-stdin"]
    with child("strace", "-f", "-qq", "-o", trace, *relay, stderr=subprocess.PIPE) as process:
        port = listening(process)["port"]
        async with connect(port, device("anna")) as anna:
            await anna.hello(b"a group that is one of bare IDs.")
            await anna.push(1)
            assert [blob.cursor for blob in (await anna.pull(0)).blobs] == [1]
        process.stdin.close()
        assert process.wait(PATIENCE_SECONDS) == 0
    made = set(re.findall(r"^\d+\s+(?:<\.\.\. )?(\w+)[( ]", trace.read_text(), re.MULTILINE))
    assert {"accept4", "fdatasync"} <= made, "it served and it stored"
    assert made - allowed_calls() - REFUSED_WITHOUT_HARM == set()
