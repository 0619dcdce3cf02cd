"""Worlds of somebody's own durable actors: what they wait for, and what makes a scenario prove nothing."""

from dataclasses import dataclass

import pytest
import trio

from ferryman.actors.durable_stream import durable_stream
from ferryman.protocol.errors import BadInput
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, Decision, Refused
from ferryman.simulation import ChildSpec, Replied, Step, ask, check, invariant, parse_case, program, run_case, step
from ferryman.supervisors.simulation.sweep import sweep

FORMAT = "ferryman.scenario/1"


@recorded("test.bell.order/1")
@dataclass(frozen=True)
class Order(Command[int]):
    seconds: float


@recorded("test.bell.rung/1")
@dataclass(frozen=True)
class Rung(Command[None]):
    number: int


class Bell:
    """Each order rings a bell so many seconds later."""

    name = "bell"
    initial: dict[int, float] = {}  # noqa: RUF012 - nobody changes it

    def decide(self, state, command):
        if isinstance(command, Order) and command.seconds < 0:
            return Refused("TOO_LATE")
        return Decision((command,), reply=len(state) + 1 if isinstance(command, Order) else None)

    def evolve(self, state, event):
        if isinstance(event, Order):
            return state | {len(state) + 1: event.seconds}
        return state | {event.number: 0}

    def owed(self, state):
        return {f"bell {number}": (number, seconds) for number, seconds in state.items() if seconds}


@program("test.bells")
def bells(machine):
    async def ring(_, debt_id, effect):
        number, seconds = effect
        await trio.sleep(seconds)
        machine.host[debt_id] = number
        return Rung(number)

    return [ChildSpec("bell", durable_stream(Bell(), "bell", machine.ports, perform=ring, snapshot_every=0))]


@step("test.order")
class OrderOne(Step):
    seconds: float
    id: str = "first"

    async def run(self, world):
        await ask(world, self.device, "/bell", self.id.encode().ljust(16), Order(self.seconds))


@invariant("test.every_bell")
def every_bell(world):
    numbers = [one.reply for one in world.history if isinstance(one, Replied)]
    if sorted(world.machine("tower").host.values()) != numbers:
        yield f"ordered {numbers}, heard {world.machine('tower').host}"


@invariant("test.broken_check")
def broken_check(world):
    yield world.nothing_of_that_name


def scenario(*steps, invariants=("converges", "test.every_bell", "ledger", "no_crash"), **more):
    return check(
        {
            "format": FORMAT,
            "name": "bells",
            "machines": {"tower": "test.bells"},
            "step": [{"device": "tower", **one} for one in steps],
            "expect": {"invariants": invariants},
            **more,
        }
    )


def order(seconds, **more):
    return {"do": "test.order", "seconds": seconds, **more}


def test_a_world_has_not_settled_while_a_debt_is_worked_on():
    outcome = run_case(scenario(order(90.0)), parse_case("-/-/0"), keep=True)
    assert outcome.violations == ()
    assert 90.0 <= outcome.rows[-1].t < 91.0


def test_a_debt_that_is_never_paid_is_named():
    outcome = run_case(scenario(order(5000.0), invariants=("converges",)), parse_case("-/-/0"))
    assert set(outcome.violations) == {
        "converges: end: after 900 s without a fault: tower is not done: /bell owes bell 1"
    }


def test_a_crash_between_a_reply_and_its_debt_loses_neither():
    swept = sweep(scenario(order(3.0), {"do": "settle"}, crash={"points": ["*"]}), workers=1)
    assert swept.failures == []
    assert ("tower", "durable.effects") in swept.points


def test_a_refusal_is_an_answer():
    outcome = run_case(scenario(order(-1.0), invariants=("converges",)), parse_case("-/-/0"), keep=True)
    assert any("replied Refused(code='TOO_LATE'" in row.what for row in outcome.rows)


def test_a_check_that_fails_itself_is_told_of_with_its_place():
    outcome = run_case(scenario(order(1.0), invariants=("test.broken_check",)), parse_case("-/-/0"))
    assert len(outcome.violations) == 1
    assert outcome.violations[0].startswith(f"test.broken_check: the check itself failed at {__file__}:")
    assert "AttributeError: 'World' object has no attribute 'nothing_of_that_name'" in outcome.violations[0]


def test_a_scenario_that_records_nothing_proves_nothing():
    with pytest.raises(BadInput, match="make no durable actor record anything"):
        sweep(scenario({"do": "wait"}), workers=1)


def test_a_command_id_has_sixteen_bytes():
    outcome = run_case(scenario(order(1.0, id="a" * 17)), parse_case("-/-/0"))
    assert "ValueError: a command id has 16 bytes, not 17" in outcome.violations[0]


@pytest.mark.parametrize(("register", "what"), [(step, "step"), (invariant, "invariant"), (program, "program")])
def test_a_name_that_is_taken_is_not_given_again(register, what):
    names = {"step": "push", "invariant": "ledger", "program": "relay"}
    with pytest.raises(BadInput, match=f"there is a {what} '{names[what]}' already"):
        register(names[what])(Step)


def test_an_actor_s_own_invariants_judge_no_other_scenario():
    story = check(
        {"format": FORMAT, "name": "x", "machines": {"relay": "relay"}, "step": [{"do": "wait", "device": "relay"}]}
    )
    assert run_case(story, parse_case("-/-/0")).violations == ()
