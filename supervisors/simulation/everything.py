"""Loads all that scripts may name: steps, programs and invariants register themselves."""

from __future__ import annotations

from ferryman.supervisors.simulation import checks, devices, fault_steps, sync_steps

LOADED = (checks, devices, fault_steps, sync_steps)
