"""`ferryman ledger` as a user meets it: what it prints, what it exits with, and that bad input changes no byte."""

import json

import pytest

from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import EPOCH, make_simulated_ports
from ferryman.protocol.ledger import codec
from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import Refused
from ferryman.supervisors.cli import ledger as cli
from ferryman.supervisors.cli.main import run
from tests.fakes.ledger_world import PATH, Put, put_entry

HOME = PATH.parent


class Desk:
    """A device on a disk in memory, and the command line in front of it."""

    def __init__(self, monkeypatch, capsys):
        self.disk = MemoryDisk()
        self.capsys = capsys
        monkeypatch.setattr(cli, "make_real_ports", lambda: make_simulated_ports(9, disk=self.disk))
        monkeypatch.delenv("FERRYMAN_PASSPHRASE", raising=False)
        self.write([put_entry("a", version) for version in range(3)] + [put_entry("b", 0)])

    def write(self, entries):
        ports = make_simulated_ports(1, disk=self.disk)
        keys = open_keychain(KeychainChoice(HOME, ports.disk, ports.entropy, allow_plain=True, find_backend=None))
        opened = open_ledger(Place(PATH, ports.disk, keys.keychain, ports.entropy), EPOCH, wal_bytes=0)
        opened.store.begin()
        for entry in entries:
            opened.store.stage(entry, EPOCH)
        opened.store.commit()
        opened.close(clean=True)
        keys.close()

    def ferryman(self, *arguments):
        """(exit code, lines of stdout, lines of stderr)"""
        code = run(["ledger", *map(str, arguments), "--allow-plain"])
        out, err = self.capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    def image(self):
        return {name: bytes(inode.seen) for name, inode in self.disk.names.items()}

    @property
    def file(self):
        return self.disk.names[str(PATH)].seen

    def edit(self, statement):
        connection = self.disk.connect(PATH)
        connection.execute(statement)
        connection.close()


@pytest.fixture
def desk(monkeypatch, capsys):
    return Desk(monkeypatch, capsys)


def test_verify_says_what_it_found_and_changes_nothing(desk):
    before = desk.image()
    code, out, err = desk.ferryman("verify", PATH)
    assert code == 0
    assert out == [f"{PATH}: records 1 to 4, all as recorded, in 2 streams"]
    assert err == [
        f"warning: this device's keys lie unsealed in {HOME}/keys: whoever reads that directory is this device"
    ]
    assert desk.image() == before


