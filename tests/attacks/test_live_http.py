"""HTTP against a relay that runs: heads and bodies that are wrong, too large, too slow, or meant for another server."""

import contextlib
from random import Random

import pytest
import trio

from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.raw_wire import GET, UPGRADE, Reader

POST = b"POST /invite HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n"
H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
MALLORY = "127.66.0.1"

# name: bytes -> the statuses that come back, in order; after the last one the relay hangs up
REFUSED = {
    "an upgrade with one byte of a body": (UPGRADE[:-2] + b"Content-Length: 1\r\n\r\nx", [400]),
    "an upgrade with a length and chunks": (
        UPGRADE[:-2] + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        [400],
    ),
    "an upgrade in chunks": (UPGRADE[:-2] + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", [411]),
    "an upgrade as second request, with a body": (HEALTH + UPGRADE[:-2] + b"Content-Length: 1\r\n\r\nx", [200, 400]),
    "a late upgrade to another path": (
        HEALTH * 98 + UPGRADE.replace(b"GET / ", b"GET /x "),
        [200] * 98 + [404],
    ),
    "an upgrade with a control character": (UPGRADE.replace(b"Host: relay", b"Host: re\x16lay"), [400]),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", [400]),
    "a length below nothing": (POST + b"Content-Length: -1\r\n\r\n", [400]),
    "a length of a thousand digits": (POST + b"Content-Length: " + b"9" * 1000 + b"\r\n\r\n", [400]),
    "a length and chunks": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [400]),
    "chunks of one byte": (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000, [411]),
    "a coding that nobody knows": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", [411]),
    "a head without an end": (GET + b"A: " + b"b" * 1_000_000, [431]),
    "a hundred thousand headers": (GET + b"A: b\r\n" * 100_000, [431]),
    "a folded header": (GET + b"A: b\r\n c\r\n" * 2000, [431]),
    "a body over its limit": (POST + b"Content-Length: 8193\r\n\r\n" + bytes(8193), [413]),
    "an announced gigabyte": (POST + b"Content-Length: 1073741824\r\n\r\n" + bytes(500_000), [413]),
    "HTTP/2 by prior knowledge": (H2_PREFACE + SETTINGS * 1000, [505]),
    "HTTP/0.9": (b"GET /health\r\n\r\n", [400]),
    "HTTP/3.7": (b"GET /health HTTP/3.7\r\nHost: relay\r\n\r\n", [505]),
    "a space before the colon": (GET + b"Content-Length : 5\r\n\r\n", [400]),
    "a bare line feed and a NUL": (b"GET / HTTP/1.1\nHost: a\x00b\n\n", [400]),
}

# name: bytes -> what a correct server answers though they look like an attack
ANSWERED = {
    "an offer of h2c": (
        HEALTH[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        200,
    ),
    "a hundred requests in one go": (HEALTH * 100, 200),
}


async def everything(stream, limit=4_000_000):
    heard = b""
    with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(PATIENCE_SECONDS):
        while data := await stream.receive_some(65_536):
            heard += data
            assert len(heard) < limit
    return heard


async def say(stream, data):
    with contextlib.suppress(trio.BrokenResourceError):
        await stream.send_all(data)


async def conversation(relay, data):
    async with await relay.stream(MALLORY) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(say, stream, data)
        heard = await everything(stream)
        nursery.cancel_scope.cancel()
    return [int(part[:3]) for part in heard.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(("data", "statuses"), REFUSED.values(), ids=REFUSED)
async def test_a_request_that_is_wrong_is_refused_and_hung_up_on(relay, data, statuses):
    assert await conversation(relay, data) == statuses


@pytest.mark.parametrize(("data", "status"), ANSWERED.values(), ids=ANSWERED)
async def test_an_odd_request_is_answered_in_http_1(relay, data, status):
    async with await relay.stream(MALLORY) as stream:
        await say(stream, data)
        assert (await Reader(stream).head()).startswith(b"HTTP/1.1 %d " % status)


async def test_random_bytes_instead_of_a_request(relay):
    for size in (1, 2, 100, 8_191, 8_193, 300_000):
        for start in (b"", b"GET ", UPGRADE[:40], POST):
            data = start + Random(f"{size} {start!r}").randbytes(size) + b"\r\n\r\n\x00\r\n\r\n"
            statuses = await conversation(relay, data)
            assert statuses[-1] in (400, 413, 431, 505)
            assert set(statuses[:-1]) <= {426}


async def test_a_second_request_on_a_connection_that_was_upgraded_is_no_request(relay):
    async with await relay.stream(MALLORY) as stream:
        await say(stream, UPGRADE + HEALTH)
        heard = await everything(stream)
        assert heard.count(b"HTTP/1.1 ") == 1
        assert b"\r\n\r\n\x88" in heard  # a close frame comes after the upgrade, and no answer
