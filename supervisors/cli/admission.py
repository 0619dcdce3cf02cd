"""`ferryman invite`, the second half: who asks to come in, and a person who says yes or no.

link, QR code, short code --> somebody asks: NNN-NNN --> yes: let in
                                                     --> anything else: refused, and the invite is used up
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from ferryman.protocol.control import replies, requests
from ferryman.protocol.errors import BadInput
from ferryman.supervisors.cli.line import Line, ask
from ferryman.supervisors.cli.screen import Screen

ANSWER_LETTERS = 200  # of a line that is "yes", or is not
REFUSED = 1
TAKE_BACK_SECONDS = 5.0  # for a relay that answers; one that does not forgets the code after ten minutes


@dataclass(slots=True)
class Standby:
    """asking: a question is under way, which goes back by hanging up; nothing else can be said meanwhile."""

    asking: bool = False


async def check_yes(line: Line, invited: replies.Invited) -> None:
    """Raises BadInput, and takes the invite back, where `--yes` would let somebody in unseen."""
    if invited.asks:
        await ask(line, requests.CancelInvite(), replies.Cancelled)
        raise BadInput(
            "--yes lets nobody in unseen while sync.approve_joins is true: leave it out and compare the number, or set"
            " sync.approve_joins = false"
        )


async def host(line: Line, screen: Screen, standby: Standby) -> int:
    """Wait for the one who comes by the invite, and answer. The exit code."""
    await screen.note("Waiting for a device that asks. Ctrl-C takes the invite back.")
    standby.asking = True
    reply = await line.ask(requests.AwaitJoin())
    standby.asking = False
    if not isinstance(reply, replies.JoinAsked):
        await screen.show(reply, "A device was let in: it is in the group now.")
        return 0
    await screen.show(
        reply,
        f"{reply.device_name!r} asks to join. Its number is {reply.sas}: does the new device show the same?",
    )
    approve = await says_yes(screen)
    standby.asking = True
    ended = await ask(line, requests.AnswerJoin(approve=approve, sas=reply.sas), replies.JoinEnded)
    if not ended.joined:
        await screen.show(ended, "It was refused, and the invite is used up. `ferryman invite` makes a new one.")
        return REFUSED
    await screen.show(ended, f"{reply.device_name!r} is in the group now.")
    return 0


@asynccontextmanager
async def taken_back(line: Line, screen: Screen) -> AsyncGenerator[Standby]:
    """When the block is cancelled, the invite is taken back, unless the answer is under way."""
    standby = Standby()
    try:
        yield standby
    except trio.Cancelled:
        with trio.move_on_after(TAKE_BACK_SECONDS) as scope:
            scope.shield = True
            if standby.asking:
                await screen.note("What is not decided yet is taken back.")
            else:
                cancelled = await ask(line, requests.CancelInvite(), replies.Cancelled)
                in_time = "The short code is taken back."
                await screen.show(cancelled, in_time if cancelled.in_time else "It was too late: the invite was used.")
        raise


async def says_yes(screen: Screen) -> bool:
    """Whether the next line of standard input is yes. Nothing else lets anybody in."""
    await screen.note("Let it in? Type yes or no, then Enter.")
    answer = await trio.to_thread.run_sync(sys.stdin.readline, ANSWER_LETTERS, abandon_on_cancel=True)
    return answer.strip().lower() in ("y", "yes")
