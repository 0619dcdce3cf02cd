"""The relay's log: one line an event, JSON into a file or a pipe, for people in a terminal. No payloads, no keys.

    {"at": "2026-11-21T12:00:00Z", "level": "error", "event": "crashed", "actor": "group_router", ...}

An actor is named by its kind; of a crash the type and the place of its cause are told, never its text: that may quote a
message. A line that cannot be written is lost, and the next one says how many were: a full disk or a pipe that nobody
reads must not end a relay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, cast

import structlog

from ferryman.actors.core.events import Crashed, Ended, Event, Stuck
from ferryman.actors.ports import Clock
from ferryman.actors.relay.log_lines import Fact, Level, Write, blurred
from ferryman.actors.relay.metrics import Metrics, kind_of
from ferryman.protocol.errors import BadInput

Log: TypeAlias = structlog.typing.FilteringBoundLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
SOURCE = "source"  # the one fact that is an address


class Sink:
    """A stream of lines, some of which it may not take."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def missed(self) -> dict[str, int]:
        return {"lost": self._lost} if self._lost else {}

    def write(self, line: str) -> None:
        try:
            print(line, file=self._stream, flush=True)
        except (OSError, ValueError):  # no room, nobody at the other end of the pipe, or closed
            self._lost += 1
        else:
            self._lost = 0

    debug = info = warning = error = critical = write  # as structlog calls it


def make_log(
    clock: Clock,
    *,
    level: str = "info",
    stream: TextIO | None = None,
    form: Literal["auto", "json", "console"] = "auto",
    blur_ips: bool = False,
) -> Log:
    """A log into `stream`, standard error by default. Its time is the clock's; "auto" asks whether it is a terminal."""
    target = sys.stderr if stream is None else stream
    in_terminal = target.isatty()
    sink = Sink(target)

    def stamp(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"at": datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **event, **sink.missed()}

    def blur(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if blur_ips and SOURCE in event:
            event[SOURCE] = blurred(event[SOURCE])
        return event

    for_people = form == "console" or (form == "auto" and in_terminal)
    render = (
        structlog.dev.ConsoleRenderer(sort_keys=False, colors=in_terminal)
        if for_people
        else structlog.processors.JSONRenderer()
    )
    return structlog.wrap_logger(
        sink,
        processors=[structlog.processors.add_log_level, blur, stamp, render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )


def open_log_file(path: Path) -> TextIO:
    """Append to a log file, readable by its owner. Raises BadInput."""
    try:
        path.touch(mode=0o600)
        return path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise BadInput(f"{path}: log.file cannot be written: {error.strerror}") from error


def line_writer(log: Log) -> Write:
    """Where the actors' lines go."""

    def write(level: Level, event: str, facts: Mapping[str, Fact]) -> None:
        log.log(LEVELS[level], event, **facts)

    return write


def event_writer(log: Log, metrics: Metrics) -> Callable[[Event], None]:
    """What the tree reports, as log lines and counts."""

    def write(event: Event) -> None:
        match event:
            case Crashed():
                actor = kind_of(event.path)
                metrics.restarted(actor)
                log.error(
                    "crashed",
                    actor=actor,
                    incarnation=event.incarnation,
                    on=event.message_type,
                    cause=type(event.cause).__name__,
                    place=event.place().removeprefix(" at "),
                )
            case Stuck(path=path, seconds=seconds):
                log.error("stuck", actor=kind_of(path), seconds=seconds)
            case Ended(path=path, reason=reason) if reason is not None:
                log.warning("ended for good", actor=kind_of(path), cause=type(reason).__name__)
            case _:
                pass

    return write


def reporter(log: Log) -> Callable[[str, BaseException], None]:
    """For failures that end with one stranger."""

    def report(where: str, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else ""
        log.error("failed", actor=where, cause=type(error).__name__, place=place)

    return report
