"""A device's directory as one file, and back: whole or not at all, and the same device afterwards."""

import io
import json
import tarfile
from hashlib import sha256

import pytest

from ferryman.supervisors import home_backup
from tests.fakes.command_line import holder, mode, wait_for


@pytest.fixture
def laptop(shell, relay):
    """A device with a phone beside it, that has pushed one note."""
    shell.pair(relay.url, "laptop", "phone")
    (shell.folder / "one.txt").write_bytes(b"one\n")
    (shell.folder / "two.txt").write_bytes(b"two\n")
    shell.ok("push", "one.txt", "--home", "laptop")
    return shell.folder / "laptop"


def pulled(shell, home):
    shell.ok("pull", "--home", home, "--out", f"{home}-got")
    return sorted(path.read_text() for path in (shell.folder / f"{home}-got").iterdir())


def status(shell, home):
    [standing] = shell.ok("status", "--home", home, "--json").objects
    return standing


def test_a_restored_device_is_the_device_that_it_was_and_syncs_on(shell, laptop, relay):
    before = status(shell, "laptop")
    shell.ok("disable", "--home", "laptop")
    shell.ok("push", "two.txt", "--home", "laptop")
    shell.ok("backup", "b.tar", "--home", "laptop")
    laptop.rename(shell.folder / "stolen")
    said = shell.ok("restore", "b.tar", "--home", "laptop").out
    assert "is again as it was at " in said
    shell.ok("enable", "--home", "laptop")
    after = status(shell, "laptop")
    assert (after["device"], after["group"]) == (before["device"], before["group"])
    assert pulled(shell, "phone") == ["one\n", "two\n"], "what waited in its outbox was in the backup"
    (shell.folder / "three.txt").write_bytes(b"three\n")
    shell.ok("push", "three.txt", "--home", "phone")
    assert "three\n" in pulled(shell, "laptop")
    assert shell.run("ledger", "verify", "laptop", "--allow-plain").code == 0


def test_the_home_and_the_file_are_the_owner_s_alone(shell, laptop):
    shell.ok("backup", "b.tar", "--home", "laptop")
    shell.ok("restore", "b.tar", "--home", "again")
    assert mode(shell.folder / "b.tar") == "0o600"
    again = shell.folder / "again"
    assert mode(again) == mode(again / "keys") == "0o700"
    files = [path for path in again.rglob("*") if path.is_file()]
    assert {mode(path) for path in files} == {"0o600"}
    assert sorted(str(path.relative_to(again)) for path in files) == sorted(
        str(path.relative_to(laptop))
        for path in laptop.rglob("*")
        if path.is_file() and path.suffix != ".lock" and not path.name.endswith(("-wal", "-shm"))
    )


def test_a_backup_leaves_nothing_beside_it_and_changes_nothing_in_the_home(shell, laptop):
    before = {path: path.read_bytes() for path in laptop.rglob("*") if path.is_file()}
    shell.ok("backup", "b.tar", "--home", "laptop")
    assert {path for path in shell.folder.iterdir() if "b.tar" in path.name} == {shell.folder / "b.tar"}
    after = {path: path.read_bytes() for path in laptop.rglob("*") if path.is_file() and "-shm" not in path.name}
    assert {path: data for path, data in after.items() if data} == {path: data for path, data in before.items() if data}


def test_a_backup_is_taken_while_a_process_is_the_device(shell, laptop, relay):
    with holder(shell.folder, "watch", "--home", "laptop") as watching:
        wait_for(watching, "connected")
        shell.ok("backup", "b.tar", "--home", "laptop")
        shell.ok("push", "two.txt", "--home", "laptop")
    shell.ok("restore", "b.tar", "--home", "again")
    assert shell.run("ledger", "verify", "again", "--allow-plain").code == 0
    (shell.folder / "late.txt").write_bytes(b"late\n")
    shell.ok("push", "late.txt", "--home", "again")
    assert pulled(shell, "phone") == ["late\n", "one\n", "two\n"]


def test_the_keys_are_read_before_the_ledger(shell, laptop, monkeypatch):
    """What the key store has seen of the ledger has to be in the copy, though a device writes both meanwhile."""
    anchor = laptop / "keys" / "ledger-anchor.key"
    before = anchor.read_bytes()
    copied_ledger = home_backup.copied_ledger

    def meanwhile(*arguments):
        anchor.write_bytes(b"of a later record")
        return copied_ledger(*arguments)

    monkeypatch.setattr(home_backup, "copied_ledger", meanwhile)
    shell.ok("backup", "b.tar", "--home", "laptop")
    with tarfile.open(shell.folder / "b.tar") as tar:
        assert tar.extractfile("keys/ledger-anchor.key").read() == before


def test_the_archives_of_a_ledger_are_in_its_backup(shell, laptop):
    assert shell.run("ledger", "compact", "laptop", "--allow-plain").code == 0
    [archive] = laptop.glob("ledger.db.*-*")
    shell.ok("backup", "b.tar", "--home", "laptop")
    shell.ok("restore", "b.tar", "--home", "again")
    again = {path.name: path.read_bytes() for path in (shell.folder / "again").glob("ledger.db.*")}
    assert again.get(archive.name) == archive.read_bytes()
    assert shell.run("ledger", "verify", "again", "--allow-plain").code == 0


