"""API keys: who is let in, who may create groups, and that a key never passes where somebody could read it."""

import pytest
import trio
from trio_websocket import ConnectionRejected

from ferryman.actors.relay.access import hash_key, judge_bearer, new_key
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.relay.messages import Error, PushAck, Welcome
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.runtime import open_runtime
from tests.fakes.certificates import self_signed
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.relay_process import relay_process, write_config
from tests.fakes.relay_world import from_source, memory_relay, real_relay, relay_config
from tests.fakes.sync_world import connected
from tests.fakes.wire_client import connect, device

GROUP = b"a group that is one of bare IDs."
OTHER = b"another group, not created yet.."
KEY = new_key(bytes(range(32)))
KEYS = {"anna": hash_key(KEY).hex(), "bert": hash_key("another key").hex()}


def bearer(key):
    return ((b"Authorization", b"Bearer " + key.encode()),)


@pytest.mark.parametrize("headers", [(), ((b"Authorization", b""),)], ids=["no key", "an empty one"])
@pytest.mark.req("W5-137")
async def test_without_a_key_nobody_is_let_in_where_one_is_required(autojump_clock, headers):
    tables = {"server": {"require_key": True}, "access": {"keys": KEYS}}
    async with memory_relay(**tables) as world:
        if headers:  # there is a header, so there is a key, and it is a wrong one
            async with world.client("anna", headers=headers) as anna:
                await anna.say_hello(GROUP)
                assert (await anna.receive(Error)).code == 1002
            return
        with pytest.raises(BaseExceptionGroup) as refused:
            async with world.client("anna"):
                pass
        [rejected] = refused.value.exceptions
        assert isinstance(rejected, ConnectionRejected)
        assert rejected.status_code == 401
        async with world.client("bert", headers=bearer(KEY)) as bert:
            await bert.hello(GROUP)


@pytest.mark.parametrize("require_key", [True, False])
@pytest.mark.req("S4-89")
@pytest.mark.req("W5-103")
async def test_a_key_that_the_relay_does_not_know_is_unauthorized(autojump_clock, require_key):
    tables = {"server": {"require_key": require_key}, "access": {"keys": KEYS}}
    async with memory_relay(**tables) as world, world.client("anna", headers=bearer(KEY + "x")) as anna:
        await anna.say_hello(GROUP)
        assert (await anna.receive(Error)).code == 1002
        assert await anna.closed() == 1008


@pytest.mark.req("W1-10", "W1-11")
async def test_only_who_has_a_key_creates_groups_where_tokens_do_and_everybody_joins_them(autojump_clock):
    tables = {"access": {"keys": KEYS, "create_groups": "token"}}
    async with memory_relay(**tables) as world:
        async with world.client("carl") as carl:
            await carl.say_hello(GROUP)
            assert (await carl.receive(Error)).code == 1002
            assert await carl.closed() == 1008
        async with world.client("anna", headers=bearer(KEY)) as anna:
            await anna.hello(GROUP)
            async with world.client("carl") as carl:
                await carl.hello(GROUP)
                assert (await carl.push(1)).cursor == 1
        await trio.sleep(200)  # the group's actors have ended: the relay knows it from its file
        async with world.client("carl") as carl:
            await carl.hello(GROUP)
            await carl.say_hello(OTHER)


async def test_a_relay_that_has_no_keys_looks_at_none(autojump_clock):
    async with memory_relay() as world, world.client("anna", headers=bearer("whatever")) as anna:
        await anna.hello(GROUP)


@pytest.mark.req("W1-08")
async def test_a_key_over_plaintext_from_outside_is_refused_even_where_none_is_required(autojump_clock):
    ports = make_simulated_ports(1)
    outside = from_source(ports, "203.0.113.9").network
    tables = {"access": {"keys": KEYS}, "server": {"allow_plaintext": True}}
    async with memory_relay(ports, **tables) as world:
        with pytest.raises(BaseExceptionGroup) as refused:
            async with world.client("anna", network=outside, headers=bearer(KEY)):
                pass
        assert refused.value.exceptions[0].status_code == 401
        async with world.client("anna", network=outside) as anna:
            await anna.hello(GROUP)


SETTINGS = relay_config(
    "x", access={"keys": KEYS}, server={"trusted_proxies": ["10.0.0.0/8", "127.0.0.2/32"]}
).settings()
HEADER = (b"authorization", b"Bearer " + KEY.encode())


