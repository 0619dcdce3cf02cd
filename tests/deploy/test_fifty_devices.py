"""Fifty devices through a real nginx with the example's own configuration, over TLS, each from a source of its own.

    50 devices --TLS--> nginx.conf of examples/deploy --> its relay.toml, all limits at their defaults

The devices' addresses are those that a network before nginx tells, as a load balancer would: this machine has none but
its own, and those of loopback are nobody's.
"""

import os
import re
import shutil
import socket
import ssl
import subprocess
import tomllib
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import pytest
import trio
from trio_websocket import ConnectionRejected

from tests.fakes.certificates import self_signed
from tests.fakes.child import PATIENCE_SECONDS, child
from tests.fakes.deploying import DEPLOY
from tests.fakes.live_relay import can_be_many_sources
from tests.fakes.relay_process import relay_process, toml
from tests.fakes.wire_client import connect_over, device

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
DEVICES = 50
GROUP = b"a group that is one of bare IDs."

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: apt install nginx-light)")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def relay_config(folder, *, trusted_proxies):
    """The example's relay.toml, with its own place and port, and whom it believes."""
    document = tomllib.loads((DEPLOY / "relay.toml").read_text())
    document["server"] |= {"bind": "127.0.0.1:0", "trusted_proxies": trusted_proxies}
    document["storage"]["database"] = str(folder / "relay.db")
    lines = [
        line
        for table, values in document.items()
        for line in (f"[{table}]", *(f"{key} = {toml(value)}" for key, value in values.items()))
    ]
    path = folder / "relay.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def replaced(text, *changes):
    """The example, with ports and places of this test; each of them has to occur in it once."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, str(new))
    return text


@contextmanager
def nginx(folder, relay_port):
    """The example before a relay on this port. Yields nginx's port and a context that trusts its certificate."""
    certificate, key = self_signed(folder, "sync.example.com")
    port = free_port()
    (folder / "ferryman.conf").write_text(
        replaced(
            (DEPLOY / "nginx.conf").read_text(),
            ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
            ("server 127.0.0.1:8080;", f"server 127.0.0.1:{relay_port};"),
            ("/etc/letsencrypt/live/sync.example.com/fullchain.pem", certificate),
            ("/etc/letsencrypt/live/sync.example.com/privkey.pem", key),
        )
    )
    places = "\n".join(
        f"    {name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        f"events {{ worker_connections 1024; }}\n"
        f"http {{\n    access_log off;\n{places}\n    include {folder}/ferryman.conf;\n}}\n"
    )
    command = [NGINX, "-p", folder, "-c", folder / "nginx.conf"]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert tested.returncode == 0, tested.stderr
    with child(*command, stderr=subprocess.DEVNULL):
        trusted = ssl.create_default_context(cafile=str(certificate))
        yield port, trusted


async def dial(port, own_address="127.0.0.1"):
    """nginx says nowhere that it listens."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            try:
                return await trio.open_tcp_stream("127.0.0.1", port, local_address=own_address)
            except OSError:
                await trio.sleep(0.02)


class Place:
    """A relay behind its proxy."""

    def __init__(self, port, trusted, relay_port):
        self.port = port
        self.trusted = trusted
        self.relay_port = relay_port

    async def stream(self, own_address="127.0.0.1"):
        plain = await dial(self.port, own_address)
        return trio.SSLStream(plain, self.trusted, server_hostname="sync.example.com", https_compatible=True)

    @asynccontextmanager
    async def client(self, number, source, own_address="127.0.0.1"):
        """`source`: what X-Forwarded-For says when it comes to nginx."""
        headers = [(b"X-Forwarded-For", source.encode())]
        stream = await self.stream(own_address)
        async with connect_over(stream, device(f"device {number}"), os.urandom(32), headers=headers) as client:
            yield client

    async def get(self, path, source):
        """Status of a plain request."""
        head = (
            f"GET {path} HTTP/1.1",
            "Host: sync.example.com",
            f"X-Forwarded-For: {source}",
            "Connection: close",
            "",
            "",
        )
        async with await self.stream() as stream:
            await stream.send_all("\r\n".join(head).encode())
            answer = b""
            while piece := await stream.receive_some(65_536):
                answer += piece
        return int(re.match(rb"HTTP/1.1 (\d+)", answer)[1])


@asynccontextmanager
async def place(folder, *, trusted_proxies):
    async with relay_process(relay_config(folder, trusted_proxies=trusted_proxies)) as relay:
        with nginx(folder, relay.port) as (port, trusted):
            yield Place(port, trusted, relay.port)


# 127.0.0.0/8 stands for nginx and the balancer before it: whom they name comes from outside.
BALANCED = ["127.0.0.0/8"]


@pytest.mark.req("S4-178")
async def test_what_fifty_devices_push_through_a_proxy_arrives(tmp_path):
    async with place(tmp_path, trusted_proxies=BALANCED) as behind, AsyncExitStack() as connected:
        clients = []
        for number in range(DEVICES):
            client = await connected.enter_async_context(behind.client(number, f"198.51.100.{number}"))
            await client.hello(GROUP)
            clients.append(client)

        cursors = []

        async def push(number, client):
            cursors.append((await client.push(number, b"from device %d" % number)).cursor)

        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as nursery:
                for number, client in enumerate(clients):
                    nursery.start_soon(push, number, client)
        assert sorted(cursors) == list(range(1, DEVICES + 1))
        page = await clients[0].pull(0, 1000)
        assert sorted(blob.payload for blob in page.blobs) == sorted(b"from device %d" % n for n in range(DEVICES))


async def let_in(behind, sources, own_address="127.0.0.1"):
    """How many connections are let in before one gets HTTP 429, each held until the end."""
    count, answers = 0, []
    async with AsyncExitStack() as connected:
        try:
            for number, source in enumerate(sources):
                await connected.enter_async_context(behind.client(number, source, own_address))
                count += 1
        except* ConnectionRejected as refused:
            answers = [one.status_code for one in refused.exceptions]
    assert answers == [429] * (count < len(sources))
    return count


async def test_the_limit_of_a_source_is_that_of_the_device_s_own_address(tmp_path):
    async with place(tmp_path, trusted_proxies=BALANCED) as behind:
        assert await let_in(behind, ["198.51.100.7"] * 11) == 10
        assert await let_in(behind, ["198.51.100.8"] * 5 + ["198.51.100.9"] * 6) == 11


@pytest.mark.skipif(not can_be_many_sources(), reason="only Linux has all of 127.0.0.0/8")
async def test_an_address_that_a_device_claims_behind_the_proxy_is_not_believed(tmp_path):
    async with place(tmp_path, trusted_proxies=["127.0.0.1/32"]) as behind:
        claims = [f"198.51.100.{number}" for number in range(11)]
        assert await let_in(behind, claims, "127.66.0.1") == 10, "nginx says 127.66.0.1 behind each of them"


async def test_the_proxy_shows_health_and_keeps_figures(tmp_path):
    async with place(tmp_path, trusted_proxies=BALANCED) as behind:
        assert await behind.get("/health", "198.51.100.1") == 200
        assert await behind.get("/metrics", "198.51.100.1") == 404
        assert await behind.get("/metrics", "127.0.0.1") == 404
