"""SIGHUP and --check: a relay goes on under another configuration, and says what it would do with one."""

import contextlib
import json
import signal
import ssl

import pytest
import trio
from trio_websocket import ConnectionRejected

from ferryman.actors.relay.access import hash_key
from ferryman.protocol.errors import BadInput
from ferryman.protocol.relay.messages import Error, Push, PushAck
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.relay_reload import FIXED, differences, merge
from tests.fakes.certificates import self_signed
from tests.fakes.relay_process import relay_process, run_to_its_end, write_config
from tests.fakes.relay_world import memory_relay, real_relay, relay_config
from tests.fakes.wire_client import blob_id, connect, connect_over, device

GROUP = b"a group that is one of bare IDs."
OTHER = b"another group, not created yet.."


async def refused(client, group=GROUP):
    await client.say_hello(group)
    return (await client.receive(Error)).code


async def test_limits_lists_and_keys_change_and_no_connection_ends(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1, bytes(500))
        tighter = relay_config(
            world.config.storage.database,
            server={"metrics_allow": []},
            access={"create_groups": "token", "keys": {"a": hash_key("key").hex()}},
            storage={"max_group_storage": 1500},
            limits={"messages_per_minute": 3, "connections_per_ip": 2, "max_invites": 1},
        )
        reloaded = world.relay.reload(tighter)
        assert reloaded.kept == ()
        assert "limits.messages_per_minute" in reloaded.changed
        await anna.send(Push(blob_id(2), bytes(500), 0))
        assert (await anna.receive(Error)).code == 2002
        assert (await anna.push(3, b"small")).cursor == 2
        codes = []
        for number in range(4, 10):
            await anna.send(Push(blob_id(number), b"", 0))
            message = (await anna.receive_frame()).message
            codes.append(message.code if isinstance(message, Error) else "stored")
        assert codes == ["stored", 2000, 2000, 2000, 2000, 2000]
        async with world.client("bert") as bert:
            assert await refused(bert, OTHER) == 1002
        world.relay.reload(world.config)
        async with world.client("bert") as bert:
            await bert.hello(OTHER)


async def answer_to_an_upgrade(world, name):
    answers = []
    try:
        async with world.client(name):
            answers.append(101)
    except* ConnectionRejected as rejected:
        answers.append(rejected.exceptions[0].status_code)
    return answers.pop()


async def test_a_rate_that_several_actors_share_changes_for_those_who_spent_already(autojump_clock):
    limits = {"handshakes_per_minute": 2}
    async with memory_relay(limits=limits) as world:
        assert [await answer_to_an_upgrade(world, name) for name in ("anna", "bert", "carl")] == [101, 101, 429]
        world.relay.reload(relay_config(world.config.storage.database, limits={"handshakes_per_minute": 100}))
        assert await answer_to_an_upgrade(world, "carl") == 101


async def test_the_next_sweep_comes_when_the_new_interval_says(autojump_clock):
    async with memory_relay(cleanup={"interval": 1_000_000}) as world, world.client("anna") as anna:
        await anna.hello(GROUP)
        await anna.push(1, ttl=10)
        world.relay.reload(relay_config(world.config.storage.database, cleanup={"interval": 100}))
        await trio.sleep(80)
        await anna.pull(0)
        await trio.sleep(85)
        assert world.relay.metrics.blobs_buffered == 0


def test_every_key_is_reloaded_or_says_why_not():
    now = RelayConfig()
    for key in FIXED:
        table, _, name = key.partition(".")
        assert name in type(getattr(now, table)).model_fields
    other = RelayConfig.model_validate(
        {
            "server": {"bind": "127.0.0.1:1", "heartbeat": 5, "max_connections": 7},
            "storage": {"database": "/elsewhere", "max_total": 5, "default_ttl": 9},
            "log": {"level": "debug"},
            "limits": {"max_invites": 3},
        }
    )
    reloaded = merge(now, other)
    assert reloaded.changed == ("server.max_connections", "storage.max_total", "limits.max_invites")
    kept = ("server.bind", "server.heartbeat", "storage.database", "storage.default_ttl", "log.level")
    assert reloaded.kept == kept
    assert tuple(differences(now, reloaded.config)) == reloaded.changed


def test_tls_does_not_appear_in_a_relay_without_it(tmp_path):
    self_signed(tmp_path)
    tls = {"tls_certificate": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    reloaded = merge(RelayConfig(), relay_config("/data/relay.db", server=tls))
    assert {"server.tls_certificate", "server.tls_key"} <= set(reloaded.kept)


async def presented(world):
    """The certificate that a new connection is shown."""
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    stream = trio.SSLStream(await world.stream(), anything, https_compatible=True)
    try:
        with trio.move_on_after(5), contextlib.suppress(trio.BrokenResourceError):
            await stream.do_handshake()
            return stream.getpeercert(binary_form=True)
        return None
    finally:
        await trio.aclose_forcefully(stream)


def certificate_in(folder):
    return ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text())


