"""The log of a busy relay: what is in it, in which form, and what never is."""

import errno
import io
import json
import random

import httpx
import pytest
import structlog
import trio
from trio_websocket import ConnectionClosed

from ferryman.actors.core.events import Ended
from ferryman.actors.relay.access import hash_key, new_key
from ferryman.actors.relay.log_lines import LINES_A_SECOND, LogLines, blurred
from ferryman.actors.relay.metrics import Metrics
from ferryman.actors.simulated.ports import VirtualClock
from ferryman.protocol.relay.messages import Ack, Delete, Error, Hello, Pull, Push
from ferryman.supervisors.relay_log import event_writer, line_writer, make_log, reporter
from tests.fakes.raw_wire import UPGRADE
from tests.fakes.relay_process import relay_process, run_to_its_end, write_config
from tests.fakes.relay_world import memory_relay
from tests.fakes.wire_client import blob_id, connect, device

KEY = new_key(b"k" * 32)


def lines_of(form, *, level="debug", blur_ips=False):
    stream = io.StringIO()
    log = make_log(VirtualClock(), level=level, stream=stream, form=form, blur_ips=blur_ips)
    return LogLines(line_writer(log)), stream


@pytest.mark.parametrize(("blur_ips", "source"), [(False, "203.0.113.77"), (True, "203.0.113.0/24")])
async def test_a_line_is_json_with_the_clocks_time_and_addresses_blurred_on_request(autojump_clock, blur_ips, source):
    lines, stream = lines_of("json", blur_ips=blur_ips)
    lines.say("info", "refused", source="203.0.113.77", status=429)
    line = json.loads(stream.getvalue())
    stamp = line.pop("at")
    assert line == {"level": "info", "event": "refused", "source": source, "status": 429}
    assert stamp.endswith("Z")
    assert len(stamp) == 20


async def test_console_lines_are_for_people(autojump_clock):
    lines, stream = lines_of("console")
    lines.say("info", "refused", source="203.0.113.77", status=429)
    assert "refused" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


async def test_the_level_is_the_least_that_is_logged(autojump_clock):
    lines, stream = lines_of("json", level="warning")
    lines.say("info", "refused", source="203.0.113.77")
    lines.say("warning", "something")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["something"]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("/run/socket", "?"),
    ],
)
def test_an_address_is_blurred_to_its_neighbourhood(source, shown):
    assert blurred(source) == shown


async def test_a_flood_of_one_event_is_a_few_lines_and_a_count(autojump_clock):
    lines, stream = lines_of("json")
    for _ in range(1000):
        lines.say("info", "refused", source="203.0.113.77")
    lines.say("info", "another")
    await trio.sleep(1)
    lines.say("info", "refused", source="203.0.113.77")
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in said] == ["refused"] * LINES_A_SECOND + ["another", "refused"]
    assert said[-1]["left_out"] == 1000 - LINES_A_SECOND


async def test_who_is_refused_is_logged_with_address_and_status(autojump_clock):
    stream = io.StringIO()
    log = make_log(VirtualClock(), stream=stream, form="json")
    async with memory_relay(limits={"connections_per_ip": 1}, log_to=log) as world, world.client("anna"):
        with pytest.raises(BaseExceptionGroup):
            async with world.client("bert"):
                pass
    [line] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["event"], line["source"], line["status"]) == ("refused", "127.0.0.1", 429)


class Full(io.StringIO):
    """A stream that takes nothing while it `fails`."""

    fails = None

    def write(self, text):
        if self.fails:
            raise self.fails
        return super().write(text)


FAILURES = [OSError(errno.ENOSPC, "no space"), BrokenPipeError(errno.EPIPE, "nobody reads"), ValueError("closed")]


@pytest.mark.parametrize("failure", FAILURES, ids=["full", "pipe", "closed"])
async def test_a_log_that_cannot_be_written_ends_nobody(autojump_clock, failure):
    stream = Full()
    log = make_log(VirtualClock(), level="debug", stream=stream, form="json")
    async with memory_relay(log_to=log) as world, world.client("anna") as anna:
        await anna.hello(b"a group that is one of bare IDs.")
        stream.fails = failure
        raised = None
        try:  # each way into the log: a line, what the tree reports, one stranger's failure
            LogLines(line_writer(log)).say("warning", "something")
            event_writer(log, Metrics())(Ended("/connections/1", failure))
            reporter(log)("http", failure)
        except Exception as error:
            raised = error
        assert raised is None
        async with world.client("bert"):
            pass
        world.crash("/infrastructure/invites")
        await trio.sleep(1)
        stream.fails = None
        assert (world.relay.visitors.total, world.relay.metrics.connections_active) == (1, 1)
        assert (await anna.push(1)).cursor == 1
        log.info("room again")
        log.info("and more")
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    at = [line["event"] for line in said].index("room again")
    assert said[at].get("lost") == 6
    assert "lost" not in said[at + 1]


