"""`ferryman doctor`: a device that is well is said to be, and each thing that is broken is found and named."""

import pytest

from ferryman.actors.real_ports import make_real_ports
from tests.fakes.command_line import holder, wait_for

NAMES = ["home", "disk", "keychain", "ledger", "relay", "clock", "sync", "outbox"]


def findings(shell, *arguments, code):
    done = shell.run("doctor", "--home", "H", "--json", *arguments)
    assert done.code == code, done
    found = {one["name"]: one for one in done.objects}
    assert all((one["do"] == "") == one["ok"] for one in found.values())
    return found


def wrong(found):
    return [name for name, one in found.items() if not one["ok"]]


@pytest.fixture
def device(shell, relay):
    shell.ok("enable", "--home", "H", "--relay", relay.url, "--allow-plain")
    return shell.folder / "H"


def test_a_device_that_is_well_is_said_to_be(shell, device):
    found = findings(shell, code=0)
    assert list(found) == NAMES
    said = shell.ok("doctor", "--home", "H").out.splitlines()
    assert [line.split()[:2] for line in said] == [["ok", name] for name in NAMES]


def test_a_device_that_a_process_holds_is_asked_through_it(shell, device):
    with holder(shell.folder, "watch", "--home", "H") as watching:
        wait_for(watching, "connected")
        found = findings(shell, code=0)
    assert list(found) == NAMES
    assert "the process that holds this device" in found["ledger"]["text"]


def test_a_relay_that_is_away_is_found(shell, device, relay):
    relay.kill()
    found = findings(shell, code=1)
    assert wrong(found) == ["relay", "sync"]
    shown = shell.run("doctor", "--home", "H").out.splitlines()
    [line] = [line for line in shown if line.startswith("wrong  relay")]
    assert line.endswith(" - check the network, the URL, and that it runs")


def test_a_ledger_that_was_changed_is_found_and_nothing_behind_it_is_judged(shell, device):
    ledger = device / "ledger.db"
    data = bytearray(ledger.read_bytes())
    place = data.rindex(b"group")
    data[place] ^= 1
    ledger.write_bytes(data)
    found = findings(shell, code=1)
    assert wrong(found) == ["ledger"]
    assert list(found) == NAMES[:4]


def test_keys_that_do_not_open_are_found_and_nothing_behind_them_is_judged(shell, device):
    (device / "ferryman.toml").unlink()
    found = findings(shell, code=1)
    assert (list(found), wrong(found)) == (NAMES[:3], ["keychain"])
    assert "--allow-plain" in found["keychain"]["text"]


def test_a_home_that_others_can_read_is_found(shell, device):
    device.chmod(0o755)
    assert wrong(findings(shell, code=1)) == ["home"]


def test_a_clock_that_is_off_is_found(shell, device, monkeypatch):
    real = type(make_real_ports().clock).now
    monkeypatch.setattr(type(make_real_ports().clock), "now", lambda self: real(self) + 3_600)
    assert wrong(findings(shell, code=1)) == ["clock"]


def test_where_there_is_no_device_or_its_settings_are_wrong_it_is_bad_input(shell, device):
    assert shell.run("doctor", "--home", "nobody").code == 2
    (device / "ferryman.toml").write_text("[sync]\nrelay = 1\n")
    done = shell.run("doctor", "--home", "H")
    assert (done.code, done.out) == (2, "")
    assert "there is no such key" in done.err


def test_a_restored_device_is_looked_over_with_success(shell, device):
    shell.ok("backup", "b.tar", "--home", "H")
    device.rename(shell.folder / "gone")
    shell.ok("restore", "b.tar", "--home", "H")
    findings(shell, code=0)
