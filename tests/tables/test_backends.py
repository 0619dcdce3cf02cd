"""The backends of a device's configuration: what each holds, and which come before which."""

import contextlib

import pytest

from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.errors import BackendUnavailable
from ferryman.supervisors.backends import Enterprise, Iroh, Managed, Oidc, Relay
from ferryman.supervisors.config import RuntimeConfig, SyncConfig

ENTERPRISE = """
[sync.backend]
kind = "enterprise"
url = "wss://sync.corp.example"
auth = { issuer = "https://auth.corp.example", client_id = "sync-client" }
"""
OIDC = Oidc(issuer="https://auth.corp.example", client_id="sync-client")


def load(tmp_path, text, **environment):
    path = tmp_path / "ferryman.toml"
    path.write_text(text)
    return RuntimeConfig.load(path, environment={"FERRYMAN_HOME": "/home/device", **environment}).sync


@pytest.mark.parametrize(
    ("text", "backend"),
    [
        ("", Relay()),
        ('[sync]\nbackend = "relay"\n', Relay()),
        ('[sync.backend]\nkind = "relay"\nurl = "ws://own"\n', Relay(url="ws://own")),
        ('[sync.backend]\nkind = "managed"\napi_key = "k"\n', Managed(api_key="k")),
        ('[sync]\nbackend = "iroh"\n', Iroh()),
        (ENTERPRISE, Enterprise(url="wss://sync.corp.example", auth=OIDC)),
    ],
)
@pytest.mark.req("S4-81")
def test_the_file_chooses_a_backend_by_its_name_or_by_a_table(tmp_path, text, backend):
    assert load(tmp_path, text).backend == backend


@pytest.mark.req("S4-182")
@pytest.mark.parametrize(
    "backend", [Relay(), Relay(url="ws://own"), Managed(api_key="k"), Iroh(), Enterprise(url="wss://a", auth=OIDC)]
)
def test_with_any_backend_all_else_has_its_default(backend):
    named, plain = SyncConfig(backend=backend), SyncConfig()
    assert named.backend == backend
    assert named.model_copy(update={"backend": plain.backend}) == plain


@pytest.mark.req("S4-177")
def test_a_backend_without_relays_needs_no_other_setting_and_is_refused_as_not_built(tmp_path):
    sync = load(tmp_path, '[sync]\nbackend = "iroh"\n')
    assert sync == SyncConfig(backend=Iroh())
    with pytest.raises(BackendUnavailable, match='"iroh" is not in this build'):
        sync.access()


@pytest.mark.req("S4-90")
def test_an_enterprise_backend_holds_its_issuer_and_client_and_is_refused_as_not_built(tmp_path):
    sync = load(tmp_path, ENTERPRISE)
    assert (sync.backend.auth.issuer, sync.backend.auth.client_id) == ("https://auth.corp.example", "sync-client")
    with pytest.raises(BackendUnavailable, match='"enterprise" is not in this build'):
        sync.access()


def test_the_keys_beside_the_backend_and_so_the_environment_come_before_its_own(tmp_path):
    text = '[sync.backend]\nkind = "managed"\nurl = "ws://table"\napi_key = "of the table"\n'
    own = load(tmp_path, text).access()
    assert (own.url, own.api_key.get_secret_value()) == ("ws://table", "of the table")
    above = load(tmp_path, text, SYNC_RELAY_URL="ws://above", SYNC_API_KEY="above").access()
    assert (above.url, above.api_key.get_secret_value()) == ("ws://above", "above")
    assert "table" not in repr(own.api_key)


def test_the_key_of_a_managed_relay_may_stand_in_no_file(tmp_path):
    found = None
    with contextlib.suppress(BadInput):
        sync = load(tmp_path, '[sync]\nbackend = "managed"\n', SYNC_RELAY_URL="wss://above", SYNC_API_KEY="above")
        found = sync.access().api_key.get_secret_value()
    assert found == "above"


def test_a_relay_without_any_url_is_one_that_the_call_names():
    assert SyncConfig().access().url is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[sync]\nbackend = "pigeon"\n', "sync.backend: wants one of 'relay', 'managed', 'iroh', 'enterprise'"),
        ('[sync]\nbackend = "managed"\n', 'sync: backend "managed" wants an api_key'),
        ('[sync.backend]\nkind = "relay"\nurl = "http://x"\n', "sync.backend.url: 'http://x' is no relay URL"),
        ('[sync.backend]\nkind = "relay"\ntier = 2\n', "sync.backend.tier: there is no such key"),
        (ENTERPRISE.replace("https:", "http:"), "sync.backend.auth.issuer: "),
        ('[sync]\ndevice_keypair = "01234567890123456789012345678901"\n', "sync.device_keypair: "),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file_and_the_key(tmp_path, text, said):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path}/ferryman.toml: {said}")
    assert "\n" not in caught.value.message
