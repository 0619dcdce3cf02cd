"""The power goes while a key is written: the old value or the new one is there, whole, and the store opens."""

import random
from pathlib import Path

import pytest

from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.simulated.disk import MemoryDisk, PowerCut
from ferryman.actors.simulated.inode import POLICIES
from ferryman.actors.simulated.ports import SeededEntropy

HOME = Path("/device")


def quick(passphrase, salt):
    return (passphrase.encode() + salt).ljust(32, b"\0")[:32]


def opened(disk, seed):
    return open_keychain(
        KeychainChoice(HOME, disk, SeededEntropy(seed), passphrase="p", find_backend=None, derive=quick)
    ).keychain


def write(disk):
    keychain = opened(disk, 1)
    for value in (b"first", b"second", b"third"):
        keychain.set("seed", value)
    keychain.delete("seed")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_key_is_replaced_whole_or_not_at_all(policy):
    counting = MemoryDisk()
    write(counting)
    seen = set()
    for cut in range(1, counting.operations + 1):
        disk = MemoryDisk()
        disk.cut_at = cut
        with pytest.raises(PowerCut):
            write(disk)
        after = disk.after_power_cut(policy, random.Random(cut))
        seen.add(opened(after, 2).get("seed"))
    assert seen == {None, b"first", b"second", b"third"}
