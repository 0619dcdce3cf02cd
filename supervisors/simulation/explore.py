"""Random stories: a pure function from a seed to a scenario. Same seed, same story, whoever tells it.

    2 to 4 devices in one group or two --> weather --> some ten of: traffic, outages, crashes that lie in wait --> calm

| a piece of a story | its steps                                                                    |
|--------------------|------------------------------------------------------------------------------|
| traffic            | enqueue, push, pull, ack, host-takes, wait                                   |
| outage             | something is out of reach, traffic goes on around it, and it comes back      |
| fall               | a crash now, an orderly end, a host that loses what it got                   |
| ambush             | crash-at: a point or an operation of any machine, perhaps again in recovery  |
| annoyance          | revoke-connection, jump                                                      |
| newcomer           | join, once in some of those with three devices                               |

Nothing that waits for the relay stands inside an outage: such a step would wait for one that comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from ferryman.actors.core.crash_points import POINTS
from ferryman.actors.simulated.inode import POLICIES
from ferryman.supervisors.simulation.case import ERRORS, IO
from ferryman.supervisors.simulation.scenario import FORMAT, KILL, Scenario, Weather

Table: TypeAlias = Mapping[str, Any]

NAMES = ("a", "b", "c", "d")
WEATHERS = (
    Weather(network_ms=(0.0, 5.0), disk_ms=(0.0, 5.0)),
    Weather(network_ms=(5.0, 120.0), disk_ms=(0.0, 20.0)),
    Weather(network_ms=(0.0, 500.0), disk_ms=(0.0, 500.0)),
    Weather(network_ms=(0.0, 2.0), disk_ms=(50.0, 900.0)),
)
"""A few and no more: what a world begins with is prepared once for each."""
SIZES = (40, 40, 40, 300, 3_000, 40_000, 200_000)
JUMPS = (-7_200.0, -60.0, -1.0, 1.0, 60.0, 7_200.0)
ALL = (*POLICIES, KILL)
OUTAGES = (("partition", "heal"), ("stop-reading", "go-on-reading"), ("fill-disk", "free-disk"))
RELAY = "relay"
AT_RELAY = tuple(name for name in POINTS if name.startswith(("connection", "router", "allocator", "buffer", "invites")))
AT_DEVICE = tuple(name for name in POINTS if name.startswith(("durable", "ledger", "outbox", "client")))


def story(seed: int) -> Scenario:
    """The scenario of a seed."""
    chance = Random(f"story {seed}")
    devices = NAMES[: chance.choice((2, 2, 2, 3, 3, 4))]
    given: list[Table] = [{"do": "enable"}, {"do": "join", "device": "b"}]
    if len(devices) == 4 and chance.random() < 0.5:
        given += [{"do": "enable", "device": "c"}, {"do": "join", "device": "d", "from": "c"}]
    else:
        given += [{"do": "join", "device": name} for name in devices[2:]]
    pieces = chance.randint(3, 14)
    joins = chance.randrange(pieces) if len(devices) == 3 and chance.random() < 0.4 else None
    if joins is not None:
        given.pop()
    steps: list[Table] = []
    for number in range(pieces):
        if number == joins:
            steps.append({"do": "join", "device": devices[-1]})
        members = devices if joins is None or number >= joins else devices[:-1]
        steps += Teller(chance, members).piece()
    return Scenario(
        format=FORMAT,
        name=f"explore {seed}",
        seeds=(seed,),
        weather=chance.choice(WEATHERS),
        together=chance.random() < 0.6,
        given=tuple(given),
        step=tuple(steps),
    )


@dataclass(frozen=True, slots=True)
class Teller:
    chance: Random
    devices: Sequence[str]

    def piece(self) -> list[Table]:
        """One piece of a story: steps that make sense in a row."""
        draw = self.chance.random()
        if draw < 0.40:
            return [self.traffic(patient=True)]
        if draw < 0.58:
            return self.outage()
        if draw < 0.70:
            return [self.fall()]
        if draw < 0.92:
            return self.ambush()
        return [self.annoyance()]

    def traffic(self, *, patient: bool) -> Table:
        """patient: it may wait for the relay."""
        device, draw = self.device(), self.chance.random()
        if draw < 0.02 and patient:
            return {"do": "enqueue", "device": device, "count": 40, "size": 200_000}
        if draw < 0.65:
            do = self.chance.choice(("enqueue", "push") if patient else ("enqueue",))
            return {"do": do, "device": device, "count": self.chance.randint(1, 4), "size": self.chance.choice(SIZES)}
        if draw < 0.75 and patient:
            return {"do": "pull", "device": device}
        if draw < 0.80:
            return {"do": "ack", "device": device}
        if draw < 0.88:
            return {"do": "host-takes", "device": device, "count": self.chance.randint(0, 3)}
        return {"do": "wait", "device": device, "seconds": round(self.chance.uniform(0.01, 12), 2)}

    def outage(self) -> list[Table]:
        machine, draw = self.machine(), self.chance.random()
        pause: Table = {"do": "wait", "device": machine, "seconds": round(self.chance.uniform(0.01, 90), 2)}
        if draw < 0.25:
            device = self.device()
            return [
                {"do": "disable", "device": device},
                {**pause, "device": device},
                {"do": "enable", "device": device},
            ]
        if draw < 0.4:
            first = {"do": "crash", "device": machine, "policy": self.policy(), "down": True}
            return [first, pause, {"do": "restart", "device": machine}]
        do, undo = self.chance.choice(OUTAGES)
        others = Teller(self.chance, [name for name in self.devices if do != "fill-disk" or name != machine])
        meanwhile = [others.traffic(patient=False) for _ in range(self.chance.randint(0, 2))]
        return [{"do": do, "device": machine}, *meanwhile, pause, {"do": undo, "device": machine}]

    def fall(self) -> Table:
        draw = self.chance.random()
        if draw < 0.6:
            return {"do": "crash", "device": self.machine(), "policy": self.policy()}
        if draw < 0.8:
            return {"do": "shut-down", "device": self.machine()}
        return {"do": "host-loses", "device": self.device()}

    def ambush(self) -> list[Table]:
        """One crash, or one and others in the recovery from it."""
        machine = self.machine()
        return [self.spot(machine) for _ in range(self.chance.choice((1, 1, 1, 2, 2, 3)))]

    def spot(self, machine: str) -> Table:
        spot: dict[str, Any] = {"do": "crash-at", "device": machine, "policy": self.policy(), "maybe": True}
        draw = self.chance.random()
        if draw < 0.45:
            points = AT_RELAY if machine == RELAY else AT_DEVICE
            return {**spot, "point": self.chance.choice(points), "number": self.chance.randint(1, 4)}
        number = self.chance.choice((1, 2, 3, 5, 8, 13, 21, 34, 55)) + self.chance.randint(0, 2)
        if draw < 0.9:
            return {**spot, "point": IO, "number": number, "after": self.chance.random() < 0.5}
        return {**spot, "point": self.chance.choice(tuple(ERRORS)), "number": number}

    def annoyance(self) -> Table:
        if self.chance.random() < 0.7:
            return {"do": "revoke-connection", "device": self.machine()}
        return {"do": "jump", "device": self.machine(), "seconds": self.chance.choice(JUMPS)}

    def device(self) -> str:
        return self.chance.choice(self.devices)

    def machine(self) -> str:
        return self.chance.choice((RELAY, *self.devices))

    def policy(self) -> str:
        return self.chance.choice(ALL)
