"""The five routes over real HTTP requests on memory streams, and what their limits answer."""

import json

import pytest
import trio

from ferryman.actors.simulated.ports import make_simulated_ports
from tests.fakes.relay_world import from_source, memory_relay

GROUP = b"a group that is one of bare IDs."


async def ask(world, method, path, body=None, *, headers=(), network=None):
    """One request on a connection of its own: status, headers, body."""
    stream = await world.stream(network)
    lines = [f"{method} {path} HTTP/1.1", "Host: relay", "Connection: close", *headers]
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines += [f"Content-Length: {len(data)}"]
        if not any(header.lower().startswith("content-type") for header in headers):
            lines += ["Content-Type: application/json"]
    else:
        data = b""
    await stream.send_all("\r\n".join([*lines, "", ""]).encode() + data)
    heard = b""
    while piece := await stream.receive_some(65_536):
        heard += piece
    await stream.aclose()
    if not heard:
        return 0, {}, b""
    top, _, rest = heard.partition(b"\r\n\r\n")
    first, *others = top.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in others)
    return int(first.split()[1]), fields, rest


async def post(world, key, payload="sealed", **options):
    return await ask(world, "POST", "/invite", {"lookup_key": key, "encrypted_payload": payload}, **options)


@pytest.mark.req("S4-130")
@pytest.mark.req("W8-01", "W8-04", "W8-11")
async def test_health_shows_its_figures_to_loopback_and_a_word_to_others(autojump_clock):
    async with memory_relay() as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            await anna.push(1)
            await trio.sleep(5)
            status, _, body = await ask(world, "GET", "/health")
        assert status == 200
        assert json.loads(body) == {
            "status": "ok",
            "version": json.loads(body)["version"],
            "connections": 1,
            "groups": 1,
            "blobs_buffered": 1,
            "uptime_seconds": 5,
        }
        elsewhere = from_source(world.ports, "203.0.113.9").network
        assert json.loads((await ask(world, "GET", "/health", network=elsewhere))[2]) == {"status": "ok"}
        assert (await ask(world, "GET", "/metrics", network=elsewhere))[0] == 404


@pytest.mark.req("W8-02", "W8-03")
async def test_health_is_503_while_storage_fails_and_while_the_relay_ends(autojump_clock):
    async with memory_relay() as world:
        world.relay.metrics.degraded = True
        status, _, body = await ask(world, "GET", "/health")
        assert (status, json.loads(body)["status"]) == (503, "degraded")
        world.relay.metrics.draining = True
        status, _, body = await ask(world, "GET", "/health")
        assert (status, json.loads(body)["status"]) == (503, "shutting_down")


def read_metrics(text):
    """Prometheus' text format, as strict as a reader has to be: name{labels} value."""
    values = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            assert line.split()[3] in ("counter", "gauge", "histogram")
        elif not line.startswith("# HELP "):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values


@pytest.mark.req("S4-131", "S4-134", "S4-136")
@pytest.mark.req("W8-07")
async def test_metrics_count_blobs_and_bytes(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP)
        before = read_metrics((await ask(world, "GET", "/metrics"))[2].decode())
        await anna.push(1, bytes(1000))
        await anna.push(2, bytes(1000))
        await bert.pull(0)
        status, fields, body = await ask(world, "GET", "/metrics")
        after = read_metrics(body.decode())
        assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert after["sync_relay_blobs_buffered"] == before["sync_relay_blobs_buffered"] + 2
        assert after["sync_relay_blobs_delivered"] == before["sync_relay_blobs_delivered"] + 2
        assert after["sync_relay_bytes_transferred"] >= before["sync_relay_bytes_transferred"] + 4000
        assert after['sync_relay_push_seconds_bucket{le="+Inf"}'] == 2


@pytest.mark.req("S4-132", "S4-133")
@pytest.mark.req("W8-06")
async def test_metrics_count_connections_that_come_and_go(autojump_clock):
    async with memory_relay() as world:
        for number in range(1, 3):
            async with world.client("anna") as anna:
                await anna.hello(GROUP)
                counted = read_metrics((await ask(world, "GET", "/metrics"))[2].decode())
                assert counted["sync_relay_connections_total"] == number
                assert counted["sync_relay_connections_active"] == 1
        await trio.sleep(3)
        counted = read_metrics((await ask(world, "GET", "/metrics"))[2].decode())
        assert counted["sync_relay_connections_active"] == 0


