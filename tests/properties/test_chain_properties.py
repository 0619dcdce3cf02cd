"""A sender's history under every delivery a relay may think of: each blob at most once, holes and forks found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ferryman.protocol.crypto.sealing import Chain, blob_hash
from ferryman.protocol.sync.chain import (
    ChainView,
    Delivered,
    GapClosed,
    HistoryFork,
    HistoryGap,
    Replayed,
    SenderChain,
    receive,
)
from tests.properties.effort import examples

COUNT = 40


def history(name: str, count: int, *, after: SenderChain | None = None) -> list[tuple[Chain, bytes]]:
    blobs, sender = [], after or SenderChain(b"chain-id")
    for number in range(count):
        sealed = f"{name} {number}".encode()
        blobs.append((sender.next(), blob_hash(sealed)))
        sender = sender.sent(sealed)
    return blobs


BLOBS = history("blob", COUNT)


class Delivery(RuleBasedStateMachine):
    """Blobs of one sender in any order, any number of times, and now and then a forged one."""

    @initialize(first=st.integers(0, COUNT - 1))
    def baseline(self, first: int) -> None:
        self.delivered = {first + 1}
        self.first = self.lowest = first + 1
        chain, sealed_hash = BLOBS[first]
        self.view: ChainView
        self.view, said = receive(None, chain, sealed_hash)
        assert said == (Delivered(),)
        self.open: set[int] = set()

    @rule(number=st.integers(0, COUNT - 1))
    def deliver(self, number: int) -> None:
        chain, sealed_hash = BLOBS[number]
        highest = max(self.delivered)
        self.view, said = receive(self.view, chain, sealed_hash)
        if chain.seq in self.delivered:
            assert said == (Replayed(),)
            return
        assert said[0] == Delivered()
        self.delivered.add(chain.seq)
        gaps = [verdict for verdict in said if isinstance(verdict, HistoryGap)]
        if chain.seq > highest + 1:
            assert gaps == [HistoryGap(highest + 1, chain.seq - 1)]
            self.open |= set(range(highest + 1, chain.seq))
        else:
            assert not gaps
        closed = [verdict for verdict in said if isinstance(verdict, GapClosed)]
        was_open = chain.seq in self.open
        self.open.discard(chain.seq)
        hole_is_gone = was_open and not {chain.seq - 1, chain.seq + 1} & self.open
        assert bool(closed) == hole_is_gone

    @rule(number=st.integers(0, COUNT - 1), other=st.binary(min_size=16, max_size=16))
    def forge(self, number: int, other: bytes) -> None:
        """Other bytes at a place that is known, or beside one: a fork, and nothing of it is taken in."""
        chain, sealed_hash = BLOBS[number]
        if other == sealed_hash or not {chain.seq, chain.seq + 1} & self.delivered:
            return
        before = self.view
        self.view, said = receive(self.view, chain, other)
        assert said == (HistoryFork(chain.seq),)
        assert self.view == before

    @invariant()
    def what_is_missing_is_what_lies_between(self) -> None:
        if hasattr(self, "view"):
            missing = {seq for first, last in self.view.missing for seq in range(first, last + 1)}
            assert missing == self.open == set(range(self.first, max(self.delivered))) - self.delivered


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=examples(60), stateful_step_count=40)


@given(st.permutations(range(COUNT)))
def test_in_whatever_order_all_blobs_come_each_is_delivered_once_and_no_hole_is_left(order):
    view, delivered = None, []
    for number in order:
        view, said = receive(view, *BLOBS[number])
        delivered += [number] * (said[0] == Delivered())
    assert delivered == list(order)
    assert view is not None
    assert view.missing == ()


@given(st.integers(1, COUNT - 1), st.integers(0, 20))
@pytest.mark.req("W6-34")
def test_a_copied_store_is_found_out_by_whoever_sees_both_histories(copied_at, seen_of_the_copy):
    sender = SenderChain(b"chain-id")
    for number in range(copied_at):
        sender = sender.sent(f"blob {number}".encode())
    copy = history("copy", seen_of_the_copy + 1, after=sender)
    view, said = None, ()
    for blob in [*BLOBS, *copy]:
        view, verdicts = receive(view, *blob)
        said += verdicts
    assert any(isinstance(verdict, HistoryFork) for verdict in said)
