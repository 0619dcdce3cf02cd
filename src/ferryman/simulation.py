"""The simulator's shop window: what it takes to crash an actor of your own, and to run a scenario from Python.

| for                     | names                                                                                |
|-------------------------|--------------------------------------------------------------------------------------|
| your actor              | durable_stream, recorded, Command, Decision, Refused, ChildSpec                      |
| what a script may name  | program, step and Step, invariant                                                    |
| inside a step           | World, Machine, ask, Replied                                                         |
| running                 | load, check, run_case, parse_case, sweep: what `ferryman sim run` is made of         |
"""

from __future__ import annotations

from ferryman.actors.durable_stream import durable_stream
from ferryman.protocol.ledger.codec import recorded
from ferryman.protocol.machine import Command, Decision, Refused
from ferryman.supervisors.simulation import everything as _everything  # a name that is taken is told of at once
from ferryman.supervisors.simulation.asking import ask
from ferryman.supervisors.simulation.case import Case, Spot, parse_case
from ferryman.supervisors.simulation.history import Replied
from ferryman.supervisors.simulation.machine import Machine
from ferryman.supervisors.simulation.outcome import Outcome
from ferryman.supervisors.simulation.programs import program
from ferryman.supervisors.simulation.registry import Step, invariant, step
from ferryman.supervisors.simulation.run import run_case
from ferryman.supervisors.simulation.scenario import Scenario, check, load
from ferryman.supervisors.simulation.sweep import Sweep, sweep
from ferryman.supervisors.simulation.world import World
from ferryman.supervisors.spec import ChildSpec

__all__ = [
    "Case",
    "ChildSpec",
    "Command",
    "Decision",
    "Machine",
    "Outcome",
    "Refused",
    "Replied",
    "Scenario",
    "Spot",
    "Step",
    "Sweep",
    "World",
    "ask",
    "check",
    "durable_stream",
    "invariant",
    "load",
    "parse_case",
    "program",
    "recorded",
    "run_case",
    "step",
    "sweep",
]

del _everything
