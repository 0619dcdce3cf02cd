"""Records that earlier versions wrote are read by this one: an upgrade makes no home unreadable."""

import json
from pathlib import Path

import pytest

from ferryman.protocol.errors import AppError
from ferryman.protocol.ledger.codec import BodyCodec, recorded_types, split_body
from ferryman.protocol.sync.group import Group
from ferryman.protocol.sync.inbox import Inbox, InboxState
from ferryman.protocol.sync.outbox import Outbox
from ferryman.protocol.sync.room import Rooms

ERAS = json.loads((Path(__file__).parent / "records.json").read_text())["eras"]
MACHINES = {"inbox": Inbox(), "outbox": Outbox(), "group": Group(), "rooms": Rooms()}
CASES = [pytest.param(name, era[name], id=f"{name}, {era['era']}") for era in ERAS for name in MACHINES if name in era]


def read(body: str) -> tuple[tuple[object, ...], object] | str:
    """Events and reply, or why it cannot be read."""
    try:
        return BodyCodec(bytes, bytes).decode(bytes.fromhex(body))
    except AppError as unreadable:
        return str(unreadable)


@pytest.mark.parametrize(("name", "written"), CASES)
def test_what_any_version_wrote_leads_to_the_state_that_it_led_to(name, written):
    found = [read(body) for body in (*written["bodies"], written["state"])]
    assert [each for each in found if isinstance(each, str)] == []
    *records, (_, then) = found
    state = MACHINES[name].initial
    for events, _ in records:
        for event in events:
            state = MACHINES[name].evolve(state, event)
    assert shown(state) == shown(then)


def shown(state: object) -> object:
    """Of an inbox, what counts: how blobs seen are divided into `recent` and `newest` is no truth."""
    if not isinstance(state, InboxState):
        return state
    return [
        (
            group_id,
            (position.incarnation, position.run, position.through, position.above),
            (position.unmarked, position.unmarked_since, position.unmarked_at, position.checkpoints),
            [(key, view.baseline, view.window, view.missing) for key, view in position.chains.items()],
        )
        for group_id, position in state.positions.items()
    ]


def names_in(body: str) -> set[str]:
    events, reply = split_body(bytes.fromhex(body))
    return {name for name, _ in (*events, reply)}


def test_every_type_that_is_recorded_is_among_them():
    streams = [era[name] for era in ERAS for name in MACHINES if name in era]
    written = [body for stream in streams for body in (*stream["bodies"], stream["state"])]
    known = {name for name in recorded_types() if name.split(".")[0] in MACHINES}
    assert known - set().union(*map(names_in, written)) == set()


@pytest.mark.parametrize(
    ("era", "standing"),
    [
        pytest.param(0, (b"incarnation-one.", 0, 3, (5, 6), 5, ((3, 4),)), id="one by one"),
        pytest.param(1, (b"incarnation-one.", 1, 4, (6,), 7, ((5, 6),)), id="in batches"),
        pytest.param(2, (b"incarnation-one.", 1, 4, (6,), 4, ()), id="with checkpoints"),
    ],
)
def test_where_the_inbox_of_an_old_version_stood(era, standing):
    _, state = read(ERAS[era]["inbox"]["state"])
    (position,) = state.positions.values()
    (view,) = position.chains.values()
    found = (position.incarnation, position.run, position.through, position.above, view.last, view.missing)
    assert found == standing
