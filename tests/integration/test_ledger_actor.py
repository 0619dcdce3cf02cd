"""The ledger as an actor: groups, replies after the commit, restarts, a full disk, and durable actors on top of it."""

import contextlib
from pathlib import Path

import apsw
import pytest
import trio

from ferryman.actors.core.errors import ActorCrashed, RecoveryFailed
from ferryman.actors.keychain_errors import KeychainUnavailable
from ferryman.actors.ledger import ANCHOR_AGAIN_SECONDS, CHECKPOINT_PAGES, GROUP_BYTES, LedgerClient, ledger_body
from ferryman.actors.ledger_file import FatalStorageError
from ferryman.actors.ledger_open import ANCHOR
from ferryman.actors.real_ports import make_real_ports
from ferryman.actors.simulated.keychain import MemoryKeychain
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.ledger import codec
from ferryman.protocol.ledger.anchor import parse_anchor
from ferryman.protocol.ledger.record import Appended, CommandMismatch, Conflict, Repeated, StorageFull
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system
from tests.fakes.ledger_tree import LedgerTree
from tests.fakes.ledger_world import PATH, Kept, Put, put_entry


@pytest.fixture
def world():
    return LedgerTree()


async def together(client, *entries):
    """All of them at once; the answers in order."""
    pending = [await client.post(entry) for entry in entries]
    return [await one.wait() for one in pending]


