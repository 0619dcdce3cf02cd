"""Loads all that scripts may name: steps, programs and invariants register themselves."""

from __future__ import annotations

from ferryman.supervisors.simulation import checks, devices, sync_steps

LOADED = (checks, devices, sync_steps)
