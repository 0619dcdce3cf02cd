"""What most tests of a relay begin with: one in memory, on a mock clock, and a group of members who prove it."""

import pytest

from ferryman.protocol.crypto.keys import derive_group
from tests.fakes.relay_world import memory_relay


@pytest.fixture(scope="session")
def keys():
    return derive_group(b"s" * 32, b"salt of sixteen.")


@pytest.fixture
async def world():
    async with memory_relay() as world:
        yield world