@pytest.mark.parametrize("event", ["connected", "disconnected"])
async def test_a_line_that_fails_leaves_nothing_of_its_connection_behind(autojump_clock, event):
    def fail_at(_, __, said):
        if said["event"] == event:
            raise RuntimeError("planned by the test")
        return str(said)

    log = structlog.wrap_logger(structlog.PrintLogger(io.StringIO()), processors=[fail_at])
    async with memory_relay(log_to=log) as world:
        stream = await world.stream()
        await stream.send_all(UPGRADE)
        assert await stream.receive_some(4096)
        await trio.sleep(1)
        await stream.aclose()
        await trio.sleep(5)
        relay = world.relay
        assert (relay.visitors.total, relay.metrics.connections_active) == (0, 0)


class Secrets:
    """Everything that a busy relay is told, in every form in which it could come out."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.said = set()

    def bytes(self, count):
        made = self.chance.randbytes(count)
        self.keep(made)
        return made

    def keep(self, raw):
        from base64 import b64encode, urlsafe_b64encode

        for form in (raw.hex(), b64encode(raw).decode(), urlsafe_b64encode(raw).decode(), repr(raw)[2:-1]):
            self.said.add(form.rstrip("=")[:24])

    def text(self, length=16):
        made = "".join(self.chance.choices("ABCDEFGHJKMNPQRSTVWXYZ0123456789", k=length))
        self.said.add(made)
        return made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.req("S4-02", "S4-101")
async def test_nothing_that_a_busy_relay_is_told_is_in_its_log(tmp_path, seed):
    secrets = Secrets(seed)
    secrets.said.add(KEY)
    access = {"keys": {"anna": hash_key(KEY).hex()}, "create_groups": "token"}
    log = {"file": str(tmp_path / "log"), "level": "debug", "format": "json"}
    limits = {"messages_per_minute": 60, "connections_per_ip": 5, "invite_posts_per_minute": 3}
    config = write_config(tmp_path, log=log, access=access, limits=limits)
    async with relay_process(config) as relay:
        for turn in range(6):
            await be_busy(relay.port, secrets, turn)
        base = f"http://127.0.0.1:{relay.port}"
        async with httpx.AsyncClient() as http:
            for _ in range(5):
                code, sealed = secrets.text(8), secrets.text(60)
                made = await http.post(f"{base}/invite", json={"lookup_key": code, "encrypted_payload": sealed})
                if made.status_code == 201:
                    secrets.said.add(made.json()["revoke_token"])
                    await http.get(f"{base}/invite/{code}")
                await http.get(f"{base}/{secrets.text()}", headers={"X-Secret": secrets.text()})
        shown = await trio.to_thread.run_sync(run_to_its_end, "status", "--json", "--config", str(config))
        assert await relay.stop() == 0
    written = (tmp_path / "log").read_text()
    assert written.count('"event": "connected"') >= 6
    errors = (tmp_path / "relay.log").read_text()
    for text in (written, errors, shown.stdout):
        assert [secret for secret in secrets.said if secret in text] == []
    assert secrets.said


async def be_busy(port, secrets, turn):
    """A session like many, and like some that go wrong."""
    keys = device(f"{turn} {secrets.text()}")
    secrets.keep(keys.device_id)
    headers = [(b"Authorization", b"Bearer " + (KEY if turn % 3 else secrets.text()).encode())]
    group_id = secrets.bytes(32)
    try:
        async with connect(port, keys, headers=headers) as client:
            await client.say_hello(group_id, device_name=secrets.text())
            if isinstance((await client.receive_frame()).message, Error):
                return
            for number in range(secrets.chance.randrange(10, 90)):
                await client.send(Push(secrets.bytes(16), secrets.bytes(secrets.chance.randrange(12, 200)), 0))
                if number % 9 == 0:
                    await client.send(Delete(blob_id(number)))
                    await client.send(Pull(0, 0, False))
            wrong = [
                lambda: client.send(Ack(10**9)),
                lambda: client.send_plain(secrets.bytes(40)),
                lambda: client.websocket.send_message(secrets.bytes(40)),
                lambda: client.websocket.send_message(secrets.text()),
                lambda: client.send(Hello(1, secrets.text(), secrets.bytes(32), 5)),
            ]
            for _ in range(3):  # three that are malformed end the connection, of the others one does
                await wrong[turn % len(wrong)]()
            with trio.move_on_after(1):  # unless they were too many
                await client.closed()
    except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
        pass
