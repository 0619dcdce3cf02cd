"""The same port with a certificate: TLS 1.3 and nothing older, WebSocket and HTTP inside."""

import ssl

import pytest
import trio

from ferryman.protocol.errors import BadInput
from tests.fakes.certificates import self_signed
from tests.fakes.relay_world import real_relay
from tests.fakes.wire_client import connect_over, device

GROUP = b"a group that is one of bare IDs."


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    self_signed(folder)
    return folder


def server(certificate):
    return {"tls_certificate": str(certificate / "cert.pem"), "tls_key": str(certificate / "key.pem")}


def dressed(stream, certificate, *, newest=None):
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    if newest is not None:
        context.maximum_version = newest
    return trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)


@pytest.mark.req("W1-04")
@pytest.mark.req("S4-18")
async def test_a_relay_with_a_certificate_speaks_tls_1_3(tmp_path, certificate):
    async with real_relay(tmp_path, server=server(certificate)) as world:
        stream = dressed(await world.stream(), certificate)
        async with connect_over(stream, device("anna"), bytes(range(32))) as anna:
            await anna.hello(GROUP)
            assert stream.version() == "TLSv1.3"
            assert (await anna.push(1, bytes(300_000))).cursor == 1
            assert len((await anna.pull(0)).blobs[0].payload) == 300_000


@pytest.mark.req("W1-04")
async def test_http_is_answered_inside_tls_and_plain_bytes_are_not(tmp_path, certificate):
    async with real_relay(tmp_path, server=server(certificate)) as world:
        request = b"GET /health HTTP/1.1\r\nHost: relay\r\n\r\n"
        stream = dressed(await world.stream(), certificate)
        await stream.send_all(request)
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 200 ")
        await trio.aclose_forcefully(stream)
        plain = await world.stream()
        await plain.send_all(request)
        assert b"HTTP" not in await plain.receive_some(4096)
        await plain.aclose()


@pytest.mark.req("W1-04")
async def test_tls_1_2_is_refused(tmp_path, certificate):
    async with real_relay(tmp_path, server=server(certificate)) as world:
        stream = dressed(await world.stream(), certificate, newest=ssl.TLSVersion.TLSv1_2)
        with pytest.raises(trio.BrokenResourceError):
            await stream.do_handshake()
        await trio.aclose_forcefully(stream)


async def test_a_certificate_that_is_none_is_one_line(tmp_path):
    (tmp_path / "cert.pem").write_text("nonsense")
    broken = {"tls_certificate": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    with pytest.raises(BadInput, match=r"cert\.pem: certificate and key cannot be used"):
        async with real_relay(tmp_path, server=broken):
            pass
