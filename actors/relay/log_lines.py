"""What the relay's actors have to say to the log, bounded: a flood at the door must not become a flood on the disk.

    lines.say("info", "refused", source="203.0.113.7", status=429)  ->  a line, at most so many an event and second
                                                                    ->  with the next one, how many were left out

A fact is a number, a word of ours or a source address; who writes the log may blur those. Nothing that a peer wrote
comes here: no payload, no name, no header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Literal, TypeAlias

import trio

from ferryman.actors.relay.sources import address_of

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Fact: TypeAlias = str | int | float
Write: TypeAlias = Callable[[Level, str, Mapping[str, Fact]], None]

LINES_A_SECOND = 10  # of one event: enough to see who it is, little enough to keep
BLURRED = {4: 24, 6: 48}  # bits that are left of an address: about a town, or one customer's provider


class LogLines:
    def __init__(self, write: Write) -> None:
        self._write = write
        self._seconds: dict[str, tuple[int, int]] = {}  # by event: which second, how many in it

    def say(self, level: Level, event: str, **facts: Fact) -> None:
        second = int(trio.current_time())
        before, said = self._seconds.get(event, (second, 0))
        if before != second:
            left_out = max(0, said - LINES_A_SECOND)
            said = 0
            if left_out:
                facts["left_out"] = left_out
        self._seconds[event] = (second, said + 1)
        if said < LINES_A_SECOND:
            self._write(level, event, facts)


def blurred(source: str) -> str:
    """An address or network as its /24 or /48; what is none stays away altogether."""
    address = address_of(source.partition("/")[0])
    if address is None:
        return "?"
    return str(ip_network((str(address), BLURRED[address.version]), strict=False))
