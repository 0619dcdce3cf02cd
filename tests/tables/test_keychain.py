"""Which key store a device gets, what lies in it, and what it says when it cannot be used."""

import stat
from pathlib import Path

import pytest

from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.keychain_errors import (
    DeviceInUse,
    HomeUnusable,
    KeychainDamaged,
    KeychainError,
    KeychainLocked,
    KeychainMissing,
    KeychainUnavailable,
)
from ferryman.actors.keychain_os import SERVICE, OsKeychain, answers, is_real
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.ports import SeededEntropy
from ferryman.protocol.crypto import key_seal
from ferryman.protocol.errors import LocalProtocolError

HOME = Path("/device")
KEYS = HOME / "keys"


def quick(passphrase, salt):
    """A derivation that costs nothing; one test below uses the real one."""
    return (passphrase.encode() + salt).ljust(32, b"\0")[:32]


class FakeBackend:
    """An OS keychain: passwords by service and user."""

    def __init__(self):
        self.passwords = {}
        self.locked = False

    def get_password(self, service, username):
        self._require_open()
        return self.passwords.get((service, username))

    def set_password(self, service, username, password):
        self._require_open()
        self.passwords[service, username] = password

    def delete_password(self, service, username):
        self._require_open()
        del self.passwords[service, username]

    def _require_open(self):
        if self.locked:
            raise RuntimeError("the collection is locked")


@pytest.fixture
def disk():
    return MemoryDisk()


def choice(disk, **changes):
    settings = {"find_backend": None, "derive": quick}
    return KeychainChoice(HOME, disk, SeededEntropy(disk.operations + 1), **(settings | changes))


def opened(disk, **changes):
    found = open_keychain(choice(disk, **changes))
    found.close()
    return found


def refuse(disk, kind, words, **changes):
    with pytest.raises(KeychainError, match=words) as raised:
        open_keychain(choice(disk, **changes))
    assert type(raised.value) is kind
    assert "\n" not in raised.value.message
    assert ";" in raised.value.message or "passphrase" in raised.value.message


# --- which


def test_an_os_keychain_that_answers_comes_first(disk):
    backend = FakeBackend()
    found = opened(disk, find_backend=lambda: backend, passphrase="secret", allow_plain=True)
    assert (found.kind, found.warning) == ("os", "")
    found.keychain.set("seed", b"\x00\xff")
    assert [service for service, _ in backend.passwords] == [SERVICE]
    assert b"\x00\xff" not in b"".join(bytes(inode.seen) for inode in disk.names.values())


@pytest.mark.req("S4-33")
def test_without_one_a_passphrase_seals_every_entry(disk):
    found = opened(disk, passphrase="correct horse", allow_plain=True)
    assert (found.kind, found.warning) == ("sealed", "")
    found.keychain.set("seed", b"the private key of this device..")
    assert b"the private key" not in b"".join(bytes(inode.seen) for inode in disk.names.values())
    assert opened(disk, passphrase="correct horse").keychain.get("seed") == b"the private key of this device.."


def test_with_neither_it_is_refused(disk):
    refuse(disk, KeychainMissing, "no OS keychain answers and there is no passphrase")
    refuse(disk, KeychainMissing, "no OS keychain answers", find_backend=lambda: None, passphrase="")
    assert not disk.exists(KEYS / "store.json")


def test_plain_keys_are_allowed_only_by_name_and_warn_every_time(disk):
    for _ in range(2):
        found = opened(disk, allow_plain=True)
        assert found.kind == "plain"
        assert "unsealed" in found.warning
        found.keychain.set("seed", b"bare")
    refuse(disk, KeychainLocked, "set keys.allow_plain = true")


def test_a_device_stays_with_the_store_it_began_with(disk):
    backend = FakeBackend()
    opened(disk, passphrase="secret").keychain.set("seed", b"1")
    later = opened(disk, passphrase="secret", find_backend=lambda: backend)
    assert (later.kind, later.keychain.get("seed")) == ("sealed", b"1")


def test_keys_in_an_os_keychain_that_is_gone_are_not_made_anew(disk):
    opened(disk, find_backend=FakeBackend)
    refuse(
        disk, KeychainUnavailable, "in the OS keychain, which does not answer", passphrase="secret", allow_plain=True
    )
    refuse(disk, KeychainUnavailable, "does not answer", find_backend=lambda: None)


def test_two_devices_of_one_user_do_not_share_entries():
    backend = FakeBackend()
    one, two = MemoryDisk(seed=1), MemoryDisk(seed=2)
    two.operations = 7  # another seed for its entropy
    for disk in (one, two):
        opened(disk, find_backend=lambda: backend).keychain.set("seed", repr(disk._seed).encode())
    assert opened(one, find_backend=lambda: backend).keychain.get("seed") == b"1"
    assert len(backend.passwords) == 2


def test_opening_what_is_there_makes_nothing(disk):
    refuse(disk, KeychainMissing, "there is no key store", create=False, allow_plain=True)
    assert list(disk.names) == []


# --- the file form


def test_a_missing_passphrase_and_a_wrong_one_are_told_apart(disk):
    opened(disk, passphrase="right")
    refuse(disk, KeychainLocked, "set FERRYMAN_PASSPHRASE")
    refuse(disk, KeychainLocked, "not the passphrase", passphrase="wrong")