def test_nothing_is_overwritten_and_no_device_is_made_of_nothing(shell, laptop):
    shell.ok("backup", "b.tar", "--home", "laptop")
    held = (shell.folder / "b.tar").read_bytes()
    for arguments, says in [
        (["backup", "b.tar", "--home", "laptop"], "exists already"),
        (["backup", "laptop/b.tar", "--home", "laptop"], "own directory"),
        (["backup", "nowhere/b.tar", "--home", "laptop"], "cannot be written"),
        (["backup", "c.tar", "--home", "nobody"], "there is no device here"),
        (["restore", "b.tar", "--home", "laptop"], "is not empty"),
        (["restore", "nothing.tar", "--home", "again"], "nothing.tar"),
        (["restore", "one.txt", "--home", "again"], "no backup of a device"),
    ]:
        done = shell.run(*arguments)
        assert (done.code, done.out) == (2, ""), arguments
        [line] = done.err.splitlines()
        assert says in line
    assert (shell.folder / "b.tar").read_bytes() == held
    assert not (shell.folder / "again").exists()
    assert not list(shell.folder.glob(".*"))


def packed(path, **files):
    """A backup with these files, as its list says it."""
    listing = {
        "format": home_backup.FORMAT, "version": "0", "made_at": 0, "keys": "plain",
        "files": {name: {"size": len(data), "sha256": sha256(data).hexdigest()} for name, data in files.items()},
    }  # fmt: skip
    with tarfile.open(path, "w") as tar:
        for name, data in {"backup.json": json.dumps(listing).encode(), **files}.items():
            home_backup.add(tar, name, io.BytesIO(data), len(data))


STORE = {"keys/store.json": b"{}"}


@pytest.mark.parametrize(
    "files",
    [
        {**STORE, "../escaped": b"!"},
        {**STORE, "/tmp/escaped": b"!"},
        {**STORE, "keys/../../escaped.key": b"!"},
        {**STORE, ".bashrc": b"!"},
        {"ferryman.toml": b""},
    ],
)
def test_a_file_that_is_none_of_a_device_s_is_not_unpacked(shell, files):
    packed(shell.folder / "b.tar", **files)
    done = shell.run("restore", "b.tar", "--home", "H")
    assert (done.code, "is damaged" in done.err) == (2, True)
    assert [path.name for path in shell.folder.iterdir()] == ["b.tar"]


@pytest.mark.parametrize("place", ["in its keys", "in its ledger", "cut off", "one more"])
def test_a_damaged_backup_makes_no_device(shell, laptop, place):
    shell.ok("backup", "b.tar", "--home", "laptop")
    whole = bytearray((shell.folder / "b.tar").read_bytes())
    with tarfile.open(shell.folder / "b.tar") as tar:
        members = {member.name: member for member in tar}
    match place:
        case "in its keys":
            whole[members["keys/store.json"].offset_data + 3] ^= 1
        case "in its ledger":
            whole[members["ledger.db"].offset_data + members["ledger.db"].size // 2] ^= 1
        case "cut off":
            del whole[members["ledger.db"].offset_data + 5_000 :]
        case _:
            with tarfile.open(shell.folder / "b.tar", "a") as tar:
                home_backup.add(tar, "keys/more.key", io.BytesIO(b"!"), 1)
            whole = bytearray((shell.folder / "b.tar").read_bytes())
    (shell.folder / "bad.tar").write_bytes(whole)
    done = shell.run("restore", "bad.tar", "--home", "again")
    assert done.code == 2
    [line] = done.err.splitlines()
    assert line.startswith("ferryman: bad.tar: ")
    assert not (shell.folder / "again").exists()
    assert not list(shell.folder.glob(".*"))


def test_what_a_restore_that_was_killed_left_behind_is_in_nobody_s_way(shell, laptop):
    shell.ok("backup", "b.tar", "--home", "laptop")
    half = shell.folder / ".again.restoring"
    half.mkdir()
    (half / "half").write_bytes(b"half")
    (shell.folder / "again").mkdir(mode=0o755)
    shell.ok("restore", "b.tar", "--home", "again")
    assert not half.exists()
    assert mode(shell.folder / "again") == "0o700"


def test_what_was_said_of_the_keys_is_how_they_are_kept(shell, monkeypatch):
    monkeypatch.setattr("ferryman.supervisors.runtime.find_os_backend", lambda: None)
    shell.ok("enable", "--home", "plain", "--relay", "ws://127.0.0.1:9", "--allow-plain")
    assert "whoever has the file is the device" in shell.ok("backup", "plain.tar", "--home", "plain").out
    monkeypatch.setenv("FERRYMAN_PASSPHRASE", "aye")
    shell.ok("enable", "--home", "sealed", "--relay", "ws://127.0.0.1:9")
    [made] = shell.ok("backup", "sealed.tar", "--home", "sealed", "--json").objects
    assert (made["type"], made["keys"], made["bytes"]) == (
        "backup", "sealed", (shell.folder / "sealed.tar").stat().st_size,
    )  # fmt: skip
    store = shell.folder / "sealed" / "keys" / "store.json"
    store.write_text(store.read_text().replace("sealed", "os"))
    assert "not in the file" in shell.ok("backup", "os.tar", "--home", "sealed").out
