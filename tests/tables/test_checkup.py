"""What a doctor says to each state of a device, a row a finding."""

import os
import shutil

import pytest

from ferryman.actors.http_client import Answer
from ferryman.protocol.control import replies
from ferryman.protocol.errors import BadInput
from ferryman.protocol.sync.errors import Offline
from ferryman.supervisors import checkup

NOW = 1_800_000_000


def standing(**changes):
    usual = {
        "indicator": "synced", "connection": "connected", "reason": "", "attempt": 0, "enabled": True,
        "relay_url": "ws://relay", "group": "3f9c1a07", "device": "", "device_name": "", "waiting": 0,
        "waiting_bytes": 0, "last_cursor": 0, "max_cursor": None, "pid": 1, "warning": "",
    }  # fmt: skip
    return replies.Standing(**{**usual, **changes})


def page(*, state="waiting", age=0, count=1, refused=()):
    oldest = [] if not count else [entry(state, None if age is None else NOW - age)]
    return replies.OutboxPage(group="3f9c1a07", count=count, bytes=9, waiting=oldest, refused=list(refused))


def entry(state, queued_at):
    return replies.OutboxEntry(id="00" * 16, size=9, queued_at=queued_at, state=state, introduction=False)


@pytest.mark.parametrize(
    ("relay", "newest", "ok", "says"),
    [
        (NOW, NOW, True, "as the relay's"),
        (NOW - 60, NOW, True, "as the relay's"),
        (NOW - 61, NOW, False, "61 s ahead of the relay's"),
        (NOW + 61, NOW, False, "61 s behind the relay's"),
        (None, NOW + 60, True, "no relay"),
        (None, NOW + 61, False, "61 s behind what the ledger has recorded"),
        (NOW, NOW + 3_600, False, "behind what the ledger"),
    ],
)
def test_a_clock_is_wrong_when_it_is_a_minute_off(relay, newest, ok, says):
    finding = checkup.look_at_clock(NOW, relay, newest)
    assert (finding.ok, says in finding.said) == (ok, True), finding


@pytest.mark.parametrize(
    ("found", "ok", "says"),
    [
        (standing(), True, "connected to ws://relay"),
        (standing(group=None, connection="disconnected"), True, "in no group"),
        (standing(enabled=False, connection="disconnected"), True, "switched off"),
        (standing(connection="reconnecting", reason="no route"), False, "no route"),
        (standing(connection="connecting"), False, "no connection came about"),
    ],
)
def test_a_device_that_should_be_connected_and_is_not_is_wrong(found, ok, says):
    finding = checkup.look_at_sync(found)
    assert (finding.ok, says in finding.said) == (ok, True), finding


@pytest.mark.parametrize(
    ("found", "how", "ok", "says"),
    [
        (page(count=0), standing(), True, "empty"),
        (page(count=0, refused=["00" * 16]), standing(), True, "refused 1 for good"),
        (page(age=3_600), standing(), True, "1 waiting"),
        (page(age=3_660), standing(), False, "for 61 minutes"),
        (page(age=None), standing(), True, "1 waiting"),
        (page(age=90_000), standing(connection="reconnecting"), True, "1 waiting"),
        (page(state="held back"), standing(), False, "refused by the relay for now"),
    ],
)
def test_an_outbox_is_stuck_when_the_relay_refuses_or_an_hour_of_connection_brings_nothing(found, how, ok, says):
    finding = checkup.look_at_outbox(found, how, NOW)
    assert (finding.ok, says in finding.said) == (ok, True), finding


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "keys").mkdir(mode=0o700)
    (home / "keys" / "store.json").touch(mode=0o600)
    return home


@pytest.mark.parametrize(
    ("path", "mode", "ok"),
    [
        (".", 0o700, True),
        (".", 0o710, False),
        (".", 0o701, False),
        ("keys", 0o750, False),
        ("keys/store.json", 0o640, False),
    ],
)
def test_a_home_that_others_can_look_into_is_wrong(home, path, mode, ok):
    (home / path).chmod(mode)
    finding = checkup.look_at_home(home)
    assert finding.ok is ok
    assert ok or finding.do.startswith("chmod")


def test_a_home_of_another_user_is_wrong(home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)
    assert checkup.look_at_home(home).do.startswith("chown")


@pytest.mark.parametrize(("free", "ledger", "ok"), [(64, 1, True), (63, 1, False), (80, 41, False), (82, 41, True)])
def test_a_disk_wants_room_for_the_ledger_once_more(home, monkeypatch, free, ledger, ok):
    with (home / "ledger.db").open("wb") as file:
        file.truncate(ledger << 20)
    room = os.statvfs_result((1, 1 << 20, 0, free, free, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    assert checkup.look_at_disk(home, home / "ledger.db").ok is ok
    shutil.rmtree(home)


@pytest.mark.parametrize(
    ("answer", "ok", "says"),
    [
        (Answer(200, b"{}", date=NOW), True, "is well"),
        (Answer(503, b"{}", date=NOW), False, "unwell"),
        (Answer(404, b""), False, "HTTP 404"),
        (Offline("no route"), False, "no route"),
    ],
)
async def test_a_relay_is_asked_how_it_is(monkeypatch, answer, ok, says):
    async def give(ports, address, method, path, trust):
        assert (method, path) == ("GET", "/health")
        if isinstance(answer, Offline):
            raise answer
        return answer

    monkeypatch.setattr(checkup, "request", give)
    looked = await checkup.look_at_relay(None, "ws://127.0.0.1:9", None)
    assert (looked.finding.ok, says in looked.finding.said) == (ok, True), looked
    assert looked.date == getattr(answer, "date", None)
    with pytest.raises(BadInput):
        await checkup.look_at_relay(None, "http://127.0.0.1:9", None)
