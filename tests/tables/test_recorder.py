"""Commands to a durable actor: in order, and each until it is answered."""

from dataclasses import dataclass

import pytest
import trio

from ferryman.actors.core.errors import ActorStopped
from ferryman.actors.durable import Do, Look
from ferryman.actors.recorder import FULL_DISK_SECONDS, Recorder, insist, look
from ferryman.protocol.machine import Command, Refused
from ferryman.supervisors.spec import ChildSpec, Supervisor
from ferryman.supervisors.system import open_system


@dataclass(frozen=True)
class Note(Command[int]):
    number: int


class Scribe:
    """An actor that crashes, or finds its disk full, where it is told to. `seen`: (id, number) of every command."""

    def __init__(self, *, crash_at=(), full_at=()):
        self.seen = []
        self.crash_at = list(crash_at)
        self.full_at = list(full_at)

    async def body(self, ctx):
        async for envelope in ctx:
            match envelope.msg:
                case Do(command_id, Note(number)):
                    self.seen.append((command_id, number))
                    if number in self.crash_at:
                        self.crash_at.remove(number)
                        raise RuntimeError("crashed")
                    if number in self.full_at:
                        self.full_at.remove(number)
                        envelope.reply(Refused("STORAGE_FULL"))
                    else:
                        envelope.reply(number)
                case Look():
                    if "look" in self.crash_at:
                        self.crash_at.remove("look")
                        raise RuntimeError("crashed")
                    envelope.reply("state")


async def record(scribe, count):
    answers = []
    async with open_system(Supervisor([ChildSpec("scribe", scribe.body)])) as system, trio.open_nursery() as nursery:
        recorder = Recorder(system.ref("/scribe"))
        nursery.start_soon(recorder.run)
        for number in range(count):
            recorder.record(b"id %d" % number, Note(number), answers.append)
        with trio.move_on_after(60):
            while len(answers) < count:  # noqa: ASYNC110 - a list tells nobody that it grew
                await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    return answers


async def test_answers_come_in_order(autojump_clock):
    assert await record(Scribe(), 200) == list(range(200))


async def test_what_crashes_on_the_way_is_asked_again_under_the_same_id(autojump_clock):
    scribe = Scribe(crash_at=[3])
    assert await record(scribe, 6) == list(range(6))
    assert [command_id for command_id, number in scribe.seen if number == 3] == [b"id 3", b"id 3"]


async def test_a_full_disk_is_waited_out(autojump_clock):
    began = trio.current_time()
    assert await record(Scribe(full_at=[1, 1]), 3) == [0, 1, 2]
    assert trio.current_time() - began >= FULL_DISK_SECONDS


async def test_whoever_wants_to_know_of_a_full_disk_is_told(autojump_clock):
    scribe = Scribe(full_at=[1])
    async with open_system(Supervisor([ChildSpec("scribe", scribe.body)])) as system:
        answer = await insist(system.ref("/scribe"), b"id", Note(1), full_disk_waits=False)
    assert answer == Refused("STORAGE_FULL")


async def test_a_look_is_repeated_too(autojump_clock):
    scribe = Scribe(crash_at=["look"])
    async with open_system(Supervisor([ChildSpec("scribe", scribe.body)])) as system:
        assert await look(system.ref("/scribe")) == "state"


async def test_an_actor_that_has_ended_for_good_is_not_waited_for(autojump_clock):
    async with open_system(Supervisor([ChildSpec("scribe", Scribe().body)])) as system:
        ref = system.ref("/scribe")
    for call in (insist(ref, b"id", Note(1)), look(ref)):
        with pytest.raises(ActorStopped):
            await call
