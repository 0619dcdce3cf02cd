"""Too many of everything, against a relay that runs: sockets, groups, keys, invites; others get their service."""

import contextlib
import json
import os
import struct
from base64 import urlsafe_b64encode
from random import Random

import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected

from ferryman.protocol.crypto.noise import initiate
from ferryman.protocol.relay.errors import WireCode
from ferryman.protocol.relay.messages import Error, Push, PushAck
from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.live_relay import LIMITS, MAX_INVITES
from tests.fakes.raw_wire import BINARY, GET, UPGRADE, Reader, ws
from tests.fakes.wire_client import blob_id, device

IDLE = 990  # of the thousand that the relay takes
IDLE_BYTES = 64 * 1024  # what one of them may cost


async def status_of(stream, request):
    """0 for a socket that is closed unheard."""
    with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(PATIENCE_SECONDS):
        await stream.send_all(request)
        head = await Reader(stream).head()
        if head:
            return int(head.split()[1])
    return 0


async def ask(relay, source, method, path, body=None, headers=""):
    """(status, body) of the answer to one request on a connection of its own; (0, b"") where there is none."""
    content = json.dumps(body).encode() if body is not None else b""
    kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n{kind}{headers}\r\n"
    async with await relay.stream(source) as stream:
        reader, status = Reader(stream), 0
        with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(PATIENCE_SECONDS):
            await stream.send_all(head.encode() + content)
            if said := await reader.head():
                status = int(said.split()[1])
                return status, await reader.rest()
        return status, b""


async def upgrade(relay, source):
    async with await relay.stream(source) as stream:
        return await status_of(stream, UPGRADE)


def lookup_key():
    return "".join(Random(os.urandom(8)).choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=8))


async def post(relay, source, key):
    return await ask(relay, source, "POST", "/invite", {"lookup_key": key, "encrypted_payload": "sealed"})


async def test_a_thousand_idle_connections_cost_memory_once_and_nobody_his_service(relay):
    before, _ = relay.measured()
    async with relay.idle(IDLE):
        await relay.serves_others()
        assert relay.measured()[0] < before + IDLE * IDLE_BYTES
    await relay.warm_up(0)  # a process seldom gives memory back: from now on it has what it once needed
    async with relay.idle(IDLE):
        await relay.serves_others()
        memory, handles = relay.measured()
        assert handles >= IDLE
        assert memory < relay.baseline[0] * 1.1


async def test_one_address_that_opens_a_thousand_sockets_gets_as_many_as_it_may_have(relay):
    source = relay.address()
    async with contextlib.AsyncExitStack() as sockets:
        opened = [await sockets.enter_async_context(await relay.stream(source)) for _ in range(1000)]
        await relay.serves_others()
        left, few = len(opened), trio.Event()
        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as nursery:

                async def until_closed(stream):
                    nonlocal left
                    with contextlib.suppress(trio.BrokenResourceError):
                        await stream.receive_some(1)
                    left -= 1
                    if left <= LIMITS["connections_per_ip"] + 16:
                        few.set()

                for stream in opened:
                    nursery.start_soon(until_closed, stream)
                await few.wait()
                nursery.cancel_scope.cancel()


async def test_requests_without_an_end_slow_others_down_and_keep_nobody_out(relay):
    source, health = relay.address(), GET.replace(b"GET /", b"GET /health") + b"\r\n"

    async def flood():
        while True:
            async with await relay.stream(source) as stream:
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(health * 100)
                    while await stream.receive_some(65_536):
                        pass

    async with trio.open_nursery() as nursery:
        for _ in range(LIMITS["connections_per_ip"] + 16):
            nursery.start_soon(flood)
        for _ in range(3):
            await relay.serves_others()
        nursery.cancel_scope.cancel()


async def test_a_storm_of_connections_that_vanish_at_every_stage(relay):
    """Hundreds of them in seconds, a third of them reset, from many addresses and from one."""
    one = relay.address()
    message1 = ws(BINARY, initiate(device("storm").noise_private, os.urandom(32))[1])
    statuses = []

    async def come_and_go(source, stage, reset):
        with contextlib.suppress(OSError, trio.BrokenResourceError):
            stream = await relay.stream(source)
            if stage:
                await stream.send_all(GET if stage == 1 else UPGRADE)
            if stage > 1:
                statuses.append((await Reader(stream).head())[9:12])
            if stage > 2:
                await stream.send_all(message1)
            if reset:
                stream.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()

    for wave in range(15):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                source = one if number % 2 else relay.address()
                nursery.start_soon(come_and_go, source, (wave + number) % 4, number % 3 == 0)
    assert statuses.count(b"101") >= 70
    assert statuses.count(b"429") >= 1  # of the one address
    assert set(statuses) <= {b"101", b"429", b""}


async def test_devices_that_come_back_without_end_lose_nothing_and_keep_nobody_out(relay):
    """A storm of whole connections, several at once with each key: WELCOME, a push, and gone; the newer one wins."""
    group, acknowledged, replaced = os.urandom(32), {}, []

    async def come_back(name, source, pushes):
        for number in pushes:
            try:
                async with relay.client(name, source) as storm:
                    await storm.hello(group)
                    acknowledged[(await storm.push(number, b"%d" % number)).cursor] = b"%d" % number
            except* ConnectionClosed as closed:
                replaced.extend(one.reason.code for one in closed.exceptions)

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            for task in range(24):
                pushes = range(5 * task, 5 * task + 5)
                nursery.start_soon(come_back, f"storm {task // 3}", relay.address(), pushes)
            await relay.serves_others()
    assert set(replaced) == {4001}
    assert len(acknowledged) >= 8  # of 120: with three hands at each key, one of them is the last
    async with relay.client("a witness", relay.address()) as witness:
        await witness.hello(group)
        held = {blob.cursor: blob.payload for blob in (await witness.pull(0, 1000)).blobs}
    assert acknowledged.items() <= held.items()


