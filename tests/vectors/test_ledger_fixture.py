"""A ledger that format 1 wrote is read, with its key store and its archive, by every version for ever."""

import shutil
from pathlib import Path

import pytest

from ferryman.actors.keychain import KeychainChoice, open_keychain
from ferryman.actors.ledger_file import Place
from ferryman.actors.ledger_open import inspect, lock, open_ledger
from ferryman.actors.ledger_reader import replay
from ferryman.actors.ledger_verify import check_deeply
from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.ledger.record import Append, Appended, CommandMismatch, Repeated
from tests.vectors.ledger_v1 import ARCHIVED, HOLD, LIVE, PASSPHRASE, TABLE, WRITTEN_AT

FIXTURE = Path(__file__).parent / "ledger-v1"


@pytest.fixture
def place(tmp_path):
    """A copy of the fixture, with its keys."""
    home = tmp_path / "home"
    shutil.copytree(FIXTURE, home)
    ports = make_real_ports()
    keys = open_keychain(KeychainChoice(home, ports.disk, ports.entropy, passphrase=PASSPHRASE, find_backend=None))
    yield Place(home / "ledger.db", ports.disk, keys.keychain, ports.entropy)
    keys.close()


def test_the_fixture_is_sound_and_says_what_was_recorded(place):
    checked = inspect(place)
    check_deeply(place, checked)
    assert checked.segment.base.seq == 5
    assert checked.head.seq == 10
    assert checked.head.blanked == [9]
    archive = Place(place.path.with_name("ledger.db.1-5"), place.disk, place.keychain, place.entropy)
    archived = inspect(archive)
    check_deeply(archive, archived)
    assert archived.head.anchor(checked.segment.ledger_id) == checked.segment.base


def test_the_archived_records_of_the_fixture_can_be_read(place):
    archive = place.path.with_name("ledger.db.1-5")
    unlock = lock(place.disk, archive)
    keys = inspect(Place(archive, place.disk, place.keychain, place.entropy)).keys
    for stream in ("hold", "shore"):
        found = [(record.events, record.reply) for record in replay(place.disk, archive, keys, stream, 1)]
        wanted = [(events, reply) for name, events, reply in ARCHIVED if name == stream]
        assert found[: len(wanted)] == wanted
    unlock()


def test_the_fixture_replays_knows_its_commands_and_takes_new_records(place):
    opened = open_ledger(place, WRITTEN_AT + 60, tables=(TABLE,))
    store = opened.store

    def replayed(stream):
        since = WRITTEN_AT - 1
        return replay(place.disk, place.path, store.keys, stream, store.replay_start(stream), since=since)

    *known, snapshot, crate = replayed("hold")
    assert [record.reply for record in known] == [reply for stream, _, reply in ARCHIVED if stream == "hold"]
    assert (snapshot.snapshot, snapshot.events) == (True, (HOLD,))
    assert (crate.events, crate.reply) == LIVE[0][1:]
    *_, carried, emptied = replayed("shore")
    assert carried.events == ARCHIVED[2][1]
    assert (emptied.events, emptied.reply) == ((), None)

    version = store.version("hold")
    store.begin()
    assert store.stage(Append("hold", version, (1).to_bytes(16, "big"), bytes([1]) * 32), 0) == Repeated(1, 1, 1)
    assert isinstance(store.stage(Append("hold", version, (1).to_bytes(16, "big"), bytes(32)), 0), CommandMismatch)
    assert store.stage(Append("hold", version, bytes(16), bytes(32)), 0) == Appended(11, version + 1)
    store.commit()
    assert store.connection.execute("SELECT count(*) FROM fixture_row").fetchall() == [(6,)]
    opened.close(clean=True)
    assert inspect(place).head.seq == 11
