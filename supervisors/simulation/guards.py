"""What a simulated world may not touch: threads, real sockets, real files, the real clock and chance.

    with guarded(): trio.run(...)          who touches one of them ends the run, and is named with file and line

Argon2id does the least work that it can: one derivation at its usual cost takes longer than a whole world.
"""

from __future__ import annotations

import builtins
import inspect
import io
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random
from typing import Any

import trio

from ferryman.actors.simulated.ports import EPOCH
from ferryman.protocol.crypto import code_seal, keys

ADVICE = {
    "a thread": "run it through ports.threads",
    "a socket": "take it from ports.network",
    "a file": "take it from ports.disk",
    "the clock": "take it from ports.clock, or trio.current_time()",
    "chance": "take it from ports.entropy, or ctx.rng",
}
POISONS: list[tuple[Any, str, str]] = [
    (threading.Thread, "start", "a thread"),
    (trio.to_thread, "run_sync", "a thread"),
    (socket.socket, "connect", "a socket"),
    (socket.socket, "bind", "a socket"),
    (socket, "getaddrinfo", "a socket"),
    (builtins, "open", "a file"),
    (io, "open", "a file"),
    (os, "open", "a file"),
    (time, "time", "the clock"),
    (time, "time_ns", "the clock"),
    (time, "monotonic", "the clock"),
    (time, "monotonic_ns", "the clock"),
    (time, "perf_counter", "the clock"),
    (time, "perf_counter_ns", "the clock"),
    (time, "sleep", "the clock"),
    (os, "urandom", "chance"),
    (random, "_urandom", "chance"),  # what `secrets` and SystemRandom draw from
    *[(random, name, "chance") for name in ("random", "uniform", "gauss", "randbytes", "getrandbits")],
    *[(random, name, "chance") for name in ("randint", "randrange", "choice", "choices", "sample", "shuffle")],
]
SCHEDULER = ("trio.", "importlib")
"""Who may: the scheduler itself, and a module that is loaded on the way."""
LENT: dict[str, Callable[..., Any]] = {
    "urandom": Random(0).randbytes,
    "getrandbits": Random(0).getrandbits,
    "time": lambda: float(EPOCH),
}
BORROWERS = ("wsproto.", "trio_websocket.", "websockets.", "email.")
"""Masks, pings, names and dates of WebSockets: libraries of ours draw them, nothing follows from them."""
MESSENGERS = ("uuid",)
"""Not who wants it, but whom it is asked through."""
LIGHTER: list[tuple[Any, str, int]] = [
    (module, name, least)
    for module in (keys, code_seal)
    for name, least in (("ARGON2_MEMORY_KIB", 8), ("ARGON2_PASSES", 1))
]
"""Argon2id is made to take as long as a whole world does; in a simulation nobody guesses."""


class Poisoned(BaseException):
    """Something that no seed decides was touched. No Exception: no supervisor shall restart over it."""


@contextmanager
def guarded() -> Generator[None]:
    """Forbid it all for the block; afterwards everything is as it was."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for owner, name, kind in POISONS:
            before.append((owner, name, getattr(owner, name)))
            setattr(owner, name, poison(owner, name, kind))
        for owner, name, least in LIGHTER:
            before.append((owner, name, getattr(owner, name)))
            setattr(owner, name, least)
        yield
    finally:
        for owner, name, was in reversed(before):
            setattr(owner, name, was)


def poison(owner: Any, name: str, kind: str) -> Callable[..., Any]:
    real: Callable[..., Any] = getattr(owner, name)

    def touched(*args: Any, **options: Any) -> Any:
        here = inspect.currentframe()
        assert here is not None  # noqa: S101 - CPython has frames
        caller = here.f_back
        while caller is not None and caller.f_globals.get("__name__") in MESSENGERS:
            caller = caller.f_back
        assert caller is not None  # noqa: S101 - somebody has called
        module = caller.f_globals.get("__name__", "")
        if module.startswith(SCHEDULER):
            return real(*args, **options)
        if name in LENT and module.startswith(BORROWERS):
            return LENT[name](*args, **options)
        where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        what = f"{getattr(owner, '__name__', owner)}.{name}"
        raise Poisoned(f"{what} at {where} is {kind} that no seed decides: {ADVICE[kind]}")

    return touched
