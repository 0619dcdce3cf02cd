"""A shell in an empty directory, and a relay beside it."""

import logging

import pytest

from tests.fakes.command_line import RelayProcess, Shell


@pytest.fixture
def shell(tmp_path, capfd, monkeypatch):
    log = logging.getLogger("ferryman")
    before = (log.handlers, log.propagate, log.level)
    yield Shell(tmp_path, capfd, monkeypatch)
    log.handlers, log.propagate = before[:2]  # a command sets them for its process
    log.setLevel(before[2])


@pytest.fixture
def relay(tmp_path_factory):
    relay = RelayProcess(tmp_path_factory.mktemp("relay")).start()
    yield relay
    relay.kill()
