"""The relay that all attacks of this folder are let loose on, one after the other."""

import pytest

from tests.fakes.live_relay import LiveRelay, can_be_many_sources


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    """One process for all of them: what one attack leaves behind, the next ones find."""
    if not can_be_many_sources():
        pytest.skip("needs Linux: many loopback addresses, and /proc to measure by")
    with LiveRelay.started(tmp_path_factory.mktemp("attacked")) as relay:
        yield relay


@pytest.fixture
async def relay(target):
    """The relay, and afterwards the proof that it took no harm."""
    if target.baseline == (0, 0):
        await target.warm_up()
    yield target
    await target.unharmed()
