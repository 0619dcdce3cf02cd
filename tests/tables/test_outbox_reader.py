"""Sealed blobs on their way from the file to the line: what is read is what was recorded."""

from pathlib import Path

import pytest

from ferryman.actors.core.errors import RecoveryFailed
from ferryman.actors.outbox_reader import read_blobs
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.protocol.crypto.sealing import blob_hash
from ferryman.protocol.sync.outbox import INSERT, TABLE
from ferryman.protocol.sync.shelf import Waiting
from tests.fakes.sync_values import number

LEDGER = Path("/ledger.db")
GROUP = b"g" * 32


def disk_with(**sealed):
    disk = MemoryDisk()
    connection = disk.connect(LEDGER)
    connection.execute(TABLE)
    for name, content in sealed.items():
        connection.execute(INSERT, (GROUP, int(name[1:]), content))
    connection.close()
    return disk


def waiting(seq, sealed):
    return Waiting(seq, number(seq), blob_hash(sealed), len(sealed))


def test_blobs_are_read_in_the_order_asked_for():
    disk = disk_with(_1=b"one", _2=b"two")
    assert read_blobs(disk, LEDGER, GROUP, (waiting(1, b"one"), waiting(2, b"two"))) == [b"one", b"two"]


def test_one_that_was_acknowledged_meanwhile_is_none():
    assert read_blobs(disk_with(_2=b"two"), LEDGER, GROUP, (waiting(1, b"one"), waiting(2, b"two"))) == [None, b"two"]


def test_a_changed_row_is_not_sent():
    with pytest.raises(RecoveryFailed) as caught:
        read_blobs(disk_with(_1=b"other"), LEDGER, GROUP, (waiting(1, b"one"),))
    assert caught.value.code == "OUTBOX_DAMAGED"
