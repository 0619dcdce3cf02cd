"""`ferryman demo`: two devices sync real files through a relay that is killed on the way, and a third joins late."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import Parameter, validators

from ferryman.protocol.errors import BadInput

MAX_PORT = 65535


def demo(
    path: Path | None = None,
    /,
    *,
    keep: bool = False,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=MAX_PORT))] = 0,
) -> int:
    """Two devices exchange real files, end-to-end encrypted, through a relay that is killed on the way.

    Exit code 0: nothing lost, nothing duplicated, no plain text in the relay's files; 1: otherwise; 2: bad input.

    Parameters
    ----------
    path
        The folder to carry; by default the files that git tracks here.
    keep
        Leave the relay and the devices running afterwards, to play with, until Ctrl-C.
    port
        The relay's port on 127.0.0.1; 0 takes a free one.
    """
    from ferryman.actors.real_ports import make_real_ports
    from ferryman.supervisors.demo.source import load_source
    from ferryman.supervisors.demo.story import run_demo

    ports = make_real_ports()
    source = load_source(path)
    try:
        with tempfile.TemporaryDirectory(prefix="ferryman-demo-") as folder:
            return trio.run(lambda: run_demo(source, Path(folder), port=port, keep=keep, ports=ports))
    except OSError as error:
        raise BadInput(f"{error.filename or tempfile.gettempdir()}: {error.strerror}") from error


def demo_device(*, home: Path, name: str) -> None:
    """One device of the demo; takes its orders on stdin."""
    from ferryman.supervisors.demo.device import run_device

    trio.run(run_device, home, name)


def demo_judge() -> None:
    """The demo's judge: a case on stdin, the verdict on stdout."""
    from ferryman.actors.real_ports import make_real_ports
    from ferryman.supervisors.demo.judge import main

    main(make_real_ports().entropy.random_bytes)
