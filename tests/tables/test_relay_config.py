"""relay.toml: the defaults of the source, and one line for whatever is wrong."""

import tomllib
from pathlib import Path

import pytest

from ferryman.protocol.errors import BadInput
from ferryman.supervisors.relay_config import RelayConfig, check_relay_config, load_relay_config
from ferryman.supervisors.relay_tables import split_address
from tests.tools.relay_reference import reference

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {
    "server": {"bind": "127.0.0.1:8080", "max_connections": 1000, "allow_plaintext": False, "shutdown_grace": 10},
    "storage": {
        "database": "/data/relay.db",
        "max_blob_size": 1_048_576,
        "max_group_storage": 104_857_600,
        "max_total": 10 * 1024**3,
        "default_ttl": 604_800,
        "synchronous": "extra",
    },
    "cleanup": {"interval": 3600, "vacuum_on_cleanup": True},
    "limits": {
        "messages_per_minute": 100,
        "connections_per_ip": 10,
        "handshakes_per_minute": 60,
        "ingress_bytes_per_minute": 32 * 1024 * 1024,
        "egress_bytes_per_minute": 128 * 1024 * 1024,
        "new_groups_per_hour": 20,
        "max_devices_per_group": 64,
        "invite_posts_per_minute": 5,
        "invite_gets_per_minute": 5,
        "max_invites": 10_000,
    },
}


@pytest.mark.parametrize(
    ("table", "key"),
    [
        pytest.param("server", "bind", marks=pytest.mark.req("S4-194")),
        pytest.param("storage", "database", marks=pytest.mark.req("S4-196")),
        pytest.param("storage", "max_blob_size", marks=pytest.mark.req("S4-197")),
        pytest.param("storage", "max_group_storage", marks=pytest.mark.req("S4-198")),
        pytest.param("storage", "default_ttl", marks=pytest.mark.req("S4-199")),
        pytest.param("cleanup", "interval", marks=pytest.mark.req("S4-200")),
        pytest.param("cleanup", "vacuum_on_cleanup", marks=pytest.mark.req("S4-201")),
        pytest.param("limits", "messages_per_minute", marks=pytest.mark.req("S4-202")),
        pytest.param("limits", "connections_per_ip", marks=pytest.mark.req("S4-203")),
    ],
)
def test_a_key_of_the_source_has_its_default(table, key):
    assert getattr(getattr(RelayConfig(), table), key) == DEFAULTS[table][key]


@pytest.mark.parametrize("table", DEFAULTS)
@pytest.mark.req("W5-113")
def test_an_empty_file_is_the_defaults(table):
    checked = check_relay_config({}, "relay.toml").model_dump()[table]
    assert {key: checked[key] for key in DEFAULTS[table]} == DEFAULTS[table]


WRONG = {
    "an unknown table": ({"sever": {}}, "sever: there is no such key"),
    "an unknown key": ({"limits": {"messages_per_hour": 1}}, "limits.messages_per_hour: there is no such key"),
    "a number as text": ({"server": {"max_connections": "10"}}, "server.max_connections: "),
    "a float": ({"cleanup": {"interval": 1.5}}, "cleanup.interval: "),
    "a truth for a number": ({"cleanup": {"interval": True}}, "cleanup.interval: "),
    "nothing allowed": ({"limits": {"connections_per_ip": 0}}, "limits.connections_per_ip: "),
    "a blob too large": ({"storage": {"max_blob_size": 2**30}}, "storage.max_blob_size: "),
    "another word": ({"storage": {"synchronous": "off"}}, "storage.synchronous: "),
    "no port": ({"server": {"bind": "127.0.0.1"}}, "server.bind: "),
    "a port too high": ({"server": {"bind": "127.0.0.1:65536"}}, "server.bind: "),
    "an IPv6 address without brackets": ({"server": {"bind": "::1:8080"}}, "server.bind: "),
    "no network": ({"server": {"trusted_proxies": ["10.0.0.0/33"]}}, "server.trusted_proxies: "),
    "a certificate without its key": (
        {"server": {"tls_certificate": "cert.pem"}},
        "server: tls_certificate and tls_key",
    ),
    "plaintext for everybody": pytest.param(
        {"server": {"bind": "0.0.0.0:8080"}}, "allow_plaintext", marks=pytest.mark.req("W1-06")
    ),
    "a table that is none": ({"server": 5}, "server: "),
    "keys required and none made": (
        {"server": {"require_key": True}},
        "server.require_key = true without access.keys keeps everybody out",
    ),
}


