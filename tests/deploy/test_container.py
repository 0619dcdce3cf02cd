"""The image: built from files that are there, run by nobody's user, healthy when the relay says so."""

import fnmatch
import json
import shlex
import subprocess
import sys
import tomllib

import pytest

from tests.fakes.child import PATIENCE_SECONDS
from tests.fakes.deploying import DEPLOY, ROOT, ferryman, instructions
from tests.fakes.relay_process import relay_process, write_config

DOCKERFILE = instructions(DEPLOY / "Dockerfile")
CONTAINER = tomllib.loads((DEPLOY / "container.toml").read_text())
PROGRAM = "/opt/ferryman/bin/ferryman"


def said(name):
    return [arguments for instruction, arguments in DOCKERFILE if instruction == name]


def last_stage():
    begin = max(number for number, (name, _) in enumerate(DOCKERFILE) if name == "FROM")
    return DOCKERFILE[begin:]


def copied():
    """What comes out of the project, not out of another stage."""
    for arguments in said("COPY"):
        *sources, _ = arguments.split()
        if not arguments.startswith("--from="):
            yield from sources


def test_the_image_is_built_of_files_that_are_there_and_that_reach_the_builder():
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = [rule.removeprefix("!").rstrip("/") for rule in rules if rule.startswith("!")]
    assert "*" in rules, "what is not named stays out: no history, no key that lies about"
    sources = [source.rstrip("/") for source in copied()]
    assert sorted(sources) == sorted(let_in)
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_what_the_wheel_is_made_of_is_in_the_image():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    needed = [*wheel, project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml"]
    sources = [source.rstrip("/") for source in copied()]
    assert [
        file for file in needed if not any(file == source or file.startswith(f"{source}/") for source in sources)
    ] == []


def test_the_relay_in_the_image_is_not_root_and_owns_its_data():
    stage = last_stage()
    [user] = [arguments for name, arguments in stage if name == "USER"]
    [made] = [arguments for name, arguments in stage if name == "RUN"]
    number, _, group = user.partition(":")
    assert int(number) > 0
    assert int(group) > 0
    assert f"useradd --uid {number} " in made
    assert f"groupadd --gid {group} " in made
    assert "--owner=ferryman --group=ferryman --mode=0700 /data" in made
    order = [name for name, _ in stage]
    assert order.index("RUN") < order.index("USER") < order.index("ENTRYPOINT")


def test_what_the_relay_keeps_is_on_the_volume():
    assert said("VOLUME") == ['["/data"]']
    assert CONTAINER["storage"]["database"].startswith("/data/")


@pytest.mark.req("S4-178")
def test_the_image_starts_a_relay_on_the_port_that_it_exposes(tmp_path):
    """The entry point with its arguments, as Docker puts them together; only the two places are those of the test."""
    command = [*json.loads(said("ENTRYPOINT")[0]), *json.loads(said("CMD")[0])]
    assert command[0] == PROGRAM
    assert "/etc/ferryman/relay.toml" in command
    assert "examples/deploy/container.toml /etc/ferryman/relay.toml" in said("COPY")
    here = [str(DEPLOY / "container.toml") if word == "/etc/ferryman/relay.toml" else word for word in command[1:]]
    done = ferryman(*here, "--check", FERRYMAN_RELAY_STORAGE_DATABASE=str(tmp_path / "relay.db"))
    assert (done.returncode, done.stderr) == (0, "")
    [port] = said("EXPOSE")
    assert f"listens on 0.0.0.0:{port}, without TLS: a proxy has to end it\n" in done.stdout


@pytest.mark.req("S4-179")
def test_a_platform_gives_the_container_its_port(tmp_path):
    here = ("relay", "--config", DEPLOY / "container.toml", "--check")
    done = ferryman(*here, PORT="4711", FERRYMAN_RELAY_STORAGE_DATABASE=str(tmp_path / "relay.db"))
    assert done.returncode == 0, done.stderr
    assert "listens on 0.0.0.0:4711, " in done.stdout


def health_check(config):
    """The image's own health check, on another configuration."""
    [arguments] = said("HEALTHCHECK")
    _, _, command = arguments.partition(" CMD ")
    ours = command.replace(PROGRAM, f"{shlex.quote(sys.executable)} -m ferryman")
    assert ours != command
    return subprocess.run(
        ["sh", "-c", ours.replace("/etc/ferryman/relay.toml", shlex.quote(str(config)))],
        capture_output=True, timeout=PATIENCE_SECONDS, check=False,
    ).returncode  # fmt: skip


async def test_the_health_check_is_the_relay_s_own_word(tmp_path):
    config = write_config(tmp_path)
    assert health_check(config) == 1, "nobody is there"
    async with relay_process(config):
        assert health_check(config) == 0


def test_no_secret_reaches_the_builder():
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    kept = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for secret in ("relay.db.key", ".env", "relay.toml", ".git/config", "examples/deploy/relay.toml"):
        assert not any(fnmatch.fnmatch(secret, rule) or secret.startswith(rule) for rule in kept)
