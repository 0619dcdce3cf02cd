"""A device and a relay over TLS on real sockets: wss, invites inside TLS, and whose certificate is believed."""

from contextlib import asynccontextmanager

import pytest
import trio

from ferryman.actors.real_ports import make_real_ports
from ferryman.protocol.sync import events
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.relay import open_relay
from ferryman.supervisors.relay_config import RelayConfig
from ferryman.supervisors.runtime import open_runtime
from tests.fakes.certificates import self_signed
from tests.fakes.sync_world import connected, receive, until


@asynccontextmanager
async def tls_relay(folder):
    certificate, key = self_signed(folder)
    server = {"bind": "127.0.0.1:0", "tls_certificate": str(certificate), "tls_key": str(key)}
    config = RelayConfig.model_validate({"server": server, "storage": {"database": str(folder / "relay.db")}})
    async with open_relay(config, make_real_ports()) as relay:
        yield f"wss://localhost:{relay.address[1]}", str(certificate)


def config(home, **sync):
    keys = KeysConfig(passphrase=None, allow_plain=True, use_os_keychain=False)
    return RuntimeConfig(home=home, keys=keys, sync=SyncConfig(device_name=home.name, direct_invites=True, **sync))


@pytest.mark.req("S4-18", "S4-88")
async def test_two_devices_meet_over_tls(tmp_path):
    async with (
        tls_relay(tmp_path) as (url, ca_file),
        open_runtime(config(tmp_path / "a", ca_file=ca_file)) as a,
        open_runtime(config(tmp_path / "b", ca_file=ca_file)) as b,
    ):
        with trio.fail_after(30):
            await a.sync.enable(url)
            await connected(a)
            invite = await a.sync.create_invite()
            await b.sync.join_invite(invite.short_code, url)
            await a.sync.push(bytes(300_000))
            assert await receive(b, 1) == [bytes(300_000)]


async def test_a_certificate_that_nobody_vouches_for_is_not_believed(tmp_path):
    async with tls_relay(tmp_path) as (url, _), open_runtime(config(tmp_path / "a")) as a, a.sync.events() as heard:
        await a.sync.enable(url)
        with trio.fail_after(30):
            await until(lambda: isinstance(a.sync.status(), events.Reconnecting))
            told = [await heard.receive() for _ in range(3)]
    assert any(isinstance(event, events.Error) and "certificate" in event.message for event in told)


async def test_a_certificate_for_another_name_is_not_believed(tmp_path):
    async with tls_relay(tmp_path) as (url, ca_file), open_runtime(config(tmp_path / "a", ca_file=ca_file)) as a:
        await a.sync.enable(url.replace("localhost", "127.0.0.1"))
        with trio.fail_after(30):
            await until(lambda: isinstance(a.sync.status(), events.Reconnecting))