@pytest.mark.parametrize(("document", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line_with_the_file_and_the_key(document, said):
    with pytest.raises(BadInput) as refused:
        check_relay_config(document, "relay.toml")
    assert refused.value.message.startswith("relay.toml: ")
    assert said in refused.value.message
    assert "\n" not in refused.value.message


def test_more_than_one_mistake_is_counted():
    with pytest.raises(BadInput, match=r"\(and 1 more\)"):
        check_relay_config({"server": {"a": 1, "b": 2}}, "relay.toml")


@pytest.mark.parametrize("text", ["[server", "\x00", "a = "])
def test_a_file_that_is_no_toml_is_one_line(tmp_path, text):
    path = tmp_path / "relay.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match="is not TOML"):
        load_relay_config(path)


def test_a_file_is_read(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text('[server]\nbind = "[::1]:0"\ntrusted_proxies = ["10.0.0.0/8"]\n[limits]\nmessages_per_minute = 7\n')
    config = load_relay_config(path)
    assert config.address == ("::1", 0)
    assert config.settings().messages_per_minute == 7
    assert str(config.settings().trusted_proxies[0]) == "10.0.0.0/8"


@pytest.mark.req("W1-05")
@pytest.mark.parametrize("bind", ["127.0.0.1:1", "[::1]:1", "localhost:1"])
def test_plaintext_on_loopback_needs_no_word(bind):
    check_relay_config({"server": {"bind": bind}}, "relay.toml")


@pytest.mark.req("W1-06")
def test_plaintext_elsewhere_is_a_choice():
    check_relay_config({"server": {"bind": "0.0.0.0:80", "allow_plaintext": True}}, "relay.toml")


@pytest.mark.parametrize(("bind", "address"), [("a:1", ("a", 1)), ("[fe80::1]:443", ("fe80::1", 443))])
def test_an_address_is_split(bind, address):
    assert split_address(bind) == address


ENVIRONMENT = {
    "a word": ({"FERRYMAN_RELAY_SERVER_BIND": "[::1]:5"}, "server", "bind", "[::1]:5"),
    "a number": ({"FERRYMAN_RELAY_LIMITS_MAX_INVITES": "7"}, "limits", "max_invites", 7),
    "a truth": ({"FERRYMAN_RELAY_CLEANUP_VACUUM_ON_CLEANUP": "false"}, "cleanup", "vacuum_on_cleanup", False),
    "a list": (
        {"FERRYMAN_RELAY_SERVER_METRICS_ALLOW": "10.0.0.0/8, ::1"},
        "server",
        "metrics_allow",
        ("10.0.0.0/8", "::1"),
    ),
    "no list": ({"FERRYMAN_RELAY_SERVER_METRICS_ALLOW": ""}, "server", "metrics_allow", ()),
    "a choice": ({"FERRYMAN_RELAY_LOG_LEVEL": "debug"}, "log", "level", "debug"),
    "a platform's port": ({"PORT": "99"}, "server", "bind", "127.0.0.1:99"),
    "a bind over a platform's port": (
        {"PORT": "99", "FERRYMAN_RELAY_SERVER_BIND": "localhost:5"},
        "server",
        "bind",
        "localhost:5",
    ),
}


@pytest.mark.req("S4-179")
@pytest.mark.parametrize(("environment", "table", "key", "value"), ENVIRONMENT.values(), ids=ENVIRONMENT)
def test_the_environment_is_over_the_file(tmp_path, environment, table, key, value):
    path = tmp_path / "relay.toml"
    path.write_text('[server]\nbind = "127.0.0.1:1"\n[limits]\nmax_invites = 3\n')
    config = load_relay_config(path, environment=environment)
    assert getattr(getattr(config, table), key) == value


def test_the_platforms_port_keeps_the_address_of_the_file(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text('[server]\nbind = "0.0.0.0:1"\nallow_plaintext = true\n')
    assert load_relay_config(path, environment={"PORT": "99"}).server.bind == "0.0.0.0:99"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"FERRYMAN_RELAY_SERVER_BNID": "x"}, "environment: FERRYMAN_RELAY_SERVER_BNID: there is no key server.bnid"),
        ({"FERRYMAN_RELAY_LIMITS_MAX_INVITES": "many"}, "environment: limits.max_invites: "),
        ({"FERRYMAN_RELAY_CLEANUP_VACUUM_ON_CLEANUP": "yes"}, "environment: cleanup.vacuum_on_cleanup: "),
        ({"FERRYMAN_RELAY_ACCESS_KEYS": "x"}, "environment: FERRYMAN_RELAY_ACCESS_KEYS: access.keys is a table"),
        ({"PORT": "http"}, "environment: PORT: wants a number from 0 to 65535, got 'http'"),
        ({"PORT": "65536"}, "environment: PORT: "),
    ],
)
def test_a_wrong_variable_is_one_line_with_its_name_or_key(environment, said):
    with pytest.raises(BadInput) as refused:
        load_relay_config(None, environment=environment)
    assert refused.value.message.startswith(said)


def test_a_mistake_in_the_file_is_looked_for_there_whatever_else_is_said(tmp_path):
    path = tmp_path / "relay.toml"
    path.write_text("[limits]\nmax_invites = 0\n")
    with pytest.raises(BadInput, match=r"relay\.toml: limits\.max_invites"):
        load_relay_config(path, environment={"PORT": "5"}, over={"server": {"bind": "127.0.0.1:0"}})


def test_a_mistake_in_the_environment_is_not_the_command_lines():
    wrong = {"FERRYMAN_RELAY_LIMITS_MAX_INVITES": "many"}
    with pytest.raises(BadInput, match=r"^environment: limits\.max_invites"):
        load_relay_config(None, environment=wrong, over={"server": {"bind": "127.0.0.1:0"}})


def test_a_mistake_on_the_command_line_is_called_one():
    with pytest.raises(BadInput, match=r"^command line: server\.bind"):
        load_relay_config(None, environment={"PORT": "5"}, over={"server": {"bind": "here"}})


def test_a_key_in_place_of_its_hash_is_not_shown():
    with pytest.raises(BadInput) as refused:
        check_relay_config({"access": {"keys": {"anna": "fr_the_key_itself"}}}, "relay.toml")
    assert refused.value.message == (
        "relay.toml: access.keys.anna: wants the hash that `ferryman relay key` prints, 64 hexadecimal digits"
    )


def test_the_example_has_every_key_with_its_default_and_what_it_settles():
    assert (ROOT / "examples" / "relay.toml").read_text() == reference()
    assert check_relay_config(tomllib.loads(reference()), "example") == RelayConfig()