def test_show_prints_a_json_object_a_line_and_no_secret(desk):
    desk.write(
        [
            put_entry("c", 0, events=(Put("key", b"\x01\x02", Secret(b"hidden")),), reply=Refused("NO", "why")),
            put_entry("c", 1, events=(Put("large", bytes(5000)),), reply=None),
        ]
    )
    before = desk.image()
    code, out, _ = desk.ferryman("show", PATH)
    assert code == 0
    assert desk.image() == before
    records = [json.loads(line) for line in out]
    assert [record["seq"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[4]["events"] == [{"type": "test.put/1", "key": "key", "value": "0x0102", "secret": "(sealed)"}]
    assert records[4]["reply"] == {"type": "refused/1", "code": "NO", "message": "why", "record": False}
    assert records[4]["recorded_at"] == "2026-09-21T14:13:20+00:00"
    assert records[5]["events"][0]["value"].startswith("(5000 bytes, hash 0x")
    assert not any("hidden" in line or "68696464656e" in line for line in out)


def test_show_one_stream_or_say_which_there_are(desk):
    code, out, _ = desk.ferryman("show", PATH, "--stream", "b")
    assert (code, [json.loads(line)["stream"] for line in out]) == (0, ["b"])
    code, out, err = desk.ferryman("show", PATH, "--stream", "z")
    assert (code, out) == (2, [])
    assert err == [f"ferryman: {PATH}: there is no stream 'z'; there are: a, b"]


def test_compact_says_where_the_records_are_and_verify_takes_both_files(desk):
    code, out, _ = desk.ferryman("compact", PATH)
    archive = PATH.with_name("ledger.db.1-4")
    assert (code, out) == (0, [f"{PATH}: records 1 to 4 are in {archive} now; keep it"])
    assert desk.ferryman("verify", archive)[1] == [
        f"{archive}: records 1 to 4, all as recorded, in 2 streams",
        f"{archive}: this is an archive; the ledger goes on with record 5",
    ]
    assert desk.ferryman("verify", PATH)[:2] == (0, [f"{PATH}: records 5 to 6, all as recorded, in 2 streams"])
    assert [json.loads(line)["events"][0]["commands"] for line in desk.ferryman("show", PATH)[1]] == [3, 1]
    assert desk.ferryman("compact", PATH)[:2] == (0, [f"{PATH}: there is nothing to move"])
    code, _, err = desk.ferryman("compact", archive)
    assert (code, err) == (2, [f"ferryman: {archive}: this is an archive; it can be verified and shown, not written"])


def test_accepting_a_rollback_makes_the_ledger_usable_again(desk):
    before = bytes(desk.file)
    desk.write([put_entry("b", 1)])
    desk.file[:] = before
    code, _, [said] = desk.ferryman("verify", PATH)
    assert code == 2
    assert f"`ferryman ledger accept-rollback {PATH}`" in said
    assert desk.ferryman("accept-rollback", PATH)[:2] == (
        0,
        [f"{PATH}: accepted; it ends with record 5, which says so"],
    )
    assert desk.ferryman("verify", PATH)[0] == 0
    code, _, err = desk.ferryman("accept-rollback", PATH)
    assert (code, err) == (2, [f"ferryman: {PATH}: this ledger was not rolled back; there is nothing to accept"])


COMMANDS = ("verify", "show", "compact")


@pytest.fixture(params=COMMANDS)
def command(request):
    return request.param


def refused(desk, command, *words):
    """One line that names the file and says what to do, exit code 2, and no byte of the ledger is different."""
    before = desk.image()
    code, out, err = desk.ferryman(command, PATH)
    assert (code, out) == (2, [])
    [line] = err
    assert line.startswith(f"ferryman: {PATH}")
    assert ";" in line
    for word in words:
        assert word in line
    after = desk.image()
    assert after[str(PATH)] == before[str(PATH)]
    assert set(after) - set(before) <= {f"{PATH}-wal"}
    return line


def test_a_truncated_file(desk, command):
    del desk.file[len(desk.file) // 2 // 4096 * 4096 :]
    refused(desk, command, "record ", "damaged or cut short", "restore it from a backup")


def test_a_flipped_byte_in_the_middle(desk, command):
    desk.file[desk.file.index(b"value-2")] ^= 1
    refused(desk, command, "record 2 ", "not what was recorded", "restore it from a backup")


def test_a_cut_tail(desk, command):
    before = bytes(desk.file)
    desk.write([put_entry("b", 1)])
    desk.file[:] = before
    refused(desk, command, "ends at record 4", "seen record 5", "accept-rollback")


def test_an_unknown_event_type(desk, command, monkeypatch):
    monkeypatch.delitem(codec._types, "test.put/1")
    refused(desk, command, "record 1 ", "'test.put/1'", "start the version or the application", "--types")


def test_a_file_of_a_newer_version(desk, command):
    desk.edit("PRAGMA user_version = 2")
    refused(desk, command, "newer Ferryman (format 2", "upgrade Ferryman")


def test_a_full_disk(desk):
    desk.disk.capacity = desk.disk.used
    refused(desk, "compact", "the disk is full", "make room")
    assert desk.ferryman("verify", PATH)[0] == 0  # to look needs no room


def test_a_read_only_directory(desk, command):
    desk.disk.read_only = True
    refused(desk, command, "Read-only file system", "make the file and its directory writable")


def test_another_process_has_it(desk, command):
    release = desk.disk.lock(PATH.with_name("ledger.db.lock"))
    refused(desk, command, "another process has this ledger open", "end that process")
    release()
    assert desk.ferryman(command, PATH)[0] == 0


def test_something_else_than_a_ledger(desk, command):
    desk.file[:] = b"Dear diary, " * 1000
    refused(desk, command, "no Ferryman ledger")


def test_no_file_and_no_device(desk, command):
    code, out, err = desk.ferryman(command, "/elsewhere/ledger.db")
    assert (code, out) == (2, [])
    assert err == ["ferryman: /elsewhere/ledger.db: there is no such file; name the ledger or the device's directory"]


def test_another_devices_key_store(desk, command, monkeypatch):
    other = Desk(monkeypatch, desk.capsys)
    other.disk.names[str(PATH)] = desk.disk.names[str(PATH)]
    other.disk._kept_names[str(PATH)] = desk.disk.names[str(PATH)]
    entropy = b"".join(bytes(inode.seen) for name, inode in desk.disk.names.items() if name.endswith("ledger-key.key"))
    other.disk.write(HOME / "keys" / "ledger-key.key", entropy[:-1] + bytes([entropy[-1] ^ 1]))
    refused(other, command, "not the one that it was written with", "restore the key store")


def test_types_of_an_application_are_imported_by_name(desk):
    assert desk.ferryman("verify", PATH, "--types", "tests.fakes.ledger_world")[0] == 0
    code, _, [said] = desk.ferryman("verify", PATH, "--types", "no.such.module")
    assert code == 2
    assert "--types no.such.module" in said
