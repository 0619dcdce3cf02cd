"""The quick check of an append log says what trying every order of the operations says."""

import math
import time
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman.supervisors.simulation.history import Enqueued, Pulled, Pushed
from ferryman.supervisors.simulation.linear import faults

BLOBS = [bytes([number]) * 16 for number in range(1, 5)]
TIMES = st.integers(0, 8).map(float)


@st.composite
def spans(draw):
    first, second = sorted((draw(TIMES), draw(TIMES)))
    return first, second


@st.composite
def lived(draw):
    """A history of a log that is one: each operation happens at a moment of its span. Then, perhaps, one lie."""
    history, log, cursors = [], [], count(1)
    moments = []
    for blob in BLOBS[: draw(st.integers(0, 4))]:
        began, ended = draw(spans())
        moments.append((draw(st.floats(began, ended)), "push", (blob, began, ended, draw(st.booleans()))))
    for _ in range(draw(st.integers(0, 3))):
        began, ended = draw(spans())
        moments.append((draw(st.floats(began, ended)), "pull", (began, ended, draw(st.integers(0, 2)))))
    for _, kind, rest in sorted(moments, key=lambda one: one[0]):
        if kind == "push":
            blob, began, ended, answered = rest
            cursor = next(cursors)
            log.append((cursor, blob))
            history.append(Enqueued("a", blob, b"", began, began))
            if answered:
                history.append(Pushed("a", blob, cursor, ended))
        else:
            began, ended, after = rest
            entries = tuple(entry for entry in log if entry[0] > after)
            more = draw(st.booleans())
            page = entries[: draw(st.integers(0, len(entries)))] if more else entries
            history.append(Pulled("b", after, page, more, began, ended))
    return history


@st.composite
def told(draw):
    """Anything at all."""
    history = []
    for blob in BLOBS[: draw(st.integers(0, 3))]:
        began, ended = draw(spans())
        history.append(Enqueued("a", blob, b"", began, began))
        if draw(st.booleans()):
            history.append(Pushed("a", blob, draw(st.integers(1, 4)), ended))
    for _ in range(draw(st.integers(0, 3))):
        began, ended = draw(spans())
        entries = draw(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(BLOBS[:3])), max_size=3))
        after = draw(st.integers(0, 2))
        history.append(Pulled("b", after, tuple(sorted(set(entries))), draw(st.booleans()), began, ended))
    return history


def explained(history):
    """Does any order of the operations, each inside its span, make a log that gives these answers?"""
    began = {one.blob_id: one.began for one in history if isinstance(one, Enqueued)}
    places, ends = {}, {}
    for one in history:
        sightings = [(one.cursor, one.blob_id)] if isinstance(one, Pushed) else getattr(one, "entries", ())
        for cursor, blob in sightings:
            if places.setdefault(blob, cursor) != cursor:
                return False
        if isinstance(one, Pushed):
            ends[one.blob_id] = one.at
    if len(set(places.values())) < len(places):
        return False
    pushes = [(began.get(blob, -math.inf), ends.get(blob, math.inf), (places[blob], blob)) for blob in places]
    pulls = [(one.began, one.ended, one) for one in history if isinstance(one, Pulled)]
    return ordered([*pushes, *pulls], ())


def ordered(left, log):
    if not left:
        return True
    for at, (began, _, what) in enumerate(left):
        if any(ended < began for _, ended, _ in left):
            continue  # another one was over before this one began
        rest = left[:at] + left[at + 1 :]
        if isinstance(what, Pulled):
            page = tuple(entry for entry in log if entry[0] > what.after)
            if what.entries != (page[: len(what.entries)] if what.more else page):
                continue
            if ordered(rest, log):
                return True
        elif (not log or what[0] > log[-1][0]) and ordered(rest, (*log, what)):
            return True
    return False


@given(lived())
def test_a_history_of_a_log_is_explained(history):
    assert explained(history)
    assert list(faults(history)) == []


@given(told())
def test_any_history_is_judged_as_trying_every_order_judges_it(history):
    assert (list(faults(history)) == []) == explained(history)


@given(lived(), st.data())
def test_a_lie_in_a_history_is_judged_as_trying_every_order_judges_it(history, data):
    places = [at for at, one in enumerate(history) if not isinstance(one, Enqueued)]
    if places:
        at = data.draw(st.sampled_from(places))
        one = history[at]
        if isinstance(one, Pushed):
            history[at] = Pushed(one.device, one.blob_id, data.draw(st.integers(1, 6)), one.at)
        else:
            began, ended = data.draw(spans())
            drop = data.draw(st.integers(0, 3))
            entries = one.entries[:drop] + one.entries[drop + 1 :]
            history[at] = Pulled(one.device, one.after, entries, one.more, began, ended)
    assert (list(faults(history)) == []) == explained(history)


X, Y = BLOBS[:2]


def push(blob, cursor, began, ended):
    return [Enqueued("a", blob, b"", began, began), Pushed("a", blob, cursor, ended)]


def pull(entries, began, ended, *, after=0, more=False):
    return [Pulled("b", after, tuple(entries), more, began, ended)]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (push(X, 1, 0, 1) + push(Y, 2, 2, 3), ""),
        (push(X, 2, 0, 1) + push(Y, 1, 1, 3), ""),  # they touch: neither is before the other
        (push(X, 2, 0, 1) + push(Y, 1, 2, 3), "begun after cursor 2 was known"),
        (pull([(1, X)], 0, 1) + push(X, 1, 2, 3), "begun after cursor 1 was known"),
        (push(X, 1, 0, 1) + push(Y, 2, 0, 1) + pull([(1, X)], 2, 3, more=True), ""),
        (push(X, 1, 0, 1) + push(Y, 2, 0, 1) + pull([(1, X)], 2, 3), "without 02020202 at 2"),
        (push(X, 1, 0, 1) + pull([], 1, 2), ""),
        (pull([(1, X), (2, Y)], 0, 1) + pull([(2, Y)], 0, 1), "without 01010101 at 1"),
        (push(X, 1, 0, 1) + pull([(1, Y)], 0, 1), "where 01010101 stands"),
        (push(X, 1, 0, 1) + pull([(1, X), (2, X)], 0, 1), "at cursor 1 and at 2"),
        (pull([(2, Y), (1, X)], 0, 1), "which is no order"),
    ],
)
def test_what_is_said_of_a_history(history, said):
    assert explained(history) == (said == "")
    told = list(faults(history))
    assert any(said in one for one in told) if said else told == []


def test_five_thousand_appends_are_judged_in_no_time():
    history = []
    for number in range(1, 5_001):
        blob = number.to_bytes(16, "big")
        history += [Enqueued("a", blob, b"", float(number), float(number)), Pushed("a", blob, number, number + 0.5)]
    begin = time.process_time()
    assert list(faults(history)) == []
    assert time.process_time() - begin < 0.5  # measured: some 10 ms; a check of pairs takes seconds
