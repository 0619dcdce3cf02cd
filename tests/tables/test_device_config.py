"""A device's configuration: defaults, TOML, the environment above it, and one line for what is wrong."""

import pytest

from ferryman.actors.transport import RelayAddress, read_relay_url
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.config import KeysConfig, RuntimeConfig, SyncConfig


def load(tmp_path, text, **environment):
    path = tmp_path / "device.toml"
    path.write_text(text)
    return RuntimeConfig.load(path, environment={"FERRYMAN_HOME": "/home/device", **environment})


@pytest.mark.req("S4-204", "S4-206", "S4-207")
def test_defaults_of_a_connection():
    sync = SyncConfig()
    assert (sync.backend.kind, sync.auto_reconnect, sync.reconnect_delay_ms) == ("relay", True, 1000)


@pytest.mark.req("S4-208", "S4-210")
def test_defaults_of_waiting_and_of_access():
    sync = SyncConfig()
    assert (sync.max_reconnect_delay_ms, sync.api_key, sync.direct_invites) == (30_000, None, False)


@pytest.mark.req("W6-11", "W6-37", "W6-43")
def test_defaults_of_sealing():
    sync = SyncConfig()
    assert (sync.sign_blobs, sync.pad_blobs, sync.compress_blobs, sync.max_blob_size) == (True, True, False, 1_048_576)


@pytest.mark.req("S4-209", "S4-212", "S4-211")
def test_the_environment_comes_before_the_file(tmp_path):
    text = '[sync]\nrelay_url = "ws://file"\ndevice_name = "file"\nlog_level = "info"\n'
    config = load(tmp_path, text, SYNC_RELAY_URL="ws://environment", SYNC_DEVICE_NAME="phone", SYNC_LOG_LEVEL="debug")
    sync = config.sync
    assert (sync.relay_url, sync.device_name, sync.log_level) == ("ws://environment", "phone", "debug")
    assert load(tmp_path, text).sync.relay_url == "ws://file"


@pytest.mark.req("S4-210")
def test_secrets_show_in_no_text(tmp_path):
    config = load(tmp_path, "", SYNC_API_KEY="cn_live_secret", FERRYMAN_PASSPHRASE="correct horse battery")
    assert (config.sync.api_key.get_secret_value(), config.keys.passphrase.get_secret_value()) == (
        "cn_live_secret",
        "correct horse battery",
    )
    assert "secret" not in f"{config!r} {config}".replace("Secret", "")
    assert "horse" not in f"{config!r} {config}"


def test_the_passphrase_comes_from_the_environment_when_it_is_not_given(monkeypatch):
    monkeypatch.setenv("FERRYMAN_PASSPHRASE", "of the environment")
    assert KeysConfig().passphrase.get_secret_value() == "of the environment"
    assert KeysConfig(passphrase=None).passphrase is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sync]\nrelay = 1\n", "sync.relay: there is no such key"),
        ("[sync]\nauto_reconnect = 1\n", "sync.auto_reconnect: Input should be a valid boolean"),
        ('[sync]\nrelay_url = "http://x"\n', "sync.relay_url: 'http://x' is no relay URL"),
        ("[sync]\nmax_blob_size = 10\n", "sync.max_blob_size: Input should be greater"),
        ("sync = 1\n", "sync: Input should be"),
        ("[sync\n", "not a TOML file"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file_and_the_key(tmp_path, text, said):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, text, SYNC_DEVICE_NAME="x")
    assert caught.value.message.startswith(f"{tmp_path}/device.toml: {said}")
    assert "\n" not in caught.value.message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.toml: No such file"):
        RuntimeConfig.load(tmp_path / "none.toml", environment={})


def test_a_home_is_needed():
    with pytest.raises(BadInput, match="the environment: home: is missing"):
        RuntimeConfig.load(environment={})


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("wss://sync.example.com", RelayAddress("sync.example.com", 443, "/", True)),
        ("ws://127.0.0.1:8080", RelayAddress("127.0.0.1", 8080, "/", False)),
        ("ws://[::1]:81/sync", RelayAddress("::1", 81, "/sync", False)),
        ("ws://relay", RelayAddress("relay", 80, "/", False)),
    ],
)
def test_relay_urls(url, address):
    assert read_relay_url(url) == address


@pytest.mark.parametrize("url", ["", "relay", "https://x", "ws://", "ws://u@x", "ws://x?q", "ws://x:99999", "ws://x:p"])
def test_what_is_no_relay_url(url):
    with pytest.raises(BadInput, match="no relay URL"):
        read_relay_url(url)


def test_tables_as_mappings_are_checked_like_a_file():
    assert RuntimeConfig.check({"home": "boat", "keys": {"allow_plain": True}}).keys.allow_plain
    with pytest.raises(BadInput, match=r"^config: sync\.rely_url: "):
        RuntimeConfig.check({"home": "boat", "sync": {"rely_url": "wss://relay.example.org"}})


def test_a_tilde_is_the_users_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert str(RuntimeConfig.check({"home": "~/boat"}).home) == "/home/ada/boat"
    with pytest.raises(BadInput, match=r"^config: home: "):
        RuntimeConfig.check({"home": "~nobody-of-this-name/boat"})