@pytest.mark.req("W8-09", "W8-10")
async def test_metrics_name_restarts_and_errors_by_kind(autojump_clock):
    async with memory_relay() as world:
        async with world.client("anna") as anna:
            await anna.hello(GROUP)
            world.crash(f"{world.group_path(GROUP)}/group_router")
            await anna.closed()
        async with world.client("anna") as anna:
            await anna.say_hello(GROUP, last_cursor=9)
            await anna.receive_frame()
        text = (await ask(world, "GET", "/metrics"))[2].decode()
        counted = read_metrics(text)
        assert counted['sync_relay_actor_restarts_total{actor="group_router"}'] == 1
        assert counted['sync_relay_errors_total{code="1001"}'] == 1
        assert counted['sync_relay_mailbox_depth{actor="buffer"}'] >= 0
        assert world.group_path(GROUP).rpartition("/")[2] not in text


@pytest.mark.req("S4-145", "S4-146", "S4-149")
@pytest.mark.req("W8-12", "W8-16", "W8-18")
async def test_an_invite_is_claimed_once(autojump_clock):
    async with memory_relay() as world:
        status, fields, body = await post(world, "ABCD2345", "the sealed payload")
        assert (status, fields.get("cache-control")) == (201, "no-store")
        assert json.loads(body)["expires_at"] == world.ports.clock.now() + 600
        answers = []

        async def claim():
            answers.append(await ask(world, "GET", "/invite/ABCD2345"))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(claim)
        assert sorted(status for status, _, _ in answers) == [200, 404, 404, 404]
        assert [json.loads(body) for status, _, body in answers if status == 200] == [
            {"encrypted_payload": "the sealed payload"}
        ]
        assert {fields.get("cache-control") for _, fields, _ in answers} == {"no-store"}


@pytest.mark.req("W9-10", "W9-11")
async def test_a_lookup_key_is_found_however_it_is_typed(autojump_clock):
    async with memory_relay() as world:
        for typed in ("abcd-2o1l", "ABCD%202011", "AbCd-2oIi"):
            assert (await post(world, "abcd2o1l"))[0] == 201
            assert (await ask(world, "GET", f"/invite/{typed}"))[0] == 200
        for none in ("ABCD201", "ABCD20111", "ABCD201U", "ABCD201%C3%A9", ""):
            assert (await ask(world, "GET", f"/invite/{none}"))[0] == 404


@pytest.mark.req("S4-148")
@pytest.mark.req("W8-13", "W8-15")
async def test_an_invite_is_gone_after_ten_minutes(autojump_clock):
    async with memory_relay() as world:
        await post(world, "ABCD2345")
        await trio.sleep(599)
        assert (await post(world, "ABCD2345"))[0] == 409
        await trio.sleep(2)
        assert (await ask(world, "GET", "/invite/ABCD2345"))[0] == 404
        assert (await post(world, "ABCD2345"))[0] == 201


@pytest.mark.req("S4-150")
@pytest.mark.req("W8-12", "W8-20", "W8-21")
async def test_an_invite_is_revoked_by_who_made_it_and_by_nobody_else(autojump_clock):
    async with memory_relay() as world:
        token = json.loads((await post(world, "ABCD2345"))[2])["revoke_token"]
        path = "/invite/ABCD2345"
        assert (await ask(world, "DELETE", path))[0] == 404
        assert (await ask(world, "DELETE", path, headers=["Authorization: Bearer x"]))[0] == 404
        assert (await ask(world, "DELETE", path, headers=[f"Authorization: Bearer {token}"]))[0] == 204
        assert (await ask(world, "GET", path))[0] == 404
        assert (await ask(world, "DELETE", path, headers=[f"Authorization: Bearer {token}"]))[0] == 404


WRONG = {
    "another content type": ({"lookup_key": "ABCD2345", "encrypted_payload": "x"}, ["Content-Type: text/plain"], 415),
    "no JSON": (b"{", [], 400),
    "no object": ([], [], 400),
    "a missing field": ({"lookup_key": "ABCD2345"}, [], 400),
    "a number": ({"lookup_key": 1, "encrypted_payload": "x"}, [], 400),
    "no lookup key": ({"lookup_key": "short", "encrypted_payload": "x"}, [], 400),
    "bytes that are no UTF-8": (b'{"lookup_key":"ABCD2345","encrypted_payload":"\xff"}', [], 400),
    "a payload over 4 KiB": ({"lookup_key": "ABCD2345", "encrypted_payload": "x" * 4097}, [], 413),
    "a body over 8 KiB": ({"lookup_key": "ABCD2345", "encrypted_payload": "x" * 9000}, [], 413),
}