async def test_a_new_certificate_is_for_connections_that_come_and_those_that_stand_stay(tmp_path):
    old, new, live = (tmp_path / name for name in ("old", "new", "live"))
    for folder in (old, new, live):
        folder.mkdir()
        self_signed(folder)

    def install(folder):
        for name in ("cert.pem", "key.pem"):
            (live / name).write_bytes((folder / name).read_bytes())

    install(old)
    trusting = ssl.create_default_context(cafile=str(old / "cert.pem"))
    server = {"tls_certificate": str(live / "cert.pem"), "tls_key": str(live / "key.pem")}
    async with real_relay(tmp_path, server=server) as world:
        stream = trio.SSLStream(await world.stream(), trusting, server_hostname="localhost", https_compatible=True)
        async with connect_over(stream, device("anna"), bytes(range(32))) as anna:
            await anna.hello(GROUP)
            (live / "cert.pem").write_text("half a certificate")
            with pytest.raises(BadInput, match="certificate and key cannot be used"):
                world.relay.reload(world.config)
            assert await presented(world) == certificate_in(old)
            install(new)
            world.relay.reload(world.config)
            assert await presented(world) == certificate_in(new)
            assert (await anna.push(1)).cursor == 1


def log_lines(path):
    whole, _, _ = path.read_text().rpartition("\n")  # it may be in the middle of a line
    return [json.loads(line) for line in whole.splitlines()]


async def logged(path, event, count=1):
    for _ in range(1200):
        found = [line for line in log_lines(path) if line["event"] == event]
        if len(found) == count:
            return found[-1]
        await trio.sleep(0.05)
    raise AssertionError(f"{event} was not logged")


async def test_sighup_reads_the_file_again_and_a_wrong_one_changes_nothing(tmp_path):
    log = {"file": str(tmp_path / "log"), "format": "json"}
    config = write_config(tmp_path, log=log)
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        write_config(tmp_path, log=log | {"level": "debug"}, storage={"max_blob_size": 2048, "max_group_storage": 300})
        relay.process.send_signal(signal.SIGHUP)
        line = await logged(tmp_path / "log", "reloaded")
        assert line["changed"] == ["storage.max_group_storage"]
        assert line["wants_restart"] == ["storage.max_blob_size", "log.level"]
        await anna.send(Push(blob_id(1), bytes(100), 0))
        assert (await anna.receive(Error)).code == 2002
        config.write_text("[limits]\nmessages_per_minute = 0\n")
        relay.process.send_signal(signal.SIGHUP)
        line = await logged(tmp_path / "log", "not reloaded")
        assert "limits.messages_per_minute: " in line["cause"]
        await anna.send(Push(blob_id(2), b"x", 0))
        assert isinstance((await anna.receive_frame()).message, PushAck)
        assert await relay.stop() == 0


def check(*arguments):
    return run_to_its_end("--check", *arguments)


def test_a_check_says_what_would_happen_and_makes_nothing(tmp_path):
    config = write_config(tmp_path, limits={"max_invites": 5})
    done = check("--config", str(config))
    assert done.returncode == 0, done.stderr
    for said in (
        "listens on 127.0.0.1:0, without TLS",
        "makes a database at",
        "makes its key at",
        "limits.max_invites",
    ):
        assert said in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["relay.toml"]


async def test_a_check_beside_a_running_relay_disturbs_nothing(tmp_path):
    config = write_config(tmp_path)
    async with relay_process(config) as relay, connect(relay.port, device("anna")) as anna:
        await anna.hello(GROUP)
        await anna.push(1)
        done = await trio.to_thread.run_sync(check, "--config", str(config))
        assert (done.returncode, "which a relay is using now" in done.stdout) == (0, True)
        assert (await anna.push(2)).cursor == 2


def complaint(done):
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done
    return done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no database" * 100, "is not an SQLite database"), (b"SQLite format 3\0" + b"\1" * 84, "another program")],
)
def test_a_check_finds_a_database_that_cannot_be_used(tmp_path, content, said):
    (tmp_path / "relay.db").write_bytes(content)
    assert said in complaint(check("--config", str(write_config(tmp_path))))


def test_a_check_finds_a_key_that_is_none(tmp_path):
    (tmp_path / "relay.db.key").write_bytes(b"short")
    assert "is no relay key" in complaint(check("--config", str(write_config(tmp_path))))


def test_a_check_finds_a_place_where_nothing_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    config = write_config(tmp_path, storage={"database": str(tmp_path / "file" / "relay.db")})
    assert "cannot be made" in complaint(check("--config", str(config)))


@pytest.mark.parametrize(("days", "said"), [((-10, 10), None), ((-10, -1), "expired"), ((1, 10), "not yet valid")])
def test_a_check_looks_at_the_certificate_as_a_client_will(tmp_path, days, said):
    self_signed(tmp_path, days=days)
    server = {"tls_certificate": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    done = check("--config", str(write_config(tmp_path, server=server)))
    if said is None:
        assert (done.returncode, "TLS 1.3 with" in done.stdout, "valid until" in done.stdout) == (0, True, True)
    else:
        assert said in complaint(done)


def test_a_certificate_with_another_key_is_found(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    self_signed(tmp_path)
    self_signed(other)
    server = {"tls_certificate": str(tmp_path / "cert.pem"), "tls_key": str(other / "key.pem")}
    assert "cannot be used" in complaint(check("--config", str(write_config(tmp_path, server=server))))
