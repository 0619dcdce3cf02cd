"""What a client has on record: nobody is told of what is not."""

from types import SimpleNamespace

import pytest

from ferryman.actors.client_records import ClientRecords
from ferryman.protocol.errors import LocalProtocolError
from ferryman.protocol.machine import Refused
from ferryman.protocol.sync.inbox import Take


class At:
    """A recorder whose actor answers at once, and always the same."""

    def __init__(self, answer):
        self.answer = answer

    def record(self, _, __, done):
        done(self.answer)


@pytest.fixture
def told():
    return []


def records(answer, told):
    near = SimpleNamespace(inbox="/inbox", outbox="/outbox", group="/group")
    world = SimpleNamespace(neighbours=near, ports=SimpleNamespace(ids=SimpleNamespace(new_id=lambda: bytes(16))))
    made = ClientRecords(
        SimpleNamespace(ref=lambda path: path), world, lambda run, through: told.append((run, through))
    )
    made._taken = At(answer)
    return made


TAKE = Take(b"g" * 32, 3, (7,), ())


def test_a_take_is_answered_when_it_is_on_record(told):
    records(7, told).take(TAKE, lambda: told.append("on record"))
    assert told == [(3, 7), "on record"]


def test_a_take_that_is_refused_is_not_answered_as_if_it_were_on_record(told):
    with pytest.raises(LocalProtocolError):
        records(Refused("NO", "no"), told).take(TAKE, lambda: told.append("on record"))
    assert told == []
