"""A real process on a real disk is killed with SIGKILL while it appends: every record that it reported is there."""

import os
import signal
import sys

import pytest

from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import open_ledger
from ferryman.actors.ledger_reader import replay
from ferryman.actors.real_ports import make_real_ports
from tests.fakes.child import child
from tests.fakes.ledger_world import put_entry

WRITER = """
import sys
from pathlib import Path
from tests.crash.test_ledger_sigkill import write_without_end

write_without_end(Path(sys.argv[1]))
"""


def opened(home):
    ports = make_real_ports()
    keys = open_keychain(KeychainChoice(home, ports.disk, ports.entropy, allow_plain=True, find_backend=None))
    place = Place(home / "ledger.db", ports.disk, keys.keychain, ports.entropy)
    return open_ledger(place, 1), keys


def write_without_end(home):
    ledger, _ = opened(home)
    store = ledger.store
    while True:
        store.begin()
        version = store.version("a")
        for number in range(version, version + 7):
            store.stage(put_entry("a", number), 1)
        store.commit()
        print(store.version("a"), flush=True)


@pytest.mark.parametrize("reports", [1, 40])
def test_what_a_killed_process_reported_is_there(tmp_path, reports):
    with child(sys.executable, "-c", WRITER, tmp_path, text=True) as process:
        for _ in range(reports):
            reported = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        reported = max([reported, *map(int, process.stdout.read().split("\n")[:-1])])
    ledger, keys = opened(tmp_path)
    records = replay(make_real_ports().disk, tmp_path / "ledger.db", ledger.store.keys, "a", 1)
    ledger.close(clean=True)
    keys.close()
    assert len(records) >= reported >= reports * 7
    assert len(records) % 7 == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["device.lock", "keys", "ledger.db", "ledger.db.lock"]