def test_an_entry_is_got_set_and_deleted(disk):
    keychain = opened(disk, passphrase="p").keychain
    assert keychain.get("a") is None
    keychain.set("a", b"1")
    keychain.set("b", b"")
    keychain.set("a", b"2")
    assert (keychain.get("a"), keychain.get("b")) == (b"2", b"")
    keychain.delete("a")
    keychain.delete("a")
    assert keychain.get("a") is None


@pytest.mark.parametrize("name", ["", "A", "../seed", "a/b", ".hidden", "a" * 101, "é"])
def test_a_name_is_no_path(disk, name):
    keychain = opened(disk, passphrase="p").keychain
    for act in (keychain.get, keychain.delete, lambda name: keychain.set(name, b"")):
        with pytest.raises(LocalProtocolError):
            act(name)


def entry(disk, name):
    return disk.names[str(KEYS / f"{name}.key")].seen


@pytest.mark.parametrize(
    "damage",
    [
        lambda disk: entry(disk, "a").__setitem__(40, entry(disk, "a")[40] ^ 1),
        lambda disk: entry(disk, "a").__delitem__(slice(5, None)),
        lambda disk: entry(disk, "a").clear(),
        lambda disk: entry(disk, "a").__setitem__(slice(None), entry(disk, "b")),
        lambda disk: entry(disk, "a").__setitem__(slice(None), b"\x00planted"),
    ],
    ids=["flipped", "cut", "empty", "another entry", "an unsealed one"],
)
def test_a_damaged_or_exchanged_entry_is_refused(disk, damage):
    keychain = opened(disk, passphrase="p").keychain
    keychain.set("a", b"1")
    keychain.set("b", b"2")
    damage(disk)
    with pytest.raises(KeychainDamaged, match=r"a\.key"):
        keychain.get("a")
    assert keychain.get("b") == b"2"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": "ferryman.keys/1", "kind": "magic"}',
        b'{"format": "ferryman.keys/9", "kind": "plain"}',
        b'{"format": "ferryman.keys/1", "kind": "sealed", "salt": "zz"}',
    ],
)
def test_a_damaged_description_is_refused(disk, text):
    disk.write(KEYS / "store.json", text)
    refuse(disk, KeychainDamaged, "store.json", passphrase="p", allow_plain=True)


def test_one_device_is_one_process(disk):
    first = open_keychain(choice(disk, passphrase="p"))
    refuse(disk, DeviceInUse, "this device runs already", passphrase="p")
    first.close()
    opened(disk, passphrase="p")


def test_a_refused_opening_releases_the_device(disk):
    refuse(disk, KeychainMissing, "no passphrase")
    assert disk.lock(HOME / "device.lock") is not None


def test_a_read_only_home_is_one_line(disk):
    disk.read_only = True
    refuse(disk, HomeUnusable, "name a directory that can be written", passphrase="p")


def test_the_real_derivation_is_argon2id_with_the_parameters_that_are_promised():
    assert (key_seal.MEMORY_KIB, key_seal.PASSES, key_seal.LANES) == (65_536, 3, 1)
    from argon2 import low_level

    by_hand = low_level.hash_secret_raw(
        "Å".encode(), b"s" * 16, time_cost=3, memory_cost=65_536, parallelism=1, hash_len=32, type=low_level.Type.ID
    )
    assert key_seal.derive_store_key("\u212b", b"s" * 16) == by_hand  # the Angstrom sign is the letter, by NFKC


def test_on_a_real_disk_files_are_the_owners_alone(tmp_path):
    ports = make_real_ports()
    home = tmp_path / "home"
    found = open_keychain(
        KeychainChoice(home, ports.disk, ports.entropy, passphrase="p", find_backend=None, derive=quick)
    )
    found.keychain.set("seed", b"1")
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    for name in ("store.json", "seed.key"):
        assert stat.S_IMODE((home / "keys" / name).stat().st_mode) == 0o600
    with pytest.raises(DeviceInUse):
        open_keychain(KeychainChoice(home, ports.disk, ports.entropy, passphrase="p", find_backend=None))
    found.close()


# --- the OS form


def test_os_entries_are_got_set_and_deleted_and_any_bytes_pass():
    keychain = OsKeychain(FakeBackend(), "device")
    assert keychain.get("a") is None
    keychain.set("a", bytes(range(256)))
    assert keychain.get("a") == bytes(range(256))
    keychain.delete("a")
    keychain.delete("a")
    assert keychain.get("a") is None


def test_a_locked_os_keychain_is_unavailable_and_may_be_tried_again():
    backend = FakeBackend()
    keychain = OsKeychain(backend, "device")
    keychain.set("a", b"1")
    backend.locked = True
    for act in (keychain.get, keychain.delete, lambda name: keychain.set(name, b"2")):
        with pytest.raises(KeychainUnavailable) as raised:
            act("a")
        assert raised.value.retryable
    assert not answers(backend)


def test_an_os_entry_that_is_not_ours_is_damaged():
    backend = FakeBackend()
    backend.set_password(SERVICE, "device/a", "not base64!")
    with pytest.raises(KeychainDamaged):
        OsKeychain(backend, "device").get("a")


def test_only_real_backends_count():
    def backend_of(module):
        return type("Keyring", (), {"__module__": module})()

    assert is_real(backend_of("keyring.backends.SecretService"))
    for module in ("keyrings.alt.file", "keyring.backends.null", "keyring.backends.fail", "keyring.backends.chainer"):
        assert not is_real(backend_of(module))
