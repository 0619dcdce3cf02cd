"""A sender's history at its receiver, a row of the table each."""

from __future__ import annotations

import pytest

from ferryman.protocol.crypto.sealing import Chain, blob_hash
from ferryman.protocol.sync.chain import (
    MAX_GAPS,
    WINDOW,
    ChainView,
    Delivered,
    GapClosed,
    HistoryFork,
    HistoryGap,
    Replayed,
    SenderChain,
    receive,
)

ID = b"chain-id"


def history(count: int, *, fork_at: int = 0) -> dict[int, tuple[Chain, bytes]]:
    """The blobs of one sender by seq; from `fork_at` on, those of a copy of its store that went another way."""
    blobs, sender = {}, SenderChain(ID)
    for seq in range(1, count + 1):
        sealed = f"blob {seq}{' of the copy' if fork_at and seq >= fork_at else ''}".encode()
        blobs[seq] = (sender.next(), blob_hash(sealed))
        sender = sender.sent(sealed)
    return blobs


BLOBS = history(WINDOW * 2)
COPY = history(20, fork_at=5)


def received(*seqs: int | tuple[Chain, bytes]) -> tuple[ChainView | None, list[tuple]]:
    view, said = None, []
    for item in seqs:
        chain, sealed_hash = BLOBS[item] if isinstance(item, int) else item
        view, verdicts = receive(view, chain, sealed_hash)
        said.append(verdicts)
    return view, said


NEW, AGAIN = (Delivered(),), (Replayed(),)
ROWS = [
    ("in order", (1, 2, 3), [NEW, NEW, NEW]),
    ("the baseline may be anywhere", (7, 8), [NEW, NEW]),
    ("a replay", (1, 2, 1, 2), [NEW, NEW, AGAIN, AGAIN]),
    ("a gap", (1, 4), [NEW, (Delivered(), HistoryGap(2, 3))]),
    (
        "a gap closed from below",
        (1, 4, 2, 3),
        [NEW, (Delivered(), HistoryGap(2, 3)), NEW, (Delivered(), GapClosed(3, 3))],
    ),
    (
        "a gap closed from above",
        (1, 4, 3, 2),
        [NEW, (Delivered(), HistoryGap(2, 3)), NEW, (Delivered(), GapClosed(2, 2))],
    ),
    (
        "a gap filled in its middle",
        (1, 5, 3, 2, 4),
        [NEW, (Delivered(), HistoryGap(2, 4)), NEW, (Delivered(), GapClosed(2, 2)), (Delivered(), GapClosed(4, 4))],
    ),
    ("two gaps", (1, 3, 5), [NEW, (Delivered(), HistoryGap(2, 2)), (Delivered(), HistoryGap(4, 4))]),
    ("before the baseline is no gap", (7, 5, 6, 5), [NEW, NEW, NEW, AGAIN]),
    ("a fork: the same seq with other bytes", (4, 5, COPY[5]), [NEW, NEW, (HistoryFork(5),)]),
    ("a fork: the next names another before it", (4, 5, COPY[6]), [NEW, NEW, (HistoryFork(6),)]),
    (
        "a fork: the one before is not what the next names",
        (4, 6, COPY[5]),
        [NEW, (Delivered(), HistoryGap(5, 5)), (HistoryFork(5),)],
    ),
    ("after a fork the known history goes on", (4, 5, COPY[5], 6), [NEW, NEW, (HistoryFork(5),), NEW]),
    ("just inside the window", (1, WINDOW, 1), [NEW, (Delivered(), HistoryGap(2, WINDOW - 1)), AGAIN]),
    ("out of the window and not missing", (1, WINDOW + 1, 1), [NEW, (Delivered(), HistoryGap(2, WINDOW)), AGAIN]),
    (
        "out of the window and missing",
        (1, WINDOW + 9, 2),
        [NEW, (Delivered(), HistoryGap(2, WINDOW + 8)), NEW],
    ),
    ("before the baseline and out of the window", (WINDOW + 9, 5, 6), [NEW, NEW, NEW]),
]


@pytest.mark.parametrize(("name", "seqs", "expected"), ROWS, ids=[row[0] for row in ROWS])
@pytest.mark.req("W6-20", "W6-21", "W6-22")
def test_row(name, seqs, expected):
    assert received(*seqs)[1] == expected


def test_what_was_missing_and_came_late_is_a_replay_the_second_time():
    assert received(1, WINDOW + 9, 2, 2)[1][2:] == [NEW, AGAIN]


@pytest.mark.req("W6-19")
def test_a_view_keeps_a_window_and_no_more():
    assert WINDOW == 1_024
    view, said = received(*range(1, WINDOW + 100))
    assert view is not None
    assert said == [NEW] * (WINDOW + 99)
    assert (len(view.window), view.window[0].seq, view.last, view.baseline) == (WINDOW, 100, WINDOW + 99, 1)


def test_holes_are_remembered_up_to_a_bound():
    view, _ = received(*range(1, 2 * MAX_GAPS + 4, 2))
    assert view is not None
    assert len(view.missing) == MAX_GAPS
    assert view.missing[-1] == (2 * MAX_GAPS + 2, 2 * MAX_GAPS + 2)


def test_what_lies_in_a_hole_is_never_a_replay_however_many_holes_there_are():
    odd = range(1, WINDOW + 10, 2)
    view, _ = received(*odd)
    for seq in range(2, WINDOW, 2):
        view, verdicts = receive(view, *BLOBS[seq])
        assert Delivered() in verdicts, seq


@pytest.mark.req("W6-24")
def test_a_late_joiner_is_given_all_that_lies_before_the_first_it_saw():
    """Its first is the newest, a checkpoint say; it restarts, and the relay gives it the rest from the beginning."""
    seqs = (WINDOW + 90, *range(1, WINDOW + 90))
    assert {verdicts[0] for verdicts in received(*seqs)[1]} == {Delivered()}


@pytest.mark.req("W6-13", "W6-15")
def test_a_sender_counts_from_1_and_names_the_blob_before():
    sender = SenderChain(ID)
    assert sender.next() == Chain(ID, 1, bytes(16))
    assert sender.sent(b"first").next() == Chain(ID, 2, blob_hash(b"first"))
