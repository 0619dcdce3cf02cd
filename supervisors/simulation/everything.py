"""Loads all that scripts may name: steps, programs and invariants register themselves."""

from __future__ import annotations

from ferryman.supervisors.simulation import book, checks, devices, fault_steps, relay_steps, room_steps, sync_steps

LOADED = (book, checks, devices, fault_steps, relay_steps, room_steps, sync_steps)
