"""What a direct invite opens, and what it is worth (wire §7 and §9)."""

from pathlib import Path

import pytest

from ferryman.protocol.sync.invite import read_link
from tests.fakes.sync_world import World, join

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world():
    return World()


@pytest.mark.req("W7-08")
async def test_a_group_has_a_secret_and_an_id_of_its_own_drawn_at_random(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        await join(b)
        one, other = [read_link((await each.sync.create_invite()).link) for each in (a, b)]
        assert len({one.secret, other.secret, bytes(32)}) == 3
        assert one.group_id[:16] != other.group_id[:16]
        assert one.group_id != other.group_id


@pytest.mark.req("W9-27")
def test_the_threat_model_says_what_a_direct_invite_is_worth():
    page = (ROOT / "docs" / "threats.md").read_text()
    for said in (
        "40 bits",
        "50,000 to 170,000 hours of a graphics card, without a deadline",
        "photographs its QR code",
    ):
        assert said in page