async def test_what_waits_together_is_committed_together_and_answered_in_order(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await client.append(put_entry("a", 0))
        before = world.disk.syncs
        answers = await together(client, *(put_entry("a", version) for version in range(1, 101)))
        assert answers == [Appended(version + 1, version + 1) for version in range(1, 101)]
        assert world.disk.syncs - before <= 2


async def test_who_has_an_answer_has_a_record_that_no_power_cut_takes_back(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        assert await client.append(put_entry("a", 0)) == Appended(1, 1)
        after = world.disk.after_power_cut("drop")
    world.disk = after
    found = None
    with contextlib.suppress(RecoveryFailed):
        async with world.system() as system:
            found = len(await LedgerClient(system.ref("/ledger")).replay("a"))
    assert found == 1


async def test_each_answer_of_the_table_reaches_its_own_asker(world):
    async with world.system() as system:
        answers = await together(
            LedgerClient(system.ref("/ledger")),
            put_entry("a", 0, reply="first"),
            put_entry("a", 0, reply="second"),
            put_entry("a", 0, command_hash=bytes(32)),
            put_entry("a", 0, number=2),
            put_entry("b", 0),
        )
    assert answers == [
        Appended(1, 1),
        Repeated(1, 1, "first"),
        CommandMismatch("a", put_entry("a", 0).command_id),
        Conflict("version"),
        Appended(2, 1),
    ]


async def test_what_cannot_be_recorded_hurts_only_its_sender(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        bad = await client.post(put_entry("a", 0, events=(object(),)))
        good = await client.post(put_entry("b", 0))
        with pytest.raises(LocalProtocolError):
            await bad.wait()
        assert await good.wait() == Appended(1, 1)
        assert system.stats.crashes == 0


async def test_a_replay_sees_what_was_put_into_the_mailbox_before_it(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await client.post(put_entry("a", 0))
        await client.post(put_entry("a", 1))
        assert [record.version for record in await client.replay("a")] == [1, 2]
        assert await client.replay("nothing") == []


async def test_a_snapshot_through_the_client_starts_the_next_replay(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await client.append(put_entry("a", 0))
        assert await client.snapshot("a", 1, Kept({"k": b"v"})) == Appended(2, 2)
        assert [record.snapshot for record in await client.replay("a")] == [False, True]


async def test_large_and_small_appends_keep_their_order(world):
    large = put_entry("a", 1, events=(Put("large", bytes(200_000)),))
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        answers = await together(client, put_entry("a", 0), large, put_entry("a", 2), put_entry("b", 0))
        assert answers == [Appended(1, 1), Appended(2, 2), Appended(3, 3), Appended(4, 1)]
        assert len((await client.replay("a"))[1].events[0].value) == 200_000


async def test_a_group_of_large_appends_is_cut_so_that_the_first_need_not_wait_for_the_last(world):
    size = GROUP_BYTES // 3
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        entries = [put_entry("a", n, events=(Put("large", bytes([n]) * size),)) for n in range(8)]
        pending = [await client.post(entry) for entry in entries]
        assert await pending[0].wait() == Appended(1, 1)
        assert not pending[-1].answered
        assert [await one.wait() for one in pending[1:]] == [Appended(n, n) for n in range(2, 9)]


async def test_a_full_disk_is_a_refusal_and_a_degraded_status_until_there_is_room(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await client.append(put_entry("a", 0))
        assert (await client.status()).state == "ok"
        world.disk.capacity = world.disk.used
        refused = await together(client, put_entry("a", 1), put_entry("b", 0))
        assert [type(answer) for answer in refused] == [StorageFull, StorageFull]
        status = await client.status()
        assert (status.state, status.seq) == ("degraded", 1)
        assert str(PATH) in status.reason
        world.disk.capacity = None
        assert await together(client, put_entry("a", 1), put_entry("b", 0)) == [Appended(2, 2), Appended(3, 1)]
        assert (await client.status()).state == "ok"
        assert system.stats.crashes == 0
    async with world.system() as system:
        assert len(await LedgerClient(system.ref("/ledger")).replay("a")) == 2


async def test_a_failed_fsync_ends_the_process_and_acknowledges_nothing(world):
    answers = []

    async def append(client):
        with contextlib.suppress(ActorCrashed):
            answers.append(await client.append(put_entry("a", 1)))

    with pytest.RaisesGroup(FatalStorageError, flatten_subgroups=True, allow_unwrapped=True):
        async with world.system() as system, trio.open_nursery() as nursery:
            client = LedgerClient(system.ref("/ledger"))
            await client.append(put_entry("a", 0))
            world.disk.fail_sync_at = world.disk.syncs + 1
            nursery.start_soon(append, client)
            await trio.sleep_forever()
    assert answers == []


async def test_a_crash_is_healed_by_a_restart_that_checks_the_file_again(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await client.append(put_entry("a", 0))
        system.crash("/ledger", ZeroDivisionError())
        assert await client.append(put_entry("a", 1)) == Appended(2, 2)
        assert system.stats.restarts == 1
        assert len(await client.replay("a")) == 2


async def test_a_write_error_that_is_no_failed_sync_is_a_crash_and_the_next_incarnation_reads_what_is_there(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await client.append(put_entry("a", 0))
        world.disk.fail_write = True
        with pytest.raises(ActorCrashed) as raised:
            await client.append(put_entry("a", 1))
        assert isinstance(raised.value.cause, apsw.IOError)
        world.disk.fail_write = False
        assert await client.append(put_entry("a", 1)) == Appended(2, 2)


async def test_a_broken_ledger_stops_the_start_and_names_the_record(world):
    async with world.system() as system:
        await LedgerClient(system.ref("/ledger")).append(put_entry("a", 0))
    content = world.disk.names[str(PATH)].seen
    content[content.index(b"value-1")] ^= 1
    before = bytes(content)
    with pytest.raises(RecoveryFailed, match="record 1") as raised:
        async with world.system():
            pass
    assert raised.value.code == "LEDGER_BROKEN"
    assert world.disk.read(PATH) == before


async def test_a_record_that_breaks_while_we_run_fails_the_replay_that_reads_it(world, monkeypatch):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await client.append(put_entry("a", 0))
        monkeypatch.delitem(codec._types, "test.put/1")
        with pytest.raises(RecoveryFailed, match="record 1") as raised:
            await client.replay("a")
    assert raised.value.code == "LEDGER_UNKNOWN_TYPE"


async def test_a_clean_stop_leaves_one_file_and_an_anchor_at_its_end(world):
    async with world.system() as system:
        await together(LedgerClient(system.ref("/ledger")), *(put_entry("a", version) for version in range(7)))
    assert list(world.disk.names) == [str(PATH)]
    assert parse_anchor(world.keychain.secrets[ANCHOR]).seq == 7


async def test_the_anchor_follows_every_thousand_records(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await together(client, *(put_entry("a", version) for version in range(600)))
        assert parse_anchor(world.keychain.secrets[ANCHOR]).seq == 0
        await together(client, *(put_entry("a", version) for version in range(600, 1200)))
        await client.status()
        assert parse_anchor(world.keychain.secrets[ANCHOR]).seq >= 1000


async def test_the_log_is_emptied_into_the_file_while_the_ledger_runs(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        written = 0
        while written < CHECKPOINT_PAGES * 4096 * 2:
            version = written // 500_000
            await client.append(put_entry("a", version, events=(Put("large", version.to_bytes(2, "big") * 250_000),)))
            written += 500_000
        await client.status()
        assert len(world.disk.names[str(PATH)].seen) > CHECKPOINT_PAGES * 4096


async def test_retention_empties_a_body_and_the_ledger_still_opens(world):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        await together(client, put_entry("a", 0), put_entry("a", 1))
        await client.blank((1,), "older than a year")
        with pytest.raises(LocalProtocolError):
            await client.blank((99,), "there is none")
        assert [len(record.events) for record in await client.replay("a")] == [0, 1]
        assert system.stats.crashes == 0
    async with world.system() as system:
        assert (await LedgerClient(system.ref("/ledger")).status()).seq == 3


async def test_a_key_store_that_takes_no_anchor_degrades_the_ledger_and_stops_nobody(world, autojump_clock):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        world.keychain.fails = KeychainUnavailable("the OS keychain is locked")
        answers = await together(client, *(put_entry("a", version) for version in range(1001)))
        assert answers[-1] == Appended(1001, 1001)
        status = await client.status()
        assert (status.state, "anchor" in status.reason) == ("degraded", True)
        await client.append(put_entry("a", 1001))
        assert (await client.status()).state == "degraded", "what is recorded meanwhile makes it no better"
        world.keychain.fails = None
        await trio.sleep(ANCHOR_AGAIN_SECONDS)
        await client.append(put_entry("a", 1002))
        assert (await client.status()).state == "ok"
        assert parse_anchor(world.keychain.secrets[ANCHOR]).seq == 1003


async def test_a_locked_keychain_is_not_tried_after_every_commit(world, autojump_clock):
    async with world.system() as system:
        client = LedgerClient(system.ref("/ledger"))
        world.keychain.fails = KeychainUnavailable("the OS keychain is locked")
        await together(client, *(put_entry("a", version) for version in range(1001)))
        await client.status()
        before = world.keychain.refused
        for version in range(1001, 1021):
            await client.append(put_entry("a", version))
        await client.status()  # after the house is kept
        assert world.keychain.refused == before
        await trio.sleep(ANCHOR_AGAIN_SECONDS)
        await client.append(put_entry("a", 1021))
        await client.status()
        assert world.keychain.refused == before + 1


# --- the real thing


async def test_on_a_real_disk_many_appenders_and_a_second_process(tmp_path):
    ports = make_real_ports()
    keychain = MemoryKeychain()
    path: Path = tmp_path / "ledger.db"

    def system():
        return open_system(Supervisor([ChildSpec("ledger", ledger_body(path, ports, keychain))]))

    async def append_ten(client, stream):
        for version in range(10):
            assert isinstance(await client.append(put_entry(stream, version)), Appended)

    async with system() as running:
        client = LedgerClient(running.ref("/ledger"))
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(append_ten, client, f"stream-{number}")
        assert len(await client.replay("stream-7")) == 10
        with pytest.raises(RecoveryFailed) as raised:
            async with system():
                pass
        assert raised.value.code == "LEDGER_IN_USE"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ledger.db", "ledger.db.lock"]
    async with system() as running:
        assert (await LedgerClient(running.ref("/ledger")).status()).seq == 200
