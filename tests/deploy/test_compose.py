"""compose.yaml: its files are there, its addresses fit each other, and the relay believes who stands before it."""

import ipaddress
import json
import re
import shutil
import subprocess

import pytest
import yaml

from ferryman.supervisors.relay_config import RelayConfig
from tests.fakes.deploying import DEPLOY, ferryman, instructions

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
RELAY = SERVICES["relay"]
NETWORK = ipaddress.ip_network(COMPOSE["networks"]["relay"]["ipam"]["config"][0]["subnet"])


def address(service):
    return ipaddress.ip_address(SERVICES[service]["networks"]["relay"]["ipv4_address"])


def networks(key):
    return [ipaddress.ip_network(text) for text in RELAY["environment"][key].split(",")]


def test_the_files_that_it_names_are_there():
    build = RELAY["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_what_the_image_keeps_is_on_a_volume_and_nothing_else_is_written():
    [volumes] = [json.loads(said) for name, said in instructions(DEPLOY / "Dockerfile") if name == "VOLUME"]
    assert [volume.partition(":")[2] for volume in RELAY["volumes"]] == volumes
    assert RELAY["read_only"] is True
    assert RELAY["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in RELAY["security_opt"]


def test_the_relay_is_reached_by_no_other_way_than_through_what_stands_before_it():
    assert "ports" not in RELAY
    doors = [name for name, service in SERVICES.items() if "ports" in service]
    assert doors == ["caddy", "prometheus"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["prometheus"]["ports"])


def test_each_way_in_is_a_profile_and_waits_for_a_healthy_relay():
    assert {name: service.get("profiles") for name, service in SERVICES.items()} == {
        "relay": None, "caddy": ["proxy"], "tunnel": ["tunnel"], "prometheus": ["metrics"],
    }  # fmt: skip
    for name in ("caddy", "tunnel"):
        assert SERVICES[name]["depends_on"] == {"relay": {"condition": "service_healthy"}}


def test_the_relay_believes_the_proxy_and_the_tunnel_about_addresses_and_nobody_else():
    assert networks("FERRYMAN_RELAY_SERVER_TRUSTED_PROXIES") == [
        ipaddress.ip_network(address(name)) for name in ("caddy", "tunnel")
    ]
    assert ipaddress.ip_network(address("prometheus")) in networks("FERRYMAN_RELAY_SERVER_METRICS_ALLOW")
    assert not any(address("caddy") in network for network in networks("FERRYMAN_RELAY_SERVER_METRICS_ALLOW"))
    taken = [address(name) for name in SERVICES]
    assert len(set(taken)) == len(taken)
    assert all(one in NETWORK for one in taken)


@pytest.mark.req("S4-178")
def test_the_relay_starts_with_the_environment_that_it_gets(tmp_path):
    done = ferryman(
        "relay", "--config", DEPLOY / "container.toml", "--check",
        **RELAY["environment"], FERRYMAN_RELAY_STORAGE_DATABASE=str(tmp_path / "relay.db"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "server.trusted_proxies" in done.stdout


def test_what_stands_before_the_relay_finds_it_by_its_name_and_port():
    [port] = [said for name, said in instructions(DEPLOY / "Dockerfile") if name == "EXPOSE"]
    assert SERVICES["caddy"]["environment"]["RELAY_ADDRESS"] == f"relay:{port}"
    assert f"http://relay:{port}" in (DEPLOY / "compose.yaml").read_text()
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": [f"relay:{port}"]}]


def test_it_holds_no_secret():
    assert SERVICES["tunnel"]["environment"] == {"TUNNEL_TOKEN": "${TUNNEL_TOKEN:-}"}
    assert set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text())) == {"SYNC_DOMAIN", "TUNNEL_TOKEN"}


def test_a_stop_is_given_the_time_that_the_relay_takes():
    assert int(RELAY["stop_grace_period"].removesuffix("s")) > RelayConfig().server.shutdown_grace


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed (Debian: apt install caddy)")
def test_caddy_accepts_the_caddyfile():
    adapted = subprocess.run(
        ["caddy", "adapt", "--config", DEPLOY / "Caddyfile", "--adapter", "caddyfile"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert adapted.returncode == 0, adapted.stderr
    assert '"dial":"127.0.0.1:8080"' in adapted.stdout
    assert "sync.example.com" in adapted.stdout
