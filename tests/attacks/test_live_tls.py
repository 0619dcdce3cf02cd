"""TLS of a relay that runs: what is no TLS, half of it, an old one, and what comes inside."""

import contextlib
import ssl
from random import Random

import pytest
import trio

from tests.attacks.test_live_slow import LATE, REQUEST
from tests.fakes.certificates import self_signed
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.live_relay import LiveRelay, can_be_many_sources
from tests.fakes.raw_wire import BINARY, UPGRADE, RawDevice, ws
from tests.fakes.wire_client import device


@pytest.fixture(scope="module")
def tls_target(tmp_path_factory):
    if not can_be_many_sources():
        pytest.skip("needs Linux: many loopback addresses, and /proc to measure by")
    folder = tmp_path_factory.mktemp("attacked over TLS")
    certificate, private = self_signed(folder)
    server = {"tls_certificate": str(certificate), "tls_key": str(private)}
    trusted = ssl.create_default_context(cafile=str(certificate))
    with LiveRelay.started(folder, server=server, trusted=trusted) as relay:
        yield relay


@pytest.fixture
async def relay(tls_target):
    if tls_target.baseline == (0, 0):
        await tls_target.warm_up()
    yield tls_target
    await tls_target.unharmed()


async def answer_to(relay, data):
    """Everything that comes back to these bytes below TLS."""
    heard = b""
    async with await relay.stream(relay.address()) as stream:
        with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(PATIENCE_SECONDS):
            await stream.send_all(data)
            while piece := await stream.receive_some(65_536):
                heard += piece
    return heard


def client_hello():
    """The first bytes of a good handshake."""
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("seed", range(4))
async def test_random_bytes_instead_of_a_handshake(relay, seed):
    data = Random(seed).randbytes(20_000)
    assert b"HTTP" not in await answer_to(relay, data)


@pytest.mark.parametrize("seed", range(6))
async def test_a_handshake_with_a_damaged_byte(relay, seed):
    chance, hello = Random(seed), bytearray(client_hello())
    hello[chance.randrange(5, len(hello))] ^= 1 + chance.randrange(255)
    assert b"HTTP" not in await answer_to(relay, bytes(hello) + chance.randbytes(2000))


async def test_http_without_tls_is_not_answered(relay):
    assert b"HTTP" not in await answer_to(relay, UPGRADE)


async def test_half_a_handshake_is_waited_for_ten_seconds_and_others_meanwhile_are_served(relay):
    hello = client_hello()
    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for part in (hello[:3], hello[:50], hello[:-1], hello):
            nursery.start_soon(answer_to, relay, part)
        await relay.serves_others()
    assert trio.current_time() - started < REQUEST + LATE


@pytest.mark.parametrize("seed", range(3))
async def test_random_bytes_inside_tls(relay, seed):
    for data in (Random(seed).randbytes(20_000), UPGRADE + ws(BINARY, Random(seed).randbytes(33))):
        heard = b""
        async with relay.dressed(await relay.stream(relay.address())) as stream:
            with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(PATIENCE_SECONDS):
                await stream.send_all(data)
                while piece := await stream.receive_some(65_536):
                    heard += piece
        assert heard.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"HTTP/1.1 101 ")), heard


async def test_random_bytes_after_a_good_start_below_tls(relay):
    """Records that do not open are TLS's to refuse; what was inside stays whole."""
    raw = await relay.stream(relay.address())
    async with relay.dressed(raw) as stream:
        mallory = await (await RawDevice.upgraded(stream, device("mallory"))).secured()
        await raw.send_all(Random(1).randbytes(5000))
        with trio.fail_after(PATIENCE_SECONDS):
            assert (await mallory.ended())[1] in (1006, 1008)


async def test_connections_that_vanish_inside_the_handshake(relay):
    for _ in range(60):
        async with await relay.stream(relay.address()) as stream:
            await stream.send_all(client_hello())
