"""`ferryman ledger` as a process of its own, on real files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.ports import EPOCH
from ferryman.protocol.machine import Refused
from tests.fakes.ledger_world import put_entry


def ferryman(*arguments, passphrase="p", **options):
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment["FERRYMAN_PASSPHRASE"] = passphrase
    return subprocess.run(
        [sys.executable, "-m", "ferryman", "ledger", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        **options,
    )


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """A device's directory with a sealed key store and a ledger of types that every process knows."""
    home = tmp_path_factory.mktemp("device")
    ports = make_real_ports()
    keys = open_keychain(KeychainChoice(home, ports.disk, ports.entropy, passphrase="p", find_backend=None))
    opened = open_ledger(Place(home / "ledger.db", ports.disk, keys.keychain, ports.entropy), EPOCH)
    opened.store.begin()
    opened.store.stage(put_entry("a", 0, events=(Refused("A", "thing"),)), EPOCH)
    opened.store.commit()
    opened.close(clean=True)
    keys.close()
    return home


def names(home: Path):
    return sorted(one.name for one in home.iterdir())


def test_a_real_ledger_is_verified_and_shown_by_the_devices_directory_and_left_as_it_was(device):
    before = ((device / "ledger.db").read_bytes(), names(device))
    done = ferryman("verify", device)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{device}/ledger.db: records 1 to 1, all as recorded, in 1 streams\n",
        "",
    )
    assert json.loads(ferryman("show", device / "ledger.db").stdout)["events"][0]["code"] == "A"
    assert ((device / "ledger.db").read_bytes(), names(device)) == before


def test_a_second_process_on_a_real_file(device):
    release = make_real_ports().disk.lock(device / "ledger.db.lock")
    done = ferryman("verify", device)
    release()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"ferryman: {device}/ledger.db: another process has this ledger open; end that process first\n"
    )


def test_a_wrong_passphrase_is_one_line(device):
    done = ferryman("verify", device, passphrase="q")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "not the passphrase" in done.stderr


def may_run_python(somebody):
    try:
        return subprocess.run([sys.executable, "-c", "import ferryman"], check=False, **somebody).returncode == 0
    except PermissionError:
        return False


def test_a_real_read_only_directory(device, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(device, home)
    for one in (home / "ledger.db.lock", home / "device.lock"):
        one.unlink()
    somebody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    if somebody and not may_run_python(somebody):
        pytest.skip("root may write everywhere, and nobody may not run this Python")
    for one in (*home.rglob("*"), home):
        if somebody:
            os.chown(one, 65534, 65534)
        one.chmod(0o500 if one.is_dir() else 0o400)
    for one in tmp_path.parents:
        if somebody and one != Path("/") and one.stat().st_uid == 0 and one.name.startswith("pytest"):
            one.chmod(0o755)
    tmp_path.chmod(0o755)
    before = (home / "ledger.db").read_bytes()
    done = ferryman("verify", home, **somebody)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"ferryman: {home}/ledger.db: cannot be opened for writing; make the file and its directory writable\n"
    )
    assert (home / "ledger.db").read_bytes() == before
    home.chmod(0o700)


@pytest.mark.parametrize("command", ["verify", "show", "compact", "accept-rollback"])
def test_nothing_is_left_beside_a_file_that_is_no_database(device, tmp_path, command):
    (tmp_path / "diary.txt").write_text("Dear diary")
    done = ferryman(command, tmp_path / "diary.txt", "--home", device)
    assert (done.returncode, names(tmp_path)) == (2, ["diary.txt"])
    assert "this is no Ferryman ledger" in done.stderr
