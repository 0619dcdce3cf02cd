"""A device's backend and its keys, from the configuration to a connection."""

import pytest
import trio
from pydantic import ValidationError

from ferryman.actors.relay.access import hash_key, new_key
from ferryman.protocol.crypto.keys import DeviceKeys
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.errors import BackendUnavailable
from ferryman.protocol.sync.events import Connected, Reconnecting
from ferryman.supervisors.backends import Enterprise, Iroh, Managed, Oidc, Relay
from ferryman.supervisors.client import SyncClient
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig
from ferryman.supervisors.runtime import open_runtime
from tests.fakes.certificates import self_signed
from tests.fakes.relay_world import real_relay
from tests.fakes.sync_world import World, connected, until

KEY = new_key(bytes(range(32)))
SEED, OTHER = bytes(range(32)), bytes(range(1, 33))
ENTERPRISE = Enterprise(url="wss://relay.example", auth=Oidc(issuer="https://auth.example", client_id="sync"))


def config(home, passphrase=None, **sync):
    keys = KeysConfig(passphrase=passphrase, allow_plain=passphrase is None, use_os_keychain=False)
    return RuntimeConfig(home=home, keys=keys, sync=SyncConfig(**sync))


@pytest.mark.req("S4-31")
async def test_a_second_launch_loads_the_key_pair_that_the_first_made(tmp_path):
    launches = []
    for _ in range(2):
        async with open_runtime(config(tmp_path / "device", passphrase="aye")) as runtime:
            launches.append(runtime.sync.device_id())
    async with open_runtime(config(tmp_path / "another", passphrase="aye")) as runtime:
        another = runtime.sync.device_id()
    assert launches[0] == launches[1] != another
    assert b'"sealed"' in (tmp_path / "device/keys/store.json").read_bytes()


@pytest.mark.req("S4-82")
async def test_a_given_key_pair_is_the_devices_from_then_on_and_no_other_is_taken(tmp_path):
    mine = DeviceKeys.from_seed(SEED).device_id
    async with open_runtime(config(tmp_path / "device", device_keypair=SEED)) as runtime:
        assert runtime.sync.device_id() == mine
    async with open_runtime(config(tmp_path / "device")) as runtime:
        assert runtime.sync.device_id() == mine, "it is in the store"
    with pytest.raises(BadInput, match="a device with other keys than"):
        async with open_runtime(config(tmp_path / "device", device_keypair=OTHER)):
            pass


def test_a_key_pair_is_32_bytes_and_in_no_text():
    with pytest.raises(ValidationError):
        SyncConfig(device_keypair=SEED[1:])
    assert repr(SEED)[2:-1] not in repr(SyncConfig(device_keypair=SEED))


async def test_the_backends_url_is_where_the_device_connects(autojump_clock):
    world = World()
    async with world.relay(), world.device("a", backend=Relay(url=world.url)) as device:
        await device.sync.enable()
        await connected(device)


async def test_a_managed_backend_shows_its_key_to_the_relay(tmp_path):
    certificate, key = self_signed(tmp_path)
    server = {"tls_certificate": str(certificate), "tls_key": str(key), "require_key": True}
    async with real_relay(tmp_path, server=server, access={"keys": {"anna": hash_key(KEY).hex()}}) as world:
        backend = Managed(url=f"wss://localhost:{world.port}", api_key=KEY)
        async with open_runtime(config(tmp_path / "device", backend=backend, ca_file=str(certificate))) as runtime:
            await runtime.sync.enable()
            with trio.fail_after(20):
                await until(lambda: isinstance(runtime.sync.status(), Connected | Reconnecting))
            assert isinstance(runtime.sync.status(), Connected)


@pytest.mark.parametrize("backend", [Iroh(), ENTERPRISE], ids=["iroh", "enterprise"])
@pytest.mark.req("S4-87")
async def test_a_backend_that_is_not_built_is_one_error_and_makes_no_device(tmp_path, backend):
    chosen = config(tmp_path / "device", backend=backend, relay_url="wss://relay.example")
    for device in (open_runtime(chosen), SyncClient(chosen)):
        with pytest.raises(BackendUnavailable) as refused:
            async with device:
                pass
        assert (refused.value.code, refused.value.kind) == ("BACKEND_UNAVAILABLE", backend.kind)
    assert not (tmp_path / "device").exists()
