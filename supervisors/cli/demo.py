"""`ferryman demo`: two devices and a third that joins late sync real files through a relay that is killed on the way.

| exit code | meaning                                                                |
|-----------|------------------------------------------------------------------------|
| 0         | nothing lost, nothing duplicated, no plain text in the relay's files   |
| 1         | otherwise, or a process of the demo failed or was ended by somebody    |
| 2         | bad input or surroundings                                              |
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter, validators

from ferryman.protocol.errors import BadInput

MAX_PORT = 65535
EXIT_FAILED = 1


def demo(
    path: str | None = None,
    /,
    *,
    keep: Annotated[bool, Parameter(negative=())] = False,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=MAX_PORT))] = 0,
) -> int:
    """Two devices and a third that joins late exchange real files, sealed, through a relay that is killed on the way.

    Exit code 0: nothing lost, nothing duplicated, no plain text in the relay's files; 1: otherwise; 2: bad input.

    Parameters
    ----------
    path
        The folder or file to carry, at most 10,000 files and 1 GiB; by default the files that git tracks here.
    keep
        Leave everything running afterwards, with a note book that your own devices can join, until Ctrl-C; the folder
        with the devices' homes stays.
    port
        The relay's port on 127.0.0.1; 0 takes a free one.
    """
    from ferryman.actors.real_ports import make_real_ports
    from ferryman.supervisors.demo.failure import DemoFailed
    from ferryman.supervisors.demo.folder import remove_abandoned
    from ferryman.supervisors.demo.screen import Screen
    from ferryman.supervisors.demo.source import load_source
    from ferryman.supervisors.demo.story import run_demo

    ports = make_real_ports()
    removed = remove_abandoned()
    source = load_source(path)

    async def perform() -> int:
        screen = Screen()
        for folder in removed:
            screen.tell(f"removed {folder}, which a demo left behind when it was killed")
        return await run_demo(source, screen, port=port, keep=keep, ports=ports)

    try:
        return trio.run(perform)
    except DemoFailed as failure:
        ending = "; the last it wrote:" if failure.last_words else ""
        print(f"ferryman: {failure.message}{ending}", *failure.last_words, sep="\n  | ", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:
        raise  # the command line's to answer
    except OSError as error:
        raise BadInput(f"{error.filename or tempfile.gettempdir()}: {error.strerror}") from error


def demo_device(*, home: Path, name: str, notes: bool = False) -> None:
    """One device of the demo; takes its orders on stdin."""
    from ferryman.supervisors.demo.device import run_device

    trio.run(lambda: run_device(home, name, notes=notes))


def demo_judge() -> None:
    """The demo's judge: a case on stdin, the verdict on stdout."""
    from ferryman.actors.real_ports import make_real_ports
    from ferryman.supervisors.demo.judge import main

    main(make_real_ports().entropy.random_bytes)
