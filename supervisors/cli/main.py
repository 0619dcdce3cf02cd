"""`ferryman`: the command line. One file a command; this one mounts them, and makes errors one line each.

| exit code | meaning                                                                       |
|-----------|-------------------------------------------------------------------------------|
| 0         | done                                                                          |
| 1         | tried, and it failed: the relay refused, something was lost, a bug            |
| 2         | bad input or surroundings: nothing was tried; what, where and what to do      |
| 75        | not yet: `push --wait` ended with the blob still in the outbox                |
| 130, 143  | interrupted from the keyboard, asked to end                                   |
| 141       | whoever read the output has seen enough, as `head` does                       |

An error is one line on standard error; with --json, one object: {"type": "error", "code", "message"}. Never a
traceback: a bug is told by its type and its place, since the rest may quote what nobody should read.

Commands are named by import path, so that `ferryman relay` never loads what only a device needs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import cast

from cyclopts import App, CycloptsError, UnusedCliTokensError

from ferryman.protocol.errors import AppError, BadInput
from ferryman.version import __version__

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
TRIED = frozenset(
    {
        "ACTOR_CRASHED", "ACTOR_STOPPED", "BUG", "BUSY", "HOLDER_ENDED", "INVITE_REFUSED", "OFFLINE",
        "OUTBOX_FULL", "RELAY_REFUSED", "REMOTE_PROTOCOL_ERROR", "STORAGE_FULL",
    }
)  # fmt: skip
WORDS = {  # what the library says in terms of its calls, in terms of commands
    "SYNC_NOT_ENABLED": "in no group yet: `ferryman enable --relay URL` begins one, `ferryman join` joins one",
}
EXIT_UNREAD = 141  # 128 + SIGPIPE; not the signal itself, which would also end a relay at a closed socket

app = App(
    name="ferryman",
    help="Pair devices without accounts and carry their sealed state through a relay that cannot read it.",
    version=__version__,
)
app.command(
    "ferryman.supervisors.cli.group:enable", name="enable", help="Switch sync on; the first time, make a group."
)
app.command("ferryman.supervisors.cli.group:disable", name="disable", help="Switch sync off; group and outbox stay.")
app.command("ferryman.supervisors.cli.group:invite", name="invite", help="Let one more device in.")
app.command("ferryman.supervisors.cli.group:join", name="join", help="Enter the group that an invite is for.")
app.command(
    "ferryman.supervisors.cli.push:push",
    name="push",
    help="""Send files to the group's other devices, each as one blob.

    Each is sealed and on this device's disk before the relay is asked. What the relay cannot take now stays in the
    outbox, and goes out as soon as a ferryman process holds this device and the relay is there.""",
)
app.command("ferryman.supervisors.cli.pull:pull", name="pull", help="Get what the other devices pushed.")
app.command("ferryman.supervisors.cli.watch:watch", name="watch", help="Stay connected, and print what happens.")
app.command("ferryman.supervisors.cli.status:status", name="status", help="How this device stands.")
app.command(
    "ferryman.supervisors.cli.outbox:app", name="outbox", help="What waits for the relay; drop one, or try now."
)
app.command(
    "ferryman.supervisors.cli.trust:trust", name="trust", help="Accept the relay's key, when it is another one."
)
app.command("ferryman.supervisors.cli.doctor:doctor", name="doctor", help="Look this device over.")
app.command("ferryman.supervisors.cli.backup:backup", name="backup", help="Copy this device into one file.")
app.command("ferryman.supervisors.cli.backup:restore", name="restore", help="Make this device of a backup.")
app.command("ferryman.supervisors.cli.relay:app", name="relay", help="Run a relay, or look after one.")
app.command("ferryman.supervisors.cli.sim:app", name="sim", help="Scripted crashes of the real actors.")
app.command("ferryman.supervisors.cli.ledger:app", name="ledger", help="Look after a device's ledger.")
app.command(
    "ferryman.supervisors.cli.demo:demo",
    name="demo",
    help="Watch two devices and a third that joins late sync real files through a relay that is killed on the way.",
)
app.command("ferryman.supervisors.cli.demo:demo_device", name="demo-device", show=False)
app.command("ferryman.supervisors.cli.demo:demo_judge", name="demo-judge", show=False)


def main() -> None:
    """Run the command that the arguments name, and leave the process with its exit code."""
    keep_standard_streams()
    sys.exit(run(sys.argv[1:]))


def keep_standard_streams() -> None:
    """One that was closed would be the next file's descriptor, a ledger's, and what is printed would go into it.

    In its place stands one that can be neither read nor written: to use it is an error, as it was."""
    for descriptor, stream in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if descriptor else os.O_WRONLY)  # the lowest number that is free: this one
            setattr(sys, stream, os.fdopen(descriptor, "w" if descriptor else "r", closefd=False))


def run(arguments: list[str]) -> int:
    """Run one command. Returns the exit code."""
    as_json = "--json" in arguments
    try:
        result = app(arguments, print_error=False, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except UnusedCliTokensError:  # its own words would show them, and one may be an invite
        said = "there are more arguments than this command takes, or an option that it does not know"
        return complain(BadInput(f"{said} (see `ferryman --help`)"), as_json=as_json)
    except CycloptsError as error:
        return complain(BadInput(f"{one_line(str(error))} (see `ferryman --help`)"), as_json=as_json)
    except BaseException as error:  # noqa: BLE001 - the end of the process: nothing leaves it as a traceback
        return leave(error, as_json=as_json)
    return result if isinstance(result, int) else 0


def leave(error: BaseException, *, as_json: bool) -> int:
    """The exit code for what ended a command."""
    leaves = list(each(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return EXIT_INTERRUPTED
    if any(isinstance(leaf, BrokenPipeError) for leaf in leaves):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it flushes
        return EXIT_UNREAD
    for leaf in leaves:
        if isinstance(leaf, SystemExit):
            raise leaf
    for leaf in leaves:
        if isinstance(leaf, OSError) and leaf.strerror is not None:
            where = f"{os.fsdecode(leaf.filename)}: " if isinstance(leaf.filename, str | bytes) else ""
            return complain(BadInput(f"{where}{leaf.strerror}"), as_json=as_json)
    bugs = [leaf for leaf in leaves if not isinstance(leaf, AppError)]
    if bugs:
        return complain(AppError(f"this is a bug: {', '.join(map(place_of, bugs))}", code="BUG"), as_json=as_json)
    return complain(next(leaf for leaf in leaves if isinstance(leaf, AppError)), as_json=as_json)


def complain(error: AppError, *, as_json: bool) -> int:
    message = one_line(WORDS.get(error.code, error.message))
    if as_json:
        print(json.dumps({"type": "error", "code": error.code, "message": message}), file=sys.stderr)
    else:
        print(f"ferryman: {message}", file=sys.stderr)
    return EXIT_FAILED if error.code in TRIED else EXIT_BAD_INPUT


def one_line(text: str) -> str:
    return " ".join(text.split())


def place_of(bug: BaseException) -> str:
    """TypeError at file:line, without the bug's own words."""
    frame = bug.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
    return f"{type(bug).__name__}{place}"


def each(error: BaseException) -> Iterator[BaseException]:
    """The exception, or those inside a group, at any depth."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for inner in group.exceptions:
            yield from each(inner)
    else:
        yield error
