"""An anchor that the key store has damaged, or will not take."""

import pytest

from ferryman.actors.ledger_open import ANCHOR, accept_rollback
from ferryman.protocol.ledger.anchor import parse_anchor
from tests.fakes.ledger_world import LedgerWorld


def test_an_anchor_that_cannot_be_read_is_written_anew_at_the_start():
    world = LedgerWorld()
    with world.opened(tables=()):
        pass
    world.keychain.secrets[ANCHOR] = b"damaged"
    with world.opened(tables=(), clean=False):  # nothing is recorded in it yet: then no anchor is no sign of anything
        saved = world.keychain.secrets[ANCHOR]
    assert len(saved) == 56
    assert parse_anchor(saved).seq == 0


def test_a_rollback_that_the_key_store_cannot_take_is_not_said_to_be_accepted():
    world = LedgerWorld()
    with world.opened() as store:
        world.fill(store)
    world.keychain.fails = OSError("no space left")
    with pytest.raises(Exception, match="no space left"):
        accept_rollback(world.place, world.now)