@pytest.mark.parametrize(("body", "headers", "status"), WRONG.values(), ids=WRONG)
@pytest.mark.req("W8-14", "W8-26", "W8-27")
async def test_an_invite_that_is_none_is_refused(autojump_clock, body, headers, status):
    async with memory_relay() as world:
        assert (await ask(world, "POST", "/invite", body, headers=headers))[0] == status
        assert (await ask(world, "GET", "/invite/ABCD2345"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/invite/ABCD2345", 405),
        ("PUT", "/health", 411),
        ("DELETE", "/health", 405),
        ("GET", "/invite", 405),
        ("OPTIONS", "/metrics", 405),
        ("GET", "/", 426),
        ("GET", "/sync", 426),
        ("GET", "/nowhere", 404),
        ("GET", "/health/more", 404),
    ],
)
@pytest.mark.req("W8-19")
async def test_another_method_or_path(autojump_clock, method, path, status):
    async with memory_relay() as world:
        assert (await ask(world, method, path))[0] == status


@pytest.mark.req("W5-134", "W5-135")
async def test_a_source_posts_and_fetches_so_many_invites_a_minute(autojump_clock):
    limits = {"invite_posts_per_minute": 5, "invite_gets_per_minute": 5}
    async with memory_relay(limits=limits) as world:
        for number in range(5):
            assert (await post(world, f"ABCD234{number}"))[0] == 201
        status, fields, _ = await post(world, "ABCD2349")
        assert status == 429
        assert int(fields["retry-after"]) > 0
        for _ in range(5):
            assert (await ask(world, "GET", "/invite/ZZZZZZZZ"))[0] == 404
        assert (await ask(world, "GET", "/invite/ABCD2340"))[0] == 429
        elsewhere = from_source(world.ports, "203.0.113.9").network
        assert (await ask(world, "GET", "/invite/ABCD2340", network=elsewhere))[0] == 200


@pytest.mark.req("W5-136")
async def test_so_many_invites_are_open_at_one_time(autojump_clock):
    async with memory_relay(limits={"max_invites": 2}) as world:
        for number in range(2):
            assert (await post(world, f"ABCD234{number}"))[0] == 201
        assert (await post(world, "ABCD2349"))[0] == 503
        await ask(world, "GET", "/invite/ABCD2340")
        assert (await post(world, "ABCD2349"))[0] == 201


async def test_behind_a_trusted_proxy_the_client_is_who_the_proxy_says(autojump_clock):
    limits = {"invite_gets_per_minute": 1}
    server = {"trusted_proxies": ["127.0.0.1/32"]}
    async with memory_relay(server=server, limits=limits) as world:
        for client, status in (("198.51.100.1", 404), ("198.51.100.1", 429), ("198.51.100.2", 404)):
            said = [f"X-Forwarded-For: 10.0.0.1, {client}"]
            assert (await ask(world, "GET", "/invite/ZZZZZZZZ", headers=said))[0] == status


@pytest.mark.req("W5-116")
async def test_a_header_of_a_stranger_is_not_believed(autojump_clock):
    async with memory_relay(limits={"invite_gets_per_minute": 1}) as world:
        assert (await ask(world, "GET", "/invite/ZZZZZZZZ", headers=["X-Forwarded-For: 198.51.100.1"]))[0] == 404
        assert (await ask(world, "GET", "/invite/ZZZZZZZZ", headers=["X-Forwarded-For: 198.51.100.2"]))[0] == 429


async def test_many_requests_come_over_one_connection(autojump_clock):
    async with memory_relay(make_simulated_ports(1)) as world:
        stream = await world.stream()
        for _ in range(3):
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n")
            assert (await stream.receive_some(65_536)).startswith(b"HTTP/1.1 200 ")
        await stream.send_all(b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n" * 3)  # all at once
        heard = b""
        while heard.count(b"HTTP/1.1 200 ") < 3:
            heard += await stream.receive_some(65_536)
        await stream.aclose()


async def test_a_crash_of_invites_is_a_503_at_most(autojump_clock):
    async with memory_relay() as world:
        await post(world, "ABCD2345")
        statuses = []

        async def claim():
            statuses.append((await ask(world, "GET", "/invite/ABCD2345"))[0])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(claim)
            world.crash("/infrastructure/invites")
        assert statuses[0] in (200, 503)
        if statuses == [503]:
            await claim()
            assert statuses[1] in (200, 404)
