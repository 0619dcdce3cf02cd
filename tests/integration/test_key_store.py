"""The key store's actor, and the readers of the store, in a running tree."""

import pytest
import trio

from ferryman.actors.key_store import (
    DeleteSecret,
    GetKeyStoreStatus,
    GetSecret,
    KeyStoreStatus,
    PutSecret,
    key_store_body,
)
from ferryman.actors.keychain import KeychainChoice, OpenKeychain, open_keychain
from ferryman.actors.keychain_errors import KeychainError, KeychainUnavailable
from ferryman.actors.ledger import LedgerClient, ledger_body
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.disk import MemoryDisk
from ferryman.actors.simulated.keychain import MemoryKeychain
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.actors.store import MAX_ROWS, READERS, Query, store_body
from ferryman.protocol.errors import AppError, LocalProtocolError
from ferryman.protocol.machine import Row
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.ledger_world import PATH, TABLE, put_entry


def pair(device_id):
    return Row("INSERT INTO pairing VALUES (?, ?)", (device_id, "Ann"))


async def test_secrets_are_kept_and_their_values_show_nowhere():
    ports = make_simulated_ports(1, disk=MemoryDisk())
    opened = open_keychain(KeychainChoice(PATH.parent, ports.disk, ports.entropy, allow_plain=True, find_backend=None))
    async with open_system(Supervisor([ChildSpec("key_store", key_store_body(opened, ports))])) as system:
        ref = system.ref("/key_store")
        await ref.ask(PutSecret("seed", b"hidden"))
        assert await ref.ask(GetSecret("seed")) == b"hidden"
        assert await ref.ask(GetSecret("other")) is None
        await ref.ask(DeleteSecret("seed"))
        assert await ref.ask(GetSecret("seed")) is None
        assert await ref.ask(GetKeyStoreStatus()) == KeyStoreStatus("plain", opened.warning)
    assert "hidden" not in repr(PutSecret("seed", b"hidden"))


class Failing:
    """A keychain with one answer."""

    def __init__(self, error):
        self.error = error

    def get(self, _name):
        raise self.error


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (KeychainUnavailable("locked"), KeychainUnavailable),
        (PermissionError(13, "denied"), KeychainError),
        (LocalProtocolError("no name"), LocalProtocolError),
    ],
)
async def test_a_key_store_that_does_not_answer_is_the_askers_failure(error, seen):
    opened = OpenKeychain(Failing(error), "os", "", lambda: None)
    ports = make_simulated_ports(1, disk=MemoryDisk())
    async with open_system(Supervisor([ChildSpec("key_store", key_store_body(opened, ports))])) as system:
        with pytest.raises(AppError) as raised:
            await system.ref("/key_store").ask(GetSecret("seed"))
        assert type(raised.value) is seen
        assert system.stats.crashes == 0


@pytest.fixture(params=["memory", "real"])
def tree(request, tmp_path):
    """A ledger and its readers, on either disk."""
    if request.param == "memory":
        ports, path = make_simulated_ports(1, disk=MemoryDisk()), PATH
    else:
        ports, path = make_real_ports(), tmp_path / "ledger.db"
    ledger = ChildSpec("ledger", ledger_body(path, ports, MemoryKeychain(), tables=(TABLE,), wal_bytes=0))
    return open_system(Supervisor([ledger, ChildSpec("store", store_body(path, ports))], strategy="rest_for_one"))


async def test_a_query_sees_what_was_committed_before_it(tree):
    async with tree as system:
        client, store = LedgerClient(system.ref("/ledger")), system.ref("/store")
        for number in range(5):
            await client.append(put_entry("a", number, rows=(pair(f"device-{number}"),)))
            assert await store.ask(Query("SELECT count(*) FROM pairing")) == [(number + 1,)]
        assert await store.ask(Query("SELECT device_id FROM pairing WHERE device_id > ?", ("device-3",))) == [
            ("device-4",)
        ]


async def test_many_queries_and_appends_go_on_at_once(tree):
    async with tree as system:
        client, store = LedgerClient(system.ref("/ledger")), system.ref("/store")
        await client.append(put_entry("a", 0, rows=tuple(pair(f"device-{number}") for number in range(50))))
        answers = []

        async def ask():
            answers.append(await store.ask(Query("SELECT count(*) FROM pairing AS a, pairing AS b")))

        async with trio.open_nursery() as nursery:
            for _ in range(READERS * 3):
                nursery.start_soon(ask)
            for version in range(1, 20):
                await client.append(put_entry("a", version))
        assert answers == [[(2500,)]] * READERS * 3


@pytest.mark.parametrize(
    "sql", ["DELETE FROM pairing", "INSERT INTO record SELECT * FROM record", "no SQL", "SELECT ?"]
)
async def test_a_query_that_is_wrong_or_writes_is_the_askers_bug(tree, sql):
    async with tree as system:
        with pytest.raises(LocalProtocolError):
            await system.ref("/store").ask(Query(sql))
        assert await system.ref("/store").ask(Query("SELECT 1")) == [(1,)]
        assert system.stats.crashes == 0


async def test_rows_are_bounded(tree):
    counting = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n"
    async with tree as system:
        store = system.ref("/store")
        assert await store.ask(Query(counting, limit=3)) == [(1,), (2,), (3,)]
        assert len(await store.ask(Query(counting, limit=10**9))) == MAX_ROWS
