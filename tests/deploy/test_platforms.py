"""fly.toml: one machine that listens where the platform looks, keeps what it must, and knows whose word counts."""

import tomllib

import pytest

from ferryman.supervisors.relay_config import RelayConfig
from tests.fakes.deploying import DEPLOY, ferryman, instructions

FLY = tomllib.loads((DEPLOY / "fly.toml").read_text())


@pytest.mark.req("S4-179")
def test_the_relay_listens_on_the_port_that_the_platform_forwards(tmp_path):
    done = ferryman(
        "relay", "--config", DEPLOY / "container.toml", "--check",
        **FLY["env"], FERRYMAN_RELAY_STORAGE_DATABASE=str(tmp_path / "relay.db"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"listens on 0.0.0.0:{FLY['http_service']['internal_port']}, " in done.stdout


def test_the_image_is_ours_and_what_it_keeps_is_mounted():
    assert (DEPLOY / FLY["build"]["dockerfile"]).is_file()
    assert ("VOLUME", f'["{FLY["mounts"]["destination"]}"]') in instructions(DEPLOY / "Dockerfile")


def test_a_relay_is_one_machine_that_stays_awake():
    service = FLY["http_service"]
    assert service["auto_stop_machines"] == "off"
    assert service["min_machines_running"] == 1
    assert service["force_https"] is True


def test_it_is_asked_for_its_health_and_given_the_time_that_it_takes_to_end():
    defaults = RelayConfig().server
    assert [check["path"] for check in FLY["http_service"]["checks"]] == ["/health"]
    assert FLY["kill_timeout"] > defaults.shutdown_grace
    assert FLY["http_service"]["concurrency"]["hard_limit"] == defaults.max_connections