@pytest.mark.req("W1-07", "W1-08")
@pytest.mark.parametrize(
    ("headers", "peer", "tls", "worth"),
    [
        ((HEADER,), "203.0.113.9", True, "known"),
        ((HEADER,), "203.0.113.9", False, "exposed"),
        ((HEADER,), "127.0.0.1", False, "known"),
        ((HEADER,), "::1", False, "known"),
        ((HEADER, (b"x-forwarded-proto", b"https")), "10.0.0.1", False, "known"),
        ((HEADER, (b"x-forwarded-proto", b"http")), "10.0.0.1", False, "exposed"),
        ((HEADER, (b"x-forwarded-proto", b"https"), (b"x-forwarded-proto", b"http")), "10.0.0.1", False, "exposed"),
        ((HEADER, (b"x-forwarded-proto", b"http")), "10.0.0.1", True, "exposed"),
        ((HEADER, (b"x-forwarded-proto", b"https"), (b"x-forwarded-proto", b"http")), "10.0.0.1", True, "exposed"),
        ((HEADER, (b"x-forwarded-proto", b"WSS")), "10.0.0.1", True, "known"),
        ((HEADER,), "10.0.0.1", True, "known"),
        ((HEADER, (b"x-forwarded-proto", b"http")), "203.0.113.9", True, "known"),
        ((HEADER,), "10.0.0.1", False, "exposed"),
        ((HEADER,), "127.0.0.2", False, "exposed"),
        ((HEADER, (b"x-forwarded-proto", b"https")), "203.0.113.9", False, "exposed"),
        ((HEADER, HEADER), "127.0.0.1", False, "unknown"),
        (((b"authorization", b"bearer  " + KEY.encode()),), "127.0.0.1", False, "known"),
        (((b"authorization", b"Basic " + KEY.encode()),), "127.0.0.1", False, "unknown"),
        (((b"authorization", KEYS["anna"].encode()),), "127.0.0.1", False, "unknown"),
        (((b"authorization", b"Bearer " + KEYS["anna"].encode()),), "127.0.0.1", False, "unknown"),
        (((b"authorization", b"Bearer \xff"),), "127.0.0.1", False, "unknown"),
        ((), "203.0.113.9", False, "none"),
    ],
)
def test_what_a_key_is_worth_depends_on_the_key_and_on_its_way(headers, peer, tls, worth):
    assert judge_bearer(headers, peer=peer, tls=tls, settings=SETTINGS) == worth


async def test_our_own_client_shows_its_key_over_tls(tmp_path):
    self_signed(tmp_path)
    server = {"tls_certificate": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem"), "require_key": True}
    async with real_relay(tmp_path, server=server, access={"keys": KEYS, "create_groups": "token"}) as world:
        keys = KeysConfig(allow_plain=True, use_os_keychain=False)
        sync = SyncConfig(api_key=KEY, ca_file=str(tmp_path / "cert.pem"))
        async with open_runtime(RuntimeConfig(home=tmp_path / "device", keys=keys, sync=sync)) as runtime:
            await runtime.sync.enable(f"wss://localhost:{world.port}")
            with trio.fail_after(PATIENCE_SECONDS):
                await connected(runtime)


@pytest.mark.timeout(60)
async def test_fifty_devices_behind_one_proxy_are_fifty_sources(tmp_path):
    proxy = {"trusted_proxies": ["127.0.0.1/32"]}
    limits = {"connections_per_ip": 2, "handshakes_per_minute": 3}
    answers, refusals = {}, []

    async def visit(relay, number):
        headers = ((b"X-Forwarded-For", b"198.51.100.%d" % number),)
        try:
            async with connect(relay.port, device(f"device {number}"), headers=headers) as client:
                answers[number] = await client.hello(GROUP), await client.push(number)
                if len(answers) == 50:
                    arrived.set()
                await done.wait()
        except* ConnectionRejected as rejected:
            refusals.append(rejected.exceptions[0].status_code)
            arrived.set()

    async with relay_process(write_config(tmp_path, server=proxy, limits=limits)) as relay:
        done, arrived = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(visit, relay, number)
            with trio.fail_after(PATIENCE_SECONDS):
                await arrived.wait()
            assert refusals == []
            headers = ((b"X-Forwarded-For", b"198.51.100.1"),)
            async with connect(relay.port, device("one more"), headers=headers) as client:
                await client.hello(GROUP)
                with pytest.raises(BaseExceptionGroup) as refused:
                    async with connect(relay.port, device("a third"), headers=headers):
                        pass
                assert refused.value.exceptions[0].status_code == 429
            done.set()
    assert all(isinstance(welcome, Welcome) and isinstance(ack, PushAck) for welcome, ack in answers.values())
