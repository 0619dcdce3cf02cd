"""A shell in an empty directory, and a relay beside it."""

import pytest

from tests.fakes.command_line import RelayProcess, Shell


@pytest.fixture
def shell(tmp_path, capfd, monkeypatch):
    return Shell(tmp_path, capfd, monkeypatch)


@pytest.fixture
def relay(tmp_path_factory):
    relay = RelayProcess(tmp_path_factory.mktemp("relay")).start()
    yield relay
    relay.kill()
