"""What the relay says of itself over HTTP: /metrics as a scraper reads it, /health in each of its forms."""

import json
import re
from email.utils import parsedate_to_datetime

import pytest
import trio

from ferryman.actors.relay.metrics import METRICS
from ferryman.actors.simulated.ports import make_simulated_ports
from ferryman.protocol.relay.errors import WireCode
from ferryman.protocol.relay.messages import Ack, Error
from tests.fakes.relay_world import from_source, memory_relay
from tests.integration.relay.test_relay_http import ask

GROUP = b"a group that is one of bare IDs."


def exposed(text):
    """The exposition format read by hand: {name: (kind, {labels: value})}, and every rule that a scraper insists on."""
    families, samples = {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, said = line.removeprefix("# HELP ").partition(" ")
            assert said
            assert name not in families, "a family stands together"
            families[name] = None
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split()
            assert list(families)[-1] == name, "TYPE follows HELP"
            families[name] = (kind, {})
        else:
            sample, value = re.fullmatch(r'([a-z_]+(?:\{[a-z]+="[^"]*"\})?) (\S+)', line).groups()
            family = list(families)[-1]
            assert sample.startswith(family), "samples stand below their family"
            assert sample not in samples
            samples[sample] = float(value)
            families[family][1][sample.removeprefix(family)] = float(value)
    assert text.endswith("\n")
    return families


@pytest.mark.req("S4-131", "S4-135")
@pytest.mark.req("W8-05", "W8-08", "W8-09")
async def test_metrics_are_complete_and_add_up(autojump_clock):
    async with memory_relay() as world, world.client("anna") as anna, world.client("bert") as bert:
        await anna.hello(GROUP)
        await bert.hello(GROUP, inline=100)
        for number in range(20):
            await anna.push(number)
        await anna.send(Ack(99))
        await anna.receive(Error)
        world.crash("/infrastructure/invites")
        await trio.sleep(5)
        families = exposed((await ask(world, "GET", "/metrics"))[2].decode())
    assert list(families) == list(METRICS)
    assert {name: kind for name, (kind, _) in families.items()} == {name: kind for name, (kind, _) in METRICS.items()}
    for name in ("sync_relay_push_seconds", "sync_relay_notify_seconds", "sync_relay_commit_seconds"):
        _, samples = families[name]
        buckets = [value for labels, value in samples.items() if labels.startswith("_bucket")]
        assert buckets == sorted(buckets)
        assert buckets[-1] == samples["_count"] > 0
        assert 0 <= samples["_sum"] < 5
    assert families["sync_relay_push_seconds"][1]["_count"] == 20
    assert families["sync_relay_errors_total"][1]['{code="1000"}'] == 1
    assert set(families["sync_relay_errors_total"][1]) == {f'{{code="{int(code)}"}}' for code in WireCode}
    assert families["sync_relay_actor_restarts_total"][1] == {'{actor="invites"}': 1}
    depths = families["sync_relay_mailbox_depth"][1]
    assert {'{actor="group_router"}', '{actor="connection"}', '{actor="buffer"}'} <= set(depths)
    assert families["sync_relay_blobs_delivered"][1] == {"": 20}
    assert families["sync_relay_connections_active"][1] == {"": 2}


@pytest.mark.parametrize(("state", "status"), [("ok", 200), ("degraded", 503), ("shutting_down", 503)])
@pytest.mark.req("W8-02", "W8-03")
async def test_health_has_a_form_for_each_state_and_figures_for_the_operator_only(autojump_clock, state, status):
    ports = make_simulated_ports(1)
    async with memory_relay(ports) as world:
        world.relay.metrics.degraded = state == "degraded"
        world.relay.metrics.draining = state == "shutting_down"
        answered, head, body = await ask(world, "GET", "/health")
        said = json.loads(body)
        assert parsedate_to_datetime(head["date"]).timestamp() == ports.clock.now(), "for a device to set its clock by"
        assert (answered, said["status"]) == (status, state)
        assert set(said) == {"status", "version", "connections", "groups", "blobs_buffered", "uptime_seconds"}
        elsewhere = from_source(ports, "203.0.113.9").network
        answered, _, body = await ask(world, "GET", "/health", network=elsewhere)
        assert (answered, json.loads(body)) == (status, {"status": state})
