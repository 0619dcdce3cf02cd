"""What an invite opens, and what is refused until its room exists (wire §7 and §9)."""

from dataclasses import replace
from pathlib import Path

import pytest

from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.invite import read_link
from tests.fakes.sync_world import World, join

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world():
    return World()


@pytest.mark.req("W9-28")
async def test_an_invite_into_a_room_of_its_own_is_refused_and_joins_nobody(autojump_clock, world):
    async with world.relay(), world.device("a") as a, world.device("b") as b:
        await join(a)
        direct = read_link((await a.sync.create_invite()).link)
        assert not direct.bootstrap
        with pytest.raises(BadInput, match="asks for an approval, which this version cannot do"):
            await b.sync.join_invite(replace(direct, bootstrap=True).link())
        assert b.sync.last_cursor() == 0
        await b.sync.join_invite(direct.link())
        assert (await a.sync.push(b"for b")).cursor > 0


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
