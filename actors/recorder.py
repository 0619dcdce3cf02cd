"""Commands from one actor to a durable one: in order, several under way at once, each repeated until it has an answer.

    record(command_id, command, done) ... --> post, post, post --> wait, wait, wait --> done(reply)

ActorCrashed, and ActorStopped of an actor that is restarted with others, say that the outcome is unknown: the same
command under the same id is asked again, and the ledger gives the first reply if it had happened. A full disk is
waited out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from ferryman.actors.core.errors import ActorCrashed, ActorStopped
from ferryman.actors.core.ref import Ref
from ferryman.actors.durable import Do, Look
from ferryman.actors.durable_host import FULL_DISK_SECONDS, is_full
from ferryman.protocol.machine import Command

BATCH = 64  # commands under way at once: as many as one commit of the ledger is worth
AGAIN_SECONDS = 0.05  # a crashed actor is back in less


@dataclass(frozen=True, slots=True)
class Job:
    command_id: bytes
    command: Command[Any]
    done: Callable[[Any], None]


class Recorder:
    """Runs in a task of the actor that owns it. `done` is called with the reply, or with Refused."""

    def __init__(self, target: Ref[Any]) -> None:
        self._target = target
        self._jobs: deque[Job] = deque()
        self._news = trio.Event()

    def record(self, command_id: bytes, command: Command[Any], done: Callable[[Any], None]) -> None:
        self._jobs.append(Job(command_id, command, done))
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            while self._jobs:
                batch = [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]
                answers = [await self._target.post(Do(job.command_id, job.command)) for job in batch]
                for job, pending in zip(batch, answers, strict=True):
                    try:
                        answer = await pending.wait()
                        known = not is_full(answer)
                    except (ActorCrashed, ActorStopped):
                        answer, known = None, False
                    job.done(answer if known else await insist(self._target, job.command_id, job.command))


async def insist(target: Ref[Any], command_id: bytes, command: Command[Any], *, full_disk_waits: bool = True) -> Any:
    """The answer to a command, repeated under the same id over crashes and a full disk. Raises ActorStopped."""
    while True:
        try:
            answer = await target.ask(Do(command_id, command))
        except (ActorCrashed, ActorStopped):
            await come_back(target)
            continue
        if not (full_disk_waits and is_full(answer)):
            return answer
        await trio.sleep(FULL_DISK_SECONDS)


async def look(target: Ref[Any]) -> Any:
    """The recorded state of a durable actor. Raises ActorStopped."""
    while True:
        try:
            return await target.ask(Look())
        except (ActorCrashed, ActorStopped):
            await come_back(target)


async def come_back(target: Ref[Any]) -> None:
    """Give an actor that is being restarted a moment. Raises ActorStopped when it has ended for good."""
    if target.address.mailbox.closed:
        raise ActorStopped(target.path)
    await trio.sleep(AGAIN_SECONDS)