async def test_many_device_keys_of_one_address_are_one_source(relay):
    """Every device key is new, every group too: what is counted by device or group alone would never end."""
    source, said = relay.address(), []
    for number in range(LIMITS["handshakes_per_minute"] + 20):
        try:
            async with relay.client(f"key {number} of {source}", source) as mallory:
                await mallory.hello(os.urandom(32))
                await mallory.send(Push(blob_id(1), bytes(100_000), 0))
                message = (await mallory.receive_frame()).message
                said.append(message.code if isinstance(message, Error) else 0)
        except* ConnectionRejected as turned_away:
            said.append(turned_away.exceptions[0].status_code)
    groups, handshakes = LIMITS["new_groups_per_hour"], LIMITS["handshakes_per_minute"]
    assert said[:groups] == [0] * groups
    assert set(said[groups + 1 : handshakes]) == {WireCode.RATE_LIMITED}
    assert said[-1] == 429


async def test_a_device_and_its_source_send_so_many_messages_and_no_more(relay):
    """Ten keys at once, each as fast as it can: more than the source may is refused on all of them."""
    source, group, taken, refused = relay.address(), os.urandom(32), 0, 0

    async def flood(number):
        nonlocal taken, refused
        async with relay.client(f"flood {number}", source) as mallory:
            await mallory.hello(group)
            for push in range(200):
                await mallory.send(Push(blob_id(1000 * number + push), b"x", 0))
            for _ in range(200):
                message = await mallory.wait_for((PushAck, Error))
                taken += isinstance(message, PushAck)
                refused += isinstance(message, Error) and message.code == WireCode.RATE_LIMITED

    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(flood, number)
    assert taken + refused == 9 * 200
    assert taken <= 9 * LIMITS["messages_per_minute"]
    assert (await ask(relay, source, "GET", "/health"))[0] == 200
    with trio.fail_after(PATIENCE_SECONDS):  # accounts are settled once a second
        while await upgrade(relay, source) != 429:  # noqa: ASYNC110 - another process has no event for it
            await trio.sleep(0.5)  # of the real clock, which is the other process's
    assert await upgrade(relay, source) == 429  # it owes, and a new connection does not change that


async def test_guessing_invites_ends_after_a_few_guesses_a_minute(relay):
    source = relay.address()
    invited = lookup_key()
    assert (await post(relay, relay.address(), invited))[0] == 201
    guesses = [(await ask(relay, source, method, f"/invite/{lookup_key()}"))[0] for method in ("GET", "DELETE") * 20]
    assert set(guesses) == {404, 429}
    assert guesses.count(404) <= LIMITS["invite_gets_per_minute"] + 1
    status, body = await ask(relay, relay.address(), "GET", f"/invite/{invited}")
    assert (status, body) == (200, b'{"encrypted_payload":"sealed"}')


async def test_tokens_of_others_revoke_nothing(relay):
    invited, token = lookup_key(), urlsafe_b64encode(bytes(32)).decode()
    assert (await post(relay, relay.address(), invited))[0] == 201
    for held in ("", "Authorization: Bearer \r\n", f"Authorization: Bearer {token}\r\n", "Authorization: Basic x\r\n"):
        assert (await ask(relay, relay.address(), "DELETE", f"/invite/{invited}", headers=held))[0] == 404
    assert (await ask(relay, relay.address(), "GET", f"/invite/{invited}"))[0] == 200


@pytest.mark.parametrize("many", [False, True], ids=["one address", "many addresses"])
async def test_hoarding_invites_takes_what_a_source_or_the_relay_has_and_no_more(relay, many):
    """Whoever posted before can still be fetched from; a source has five a minute; all together have a bound."""
    mine, one = lookup_key(), relay.address()
    first = await post(relay, relay.address(), mine)
    said = [(await post(relay, relay.address() if many else one, lookup_key()))[0] for _ in range(MAX_INVITES + 5)]
    assert set(said) <= {201, 503 if many else 429}
    assert said[-1] == (503 if many else 429)
    assert said.count(201) <= (MAX_INVITES if many else LIMITS["invite_posts_per_minute"] + 1)
    if first[0] == 201:
        assert (await ask(relay, relay.address(), "GET", f"/invite/{mine}"))[0] == 200


async def test_large_invites_and_wrong_ones_are_not_kept(relay):
    for body in ({"lookup_key": "x" * 100, "encrypted_payload": ""}, {"lookup_key": lookup_key()}, [], {"a": 1}):
        assert (await ask(relay, relay.address(), "POST", "/invite", body))[0] == 400
    large = {"lookup_key": lookup_key(), "encrypted_payload": "x" * 4097}
    assert (await ask(relay, relay.address(), "POST", "/invite", large))[0] == 413
    nested = b"[" * 8000
    head = GET.replace(b"GET /", b"POST /invite") + b"Content-Type: application/json\r\n"
    async with await relay.stream(relay.address()) as stream:
        assert await status_of(stream, head + b"Content-Length: 8000\r\n\r\n" + nested) == 400
