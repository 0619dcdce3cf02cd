"""The group machine, a row a transition."""

import pytest

from ferryman.protocol.ledger.codec import Secret
from ferryman.protocol.machine import Decision, Refused
from ferryman.protocol.sync.group import (
    ConfirmIntroduced,
    DropClient,
    Group,
    GroupState,
    Introduce,
    JoinGroup,
    KeepClient,
    Pin,
    SetEnabled,
    Trust,
)

machine = Group()
GROUP = b"g" * 32
URL = "ws://one"
KEY = b"k" * 32


def join(group_id=GROUP, url=URL, key=None):
    return JoinGroup(group_id, Secret(b"s" * 32), url, b"c" * 32, key)


def carry(*commands):
    state = GroupState()
    for command in commands:
        decision = machine.decide(state, command)
        assert isinstance(decision, Decision), decision
        for event in decision.events:
            state = machine.evolve(state, event)
    return state


@pytest.mark.parametrize(
    ("commands", "enabled", "url", "key"),
    [
        pytest.param([join()], True, URL, None, id="join"),
        pytest.param([join(key=KEY)], True, URL, KEY, id="join with the relay's key"),
        pytest.param([join(), Pin(GROUP, KEY)], True, URL, KEY, id="pin at the first contact"),
        pytest.param([join(key=KEY), Pin(GROUP, b"x" * 32)], True, URL, KEY, id="a pin is not replaced by a contact"),
        pytest.param([join(), Pin(b"?" * 32, KEY)], True, URL, None, id="a pin for another group"),
        pytest.param([join(key=KEY), join(key=b"n" * 32)], True, URL, b"n" * 32, id="a new invite brings a new key"),
        pytest.param([join(key=KEY), join()], True, URL, KEY, id="an invite without a key keeps the pin"),
        pytest.param([join(key=KEY), join(url="ws://two")], True, "ws://two", None, id="another relay is pinned anew"),
        pytest.param([join(key=KEY), Trust(b"n" * 32)], True, URL, b"n" * 32, id="a person trusts another key"),
        pytest.param([join(), SetEnabled(False)], False, URL, None, id="disable"),
        pytest.param([join(), SetEnabled(False), SetEnabled(True)], True, URL, None, id="and enable"),
        pytest.param([join(), SetEnabled(False), join()], True, URL, None, id="joining again enables"),
        pytest.param([join(key=KEY), SetEnabled(True, "ws://two")], True, "ws://two", None, id="move to another relay"),
    ],
)
@pytest.mark.req("W7-33", "W7-34", "W7-35")
def test_membership(commands, enabled, url, key):
    state = carry(*commands)
    assert (state.enabled, state.member.relay_url, state.member.relay_key) == (enabled, url, key)


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        pytest.param([], SetEnabled(True), "SYNC_NOT_ENABLED", id="no group"),
        pytest.param([join()], join(b"h" * 32), "ALREADY_JOINED", id="another group"),
    ],
)
def test_refusals(before, command, code):
    refused = machine.decide(carry(*before), command)
    assert isinstance(refused, Refused)
    assert refused.code == code


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(join(key=KEY), id="the same invite"),
        pytest.param(SetEnabled(True), id="enabled already"),
        pytest.param(SetEnabled(True, URL), id="the same relay"),
        pytest.param(Pin(GROUP, KEY), id="the same key"),
    ],
)
def test_what_says_nothing_new_is_not_recorded(command):
    assert machine.decide(carry(join(key=KEY)), command).events == ()


def kinds(state):
    return [type(effect) for effect in machine.owed(state).values()]


@pytest.mark.req("W7-17")
def test_what_it_owes():
    assert kinds(GroupState()) == []
    assert kinds(carry(join())) == [KeepClient, Introduce]
    assert kinds(carry(join(), ConfirmIntroduced(GROUP))) == [KeepClient]
    assert kinds(carry(join(), SetEnabled(False))) == [DropClient]


def test_pinning_the_relay_does_not_restart_the_client():
    assert machine.owed(carry(join())) == machine.owed(carry(join(), Pin(GROUP, KEY)))


def test_another_relay_is_another_effect_of_the_same_debt():
    here, there = machine.owed(carry(join())), machine.owed(carry(join(), SetEnabled(True, "ws://two")))
    [debt] = [name for name in here if name.startswith("client/")]
    assert here[debt] != there[debt]


def test_the_secret_shows_in_no_text():
    assert "ssss" not in repr(carry(join()))


def test_nobody_trusts_the_relay_of_a_group_that_is_not_there():
    assert isinstance(machine.decide(GroupState(), Trust(KEY)), Refused)


def test_a_key_that_is_trusted_already_is_not_recorded_again():
    assert machine.decide(carry(join(key=KEY)), Trust(KEY)) == Decision()


@pytest.mark.parametrize("bare", [True, False])
def test_a_bare_group_is_known_to_be_one(bare):
    command = JoinGroup(GROUP, Secret(b"s" * 32), URL, b"c" * 32, None, bare)
    assert carry(command).member.bare is bare
