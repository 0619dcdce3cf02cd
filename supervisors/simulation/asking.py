"""How a step asks a durable actor of a machine: until it answers, life after life, under one command id.

reply = await ask(world, "till", "/till", command_id, Sell("Ada"))       noted as Replied, for the checks
"""

from __future__ import annotations

from functools import partial
from typing import Any

import trio

from ferryman.actors.durable_edge import Do
from ferryman.actors.durable_host import is_full
from ferryman.protocol.errors import AppError
from ferryman.protocol.machine import Command
from ferryman.supervisors.simulation.history import Replied
from ferryman.supervisors.simulation.machine import Crashed
from ferryman.supervisors.system import System

AGAIN_SECONDS = 1.0
COMMAND_ID_BYTES = 16


async def ask(world: Any, machine: str, path: str, command_id: bytes, command: Command[Any]) -> Any:
    """The actor's reply, or its Refused. What no seed can answer is asked again: a crash, a full disk, a busy actor.

    command_id: 16 bytes, another one for every command. Raises AppError for what would fail again."""
    if len(command_id) != COMMAND_ID_BYTES:
        raise ValueError(f"a command id has {COMMAND_ID_BYTES} bytes, not {len(command_id)}")
    while True:
        try:
            reply = await world.machine(machine).do(partial(put, path, Do(command_id, command)))
        except Crashed:
            continue
        except AppError as error:
            if not error.retryable:
                raise
        else:
            if not is_full(reply):
                world.note(Replied(machine, command_id, reply))
                return reply
        await trio.sleep(AGAIN_SECONDS)


async def put(path: str, question: Do[Any], system: System) -> Any:
    return await system.ref(path).ask(question)
