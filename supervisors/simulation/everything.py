"""Loads all that scripts may name: steps, programs and invariants register themselves."""

from __future__ import annotations

from ferryman.supervisors.simulation import checks, devices, fault_steps, sync_steps
from ferryman.supervisors.simulation.registry import INVARIANTS, PROGRAMS, STEPS

LOADED = (checks, devices, fault_steps, sync_steps)

for register in (STEPS, PROGRAMS, INVARIANTS):
    register.ours = tuple(register)
