"""`ferryman`: the command line. One file a command; this one mounts them, and makes errors one line each.

| exit code | meaning                                                              |
|-----------|----------------------------------------------------------------------|
| 0         | done                                                                 |
| 1         | it ran, and its verdict is bad (something lost, a rule violated)     |
| 2         | bad input or surroundings: one line says what, where and what to do  |
| 130       | interrupted from the keyboard                                        |
| 141       | whoever read the output has seen enough, as `head` does              |

Commands are named by import path, so that `ferryman relay` never loads what only a device needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from cyclopts import App, CycloptsError

from ferryman.protocol.errors import AppError
from ferryman.version import __version__

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
EXIT_UNREAD = 141  # 128 + SIGPIPE; not the signal itself, which would also end a relay at a closed socket

app = App(
    name="ferryman",
    help="Pair devices without accounts and carry their sealed state through a relay that cannot read it.",
    version=__version__,
)
app.command("ferryman.supervisors.cli.relay:app", name="relay", help="Run a relay, or look after one.")
app.command("ferryman.supervisors.cli.ledger:app", name="ledger", help="Look after a device's ledger.")
app.command(
    "ferryman.supervisors.cli.demo:demo",
    name="demo",
    help="Watch two devices sync real files through a relay that is killed on the way.",
)
app.command("ferryman.supervisors.cli.demo:demo_device", name="demo-device", show=False)
app.command("ferryman.supervisors.cli.demo:demo_judge", name="demo-judge", show=False)


def main() -> None:
    """Run the command that the arguments name, and leave the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command. Returns the exit code."""
    try:
        result = app(arguments, print_error=False, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        return complain(f"{one_line(str(error))} (see `ferryman --help`)")
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it flushes
        return EXIT_UNREAD
    except BaseExceptionGroup as group:
        leaves = list(each(group))
        if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
            return EXIT_INTERRUPTED
        named = [leaf for leaf in leaves if isinstance(leaf, AppError)]
        if len(named) != len(leaves):  # a bug among them: show everything
            raise
        return complain(named[0].message)
    except AppError as error:
        return complain(error.message)
    return result if isinstance(result, int) else 0


def complain(message: str) -> int:
    print(f"ferryman: {one_line(message)}", file=sys.stderr)
    return EXIT_BAD_INPUT


def one_line(text: str) -> str:
    return " ".join(text.split())


def each(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The exceptions inside nested groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from each(error)  # pyright: ignore[reportUnknownArgumentType] - isinstance cannot narrow the parameter
        else:
            yield error
